package apply

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestNext(t *testing.T) {
	desired := &Desired{Hash: "h"}
	ok, failed := &verdict{hash: "h"}, &verdict{hash: "h", failure: &ObjectError{}}
	for name, tc := range map[string]struct {
		reason  string
		object  object
		watched bool
		want    action
	}{
		"new":               {"never applied", object{desired: desired}, false, actApply},
		"changed":           {"the member has an older manifest", object{desired: desired, hash: "g", live: &view{inSync: true}}, true, actApply},
		"in sync":           {"nothing to do", object{desired: desired, hash: "h", verdict: ok, live: &view{inSync: true}}, true, actNothing},
		"drift":             {"someone changed it", object{desired: desired, hash: "h", verdict: ok, live: &view{}}, true, actRepair},
		"deleted":           {"someone deleted it", object{desired: desired, hash: "h", verdict: ok}, true, actRepair},
		"not seen yet":      {"the watch will tell", object{desired: desired, hash: "h", verdict: ok}, false, actNothing},
		"being deleted":     {"it comes back when it is gone", object{desired: desired, hash: "h", verdict: ok, live: &view{terminating: true}}, true, actNothing},
		"failed":            {"tried again although the hash is old", object{desired: desired, hash: "h", verdict: failed, live: &view{inSync: true}}, true, actApply},
		"suspended":         {"neither applied nor repaired", object{desired: desired, suspended: true}, true, actNothing},
		"unmanaged":         {"it serves as it is", object{desired: desired, hash: "h", verdict: ok, unmanaged: true}, true, actNothing},
		"unmanaged, doubt":  {"it is looked at again", object{desired: desired, hash: "h", verdict: ok, unmanaged: true, recheck: true}, true, actApply},
		"unwanted":          {"it goes", object{removal: &removeRequest{}}, true, actRemove},
		"wanted by nobody":  {"it was never ours", object{}, true, actNothing},
		"wanted once more":  {"a removal that was overtaken is not carried out", object{desired: desired, removal: &removeRequest{}}, true, actApply},
		"suspended, leaves": {"a work that goes takes its object along", object{suspended: true, removal: &removeRequest{}}, true, actRemove},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, tc.object.next(tc.watched), tc.reason)
		})
	}
}

func TestRepairsSlowDown(t *testing.T) {
	now := time.Unix(0, 0)
	var r repairs
	for range repairsAtOnce {
		require.Zero(t, r.wait(now), "the first repairs are made at once")
		r.done(now)
	}
	require.Equal(t, time.Second, r.wait(now))
	require.Zero(t, r.wait(now.Add(time.Second)))
	rapid.Check(t, func(t *rapid.T) {
		r, at := r, now
		n := rapid.IntRange(0, 50).Draw(t, "repairs")
		for range n {
			wait := r.wait(at)
			if wait < 0 || wait > maxRepairDelay {
				t.Fatalf("waits %v", wait)
			}
			at = at.Add(wait)
			r.done(at)
		}
		if n > 10 && r.wait(at) != maxRepairDelay {
			t.Fatalf("a fight is slowed down only to %v", r.wait(at))
		}
		if r.wait(at.Add(repairsForgotten+1)) != 0 {
			t.Fatal("old repairs are not forgotten")
		}
	})
}
