package mesh

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakeistiod"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/proof"
)

// A remote secret that is gone is not all: istiod is looked at until it has let go of the
// peer, and since when that is waited for is told.
func TestLettingGo(t *testing.T) {
	e, want := linked(t)
	e.want("mesh1", want)
	e.start()
	s := e.eventually("mesh1", "all is proven", func(s *meshv1alpha1.MeshMemberStatus) bool { return passed(s, "ap", steps...) })
	before := proven(s, "ap", meshv1alpha1.StepSynced)
	e.later(time.Minute)

	want.Peers[0].SecretHash = ""
	e.want("mesh1", want)
	e.member.Remove(fakekube.Secrets, system, "istio-remote-secret-ap")
	s = e.eventually("mesh1", "istiod still reads it", func(s *meshv1alpha1.MeshMemberStatus) bool {
		p := proven(s, "ap", meshv1alpha1.StepSynced)
		return s.ObservedGeneration == 2 && s.Peers[0].SecretHash == "" && p != nil && p.Reason == "NotLetGo"
	})
	p := proven(s, "ap", meshv1alpha1.StepSynced)
	assert.False(t, p.Passed)
	assert.True(t, before.Since.Before(p.Since), "it is waited for since the secret is gone: %s, %s", before.Since, p.Since)
	assert.Nil(t, proven(s, "ap", meshv1alpha1.StepEndpoints))
	looks := e.istiod.Asked("clusterz")
	e.later(time.Minute)
	assert.Greater(t, e.istiod.Asked("clusterz")-looks, 6, "somebody waits for it: at rest it is asked four times a minute")

	// An istiod that does not answer has not let go, and the time goes on.
	e.istiod.Set(func(a *fakeistiod.Answers) { a.Pages["clusterz"], a.Refuse = "["+own+"]", true })
	s = e.eventually("mesh1", "it is silent", func(s *meshv1alpha1.MeshMemberStatus) bool {
		p := proven(s, "ap", meshv1alpha1.StepSynced)
		return p != nil && p.Reason == "IstiodSilent"
	})
	assert.True(t, p.Since.Equal(proven(s, "ap", meshv1alpha1.StepSynced).Since))
	e.istiod.Set(func(a *fakeistiod.Answers) { a.Refuse = false })
	e.eventually("mesh1", "it has let go", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return s.Istiod != nil && proven(s, "ap", meshv1alpha1.StepSynced) == nil
	})
	writes := e.requests(e.fed, "/status")
	e.later(2 * time.Minute)
	assert.Equal(t, writes, e.requests(e.fed, "/status"), "that is all")
}

// A cluster has left when what Works brought is gone, too, but for its CA. If the agent waits
// for a person with that, it says so.
func TestLeavingWaitsForWhatWorksBrought(t *testing.T) {
	e, want := linked(t)
	set := func(held bool, works ...string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.brought, e.held = works, held
	}
	set(true, "mesh.mesh1.ca", "mesh.mesh1.gateway")
	want.Leaving = true
	e.want("mesh1", want)
	e.start()
	left := func(reason string) func(*meshv1alpha1.MeshMemberStatus) bool {
		return func(s *meshv1alpha1.MeshMemberStatus) bool { return condition(s, meshv1alpha1.ConditionLeft) == reason }
	}
	says := func(s *meshv1alpha1.MeshMemberStatus) string {
		return meta.FindStatusCondition(s.Conditions, meshv1alpha1.ConditionLeft).Message
	}
	s := e.eventually("mesh1", "deletions are held, and nothing else is in the way", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return left("DeletionsHeld")(s) && strings.Contains(says(s), "cluster eu still has what was brought by Works mesh.mesh1.gateway")
	})
	assert.Contains(t, says(s), "the condition DeletionsHeld of Cluster eu says how")
	set(false, "mesh.mesh1.ca", "mesh.mesh1.gateway")
	s = e.eventually("mesh1", "they are under way", left("StillThere"))
	assert.NotContains(t, says(s), "person")
	set(true, "mesh.mesh1.ca")
	e.eventually("mesh1", "it has left", hasLeft)
}

// Whether no istiod of a cluster reads a peer.
func TestEveryIstiodHasToLetGo(t *testing.T) {
	without := heard{clusters: []istiod.Cluster{{ID: "eu"}}}
	reads := func(secret string) heard {
		return heard{clusters: []istiod.Cluster{{ID: "eu"}, {ID: "ap", SecretName: "istio-system/" + secret, SyncStatus: "synced"}}}
	}
	mute := heard{err: errors.New("no connection")}
	cases := map[string]struct {
		reason string
		all    []heard
		says   string // empty: it has let go
	}{
		"All":     {reason: "None shows it.", all: []heard{without, without}},
		"One":     {reason: "Proxies of that one still call it.", all: []heard{without, reads("istio-remote-secret-ap")}, says: "NotLetGo"},
		"Mute":    {reason: "What it reads is not known.", all: []heard{without, mute}, says: "SomeSilent"},
		"Foreign": {reason: "Somebody else's Secret is for it, too.", all: []heard{reads("by-hand")}, says: "ForeignSecret"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := &worker{agent: &Agent{Options: Options{Cluster: "eu", Clock: testingclock.NewFakeClock(time.Now())}}}
			object := &meshv1alpha1.MeshMember{Spec: meshv1alpha1.MeshMemberSpec{ClusterID: "eu", Peers: []meshv1alpha1.MemberPeer{{Name: "ap"}}}}
			next := &istiodSeen{}
			for i := range tc.all {
				if tc.all[i].err == nil {
					tc.all[i].effect = &meshv1alpha1.MemberCAStatus{}
				}
			}
			require.NoError(t, newIstiodTask(w).fold(object, map[string]string{"ap": ""}, w.now(), tc.all, next))
			if found := next.proofs["ap"].synced; tc.says == "" {
				assert.Nil(t, found, tc.reason)
			} else {
				require.NotNil(t, found, tc.reason)
				assert.Equal(t, tc.says, found.Reason, tc.reason)
				assert.False(t, found.Passed)
				assert.False(t, wellDone(object, next), "it is looked at again soon")
			}
		})
	}
}

// Where no Istio is installed there is nobody to let go; where istiod is only silent there is.
func TestSilenceIsNotLettingGo(t *testing.T) {
	w := &worker{agent: &Agent{Options: Options{Cluster: "eu", Clock: testingclock.NewFakeClock(time.Now())}}}
	object := &meshv1alpha1.MeshMember{Spec: meshv1alpha1.MeshMemberSpec{Peers: []meshv1alpha1.MemberPeer{{Name: "ap"}, {Name: "us", SecretHash: "h"}}}}
	for err, want := range map[error]int{istiod.ErrNotInstalled: 1, istiod.ErrNoAddress: 2} {
		task, next := newIstiodTask(w), &istiodSeen{}
		next.answers = task.wrong(err)
		task.silent(object, next)
		assert.Len(t, next.proofs, want, "%v", err)
		assert.Contains(t, next.proofs, "us")
	}
}

// What istiod said before the secret went says nothing: not after a restart of the agent
// either, which has to ask first.
func TestReportsOfASecretThatWent(t *testing.T) {
	now := time.Now()
	long := &metav1.Time{Time: now.Add(-time.Hour)}
	object := &meshv1alpha1.MeshMember{Spec: meshv1alpha1.MeshMemberSpec{Peers: []meshv1alpha1.MemberPeer{{Name: "ap"}}}}
	cluster := &clusterSeen{remotes: map[string]remote{}}
	was := func(hash string, passed bool) {
		object.Status.Peers = []meshv1alpha1.MemberPeerStatus{{Name: "ap", SecretHash: hash, Proofs: []meshv1alpha1.Proof{{Step: meshv1alpha1.StepSynced, Passed: passed, Since: long}}}}
	}
	synced := func(s seen) *meshv1alpha1.Proof {
		status := report(object, s, "eu", now)
		assert.Empty(t, status.Peers[0].SecretHash)
		return proven(&status, "ap", meshv1alpha1.StepSynced)
	}
	asked := seen{cluster: cluster, istiod: &istiodSeen{proofs: map[string]peerProofs{"ap": {hash: "h", synced: &proof.Verdict{Passed: true}}}}}

	was("h", true)
	p := synced(asked)
	require.NotNil(t, p, "the look began when the secret was there")
	assert.Equal(t, "SecretChanged", p.Reason)
	p = synced(seen{cluster: cluster})
	require.NotNil(t, p, "istiod was not asked yet")
	assert.False(t, p.Passed)
	assert.WithinDuration(t, now, p.Since.Time, 2*time.Second)

	was("h", false)
	assert.WithinDuration(t, now, synced(asked).Since.Time, 2*time.Second, "that it was silent before does not shorten the wait")
	was("", false)
	assert.True(t, synced(asked).Since.Equal(long), "it is not counted anew")
	assert.True(t, synced(seen{cluster: cluster}).Since.Equal(long))
	assert.Nil(t, synced(seen{cluster: cluster, istiod: &istiodSeen{}}), "it has let go")
}
