package plan_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/meshlink/meshlinktest"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// ready3 is a federation with a Mesh of three that is ready.
func ready3(t *testing.T, change func(*meshv1alpha1.MeshSpec)) *federation {
	f := newFederation(t, "ap", "eu", "us")
	f.addMesh("mesh1", func(spec *meshv1alpha1.MeshSpec) {
		selecting("ap", "eu", "us")(spec)
		if change != nil {
			change(spec)
		}
	})
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	return f
}

func (f *federation) linkOf(mesh, from, to string) *meshv1alpha1.MeshLink {
	for i := range f.meshes[mesh].Status.Links {
		if l := &f.meshes[mesh].Status.Links[i]; l.From == from && l.To == to {
			return l
		}
	}
	return &meshv1alpha1.MeshLink{}
}

func (f *federation) condition(mesh, cluster, kind string) *metav1.Condition {
	for i := range f.meshes[mesh].Status.Clusters {
		if c := &f.meshes[mesh].Status.Clusters[i]; c.Name == cluster {
			if condition := meta.FindStatusCondition(c.Conditions, kind); condition != nil {
				return condition
			}
		}
	}
	return &metav1.Condition{}
}

// TestFaults: each fault ends in the step that is missing, and in a message that names
// the cluster and the way out; and when it is gone the mesh becomes ready.
func TestFaults(t *testing.T) {
	const eu = "eu"
	cases := map[string]struct {
		reason string
		fault  func(f *federation, m *meshlinktest.Member)
		step   meshv1alpha1.LinkStep // of a link to eu
		why    string
		words  []string // in the message of the Mesh
		heal   func(f *federation, m *meshlinktest.Member)
	}{
		"ClusterID": {
			reason: "Peers know a cluster by its CLUSTER_ID.",
			fault:  func(_ *federation, m *meshlinktest.Member) { m.ClusterID = "europe" },
			step:   meshv1alpha1.StepMember, why: "WrongClusterID", words: []string{"cluster eu", "europe", "clusterName"},
			heal: func(_ *federation, m *meshlinktest.Member) { m.ClusterID = eu },
		},
		"Version": {
			reason: "Tokens cannot be changed with it.",
			fault:  func(_ *federation, m *meshlinktest.Member) { m.Version = "1.30.1" },
			step:   meshv1alpha1.StepMember, why: "IstiodTooOld", words: []string{"cluster eu", "1.30.1", "Upgrade"},
			heal: func(_ *federation, m *meshlinktest.Member) { m.Version = "1.31.2" },
		},
		"NoAddress": {
			reason: "Without an address istiod hands out pods.",
			fault:  func(_ *federation, m *meshlinktest.Member) { m.NoAddress = true },
			step:   meshv1alpha1.StepAddress, why: "NoAddress", words: []string{"cluster eu", "load balancer"},
			heal: func(_ *federation, m *meshlinktest.Member) { m.NoAddress = false },
		},
		"GatewayRefused": {
			reason: "The member says why.",
			fault: func(_ *federation, m *meshlinktest.Member) {
				m.Refuse = map[string]string{"Deployment": "denied by policy x"}
			},
			step: meshv1alpha1.StepGateway, why: "GatewayNotMade", words: []string{"cluster eu", "denied by policy x"},
			heal: func(_ *federation, m *meshlinktest.Member) { m.Refuse = nil },
		},
		"CARefused": {
			reason: "The member says why.",
			fault: func(_ *federation, m *meshlinktest.Member) {
				m.Refuse = map[string]string{"Secret": "denied by policy y"}
			},
			step: meshv1alpha1.StepCA, why: "CANotInEffect", words: []string{"cluster eu", "denied by policy y"},
			heal: func(_ *federation, m *meshlinktest.Member) { m.Refuse = nil },
		},
		"Foreign": {
			reason: "What the Mesh did not make is not overwritten.",
			fault:  func(_ *federation, m *meshlinktest.Member) { m.Put(foreignCA()) },
			step:   meshv1alpha1.StepCA, why: "CANotInEffect", words: []string{"cluster eu", "adopt: true", "External"},
			heal: func(f *federation, m *meshlinktest.Member) {
				m.Remove("Secret", meshv1alpha1.IstioNamespace, trust.CACertsSecret)
				m.Restart(f.now)
			},
		},
		"NoRestart": {
			reason: "A CA that comes after istiod has no effect until it is started again.",
			fault:  func(_ *federation, m *meshlinktest.Member) { m.Restarts = false },
			step:   meshv1alpha1.StepCA, why: "CANotInEffect", words: []string{"cluster eu", "rollout restart"},
			heal: func(f *federation, m *meshlinktest.Member) { m.Restart(f.now) },
		},
		"Silent": {
			reason: "An agent that knows no Meshes never reports.",
			fault:  func(f *federation, _ *meshlinktest.Member) { f.deaf[eu] = true },
			step:   meshv1alpha1.StepMember, why: "NotReported", words: []string{"cluster eu", "version that knows Meshes"},
			heal: func(f *federation, _ *meshlinktest.Member) { f.deaf[eu] = false },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t, "ap", eu, "us")
			tc.fault(f, f.members[eu])
			f.addMesh("mesh1", selecting("ap", eu, "us"))
			f.settle()
			f.now = f.now.Add(6 * time.Minute) // one that never reports is not waited for
			f.settle()
			l := f.linkOf("mesh1", "ap", eu)
			if l.Phase == meshv1alpha1.LinkReady || l.Step != tc.step || l.Reason != tc.why {
				t.Errorf("%s The link lacks %s (%s), want %s (%s)\n%s", tc.reason, l.Step, l.Reason, tc.step, tc.why, f.explain())
			}
			for _, word := range tc.words {
				if !strings.Contains(f.why("mesh1").Message, word) {
					t.Errorf("%s The message has no %q: %s", tc.reason, word, f.why("mesh1").Message)
				}
			}
			if f.ready("mesh1") || f.linkOf("mesh1", "ap", "us").Phase != meshv1alpha1.LinkReady {
				t.Errorf("the others are to be linked, and the mesh is not to be ready\n%s", f.explain())
			}
			if f.members["ap"].Has("Secret", meshv1alpha1.IstioNamespace, "istio-remote-secret-eu") {
				t.Error("there is a remote secret for eu")
			}
			tc.heal(f, f.members[eu])
			f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
		})
	}
}

// TestSomeAddressesFail: a gateway of which some addresses are dead is used, and said not to
// be as it has to: callers are sent to all of them.
func TestSomeAddressesFail(t *testing.T) {
	f := ready3(t, nil)
	f.members["eu"].DeadAddress = true
	f.settle()
	for _, from := range []string{"ap", "us"} {
		l := f.linkOf("mesh1", from, "eu")
		if l.Phase != meshv1alpha1.LinkReady || l.Step != "" || l.Reason != "SomeAddressesFail" || !strings.Contains(l.Message, "192.0.2.1") {
			t.Errorf("link from %s: %+v", from, l)
		}
		if !f.members[from].Has("Secret", meshv1alpha1.IstioNamespace, "istio-remote-secret-eu") {
			t.Errorf("%s has lost its remote secret", from)
		}
	}
	if l := f.linkOf("mesh1", "eu", "ap"); l.Reason != "" || l.Message != "" {
		t.Errorf("the other way it is well: %+v", l)
	}
	for name, want := range map[string]metav1.ConditionStatus{"ap": metav1.ConditionTrue, "eu": metav1.ConditionFalse, "us": metav1.ConditionTrue} {
		if got := f.condition("mesh1", name, meshv1alpha1.ConditionGatewayReady); got.Status != want {
			t.Errorf("GatewayReady of %s is %s, %s: %s", name, got.Status, got.Reason, got.Message)
		}
	}
	why := f.why("mesh1")
	if f.ready("mesh1") || why.Reason != "SomeAddressesFail" {
		t.Errorf("the Mesh says %s: %s", why.Reason, why.Message)
	}
	for _, word := range []string{"cluster eu", "GatewayReady", "cluster ap", "a part of the requests", "192.0.2.1", "take them away"} {
		if !strings.Contains(why.Message, word) {
			t.Errorf("the message has no %q: %s", word, why.Message)
		}
	}
	f.members["eu"].DeadAddress = false
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	if l := f.linkOf("mesh1", "ap", "eu"); l.Reason != "" || l.Message != "" {
		t.Errorf("it is well again: %+v", l)
	}
}

// TestSelection: a Mesh that selects something odd says so.
func TestSelection(t *testing.T) {
	cases := map[string]struct {
		reason   string
		selected []string
		why      string
		word     string
	}{
		"Missing": {reason: "A name may be mistyped.", selected: []string{"ap", "eu", "su"}, why: "ClusterMissing", word: "cluster su"},
		"None":    {reason: "All names may be.", selected: []string{"x"}, why: "ClusterMissing", word: "cluster x"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t, "ap", "eu", "us")
			f.addMesh("mesh1", selecting(tc.selected...))
			f.settle()
			if c := f.why("mesh1"); c.Status != metav1.ConditionFalse || c.Reason != tc.why || !strings.Contains(c.Message, tc.word) {
				t.Errorf("%s Got %+v", tc.reason, c)
			}
		})
	}
	t.Run("Empty", func(t *testing.T) {
		f := newFederation(t)
		f.addMesh("mesh1", nil)
		f.settle()
		if c := f.why("mesh1"); c.Reason != "NoClusters" {
			t.Errorf("a Mesh without a cluster: %+v", c)
		}
	})
	t.Run("One", func(t *testing.T) {
		f := newFederation(t, "eu")
		f.addMesh("mesh1", nil)
		f.until("a mesh of one is ready", func() bool { return f.ready("mesh1") })
		if f.work("eu", plan.WorkName("mesh1", plan.PartGateway)) != nil {
			t.Error("a gateway for nobody")
		}
	})
	t.Run("Joining", func(t *testing.T) {
		f := newFederation(t, "ap", "eu")
		f.fleet["eu"].Finalizers = nil
		f.addMesh("mesh1", nil)
		f.settle()
		if f.member("eu", "mesh1") != nil || f.condition("mesh1", "eu", meshv1alpha1.ConditionAvailable).Reason != "Joining" {
			t.Errorf("a cluster is taken in that has no execution namespace yet\n%s", f.explain())
		}
		f.join("eu")
		f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	})
}

// TestAdopt: somebody else's CA is replaced when it was given up, and the right to do so
// ends with that.
func TestAdopt(t *testing.T) {
	f := newFederation(t, "ap", "eu")
	f.members["eu"].Put(foreignCA())
	f.addMesh("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Trust.Adopt = true })
	overwrites := false
	f.onWrite = func(w plan.Write) {
		overwrites = overwrites || w.Object.GetAnnotations()[names.ConflictResolutionAnnotation] == "overwrite"
	}
	f.until("the CA is replaced", func() bool { return f.work("eu", "mesh.mesh1.ca") != nil })
	f.members["eu"].Restart(f.now)
	f.until("it is ready", func() bool {
		f.members["eu"].Restart(f.now)
		return f.ready("mesh1")
	})
	f.settle()
	if !overwrites || len(f.work("eu", "mesh.mesh1.ca").Annotations) != 0 {
		t.Errorf("overwritten: %v; annotations: %v", overwrites, f.work("eu", "mesh.mesh1.ca").Annotations)
	}
	if len(f.work("ap", "mesh.mesh1.ca").Annotations) != 0 {
		t.Error("ap had no CA of somebody else")
	}
}

// TestTwoMeshes: the older one has a cluster that both select, and the other gets it
// when it was left, not before.
func TestTwoMeshes(t *testing.T) {
	f := newFederation(t, "ap", "eu", "us")
	f.addMesh("mesh2", selecting("ap", "eu"))
	f.now = f.now.Add(time.Minute)
	f.addMesh("mesh1", selecting("eu", "us"))
	f.until("the older one is ready", func() bool { return f.ready("mesh2") })
	f.settle()
	c := f.why("mesh1")
	if c.Reason != "NotOurs" || !strings.Contains(c.Message, "Mesh mesh2 has cluster eu") || f.member("eu", "mesh1") != nil {
		t.Fatalf("the younger one: %+v", c)
	}
	if l := f.linkOf("mesh1", "us", "eu"); l.Step != meshv1alpha1.StepMember {
		t.Errorf("link: %+v", l)
	}
	f.edit("mesh2", selecting("ap"))
	both := false
	f.onWrite = func(w plan.Write) {
		if w.Verb == plan.Create && w.Object.GetName() == "mesh1" && w.Object.GetNamespace() == "karmada-es-eu" {
			both = f.member("eu", "mesh2") != nil
		}
	}
	f.until("the younger one has it", func() bool { return f.member("eu", "mesh1") != nil })
	f.settle()
	if both {
		t.Error("it had it before the other one had left")
	}
	// It keeps the other mesh's CA until that is given up.
	if got := f.condition("mesh1", "eu", meshv1alpha1.ConditionTrusted); got.Reason != trust.CAForeign {
		t.Errorf("its CA: %+v", got)
	}
	f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Trust.Adopt = true })
	f.until("mesh1 is ready", func() bool {
		f.members["eu"].Restart(f.now)
		return f.ready("mesh1")
	})
}
