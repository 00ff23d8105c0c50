package external

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

const (
	namespace, name = "karmada-system", "our-ca"
	// intermediateLifetime is the shortest that is allowed for workloads of
	// meshlab.CertificateLifetime. It is renewed after half of it: what it signs last has
	// to end before it does.
	intermediateLifetime = 4 * meshlab.CertificateLifetime
	// patience is for three steps, each with a lifetime of certificates.
	patience = 6 * meshlab.CertificateLifetime
)

// give writes the Secret as a person does, nil for none, and has the Mesh looked at, which
// would take a minute.
func give(s *meshlab.Session, data map[string][]byte, look int) {
	s.Helper()
	if data == nil {
		s.Run(lab.Fed, "delete", "secret", "--namespace="+namespace, name, "--ignore-not-found")
	} else {
		secret := &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: data}
		text, err := json.Marshal(secret)
		require.NoError(s, err)
		s.Apply(lab.Fed, string(text))
	}
	s.Edit(meshlab.Mesh, fmt.Sprintf(`{"spec":{"withdrawAfter":"%ds"}}`, 60+look))
}

// signers are who signs certificates of workloads, by member.
func signers(s *meshlab.Session) map[string]trust.Fingerprint {
	s.Helper()
	found := map[string]trust.Fingerprint{}
	for name, m := range shared.Members {
		certificate, err := m.NewCertificate(s.Context())
		require.NoError(s, err)
		found[name] = trust.FingerprintOf(certificate.Chain[1])
	}
	return found
}

// tells waits until the Mesh is not ready for its Secret, in these words.
func tells(s *meshlab.Session, words ...string) {
	s.Helper()
	s.Becomes(meshlab.Mesh, fmt.Sprintf("the Mesh tells what is wrong with the Secret: %q", words), func(mesh *meshv1alpha1.Mesh) error {
		ready := meta.FindStatusCondition(mesh.Status.Conditions, meshv1alpha1.ConditionReady)
		if ready == nil || ready.ObservedGeneration != mesh.Generation || ready.Reason != "ExternalCAUnusable" {
			return fmt.Errorf("it tells %+v", ready)
		}
		for _, word := range append(words, "spec.trust.secretRef", namespace+"/"+name) {
			if !strings.Contains(ready.Message, word) {
				return fmt.Errorf("it does not tell %q: %s", word, ready.Message)
			}
		}
		return nil
	})
}

// trusts waits until a member's workloads trust these roots and no other.
func trusts(s *meshlab.Session, member string, roots ...*company) {
	s.Helper()
	var want []byte
	for _, r := range roots {
		want = append(want, r.pem()...)
	}
	s.Await(fmt.Sprintf("workloads of %s trust %d roots of the company", member, len(roots)), func() error {
		certificate, err := shared.Members[member].NewCertificate(s.Context())
		if err == nil && !bytes.Equal(certificate.Roots, want) {
			err = fmt.Errorf("they trust\n%s, want\n%s", certificate.Roots, want)
		}
		return err
	})
}

// TestTheCompanysCA: two clusters call each other all the time under a root of a person,
// whose key the federation has and signs with. Intermediates are renewed. What the person
// breaks changes nothing. Then there is another root, with intermediates that the person
// has made.
func TestTheCompanysCA(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1})
	first, second, ended := root(t, time.Hour), root(t, time.Hour), root(t, -time.Second)
	given, intermediates := second.gives(meshlab.Names...)
	changed := func(data, more map[string][]byte) map[string][]byte {
		data = maps.Clone(data)
		maps.Copy(data, more)
		return data
	}
	look := 0
	next := func(data map[string][]byte) { look++; give(s, data, look) }

	s.Apply(lab.Fed, meshlab.Manifest(meshlab.Mesh, meshlab.Names, fmt.Sprintf(
		"trust: {mode: External, secretRef: {namespace: %s, name: %s}, workloadCertificateLifetime: %s, intermediateLifetime: %s}",
		namespace, name, meshlab.CertificateLifetime, intermediateLifetime)))
	tells(s, "does not exist", "root-cert.pem", "root-key.pem")
	next(changed(first.signs(), map[string][]byte{"root-cert.pem": []byte("our root")}))
	tells(s, "root-cert.pem", "PEM")
	next(ended.signs())
	tells(s, "root-cert.pem", "has ended on")
	for _, member := range meshlab.Names {
		s.Gone(member, "secret", "--namespace="+istiolab.Namespace, "cacerts")
	}

	next(first.signs())
	s.TakeCA(meshlab.Names...)
	s.Ready(meshlab.Mesh, "2/2", "2/2")
	pids := map[string]int{}
	var loads []*meshlab.Load
	begin := time.Now()
	for _, member := range meshlab.Names {
		trusts(s, member, first)
		pids[member] = shared.Members[member].Istiod.PID()
		load := s.StartLoad(member)
		load.Answers(5, meshlab.Names...)
		loads = append(loads, load)
	}
	before := signers(s)

	for _, wrong := range []struct {
		data  map[string][]byte
		words []string
	}{
		{data: nil, words: []string{"does not exist"}},
		{data: changed(first.signs(), map[string][]byte{"root-key.pem": second.key()}), words: []string{"root-cert.pem", "root-key.pem", "not that of the certificate"}},
		{data: changed(given, map[string][]byte{"root-cert.pem": first.pem()}), words: []string{"ca-cert.pem", "root-cert.pem"}},
		{data: changed(given, map[string][]byte{"eu.ca-key.pem": first.key()}), words: []string{"eu.ca-cert.pem", "eu.ca-key.pem"}},
	} {
		next(wrong.data)
		tells(s, wrong.words...)
	}
	next(first.signs())
	s.Ready(meshlab.Mesh, "2/2", "2/2")

	s.AwaitWithin(intermediateLifetime, "another intermediate signs in each cluster, and its agent has seen that", func() error {
		for member, signer := range signers(s) {
			m, err := s.GetMember(member, meshlab.Mesh)
			if err != nil {
				return err
			}
			if signer == before[member] || m.Status.CA == nil || m.Status.CA.Intermediate != string(signer) {
				return fmt.Errorf("in %s %s signs, reported is %+v", member, signer, m.Status.CA)
			}
		}
		return nil
	})
	calm(s, loads, begin)

	next(given)
	for _, stage := range []trust.Stage{trust.TrustBoth, trust.SignNew, trust.Steady} {
		s.BecomesWithin(patience, meshlab.Mesh, fmt.Sprintf("the root is at stage %s", stage), func(mesh *meshv1alpha1.Mesh) error {
			if mesh.Status.Trust == nil || mesh.Status.Trust.Stage != string(stage) {
				return fmt.Errorf("it is %+v", mesh.Status.Trust)
			}
			return nil
		})
		switch stage {
		case trust.TrustBoth:
			trusts(s, "eu", first, second)
		case trust.SignNew:
			next(changed(given, map[string][]byte{"root-cert.pem": ended.pem()}))
			tells(s, "has ended on")
			next(given)
		}
	}
	s.Ready(meshlab.Mesh, "2/2", "2/2")
	under(s, second, intermediates)

	// The person renews an intermediate.
	given, intermediates = second.gives(meshlab.Names...)
	next(given)
	s.Await("istiods sign with the ones that were given", func() error {
		for member, signer := range signers(s) {
			if want := intermediates[member].Fingerprint(); signer != want {
				return fmt.Errorf("in %s %s signs, want %s", member, signer, want)
			}
		}
		return nil
	})
	under(s, second, intermediates)
	calm(s, loads, begin)
	for member, pid := range pids {
		require.Equal(t, pid, shared.Members[member].Istiod.PID(), "istiod of %s was not started again", member)
	}
}

// under looks whether workloads are under the intermediates that were given, with all
// that is between those and the root.
func under(s *meshlab.Session, top *company, given map[string]*company) {
	s.Helper()
	for member, signer := range given {
		trusts(s, member, top)
		certificate, err := shared.Members[member].NewCertificate(s.Context())
		require.NoError(s, err)
		require.Len(s, certificate.Chain, 3, "the workload, the cluster, the department")
		require.Equal(s, signer.Certificate.Raw, certificate.Chain[1].Raw)
		require.Equal(s, signer.above.Certificate.Raw, certificate.Chain[2].Raw)
	}
}

// calm looks whether all calls were answered, by both.
func calm(s *meshlab.Session, loads []*meshlab.Load, begin time.Time) {
	s.Helper()
	for _, load := range loads {
		load.Answers(5, meshlab.Names...)
		answered, failed := load.Since(begin)
		require.Empty(s, failed)
		s.Logf("answered: %v", answered)
	}
}
