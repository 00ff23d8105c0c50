package mesh

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
)

// unreadable makes a member that does not answer, while told so, when something is read
// whose path ends with a suffix.
func (e *env) unreadable(suffix string) *atomic.Bool {
	away := &atomic.Bool{}
	e.member.Hook = func(r *http.Request) error {
		if away.Load() && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, suffix) {
			return apierrors.NewServiceUnavailable("away")
		}
		return nil
	}
	return away
}

// An agent that is started while something cannot be read has not seen that it is gone: it
// stays as the agent before has reported it.
func TestRestartWhileUnreadable(t *testing.T) {
	for name, tc := range map[string]struct{ suffix, says string }{
		"Namespace":  {"/namespaces/istio-system", meshv1alpha1.ConditionObserved},
		"Secrets":    {"/secrets", meshv1alpha1.ConditionObserved},
		"CA":         {"/secrets/cacerts", meshv1alpha1.ConditionObserved},
		"Gateway":    {"/services/gateway", meshv1alpha1.ConditionObserved},
		"Nodes":      {"/nodes", meshv1alpha1.ConditionNodesLocated},
		"Everything": {"", meshv1alpha1.ConditionObserved},
	} {
		t.Run(name, func(t *testing.T) {
			e, want := linked(t)
			want.Gateway = &meshv1alpha1.MemberGateway{ServiceName: "gateway", Port: 15443}
			e.service(system, "gateway", nil, "203.0.113.9", map[string]int64{"tls": 15443})
			e.member.Put(fakekube.Nodes, "", node("a", map[string]any{corev1.LabelTopologyRegion: "europe"}))
			away := e.unreadable(tc.suffix)
			e.want("mesh1", want)
			e.start()
			before := e.eventually("mesh1", "all is there", func(s *meshv1alpha1.MeshMemberStatus) bool {
				return passed(s, "ap", steps...) && s.Gateway != nil && s.Token != nil && len(s.Regions) == 1 && s.ObservedGeneration == 1
			})
			e.stop()
			away.Store(true)
			e.start()
			e.eventually("mesh1", "it is said", func(s *meshv1alpha1.MeshMemberStatus) bool { return condition(s, tc.says) != "" })
			e.later(3 * time.Minute)
			s := &e.get("mesh1").Status
			if tc.suffix == "" { // nobody knows where istiod is, so it has said nothing
				s.Istiod, s.CA, s.Peers[0].Proofs = before.Istiod, before.CA, before.Peers[0].Proofs
			}
			assert.JSONEq(t, facts(t, before), facts(t, s))
		})
	}
}

// facts are what a status says but for conditions.
func facts(t *testing.T, s *meshv1alpha1.MeshMemberStatus) string {
	t.Helper()
	bare := s.DeepCopy()
	bare.Conditions = nil
	raw, err := json.Marshal(bare)
	require.NoError(t, err)
	return string(raw)
}

// What is wrong with what cannot be read now stays wrong.
func TestTroubleWhileUnreadable(t *testing.T) {
	e, want := linked(t)
	e.member.Put(fakekube.Namespaces, "helm", object(map[string]any{"name": system, "labels": map[string]any{networkLabel: "mine"}}, nil))
	e.secret("by-hand", map[string]any{"istio/multiCluster": "true"}, map[string]string{"ap": "x"})
	namespace, secrets := e.unreadable("/namespaces/istio-system"), e.member.Hook
	away := e.unreadable("/secrets")
	hook := e.member.Hook
	e.member.Hook = func(r *http.Request) error {
		if err := secrets(r); err != nil {
			return err
		}
		return hook(r)
	}
	wrong := func(s *meshv1alpha1.MeshMemberStatus) bool {
		return s.Network == "mine" && condition(s, meshv1alpha1.ConditionNetworkLabelled) == "SetByOthers" && condition(s, meshv1alpha1.ConditionRemoteSecretsOwn) == "ForeignSecret"
	}
	e.want("mesh1", want)
	e.start()
	e.eventually("mesh1", "it is said", wrong)
	namespace.Store(true)
	e.eventually("mesh1", "the namespace cannot be read", func(s *meshv1alpha1.MeshMemberStatus) bool { return condition(s, meshv1alpha1.ConditionObserved) != "" })
	e.later(time.Minute)
	s := e.get("mesh1").Status
	assert.True(t, wrong(&s), describe(&s))
	e.stop()
	away.Store(true)
	e.start()
	e.later(time.Minute)
	s = e.get("mesh1").Status
	assert.True(t, wrong(&s), describe(&s))
	namespace.Store(false)
	away.Store(false)
	e.member.Remove(fakekube.Secrets, system, "by-hand")
	e.eventually("mesh1", "it is well", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return condition(s, meshv1alpha1.ConditionObserved) == "" && condition(s, meshv1alpha1.ConditionRemoteSecretsOwn) == ""
	})
}
