package plan_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/api/names"
)

// goes begins the end of a Cluster.
func (f *federation) goes(name string) {
	c := f.fleet[name].DeepCopy()
	c.DeletionTimestamp = &metav1.Time{Time: f.now}
	f.fleet[name] = c
}

// forgets is the end of a Cluster, and of its namespace if that goes with it.
func (f *federation) forgets(name string, namespace bool) {
	delete(f.fleet, name)
	for key, obj := range f.objects {
		if namespace && obj.GetNamespace() == names.ExecutionNamespace(name) {
			delete(f.objects, key)
		}
	}
}

// TestUnjoinedWhileAnotherLeaves: what one knows that was unjoined is worthless also when it
// is of a cluster that is about to leave, and stays after all.
func TestUnjoinedWhileAnotherLeaves(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		seen   bool
	}{
		"Seen":   {"The Cluster takes a while to go.", true},
		"Unseen": {"The Cluster came to its end while nobody looked.", false},
	} {
		t.Run(name, func(t *testing.T) {
			f := ready3(t, nil)
			f.settle()
			f.edit("mesh1", selecting("ap", "eu"))
			f.cut["ap"], f.cut["eu"] = true, true // and do not let go of us
			f.settle()
			eu := f.members["eu"]
			if _, works := eu.Reads(f.members["us"], f.now); !works {
				t.Fatal("eu does not read us")
			}
			f.now = f.now.Add(time.Hour)
			if tc.seen {
				f.goes("eu")
				f.settle()
			}
			f.forgets("eu", true)
			delete(f.members, "eu")
			f.settle()
			if after := f.member("us", "mesh1").Spec.Reader.RenewAfter; after == nil || after.Time.Before(epoch.Add(time.Hour)) {
				t.Errorf("%s us is to renew its token after %v", tc.reason, after)
			}
			f.edit("mesh1", selecting("ap", "us"))
			f.cut["ap"] = false
			f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
			f.now = f.now.Add(time.Minute)
			f.settle()
			if _, works := eu.Reads(f.members["us"], f.now); works {
				t.Errorf("%s eu was unjoined and forgotten, and still reads us", tc.reason)
			}
			if _, works := f.members["ap"].Reads(f.members["us"], f.now); !works {
				t.Errorf("%s ap does not read us", tc.reason)
			}
		})
	}
}

// TestUnjoinedAsksOnce: while one of those cannot be told whose tokens an unjoined cluster
// knows, the others are not told again and again.
func TestUnjoinedAsksOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		reason          string
		seen, namespace bool
	}{
		"MemberLeft":  {reason: "Its MeshMember is left behind, and says whom it may read."},
		"Seen":        {reason: "It is left behind when the Cluster has gone that took a while to.", seen: true},
		"NothingLeft": {reason: "The status alone says so.", namespace: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := ready3(t, nil)
			f.settle()
			us := f.members["us"]
			f.now = f.now.Add(time.Hour)
			f.failing = map[string]bool{"ap": true}
			if tc.seen {
				f.goes("us")
				f.everybody()
			}
			f.forgets("us", tc.namespace)
			f.everybody()
			asked := f.member("eu", "mesh1").Spec.Reader.RenewAfter
			if asked == nil || asked.Time.Before(epoch.Add(time.Hour)) {
				t.Fatalf("%s eu is to renew its token after %v", tc.reason, asked)
			}
			for range 10 {
				f.now = f.now.Add(time.Minute)
				f.everybody()
			}
			if got := f.member("eu", "mesh1").Spec.Reader.RenewAfter; !got.Equal(asked) {
				t.Errorf("%s eu is asked again, at %s after %s", tc.reason, got, asked)
			}
			if f.linkOf("mesh1", "us", "ap").From == "" || f.condition("mesh1", "us", "Available").Reason != "Unjoined" {
				t.Errorf("%s us is forgotten before ap was told:\n%s", tc.reason, f.explain())
			}
			clear(f.failing)
			f.settle()
			f.now = f.now.Add(time.Minute)
			f.settle()
			for _, name := range []string{"ap", "eu"} {
				if _, works := us.Reads(f.members[name], f.now); works {
					t.Errorf("%s us still reads %s", tc.reason, name)
				}
			}
			if f.member("us", "mesh1") != nil || len(f.meshes["mesh1"].Status.Clusters) != 2 {
				t.Errorf("%s us is not forgotten:\n%s", tc.reason, f.explain())
			}
		})
	}
}
