package plan_test

import (
	"crypto/rand"
	"crypto/x509"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

var certified = trust.Mesh{Name: "theirs", TrustDomain: "cluster.local"}

// external is a root of somebody, and the data of a Secret with it.
func external(t *testing.T, now time.Time, withKey bool, clusters ...string) (*trust.Authority, map[string][]byte) {
	root, err := trust.NewRoot(certified, 1, now, trust.RootLifetime)
	if err != nil {
		t.Fatal(err)
	}
	data := map[string][]byte{trust.RootCertKey: trust.Bundle(root.Certificate)}
	if withKey {
		if data[trust.RootKeyKey], err = trust.EncodeKey(root.Key); err != nil {
			t.Fatal(err)
		}
	}
	maps.Copy(data, intermediates(t, root, data, now, clusters...))
	return root, data
}

func (f *federation) give(data map[string][]byte) {
	f.put(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-system", Name: "ca"}, Data: data})
}

func externally(spec *meshv1alpha1.MeshSpec) {
	spec.Trust.Mode = meshv1alpha1.TrustExternal
	spec.Trust.SecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-system", Name: "ca"}
}

// TestExternal: the root comes from a Secret, and so do changes of it, in stages.
func TestExternal(t *testing.T) {
	for name, withKey := range map[string]bool{"Key": true, "Intermediates": false} {
		t.Run(name, func(t *testing.T) {
			clusters := []string{"ap", "eu"}
			f := newFederation(t, clusters...)
			f.addMesh("mesh1", externally)
			f.settle()
			if c := f.why("mesh1"); c.Reason != "ExternalCAUnusable" || !strings.Contains(c.Message, "karmada-system/ca does not exist") {
				t.Fatalf("without the Secret: %+v", c)
			}
			first, data := external(t, f.now, withKey, clusters...)
			f.give(data)
			f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
			if got := f.members["eu"].Effect(); !slices.Equal(got.Roots, []trust.Fingerprint{first.Fingerprint()}) {
				t.Fatalf("in effect: %v", got)
			}
			second, data := external(t, f.now, withKey, clusters...)
			f.give(data)
			f.until("both are trusted", func() bool { return f.ready("mesh1") && len(f.members["eu"].Effect().Roots) == 2 })
			if f.members["eu"].Effect().Signer != first.Fingerprint() {
				t.Error("the new root signs before it is trusted everywhere")
			}
			_, third := external(t, f.now, withKey, clusters...)
			f.give(third)
			f.everybody()
			if c := f.meshes["mesh1"].Status.Trust; !strings.Contains(c.Message, "while the change to "+second.Fingerprint().Short()) {
				t.Errorf("a third root during the change: %+v", c)
			}
			f.give(data)
			for range 2 {
				f.settle()
				f.now = f.now.Add(25 * time.Hour)
			}
			f.until("the second alone", func() bool {
				return f.ready("mesh1") && slices.Equal(f.members["eu"].Effect().Roots, []trust.Fingerprint{second.Fingerprint()})
			})
			if f.meshes["mesh1"].Status.Trust.Stage != "Steady" {
				t.Errorf("stage %s", f.meshes["mesh1"].Status.Trust.Stage)
			}
		})
	}
}

// TestExternalLacksACluster: the others are served.
func TestExternalLacksACluster(t *testing.T) {
	f := newFederation(t, "ap", "eu", "us")
	_, data := external(t, f.now, false, "ap", "eu")
	f.give(data)
	f.addMesh("mesh1", externally)
	f.settle()
	if l := f.linkOf("mesh1", "ap", "eu"); l.Phase != meshv1alpha1.LinkReady {
		t.Errorf("link: %+v", l)
	}
	if c := f.condition("mesh1", "us", meshv1alpha1.ConditionTrusted); c.Reason != "NoIntermediate" || !strings.Contains(c.Message, "us.ca-cert.pem") {
		t.Errorf("condition: %+v", c)
	}
}

// TestStoreLost: nothing is signed without the roots that were there, and what is
// there stays.
func TestStoreLost(t *testing.T) {
	for name, lose := range map[string]func(*corev1.Secret) *corev1.Secret{
		"Missing": func(*corev1.Secret) *corev1.Secret { return nil },
		"Broken": func(s *corev1.Secret) *corev1.Secret {
			s = s.DeepCopy()
			delete(s.Data, "state.json")
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := ready3(t, nil)
			f.settle()
			secret := f.secret("karmada-system", "mesh-trust-mesh1")
			delete(f.objects, id(secret))
			if lost := lose(secret); lost != nil {
				f.put(lost)
			}
			f.join("sa")
			f.edit("mesh1", selecting("ap", "eu", "us", "sa"))
			f.onWrite = func(w plan.Write) {
				if _, ok := w.Object.(*corev1.Secret); ok || w.Object.GetName() == "mesh.mesh1.ca" {
					t.Errorf("%s %s", w.Verb, w.Object.GetName())
				}
			}
			f.settle()
			if c := f.why("mesh1"); !strings.Contains(c.Message, "backup") || !strings.HasPrefix(c.Reason, "TrustSecret") {
				t.Errorf("ready: %+v", c)
			}
			if _, works := f.members["ap"].Reads(f.members["eu"], f.now); !works {
				t.Error("what was linked is not any more")
			}
			f.onWrite = nil
			f.put(secret)
			f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
		})
	}
}

// TestRotationIsHeld: a cluster that is cut off holds a change of the root, which says
// so, and goes on without it when it was taken out.
func TestRotationIsHeld(t *testing.T) {
	f := ready3(t, nil)
	f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Trust.RootGeneration = 2 })
	f.cut["us"] = true
	f.heard("us", metav1.ConditionUnknown)
	for range 5 {
		f.everybody()
		f.now = f.now.Add(30 * time.Hour)
	}
	if s := f.meshes["mesh1"].Status.Trust; s.Stage != "TrustBoth" || !strings.Contains(s.Message, "cluster us") || !strings.Contains(s.Message, "take it out") {
		t.Fatalf("trust: %+v", s)
	}
	f.edit("mesh1", selecting("ap", "eu"))
	for range 4 {
		f.settle()
		f.now = f.now.Add(30 * time.Hour)
	}
	if s := f.meshes["mesh1"].Status.Trust; s.Stage != "Steady" || s.RootGeneration != 2 {
		t.Errorf("trust: %+v", s)
	}
	var stages []string
	for _, e := range f.events {
		if strings.HasPrefix(e.Reason, "Root") {
			stages = append(stages, e.Reason)
		}
	}
	if !slices.Equal(stages, []string{plan.EventRootStage, plan.EventRootStage, plan.EventRootStage, plan.EventRootChanged}) {
		t.Errorf("events: %v", stages)
	}
}

// TestRenewal: an intermediate is renewed under the same root in one change, without
// anything else, and no root and intermediate change together.
func TestRenewal(t *testing.T) {
	f := ready3(t, nil)
	f.settle()
	for _, m := range f.members {
		m.SingleRoot = true // loads intermediates only
	}
	before := f.members["eu"].Effect().Intermediate
	again := f.last.Again
	if want := epoch.Add(200 * 24 * time.Hour); f.members["eu"].Effect() == nil || again.IsZero() || again.After(want) {
		t.Errorf("looked at again at %s", again)
	}
	f.now = epoch.Add(245 * 24 * time.Hour)
	together := false
	f.onWrite = func(w plan.Write) {
		if w.Verb == plan.Update && w.Object.GetName() == "mesh.mesh1.ca" {
			old, oldRoots := caOf(t, f.work(strings.TrimPrefix(w.Object.GetNamespace(), "karmada-es-"), "mesh.mesh1.ca"), f.now)
			next, roots := caOf(t, f.workIn(w), f.now)
			together = together || old.Fingerprint() != next.Fingerprint() && !slices.Equal(oldRoots, roots)
		}
	}
	f.until("renewed", func() bool { return f.ready("mesh1") && f.members["eu"].Effect().Intermediate != before })
	if together {
		t.Error("roots and intermediate changed together")
	}
	// Due again, while another root is to be trusted as well.
	f.now = f.now.Add(245 * 24 * time.Hour)
	f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Trust.RootGeneration = 2 })
	for _, m := range f.members {
		m.SingleRoot = false
	}
	f.until("both roots are in effect", func() bool { return f.ready("mesh1") && len(f.members["eu"].Effect().Roots) == 2 })
	if together {
		t.Error("roots and intermediate changed together")
	}
}

// prolonged is the data of a Secret with another certificate for the key of a root.
func prolonged(t *testing.T, root *trust.Authority, now time.Time) map[string][]byte {
	template := *root.Certificate
	template.SerialNumber, template.NotAfter = big.NewInt(7), now.Add(2*trust.RootLifetime)
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, root.Key.Public(), root.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	key, err := trust.EncodeKey(root.Key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{trust.RootCertKey: trust.Bundle(cert), trust.RootKeyKey: key}
}
