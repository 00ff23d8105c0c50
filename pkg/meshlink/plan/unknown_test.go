package plan_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
)

// deletesNothing fails a test at every Delete from now on.
func (f *federation) deletesNothing(t *testing.T) {
	t.Helper()
	f.onWrite = func(w plan.Write) {
		if w.Verb == plan.Delete {
			t.Errorf("Delete of %s", id(w.Object))
		}
	}
}

// TestAwayForLong: when the federation was away for longer than tokens live, or while a
// cluster was lost for a moment, the first look withdraws nothing: agents could not put
// right what ended meanwhile.
func TestAwayForLong(t *testing.T) {
	t.Run("Tokens", func(t *testing.T) {
		f := ready3(t, nil)
		f.settle()
		f.near = true
		for range 11 {
			for _, name := range []string{"ap", "eu", "us"} {
				f.cut[name] = true
				f.agent(name, "mesh1")
			}
			f.now = f.now.Add(3 * time.Hour)
		}
		clear(f.cut)
		f.deletesNothing(t)
		f.began = f.now
		f.control("mesh1", -1)
		if l := f.linkOf("mesh1", "eu", "ap"); l.Reason != "TokenEnded" {
			t.Errorf("link: %+v", l)
		}
		f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	})
	t.Run("Lost", func(t *testing.T) {
		f := ready3(t, nil)
		f.settle()
		f.heard("us", metav1.ConditionUnknown)
		f.everybody()
		f.now = f.now.Add(time.Hour)
		f.deletesNothing(t)
		f.began = f.now
		f.control("mesh1", -1)
		f.heard("us", metav1.ConditionTrue)
		f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	})
	t.Run("StaysLost", func(t *testing.T) {
		f := ready3(t, nil)
		f.settle()
		f.cut["us"] = true
		f.heard("us", metav1.ConditionUnknown)
		f.now = f.now.Add(time.Hour)
		f.began = f.now
		f.control("mesh1", -1)
		if again := f.last.Again; again.After(f.now.Add(5*time.Minute)) || again.IsZero() {
			t.Errorf("looked at again at %s, now is %s", again, f.now)
		}
		f.now = f.now.Add(5 * time.Minute)
		f.control("mesh1", -1)
		if l := f.linkOf("mesh1", "eu", "us"); l.Phase != meshv1alpha1.LinkWithdrawn {
			t.Errorf("link: %+v", l)
		}
	})
}

// TestALostPeerIsWaitedForAnew: a cluster that leaves is not cleaned before a peer that may
// read it had the hold time to say so.
func TestALostPeerIsWaitedForAnew(t *testing.T) {
	f := ready3(t, nil)
	f.settle()
	f.cut["us"] = true
	f.heard("us", metav1.ConditionUnknown)
	f.now = f.now.Add(time.Hour)
	f.began = f.now
	f.edit("mesh1", selecting("eu", "us"))
	for range 5 {
		f.everybody()
		f.now = f.now.Add(time.Second)
	}
	if m := f.member("ap", "mesh1"); m == nil || m.Spec.Leaving {
		t.Errorf("ap is cleaned, and us may read it: %+v", m)
	}
	f.now = f.now.Add(5 * time.Minute)
	f.until("ap has left", func() bool { return f.member("ap", "mesh1") == nil })
}

// TestPartOfAReport: what an agent has not looked at yet is not missing.
func TestPartOfAReport(t *testing.T) {
	for name, status := range map[string]meshv1alpha1.MeshMemberStatus{
		"Regions": {Regions: []string{"r1"}},
		"Failed": {ObservedGeneration: 1, Conditions: []metav1.Condition{{
			Type: meshv1alpha1.ConditionObserved, Status: metav1.ConditionFalse, Reason: "NotReadable", Message: "forbidden",
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := ready3(t, nil)
			f.settle()
			member := f.member("us", "mesh1").DeepCopy()
			member.Status = status
			f.put(member)
			f.deletesNothing(t)
			f.control("mesh1", -1)
			f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
		})
	}
}

// TestFailoverStaysWhileRegionsAreNotKnown: and goes when it is known that there are none.
func TestFailoverStaysWhileRegionsAreNotKnown(t *testing.T) {
	f := newFederation(t, "ap", "eu")
	f.members["ap"].Regions, f.members["eu"].Regions = []string{"r1"}, []string{"r2"}
	f.addMesh("mesh1", func(spec *meshv1alpha1.MeshSpec) {
		spec.Failover = &meshv1alpha1.MeshFailover{Regions: []meshv1alpha1.RegionFailover{{From: "r1", To: []string{"r2"}}}}
	})
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	f.settle()
	failover := plan.WorkName("mesh1", plan.PartFailover)
	for name, status := range map[string]meshv1alpha1.MeshMemberStatus{
		"Nothing": {},
		"Failed": {Network: "network-eu", CACerts: &meshv1alpha1.MemberCACerts{}, Conditions: []metav1.Condition{{
			Type: meshv1alpha1.ConditionNodesLocated, Status: metav1.ConditionFalse, Reason: "NotReadable", Message: "forbidden",
		}}},
	} {
		member := f.member("eu", "mesh1").DeepCopy()
		member.Status = status
		f.put(member)
		f.control("mesh1", -1)
		if f.work("eu", failover) == nil {
			t.Errorf("%s: the rule for failover is taken away", name)
		}
	}
	f.settle()
	f.members["eu"].Regions = nil
	f.settle()
	if f.work("eu", failover) != nil {
		t.Error("there is no region to go by")
	}
}

// TestManyTokensInUse: when so many tokens were asked for while a reader was lost that no
// other can be taken in, the mesh comes back once the first of them have ended.
func TestManyTokensInUse(t *testing.T) {
	extra := []string{"x1", "x2", "x3"}
	f := newFederation(t, slices.Concat([]string{"ap", "eu", "us"}, extra)...)
	f.addMesh("mesh1", nil)
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	f.near = true
	f.cut["us"] = true
	f.heard("us", metav1.ConditionUnknown)
	f.now = f.now.Add(10 * time.Minute)
	f.settle()
	for _, name := range extra {
		f.goes(name)
		f.settle()
		f.forgets(name, true)
		delete(f.members, name)
		f.settle()
		f.now = f.now.Add(10 * time.Minute)
		f.settle()
	}
	f.edit("mesh1", selecting("ap", "eu", "us"))
	for range 8 {
		f.now = f.now.Add(6 * time.Hour)
		for range 5 {
			f.everybody()
		}
	}
	f.cut["us"] = false
	f.heard("us", metav1.ConditionTrue)
	for range 200 {
		f.everybody()
		f.now = f.now.Add(10 * time.Minute)
	}
	if !f.ready("mesh1") {
		t.Errorf("%s", f.explain())
	}
}

// TestTokenOfAnEarlierAccount: a token that was made before nobody read a cluster any more
// is not handed out when somebody is to read it again: it went with its account.
func TestTokenOfAnEarlierAccount(t *testing.T) {
	w := &world{federation: newFederation(t, everyone...), foreign: map[string]bool{}, fail: t.Errorf}
	w.addMesh("mesh1", func(spec *meshv1alpha1.MeshSpec) {
		selecting("ap", "eu", "us")(spec)
		spec.Networks = []meshv1alpha1.MeshNetwork{{Name: "vpc", ClusterNames: []string{"ap", "eu"}}}
	})
	w.everybody()
	w.everybody()
	w.choose("ap", false)
	w.control("mesh1", -1)
	w.apply("ap")
	w.choose("ap", true)
	for range 10 {
		w.everybody()
		w.check()
		w.obey()
		w.now = w.now.Add(5 * time.Minute)
	}
	w.until("mesh1 is ready", func() bool { w.obey(); return w.ready("mesh1") })
}

// TestTwoChangesOfTheRoot: one that is asked for while another is under way begins when
// that has ended, though nothing else happens.
func TestTwoChangesOfTheRoot(t *testing.T) {
	f := ready3(t, nil)
	f.settle()
	f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Trust.RootGeneration = 2 })
	f.settle()
	f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Trust.RootGeneration = 3 })
	for range 200 {
		if trust := f.meshes["mesh1"].Status.Trust; trust.RootGeneration == 2 && trust.Stage == "Steady" {
			break
		}
		f.everybody()
		f.now = f.now.Add(time.Hour)
	}
	if again := f.last.Again; again.After(f.now) {
		t.Errorf("the change has ended, and it is looked at again at %s; now is %s", again, f.now)
	}
}
