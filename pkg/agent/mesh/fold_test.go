package mesh

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	testingclock "k8s.io/utils/clock/testing"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
)

// Of several istiods the least counts.
func TestFold(t *testing.T) {
	first, second := meshv1alpha1.MemberCA{Roots: []string{"one"}, Signer: "one", Intermediate: "i"}, meshv1alpha1.MemberCA{Roots: []string{"one", "two"}, Signer: "one", Intermediate: "i"}
	status := func(ca meshv1alpha1.MemberCA) *meshv1alpha1.MemberCAStatus {
		return &meshv1alpha1.MemberCAStatus{Roots: ca.Roots, Signer: ca.Signer, Intermediate: ca.Intermediate}
	}
	says := func(change ...func(*heard)) heard {
		h := heard{who: "istiod-a", version: "1.31.1", effect: status(second), clusters: []istiod.Cluster{{ID: "eu"}, {ID: "ap", SecretName: "istio-system/istio-remote-secret-ap", SyncStatus: "synced"}}}
		for _, c := range change {
			c(&h)
		}
		return h
	}
	behind := func(h *heard) { h.effect = status(first) }
	syncing := func(h *heard) {
		h.clusters = []istiod.Cluster{{ID: "eu"}, {ID: "ap", SecretName: "istio-system/istio-remote-secret-ap", SyncStatus: "syncing"}}
	}
	mute := func(h *heard) { *h = heard{err: errors.New("no connection")} }
	mislaid := func(h *heard) { h.noneBy = errors.New("too much") }
	cases := map[string]struct {
		reason            string
		all               []heard
		ca                *meshv1alpha1.MemberCAStatus
		answers, signs    string
		synced, endpoints string
		version           string
	}{
		"One":         {reason: "What it says.", all: []heard{says()}, ca: status(second), endpoints: "NoService"},
		"Alike":       {reason: "All say the same.", all: []heard{says(), says()}, ca: status(second), endpoints: "NoService"},
		"Behind":      {reason: "One has yet to load the CA.", all: []heard{says(), says(behind)}, ca: status(first), signs: "Differ", endpoints: "NoService"},
		"BehindFirst": {reason: "In whatever order.", all: []heard{says(behind), says()}, ca: status(first), signs: "Differ", endpoints: "NoService"},
		"Syncing":     {reason: "One has yet to read the peer: it uses the token before.", all: []heard{says(), says(syncing)}, ca: status(second), synced: "NotSynced", endpoints: "NoService"},
		"Mute":        {reason: "One says nothing: what it uses is not known.", all: []heard{says(), says(mute)}, answers: "SomeSilent", signs: "SomeSilent", synced: "SomeSilent", endpoints: "NoService"},
		"NoEndpoints": {reason: "That costs the proof of endpoints only.", all: []heard{says(mislaid)}, ca: status(second), endpoints: "NotAsked"},
		"OldVersion":  {reason: "One cannot change tokens.", all: []heard{says(), says(func(h *heard) { h.version = "1.30.1" })}, ca: status(second), endpoints: "NoService", version: "1.30.1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := &worker{agent: &Agent{Options: Options{Cluster: "eu", Clock: testingclock.NewFakeClock(time.Now())}}}
			task := newIstiodTask(w)
			object := &meshv1alpha1.MeshMember{Spec: meshv1alpha1.MeshMemberSpec{ClusterID: "eu", Network: "n-eu", CA: second, Peers: []meshv1alpha1.MemberPeer{{Name: "ap", Network: "n-ap"}}}}
			task.settling["ap"] = &settling{hash: "h", looks: settleLooks, since: w.now().Add(-time.Minute)}
			next := &istiodSeen{}
			require.NoError(t, task.fold(object, map[string]string{"ap": "h"}, w.now(), tc.all, next))
			assert.Equal(t, tc.ca, next.ca, tc.reason)
			assert.Equal(t, tc.answers, next.answers.reason, tc.reason)
			assert.Equal(t, tc.signs, next.signs.reason, tc.reason)
			assert.Equal(t, tc.synced, next.proofs["ap"].synced.Reason, tc.reason)
			assert.Equal(t, tc.endpoints, next.proofs["ap"].endpoints.Reason, tc.reason)
			if tc.version != "" {
				assert.Equal(t, tc.version, next.istiod.Version, tc.reason)
			}
		})
	}
	task := newIstiodTask(&worker{})
	require.ErrorContains(t, task.fold(&meshv1alpha1.MeshMember{}, nil, time.Now(), []heard{says(mute)}, &istiodSeen{}), "no connection")
}

// Of several istiods the one that something is wrong with is named, and no other.
func TestFoldNamesTheIstiod(t *testing.T) {
	ca := meshv1alpha1.MemberCA{Roots: []string{"one"}, Signer: "one", Intermediate: "new"}
	gateway := meshv1alpha1.GatewayAddress{Address: "203.0.113.7", Port: 15443}
	says := func(who string) heard {
		return heard{
			who: who, version: "1.31.1", effect: &meshv1alpha1.MemberCAStatus{Roots: ca.Roots, Signer: ca.Signer, Intermediate: ca.Intermediate},
			clusters: []istiod.Cluster{{ID: "eu"}, {ID: "ap", SecretName: "istio-system/istio-remote-secret-ap", SyncStatus: "synced"}},
			gateways: []istiod.Gateway{{Network: "n-ap", Cluster: "ap", Addr: gateway.Address, Port: 15443}},
		}
	}
	cases := map[string]struct {
		reason string
		change func(*heard)
		told   func(*istiodSeen) []string
	}{
		"Mute": {reason: "It does not run.", change: func(h *heard) { h.err = errors.New("connection refused") },
			told: func(s *istiodSeen) []string {
				return []string{s.answers.message, s.signs.message, s.proofs["ap"].synced.Message}
			}},
		"Behind": {reason: "Its kubelet is slow.", change: func(h *heard) { h.effect.Intermediate = "old" },
			told: func(s *istiodSeen) []string { return []string{s.signs.message} }},
		"Unsigned": {reason: "It has no CA.", change: func(h *heard) { h.effect, h.signs = nil, troubled("NotSigned", "it does not sign") },
			told: func(s *istiodSeen) []string { return []string{s.signs.message} }},
		"NotSynced": {reason: "It has yet to read the peer.", change: func(h *heard) { h.clusters[1].SyncStatus = "syncing" },
			told: func(s *istiodSeen) []string { return []string{s.proofs["ap"].synced.Message} }},
		"NoGateway": {reason: "It has yet to learn the gateway.", change: func(h *heard) { h.gateways = nil },
			told: func(s *istiodSeen) []string { return []string{s.proofs["ap"].gateways.Message} }},
		"NoEndpoints": {reason: "It does not tell.", change: func(h *heard) { h.noneBy = errors.New("too much") },
			told: func(s *istiodSeen) []string { return []string{s.proofs["ap"].endpoints.Message} }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := &worker{agent: &Agent{Options: Options{Cluster: "eu", Clock: testingclock.NewFakeClock(time.Now())}}}
			task := newIstiodTask(w)
			object := &meshv1alpha1.MeshMember{Spec: meshv1alpha1.MeshMemberSpec{ClusterID: "eu", Network: "n-eu", CA: ca, Peers: []meshv1alpha1.MemberPeer{{Name: "ap", Network: "n-ap", Gateways: []meshv1alpha1.GatewayAddress{gateway}}}}}
			task.settling["ap"] = &settling{hash: "h", looks: settleLooks, since: w.now().Add(-time.Minute)}
			all := []heard{says("istiod-c"), says("istiod-b"), says("istiod-a")}
			tc.change(&all[1])
			next := &istiodSeen{}
			require.NoError(t, task.fold(object, map[string]string{"ap": "h"}, w.now(), all, next))
			for _, message := range tc.told(next) {
				assert.Contains(t, message, "istiod-b", tc.reason)
				assert.NotContains(t, message, "istiod-a", tc.reason)
				assert.NotContains(t, message, "istiod-c", tc.reason)
			}
		})
	}
	assert.Equal(t, "istiod-a, istiod-b, istiod-c, istiod-d, istiod-e, 1 more", whoAre([]heard{says("istiod-a"), says("istiod-b"), says("istiod-c"), says("istiod-d"), says("istiod-e"), says("istiod-f")}))
}

func TestSearchedDomain(t *testing.T) {
	for text, want := range map[string]string{
		"search flotilla.svc.corp.example svc.corp.example corp.example\nnameserver 10.96.0.10\n": "corp.example",
		"nameserver 10.96.0.10\nsearch a.svc.cluster.local svc.cluster.local.\n":                  "cluster.local",
		"nameserver 1.1.1.1\n": "cluster.local",
		"":                     "cluster.local",
	} {
		assert.Equal(t, want, searched(text))
	}
}
