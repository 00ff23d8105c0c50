package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// cleaned says whether nothing of the mesh is in a member but its CA.
func (f *federation) cleaned(name string) bool {
	m := f.members[name]
	return !m.Has("Service", "istio-system", "istio-eastwestgateway") && !m.Has("ServiceAccount", "istio-system", "flotilla-mesh-reader") &&
		m.Network() == "" && m.Has("Secret", "istio-system", trust.CACertsSecret)
}

// TestLeaving: a cluster is cleaned once nobody reads it, and what is left of it in the
// federation goes last; and it can come back.
func TestLeaving(t *testing.T) {
	f := ready3(t, nil)
	var order []string
	f.onWrite = func(w plan.Write) {
		order = append(order, string(w.Verb)+" "+w.Object.GetNamespace()+"/"+w.Object.GetName())
	}
	f.edit("mesh1", selecting("ap", "eu"))
	f.cut["ap"] = true // and does not let go
	for range 10 {
		f.everybody()
	}
	if f.members["us"].Network() == "" || !f.members["us"].Has("Service", "istio-system", "istio-eastwestgateway") {
		t.Fatal("it is cleaned while ap reads it")
	}
	if c := f.condition("mesh1", "us", meshv1alpha1.ConditionAvailable); c.Reason != "Leaving" || !strings.Contains(c.Message, "let go of it: cluster ap (it still has the remote secret)") {
		t.Errorf("condition: %+v", c)
	}
	f.cut["ap"] = false
	f.until("us has left", func() bool { return f.member("us", "mesh1") == nil })
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	if !f.cleaned("us") {
		t.Error("us is not clean, or has lost its CA")
	}
	at := func(what string) int {
		i := slices.Index(order, what)
		if i < 0 {
			t.Fatalf("%s was not written: %v", what, order)
		}
		return i
	}
	sequence := []string{
		"Delete karmada-es-ap/mesh.mesh1.peer.us", "Delete karmada-es-us/mesh.mesh1.gateway",
		"Delete karmada-es-us/mesh.mesh1.ca", "Delete karmada-es-us/mesh-reader-mesh1", "Delete karmada-es-us/mesh1",
	}
	for i := range sequence[1:] {
		if at(sequence[i]) > at(sequence[i+1]) {
			t.Errorf("%s comes after %s", sequence[i], sequence[i+1])
		}
	}
	if !slices.ContainsFunc(f.events, func(e plan.Event) bool { return e.Reason == plan.EventClusterLeft }) {
		t.Errorf("events: %v", f.events)
	}
	f.edit("mesh1", selecting("ap", "eu", "us"))
	f.until("it is back", func() bool { return f.ready("mesh1") && len(f.meshes["mesh1"].Status.Links) == 6 })
	f.settle()
	if len(f.work("us", "mesh.mesh1.ca").Annotations) != 0 {
		t.Error("it may still overwrite")
	}
}

// TestDeletion: a Mesh goes when all have left it, and its roots stay.
func TestDeletion(t *testing.T) {
	f := ready3(t, nil)
	mesh := f.meshes["mesh1"].DeepCopy()
	mesh.DeletionTimestamp = &metav1.Time{Time: f.now}
	f.meshes["mesh1"] = mesh
	f.until("it is gone", func() bool { return f.meshes["mesh1"] == nil })
	for name := range f.members {
		if !f.cleaned(name) {
			t.Errorf("%s is not clean", name)
		}
	}
	secret := f.secret("karmada-system", "mesh-trust-mesh1")
	if secret == nil || len(f.objects) != 1 {
		t.Fatalf("what is left: %d objects", len(f.objects))
	}
	before := f.members["eu"].Effect().Roots
	f.addMesh("mesh1", selecting("ap", "eu", "us"))
	f.until("another one of the name goes on", func() bool { return f.ready("mesh1") })
	if !slices.Equal(before, f.members["eu"].Effect().Roots) {
		t.Error("it has another root")
	}
}

// TestDeletionOfALostCluster: it cannot be cleaned, and the Mesh says what to do.
func TestDeletionOfALostCluster(t *testing.T) {
	f := ready3(t, nil)
	f.cut["us"] = true
	f.heard("us", metav1.ConditionUnknown)
	f.now = f.now.Add(10 * time.Minute)
	mesh := f.meshes["mesh1"].DeepCopy()
	mesh.DeletionTimestamp = &metav1.Time{Time: f.now}
	f.meshes["mesh1"] = mesh
	for range 10 {
		f.everybody()
	}
	if c := f.condition("mesh1", "us", meshv1alpha1.ConditionAvailable); !strings.Contains(c.Message, "delete Cluster us") || f.cleaned("us") {
		t.Fatalf("condition: %+v", c)
	}
	if why := f.why("mesh1"); why.Reason != "Deleting" || !strings.Contains(why.Message, "delete Cluster us") {
		t.Errorf("the Mesh does not name it: %+v", why)
	}
	c := f.fleet["us"].DeepCopy()
	c.DeletionTimestamp = &metav1.Time{Time: f.now}
	f.fleet["us"] = c
	f.until("it is gone", func() bool { return f.meshes["mesh1"] == nil })
}

// TestLost: a lost cluster is withdrawn after the hold time and comes back by itself.
func TestLost(t *testing.T) {
	f := ready3(t, nil)
	f.cut["us"] = true
	f.now = f.now.Add(time.Minute)
	f.heard("us", metav1.ConditionUnknown)
	f.everybody()
	f.now = f.now.Add(4 * time.Minute)
	f.everybody()
	if !f.members["eu"].Has("Secret", "istio-system", "istio-remote-secret-us") {
		t.Fatal("it is withdrawn before the hold time is over")
	}
	if at := f.last.Again; at.IsZero() || at.After(f.now.Add(time.Minute)) {
		t.Errorf("looked at again at %s", at)
	}
	f.now = f.now.Add(2 * time.Minute)
	f.everybody()
	f.everybody()
	if f.members["eu"].Has("Secret", "istio-system", "istio-remote-secret-us") {
		t.Fatal("it is not withdrawn")
	}
	if l := f.linkOf("mesh1", "eu", "us"); l.Phase != meshv1alpha1.LinkWithdrawn || f.linkOf("mesh1", "eu", "ap").Phase != meshv1alpha1.LinkReady {
		t.Errorf("links:\n%s", f.explain())
	}
	f.cut["us"] = false
	f.heard("us", metav1.ConditionTrue)
	f.until("it is back", func() bool { return f.ready("mesh1") })
}

// TestUnjoined: what a cluster knows that was unjoined is worthless soon.
func TestUnjoined(t *testing.T) {
	f := ready3(t, nil)
	us := f.members["us"]
	f.now = f.now.Add(time.Hour)
	c := f.fleet["us"].DeepCopy()
	c.DeletionTimestamp = &metav1.Time{Time: f.now}
	f.fleet["us"] = c
	f.settle()
	f.now = f.now.Add(time.Minute)
	f.settle()
	for _, name := range []string{"ap", "eu"} {
		has, works := us.Reads(f.members[name], f.now)
		if !has || works {
			t.Errorf("us reads %s: has the secret %v, works %v", name, has, works)
		}
		if f.members[name].Has("Secret", "istio-system", "istio-remote-secret-us") {
			t.Errorf("%s still reads us", name)
		}
		if us.Network() == "" {
			t.Error("nothing can be cleaned there")
		}
	}
	if _, works := f.members["ap"].Reads(f.members["eu"], f.now); !works {
		t.Error("those who stay read each other")
	}
	after := f.member("eu", "mesh1").Spec.Reader.RenewAfter
	f.now = f.now.Add(time.Hour)
	f.everybody()
	if got := f.member("eu", "mesh1").Spec.Reader.RenewAfter; !got.Equal(after) {
		t.Error("they are renewed more than once")
	}
	if f.meshes["mesh1"].Status.Clusters[0].Name != "ap" || len(f.meshes["mesh1"].Status.Links) != 2 {
		t.Errorf("status:\n%s", f.explain())
	}
}

// TestUnjoinedUnseen: the same when the Cluster came to its end while nobody looked.
func TestUnjoinedUnseen(t *testing.T) {
	f := ready3(t, nil)
	us := f.members["us"]
	f.now = f.now.Add(time.Hour)
	delete(f.fleet, "us")
	delete(f.members, "us")
	for key, obj := range f.objects {
		if obj.GetNamespace() == "karmada-es-us" {
			delete(f.objects, key)
		}
	}
	f.control("mesh1", 3) // and ends in between
	f.settle()
	f.now = f.now.Add(time.Minute)
	f.settle()
	if _, works := us.Reads(f.members["eu"], f.now); works {
		t.Error("us still reads eu")
	}
}
