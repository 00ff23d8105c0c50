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

// trusts waits until workloads trust these roots and no other.
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

// made puts a CA into a member as a person does, and returns its version.
func made(s *meshlab.Session, member string, top *company) string {
	s.Helper()
	s.Run(member, "delete", "secret", "cacerts", "--namespace="+istiolab.Namespace, "--ignore-not-found")
	signer := top.below("Mesh of " + member)
	secret, err := shared.Members[member].Core.CoreV1().Secrets(istiolab.Namespace).Create(s.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "cacerts"}, Data: map[string][]byte{
			"ca-cert.pem": signer.pem(), "ca-key.pem": signer.key(), "cert-chain.pem": signer.chain(), "root-cert.pem": top.pem(),
		}}, metav1.CreateOptions{})
	require.NoError(s, err)
	return secret.ResourceVersion
}

// untouched looks whether CAs are still as a person has made them.
func untouched(s *meshlab.Session, versions map[string]string) {
	s.Helper()
	for member, version := range versions {
		secret, err := shared.Members[member].Core.CoreV1().Secrets(istiolab.Namespace).Get(s.Context(), "cacerts", metav1.GetOptions{})
		require.NoError(s, err)
		require.Equal(s, version, secret.ResourceVersion, "nobody has written the CA of %s", member)
	}
}

// TestTheCompanysCA: two clusters call each other all the time under a root of a person.
// First each has an intermediate that the person has put there; then the federation has
// the root's key, and signs and renews; then there is another root, with intermediates in
// the federation's Secret. What the person breaks changes nothing.
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
	versions, pids := map[string]string{}, map[string]int{}
	for _, member := range meshlab.Names {
		versions[member] = made(s, member, first)
	}
	require.NoError(t, shared.RestartIstiods(t.Context()))
	for member, m := range shared.Members {
		pids[member] = m.Istiod.PID()
	}

	s.Apply(lab.Fed, meshlab.Manifest(meshlab.Mesh, meshlab.Names, fmt.Sprintf(
		"trust: {mode: External, secretRef: {namespace: %s, name: %s}, workloadCertificateLifetime: %s, intermediateLifetime: %s}",
		namespace, name, meshlab.CertificateLifetime, intermediateLifetime)))
	tells(s, "does not exist", "root-cert.pem", "root-key.pem")
	next(changed(first.signs(), map[string][]byte{"root-cert.pem": []byte("our root")}))
	tells(s, "root-cert.pem", "PEM")
	next(ended.signs())
	tells(s, "root-cert.pem", "has ended on")

	next(map[string][]byte{"root-cert.pem": first.pem()})
	s.Ready(meshlab.Mesh, "2/2", "2/2")
	begin := time.Now()
	var loads []*meshlab.Load
	for _, member := range meshlab.Names {
		load := s.StartLoad(member)
		load.Answers(5, meshlab.Names...)
		loads = append(loads, load)
	}
	untouched(s, versions)

	// The person gives them up, and the root's key to the federation. Under the same root
	// nothing has to be restarted.
	before := signers(s)
	next(first.signs())
	s.Edit(meshlab.Mesh, `{"spec":{"trust":{"adopt":true}}}`)
	before = signed(s, before, 0)

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
	trusts(s, "eu", first)

	signed(s, before, intermediateLifetime)
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

	// The person renews intermediates.
	given, intermediates = second.gives(meshlab.Names...)
	next(given)
	under(s, second, intermediates)
	calm(s, loads, begin)
	for member, pid := range pids {
		require.Equal(t, pid, shared.Members[member].Istiod.PID(), "istiod of %s was not started again", member)
	}
}

// signed waits until others sign in all members than before, and agents have seen that.
func signed(s *meshlab.Session, before map[string]trust.Fingerprint, more time.Duration) (now map[string]trust.Fingerprint) {
	s.Helper()
	s.AwaitWithin(meshlab.MeshPatience+more, "another intermediate signs in each cluster, and its agent has seen that", func() error {
		now = signers(s)
		for member, signer := range now {
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
	return now
}

// under waits until workloads are under the intermediates that were given, with all that
// is between those and the root.
func under(s *meshlab.Session, top *company, given map[string]*company) {
	s.Helper()
	for member, signer := range given {
		s.Await("workloads of "+member+" are under the intermediate that was given", func() error {
			certificate, err := shared.Members[member].NewCertificate(s.Context())
			if err != nil {
				return err
			}
			if shown := certificate.Chain[1:]; !bytes.Equal(trust.Bundle(shown...), trust.Bundle(signer.Certificate, signer.above.Certificate)) {
				return fmt.Errorf("they are under %v", shown)
			}
			if !bytes.Equal(certificate.Roots, top.pem()) {
				return fmt.Errorf("they trust\n%s", certificate.Roots)
			}
			return nil
		})
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
