package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// TestOutage: when the federation is what is cut off, from all clusters or from most,
// nothing is withdrawn, neither meanwhile nor when they come back one after another.
func TestOutage(t *testing.T) {
	for name, lost := range map[string][]string{"All": {"ap", "eu", "us"}, "Most": {"ap", "us"}} {
		t.Run(name, func(t *testing.T) {
			f := ready3(t, nil)
			f.settle()
			f.near = true
			f.onWrite = func(w plan.Write) {
				if w.Verb == plan.Delete {
					t.Errorf("Delete of %s", id(w.Object))
				}
			}
			for _, name := range lost {
				f.cut[name] = true
				f.heard(name, metav1.ConditionUnknown)
			}
			for range 10 {
				f.everybody()
				f.now = f.now.Add(10 * time.Minute)
			}
			for _, name := range lost {
				f.cut[name] = false
				f.heard(name, metav1.ConditionTrue)
				for range 3 {
					f.everybody()
					f.now = f.now.Add(10 * time.Second)
				}
			}
			f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
			f.now = f.now.Add(time.Hour)
			f.everybody()
			if len(f.meshes["mesh1"].Status.Conditions) != 1 {
				t.Errorf("conditions: %+v", f.meshes["mesh1"].Status.Conditions)
			}
		})
	}
}

// labelled is a Secret cacerts that says that a Mesh has made it.
func labelled(mesh string) map[string]any {
	ca := foreignCA()
	ca["metadata"].(map[string]any)["labels"] = map[string]any{meshv1alpha1.MeshLabel: mesh}
	return ca
}

// TestOtherLife: the name of a Mesh on a CA does not make it this Mesh's.
func TestOtherLife(t *testing.T) {
	t.Run("NoRoots", func(t *testing.T) {
		f := newFederation(t, "ap", "eu")
		f.members["eu"].Put(labelled("mesh1"))
		f.members["eu"].Restart(f.now)
		f.addMesh("mesh1", nil)
		f.settle()
		f.now = f.now.Add(time.Hour)
		f.settle()
		if f.secret("karmada-system", "mesh-trust-mesh1") != nil || f.work("ap", "mesh.mesh1.ca") != nil {
			t.Error("another root is made")
		}
		if c := f.why("mesh1"); c.Reason != "TrustSecretMissing" || !strings.Contains(c.Message, "cluster eu") || !strings.Contains(c.Message, "adopt: true") {
			t.Errorf("condition: %+v", c)
		}
		f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Trust.Adopt = true })
		f.until("mesh1 is ready", func() bool {
			f.members["eu"].Restart(f.now)
			return f.ready("mesh1")
		})
	})
	t.Run("OtherRoots", func(t *testing.T) {
		f := newFederation(t, "ap", "eu")
		f.addMesh("mesh1", nil)
		f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
		f.join("us")
		f.members["us"].Put(labelled("mesh1"))
		f.members["us"].Restart(f.now)
		f.settle()
		if f.work("us", "mesh.mesh1.ca") != nil || f.condition("mesh1", "us", meshv1alpha1.ConditionTrusted).Reason != trust.CAUnknownRoots {
			t.Errorf("us:\n%s", f.explain())
		}
		if f.linkOf("mesh1", "ap", "eu").Phase != meshv1alpha1.LinkReady {
			t.Errorf("the others:\n%s", f.explain())
		}
	})
}

// TestOlderRoots: a Secret from before a change of the root is not taken for the truth.
func TestOlderRoots(t *testing.T) {
	f := ready3(t, nil)
	f.settle()
	old := f.secret("karmada-system", "mesh-trust-mesh1").DeepCopy()
	f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Trust.RootGeneration = 2 })
	for range 4 {
		f.settle()
		f.now = f.now.Add(25 * time.Hour)
	}
	f.until("the root is changed", func() bool { return f.ready("mesh1") && f.meshes["mesh1"].Status.Trust.Stage == "Steady" })
	f.settle()
	newer := f.secret("karmada-system", "mesh-trust-mesh1").DeepCopy()
	f.put(old)
	f.onWrite = func(w plan.Write) {
		if _, ok := w.Object.(*corev1.Secret); ok || w.Verb == plan.Delete || strings.HasSuffix(w.Object.GetName(), ".ca") {
			t.Errorf("%s of %s", w.Verb, id(w.Object))
		}
	}
	f.settle()
	if c := f.why("mesh1"); c.Reason != "TrustSecretOutdated" || !strings.Contains(c.Message, "root 1") || !strings.Contains(c.Message, "root 2") {
		t.Errorf("condition: %+v", c)
	}
	// Nor when the status was lost with it.
	mesh := f.meshes["mesh1"].DeepCopy()
	mesh.Status.Trust = nil
	f.meshes["mesh1"] = mesh
	f.everybody()
	if c := f.why("mesh1"); c.Reason != "TrustSecretOutdated" {
		t.Errorf("condition: %+v", c)
	}
	f.put(newer)
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
}

// TestOverlap: a cluster stays where it is when another Mesh begins to select it, be
// that the older one.
func TestOverlap(t *testing.T) {
	f := newFederation(t, "ap", "eu", "us")
	f.addMesh("mesh2", selecting("us"))
	f.now = f.now.Add(time.Minute)
	f.addMesh("mesh1", selecting("ap", "eu"))
	f.until("both are ready", func() bool { return f.ready("mesh1") && f.ready("mesh2") })
	f.settle()
	f.onWrite = func(w plan.Write) {
		if w.Verb == plan.Delete {
			t.Errorf("Delete of %s", id(w.Object))
		}
	}
	f.edit("mesh2", selecting("us", "eu"))
	f.settle()
	if !f.ready("mesh1") || f.why("mesh2").Reason != "NotOurs" || !strings.Contains(f.why("mesh2").Message, "Mesh mesh1 has cluster eu") {
		t.Errorf("%s", f.explain())
	}
}

// TestPushMode: a hosted agent proves nothing about the network of its cluster.
func TestPushMode(t *testing.T) {
	f := newFederation(t, "ap", "eu", "us")
	f.fleet["us"].Spec.SyncMode = clusterv1alpha1.Push
	f.addMesh("mesh1", nil)
	f.settle()
	if l := f.linkOf("mesh1", "ap", "us"); l.Step != meshv1alpha1.StepMember || l.Reason != "PushMode" || !strings.Contains(l.Message, "Pull mode") {
		t.Errorf("link: %+v", l)
	}
	for _, obj := range f.objects {
		if obj.GetNamespace() == "karmada-es-us" {
			t.Errorf("written: %s", id(obj))
		}
	}
	if f.linkOf("mesh1", "ap", "eu").Phase != meshv1alpha1.LinkReady {
		t.Errorf("the others:\n%s", f.explain())
	}
}

// TestWorkingLinksStayReady: changes of tokens and roots, a label that somebody takes
// off, a part of a gateway that is refused: none of it makes a link that works not
// ready, or takes it away.
func TestWorkingLinksStayReady(t *testing.T) {
	f := ready3(t, nil)
	f.settle()
	watch := func(what string, rounds int, step time.Duration) {
		t.Helper()
		for range rounds {
			f.everybody()
			if meta.IsStatusConditionFalse(f.meshes["mesh1"].Status.Conditions, meshv1alpha1.ConditionReady) {
				t.Fatalf("%s: not ready\n%s", what, f.explain())
			}
			f.now = f.now.Add(step)
		}
	}
	f.now = f.now.Add(13 * time.Hour)
	watch("new tokens", 6, time.Second)
	f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Trust.RootGeneration = 2 })
	for range 3 {
		watch("another root", 5, time.Second)
		f.now = f.now.Add(11 * time.Hour)
		watch("another root", 5, time.Second)
		f.now = f.now.Add(11 * time.Hour)
		watch("another root", 5, time.Second)
		f.now = f.now.Add(3 * time.Hour)
	}
	if f.meshes["mesh1"].Status.Trust.Stage != "Steady" {
		t.Errorf("stage %s", f.meshes["mesh1"].Status.Trust.Stage)
	}
	f.onWrite = func(w plan.Write) {
		if w.Verb == plan.Delete {
			t.Errorf("Delete of %s", id(w.Object))
		}
	}
	f.members["eu"].Relabel("Secret", meshv1alpha1.IstioNamespace, trust.CACertsSecret, nil)
	f.deaf["ap"], f.deaf["us"] = true, true // nothing else happens
	f.deliver("eu", "mesh1")
	f.agent("eu", "mesh1")
	f.control("mesh1", -1)
	if l := f.linkOf("mesh1", "ap", "eu"); l.Phase != meshv1alpha1.LinkReady {
		t.Errorf("without the label: %+v", l)
	}
	if c := f.condition("mesh1", "eu", meshv1alpha1.ConditionTrusted); c.Reason != trust.CAForeign || c.Status != metav1.ConditionFalse {
		t.Errorf("condition: %+v", c)
	}
}

// TestUnjoinedAfterItsLinks: what a cluster was given is made worthless also when its
// links were gone before it was.
func TestUnjoinedAfterItsLinks(t *testing.T) {
	f := newFederation(t, "ap", "eu", "us")
	f.placed = []link.Placed{{Namespace: "shop", Clusters: []string{"ap", "eu", "us"}}}
	f.addMesh("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Links = meshv1alpha1.LinksPlacement })
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	us := f.members["us"]
	f.cut["us"] = true
	f.heard("us", metav1.ConditionUnknown)
	f.placed = []link.Placed{{Namespace: "shop", Clusters: []string{"ap", "eu"}}}
	f.now = f.now.Add(10 * time.Minute)
	f.settle()
	if l := f.linkOf("mesh1", "us", "eu"); l.From != "" {
		t.Fatalf("link: %+v", l)
	}
	c := f.fleet["us"].DeepCopy()
	c.DeletionTimestamp = &metav1.Time{Time: f.now}
	f.fleet["us"] = c
	f.settle()
	f.now = f.now.Add(time.Minute)
	f.settle()
	if _, works := us.Reads(f.members["eu"], f.now); works {
		t.Error("us still reads eu")
	}
}

// TestHeldPairs: a pair that is held is linked as if it were asked for.
func TestHeldPairs(t *testing.T) {
	f := newFederation(t, "ap", "eu")
	f.held = []link.Ordered{{From: "ap", To: "eu"}, {From: "ap", To: "nobody"}}
	f.addMesh("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Links = meshv1alpha1.LinksPlacement })
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	if got := f.meshes["mesh1"].Status.Links; len(got) != 1 || got[0].To != "eu" {
		t.Errorf("links: %+v", got)
	}
}

// TestSameKey: a root that is prolonged under its own key cannot be told from itself.
func TestSameKey(t *testing.T) {
	f := newFederation(t, "ap", "eu")
	root, data := external(t, f.now, true)
	f.give(data)
	f.addMesh("mesh1", externally)
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	f.give(prolonged(t, root, f.now))
	f.settle()
	if c := f.why("mesh1"); c.Reason != "ExternalCAUnusable" || !strings.Contains(c.Message, "key of its own") {
		t.Errorf("condition: %+v", c)
	}
	if f.meshes["mesh1"].Status.Trust.Stage != "Steady" {
		t.Error("a change has begun")
	}
}

// TestGenerationBehind: a Mesh that was made anew asks for less than there is, and says
// what to ask for.
func TestGenerationBehind(t *testing.T) {
	f := ready3(t, nil)
	f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Trust.RootGeneration = 2 })
	f.settle()
	f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Trust.RootGeneration = 1 })
	for range 4 {
		f.settle()
		f.now = f.now.Add(25 * time.Hour)
	}
	f.settle()
	if got := f.meshes["mesh1"].Status.Trust.Message; !strings.Contains(got, "root 2 already") || !strings.Contains(got, "write 3") {
		t.Errorf("message: %q", got)
	}
}

// TestTooManyClusters: no links are added, and it says so.
func TestTooManyClusters(t *testing.T) {
	f := newFederation(t)
	for i := range 101 {
		f.join(fmt.Sprintf("c%03d", i))
	}
	f.addMesh("mesh1", nil)
	f.control("mesh1", -1)
	if c := f.why("mesh1"); c.Reason != "TooManyClusters" {
		t.Errorf("condition: %+v", c)
	}
	texts, longest := 0, 0
	for _, l := range f.meshes["mesh1"].Status.Links {
		if l.Message != "" {
			texts++
		}
		longest = max(longest, len(l.Message))
	}
	if texts != 200 || longest > 200 {
		t.Errorf("%d links say something, in up to %d bytes", texts, longest)
	}
}

// TestOthersWordsAreClipped: what agents say does not make a status that is refused.
func TestOthersWordsAreClipped(t *testing.T) {
	f := ready3(t, nil)
	f.settle()
	member := f.member("eu", "mesh1").DeepCopy()
	member.Status.Conditions = []metav1.Condition{{Type: meshv1alpha1.ConditionObserved, Status: metav1.ConditionFalse, Reason: "not a word!", Message: strings.Repeat("ä", 20000)}}
	for i := range member.Status.Peers {
		for j := range member.Status.Peers[i].Proofs {
			p := &member.Status.Peers[i].Proofs[j]
			p.Passed, p.Reason, p.Message, p.Since = false, "not a word!", strings.Repeat("ä", 20000), nil
		}
	}
	f.put(member)
	f.control("mesh1", -1)
	status := f.meshes["mesh1"].Status
	if l := f.linkOf("mesh1", "eu", "ap"); l.Reason != "Other" || len(l.Message) > 200 {
		t.Errorf("link: %s %d", l.Reason, len(l.Message))
	}
	conditions := slices.Clone(status.Conditions)
	for _, c := range status.Clusters {
		conditions = append(conditions, c.Conditions...)
	}
	for _, c := range conditions {
		if strings.ContainsAny(c.Reason, " !") || len(c.Message) > 2048 || !strings.Contains(c.Message+"ok", "ok") {
			t.Errorf("condition %s: %q, %d bytes", c.Type, c.Reason, len(c.Message))
		}
	}
}
