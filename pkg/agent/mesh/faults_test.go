package mesh

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakeistiod"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/probe"
)

const networkLabel = "topology.istio.io/network"

// Everything that can be missing is said, with the cluster and the way out, and done once
// it is there.
func TestWhatIsMissing(t *testing.T) {
	e := newEnv(t)
	e.want("mesh1", spec())
	e.start()
	s := e.eventually("mesh1", "there is no Istio", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return condition(s, meshv1alpha1.ConditionIstiodAnswers) == "NoIstiod"
	})
	assert.Nil(t, s.Istiod)
	assert.Nil(t, s.Gateway)
	e.namespace()
	e.eventually("mesh1", "the account of the reader is missing", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return s.Network == "network-eu" && condition(s, meshv1alpha1.ConditionTokenDelivered) == "NoServiceAccount"
	})
	e.install(alone(), nil)
	e.eventually("mesh1", "istiod answers", func(s *meshv1alpha1.MeshMemberStatus) bool { return s.Istiod != nil && s.Token != nil })
	e.service(system, "gateway", nil, "", map[string]int64{"tls": 15443})
	s = e.eventually("mesh1", "the gateway has no address", func(s *meshv1alpha1.MeshMemberStatus) bool { return s.Gateway != nil })
	assert.Contains(t, s.Gateway.Message, "no address from a load balancer")
	e.service(system, "gateway", nil, "203.0.113.9", map[string]int64{"tls": 15443})
	e.eventually("mesh1", "it has one", func(s *meshv1alpha1.MeshMemberStatus) bool { return len(s.Gateway.Addresses) == 1 })
}

// Rights that are missing are named, and nothing is written again and again about them.
func TestForbidden(t *testing.T) {
	cases := map[string]struct {
		method, part string
		kind, says   string
	}{
		"Tokens":    {http.MethodPost, "/serviceaccounts/flotilla-mesh-reader/token", meshv1alpha1.ConditionTokenDelivered, "serviceaccounts/token"},
		"Istiod":    {http.MethodPost, "/serviceaccounts/flotilla-mesh-reader/token", meshv1alpha1.ConditionIstiodAnswers, "serviceaccounts/token"},
		"Secrets":   {http.MethodGet, "/secrets", meshv1alpha1.ConditionObserved, "get and list secrets"},
		"Label":     {http.MethodPatch, "/namespaces/istio-system", meshv1alpha1.ConditionNetworkLabelled, "needs to patch it"},
		"Nodes":     {http.MethodPatch, "/nodes/a", meshv1alpha1.ConditionNodesLocated, "patch nodes"},
		"ConfigMap": {http.MethodGet, "/configmaps/istio-ca-root-cert", meshv1alpha1.ConditionIstiodAnswers, "istio-ca-root-cert"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.install(alone(), nil)
			e.member.Put(fakekube.Nodes, "", node("a", nil))
			e.member.Hook = func(r *http.Request) error {
				if r.Method == tc.method && strings.HasSuffix(r.URL.Path, tc.part) {
					return apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "x", errors.New("the agent has no right to it"))
				}
				return nil
			}
			e.want("mesh1", spec(func(s *meshv1alpha1.MeshMemberSpec) { s.Gateway = nil }))
			e.start()
			s := e.eventually("mesh1", "it is said", func(s *meshv1alpha1.MeshMemberStatus) bool {
				return condition(s, tc.kind) != "" && s.ObservedGeneration == 1
			})
			for _, c := range s.Conditions {
				if c.Type == tc.kind {
					assert.Contains(t, c.Message, tc.says)
				}
			}
			e.later(time.Minute)
			version := e.get("mesh1").ResourceVersion
			e.later(5 * time.Minute)
			assert.Equal(t, version, e.get("mesh1").ResourceVersion)
			for _, secret := range e.member.List(fakekube.Secrets) {
				assert.NotContains(t, secret.GetName(), "flotilla-mesh-reader-", map[bool]string{true: "no Secret is left of tokens that were not made"}[tc.part != ""])
				if name != "Tokens" && name != "Istiod" {
					break // there tokens are made
				}
			}
		})
	}
}

// A label that somebody else has set is not changed, and not taken back.
func TestLabelOfSomebodyElse(t *testing.T) {
	e := newEnv(t)
	e.install(alone(), nil)
	e.member.Put(fakekube.Namespaces, "helm", object(map[string]any{"name": system, "labels": map[string]any{networkLabel: "mine"}}, nil))
	e.want("mesh1", spec())
	e.start()
	s := e.eventually("mesh1", "it is said", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return condition(s, meshv1alpha1.ConditionNetworkLabelled) == "SetByOthers"
	})
	assert.Equal(t, "mine", s.Network)
	want := spec(func(s *meshv1alpha1.MeshMemberSpec) { s.Network = "mine" })
	e.want("mesh1", want)
	e.eventually("mesh1", "it is the right one", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return condition(s, meshv1alpha1.ConditionNetworkLabelled) == "" && s.ObservedGeneration == 2
	})
	want.Leaving = true
	e.want("mesh1", want)
	e.eventually("mesh1", "it has left", hasLeft)
	assert.Equal(t, "mine", labelsOf(e.member.Get(fakekube.Namespaces, "", system), networkLabel))
}

// A cluster that goes from one Mesh to another keeps the marks that the other wants.
func TestFromOneMeshToAnother(t *testing.T) {
	e := newEnv(t)
	e.install(alone(), nil)
	e.member.Put(fakekube.Nodes, "", node("a", nil))
	first, second := spec(), spec(func(s *meshv1alpha1.MeshMemberSpec) { s.MeshID, s.Network = "mesh2", "other" })
	e.want("mesh1", first)
	e.start()
	e.eventually("mesh1", "it is in the first", func(s *meshv1alpha1.MeshMemberStatus) bool { return s.Network == "network-eu" && len(s.Regions) == 1 })
	e.want("mesh2", second)
	e.eventually("mesh2", "the label is the first one's", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return condition(s, meshv1alpha1.ConditionNetworkLabelled) == "OtherMesh" && s.Network == "network-eu"
	})
	first.Leaving = true
	e.want("mesh1", first)
	e.eventually("mesh2", "the label is the second one's", func(s *meshv1alpha1.MeshMemberStatus) bool { return s.Network == "other" })
	e.eventually("mesh1", "it has left the first", hasLeft)
	e.later(time.Minute)
	assert.Equal(t, "other", labelsOf(e.member.Get(fakekube.Namespaces, "", system), networkLabel))
	assert.NotEmpty(t, e.member.Get(fakekube.Nodes, "", "a").GetLabels())
	assert.NotNil(t, e.fed.Get(fakekube.Secrets, es, "mesh-reader-mesh2"))
	assert.Nil(t, e.fed.Get(fakekube.Secrets, es, "mesh-reader-mesh1"))
}

// A federation that is older than this agent is asked now and then, and nothing is said
// about it.
func TestFederationWithoutMeshes(t *testing.T) {
	e := newEnv(t)
	served := make(chan struct{})
	e.fed.Hook = func(r *http.Request) error {
		select {
		case <-served:
			return nil
		default:
			return unserved(r)
		}
	}
	e.start()
	e.later(10 * time.Minute)
	assert.LessOrEqual(t, e.requests(e.fed, "meshmembers"), 15)
	e.install(alone(), nil)
	e.want("mesh1", spec())
	close(served)
	e.eventually("mesh1", "it is seen", func(s *meshv1alpha1.MeshMemberStatus) bool { return s.Istiod != nil })
	e.stop()
	assert.NotContains(t, e.logs.String(), "ERROR")
	assert.NotContains(t, e.logs.String(), "Failed")
}

// While another federation answers, nothing is done.
func TestAnotherFederation(t *testing.T) {
	e := newEnv(t)
	e.install(alone(), nil)
	e.refused = true
	e.want("mesh1", spec())
	e.start()
	e.later(time.Minute)
	assert.Empty(t, e.get("mesh1").Status)
	assert.Empty(t, e.member.Requests(), "nothing is touched")
	e.mu.Lock()
	e.refused = false
	e.mu.Unlock()
	e.eventually("mesh1", "ours is back", func(s *meshv1alpha1.MeshMemberStatus) bool { return s.Istiod != nil })
}

// Nothing is asked of a member without a mesh.
func TestNoMesh(t *testing.T) {
	e := newEnv(t)
	e.install(alone(), nil)
	e.start()
	require.Eventually(t, func() bool { return e.requests(e.fed, "meshmembers") == 2 }, patience, time.Millisecond)
	e.later(10 * time.Minute)
	assert.Empty(t, e.member.Requests())
	assert.Equal(t, 2, e.requests(e.fed, "meshmembers"), "one list and one watch")
	assert.Zero(t, e.istiod.Asked("stream"))
}

// An istiod with another CLUSTER_ID, and one that does not accept us.
func TestWrongIstiod(t *testing.T) {
	e := newEnv(t)
	e.install(pages(`[{"id":"Kubernetes","syncStatus":"synced"}]`, "null", "null"), nil)
	e.want("mesh1", spec())
	e.start()
	e.eventually("mesh1", "its id is shown", func(s *meshv1alpha1.MeshMemberStatus) bool { return s.Istiod != nil && s.Istiod.ClusterID == "Kubernetes" })
	e.istiod.Set(func(a *fakeistiod.Answers) { a.Refuse = true })
	e.eventually("mesh1", "it does not accept the token", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return condition(s, meshv1alpha1.ConditionIstiodAnswers) == "NotAccepted"
	})
	tokens := e.requests(e.member, "/token")
	e.istiod.Set(func(a *fakeistiod.Answers) { a.Refuse = false })
	e.eventually("mesh1", "it does again", func(s *meshv1alpha1.MeshMemberStatus) bool { return s.Istiod != nil })
	assert.Greater(t, e.requests(e.member, "/token"), tokens, "with another token")
}

// The root of the cluster changes under the connection.
func TestAnotherRoot(t *testing.T) {
	e := newEnv(t)
	e.install(alone(), nil)
	other, err := fakeistiod.NewCA("other")
	require.NoError(t, err)
	want := spec(func(s *meshv1alpha1.MeshMemberSpec) {
		s.Peers = []meshv1alpha1.MemberPeer{{Name: "ap", Network: "network-ap", Gateways: []meshv1alpha1.GatewayAddress{{Address: "127.0.0.1", Port: e.gateway(other)}}}}
	})
	e.service("default", "hello", nil, "", map[string]int64{"http": 80})
	e.want("mesh1", want)
	e.start()
	e.eventually("mesh1", "the peer is under another root", func(s *meshv1alpha1.MeshMemberStatus) bool {
		p := proven(s, "ap", meshv1alpha1.StepProbe)
		return p != nil && p.Reason == probe.WrongRoot
	})
	e.istiod.Set(func(a *fakeistiod.Answers) { a.CA = other })
	e.eventually("mesh1", "so are we", func(s *meshv1alpha1.MeshMemberStatus) bool { return passed(s, "ap", meshv1alpha1.StepProbe) })
}

// Foreign remote secrets are named; those of this mesh that are left behind are shown.
func TestForeignRemoteSecret(t *testing.T) {
	e, want := linked(t)
	e.secret("by-hand", map[string]any{"istio/multiCluster": "true"}, map[string]string{"ap": "x", "nobody": "x"})
	e.secret("istio-remote-secret-old", map[string]any{"istio/multiCluster": "true", meshv1alpha1.MeshLabel: "mesh1"}, map[string]string{"old": "x"})
	e.istiod.Set(func(a *fakeistiod.Answers) {
		a.Pages["clusterz"] = `[` + own + `,{"id":"ap","secretName":"istio-system/by-hand","syncStatus":"synced"}]`
	})
	e.want("mesh1", want)
	e.start()
	s := e.eventually("mesh1", "istiod reads through the foreign one", func(s *meshv1alpha1.MeshMemberStatus) bool {
		p := proven(s, "ap", meshv1alpha1.StepSynced)
		return p != nil && p.Reason == "ForeignSecret"
	})
	assert.Equal(t, "ForeignSecret", condition(s, meshv1alpha1.ConditionRemoteSecretsOwn))
	assert.Equal(t, hash("a kubeconfig"), s.Peers[0].SecretHash)
	require.Len(t, s.Peers, 2)
	assert.Equal(t, "old", s.Peers[1].Name)
	assert.NotEmpty(t, s.Peers[1].SecretHash)
	assert.Empty(t, s.Peers[1].Proofs)
}

// Two agents of a cluster, as while one replaces the other, do not quarrel.
func TestStatusOfSomebodyNewer(t *testing.T) {
	e, want := linked(t)
	e.want("mesh1", want)
	e.start()
	e.eventually("mesh1", "all is proven", func(s *meshv1alpha1.MeshMemberStatus) bool { return passed(s, "ap", steps...) })
	e.fed.Edit(meshMembers, es, "mesh1", func(u *unstructured.Unstructured) { u.Object["status"] = map[string]any{} })
	e.eventually("mesh1", "it is written again", func(s *meshv1alpha1.MeshMemberStatus) bool { return passed(s, "ap", steps...) })
}
