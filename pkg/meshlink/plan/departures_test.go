package plan_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

// untouched says whether a cluster still has all that the mesh has brought.
func (f *federation) untouched(name string) bool {
	m := f.members[name]
	return m.Network() != "" && m.Has("Service", "istio-system", "istio-eastwestgateway") && m.Has("ServiceAccount", "istio-system", "flotilla-mesh-reader")
}

// TestLeavingWaitsForIstiod: a remote secret that is gone is not enough. istiod of the
// peer has to have let go of the cluster, and its own istiod of the peers; one that does
// not answer is waited for as long as the hold time, and named.
func TestLeavingWaitsForIstiod(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		hung   string
		says   []string
	}{
		"OfAPeer":  {"It still sends requests there.", "ap", []string{"cluster ap (istiod does not answer", "not waited for after 2026-"}},
		"OfItsOwn": {"Nobody asks it once the cluster has left.", "us", []string{"it has let go of its peers: cluster us (istiod does not answer"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := ready3(t, nil)
			f.members[tc.hung].Hung = true
			f.now = f.now.Add(time.Hour) // that it was silent before does not shorten the wait
			f.everybody()
			f.edit("mesh1", selecting("ap", "eu"))
			for range 10 {
				f.everybody()
			}
			if f.members[tc.hung].Has("Secret", "istio-system", "istio-remote-secret-eu") != (tc.hung == "ap") || f.members["ap"].Has("Secret", "istio-system", "istio-remote-secret-us") {
				t.Fatal("remote secrets are not what they are to be")
			}
			if !f.untouched("us") {
				t.Fatalf("us is cleaned while istiod of %s may read: %s", tc.hung, tc.reason)
			}
			c := f.condition("mesh1", "us", meshv1alpha1.ConditionAvailable)
			for _, words := range tc.says {
				if c.Reason != "Leaving" || !strings.Contains(c.Message, words) {
					t.Errorf("nothing about %q is said: %+v", words, c)
				}
			}
			if at := f.last.Again; at.IsZero() || at.After(f.now.Add(5*time.Minute)) {
				t.Errorf("looked at again at %s", at)
			}
			f.now = f.now.Add(4 * time.Minute)
			f.everybody()
			f.everybody()
			if !f.untouched("us") {
				t.Fatal("it is not waited for to the end")
			}
			f.now = f.now.Add(time.Minute)
			f.until("us has left all the same", func() bool { return f.member("us", "mesh1") == nil })
			f.settle()
		})
	}
}

// TestLeavingGoesOnWhenIstiodHasLetGo: at once, and not after the hold time.
func TestLeavingGoesOnWhenIstiodHasLetGo(t *testing.T) {
	f := ready3(t, nil)
	f.members["ap"].Hung = true
	f.edit("mesh1", selecting("ap", "eu"))
	for range 10 {
		f.everybody()
	}
	began := f.now
	f.members["ap"].Hung = false
	f.until("us has left", func() bool { return f.member("us", "mesh1") == nil })
	if waited := f.now.Sub(began); waited > 30*time.Second {
		t.Errorf("it took %s", waited)
	}
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
}

// hold has an agent hold deletions, as its Cluster says.
func (f *federation) hold(name string, held bool) {
	c := f.fleet[name].DeepCopy()
	condition := metav1.Condition{Type: names.ConditionDeletionsHeld, Status: metav1.ConditionFalse, Reason: "Test"}
	if held {
		condition.Status, condition.Message = metav1.ConditionTrue, "Nothing was deleted. If they are to go: kubectl annotate cluster "+name+" agent.flotilla.io/confirm-deletions=abc"
	}
	meta.SetStatusCondition(&c.Status.Conditions, condition)
	f.fleet[name], f.members[name].Held = c, held
}

// TestDeletionNamesWhoIsWaitedFor: a person looks at the Mesh first.
func TestDeletionNamesWhoIsWaitedFor(t *testing.T) {
	f := ready3(t, nil)
	f.hold("us", true)
	mesh := f.meshes["mesh1"].DeepCopy()
	mesh.DeletionTimestamp = &metav1.Time{Time: f.now}
	f.meshes["mesh1"] = mesh
	for range 10 {
		f.everybody()
	}
	if why := f.why("mesh1"); why.Reason != "Deleting" || !strings.Contains(why.Message, "kubectl annotate cluster us") {
		t.Errorf("it does not: %+v", why)
	}
	f.hold("us", false)
	f.until("it is gone", func() bool { return f.meshes["mesh1"] == nil })
}

// TestLeavingWithDeletionsThatAreHeld: the Mesh names the agent that waits for a person,
// and what the person has to do, and goes on when it is done.
func TestLeavingWithDeletionsThatAreHeld(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, held string
	}{
		"OfAPeer":  {"Its remote secret is among them.", "ap"},
		"OfItsOwn": {"Its gateway is among them.", "us"},
	} {
		t.Run(name, func(t *testing.T) {
			f := ready3(t, nil)
			f.hold(tc.held, true)
			f.edit("mesh1", selecting("ap", "eu"))
			for range 20 {
				f.everybody()
				f.now = f.now.Add(time.Minute)
			}
			if f.member("us", "mesh1") == nil {
				t.Fatal("it counts as one that has left")
			}
			c := f.condition("mesh1", "us", meshv1alpha1.ConditionAvailable)
			if c.Reason != names.ConditionDeletionsHeld || !strings.Contains(c.Message, "kubectl annotate cluster "+tc.held+" agent.flotilla.io/confirm-deletions=abc") {
				t.Errorf("%s What is said is %+v", tc.reason, c)
			}
			f.hold(tc.held, false)
			f.until("us has left", func() bool { return f.member("us", "mesh1") == nil })
			f.settle()
			if !f.cleaned("us") {
				t.Error("us is not clean")
			}
		})
	}
}

// saysOfLeaving waits until a cluster is asked to leave, and has that be the last word of its
// agent, about the MeshMember as it is or as it was so many generations ago.
func (f *federation) saysOfLeaving(name string, generation int64, says ...metav1.Condition) {
	f.until(name+" is to leave", func() bool { return f.member(name, "mesh1").Spec.Leaving })
	f.deaf[name] = true
	member := f.member(name, "mesh1").DeepCopy()
	member.Status.ObservedGeneration, member.Status.Conditions = member.Generation+generation, says
	f.put(member)
}

// TestOtherDeletionsThatAreHeld: what confirms deletions is repeated where the mesh waits for
// them, and only there: whoever does as it says deletes all that are held.
func TestOtherDeletionsThatAreHeld(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, held string
		stuck        func(f *federation)
		says         string
	}{
		"PeersIstiod": {
			reason: "The remote secret is gone; istiod is what is waited for.", held: "ap",
			stuck: func(f *federation) { f.members["ap"].Hung = true },
			says:  "cluster ap (istiod does not answer",
		},
		"ItsOwnIstiod": {
			reason: "It has no remote secrets any more; istiod is what is waited for.", held: "us",
			stuck: func(f *federation) { f.members["us"].Hung = true },
			says:  "it has let go of its peers: cluster us (istiod does not answer",
		},
		"ItsAgent": {
			reason: "Its agent says that something else is there.", held: "us",
			stuck: func(f *federation) {
				f.saysOfLeaving("us", 0, metav1.Condition{Type: meshv1alpha1.ConditionLeft, Status: metav1.ConditionFalse, Reason: "StillThere", Message: "cluster us still has localities of nodes"})
			},
			says: "cluster us still has localities of nodes",
		},
		"ItsAgentIsSilent": {
			reason: "Its agent has not said what is there.", held: "us",
			stuck: func(f *federation) { f.saysOfLeaving("us", -1) },
			says:  "its agent takes back what was written into it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := ready3(t, nil)
			f.now = f.now.Add(time.Hour)
			f.everybody()
			f.edit("mesh1", selecting("ap", "eu"))
			tc.stuck(f)
			for range 10 {
				f.everybody()
			}
			f.hold(tc.held, true)
			f.members[tc.held].Held = false // they are of somebody else
			f.everybody()
			c := f.condition("mesh1", "us", meshv1alpha1.ConditionAvailable)
			if c.Reason != "Leaving" || !strings.Contains(c.Message, tc.says) || strings.Contains(c.Message, "confirm-deletions") {
				t.Errorf("%s What is said is %+v", tc.reason, c)
			}
		})
	}
}
