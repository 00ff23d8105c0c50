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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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

// A federation that was restored from a backup has the same MeshMember as it was then, with an
// earlier version, or a later one if whoever restored it saw to that. It is what counts, and
// nobody has looked at it yet.
func TestRestoredFederation(t *testing.T) {
	for name, epoch := range map[string]uint32{"VersionsGoBack": 1, "VersionsGoOn": 3} {
		t.Run(name, func(t *testing.T) {
			e, want := linked(t)
			var down, unlisted atomic.Bool
			e.fed.Hook = func(r *http.Request) error {
				if down.Load() || unlisted.Load() && strings.HasSuffix(r.URL.Path, "/meshmembers") {
					return apierrors.NewServiceUnavailable("it is being restored")
				}
				return nil
			}
			e.fed.Restart(2)
			e.want("mesh1", want)
			e.start()
			e.eventually("mesh1", "all is proven", func(s *meshv1alpha1.MeshMemberStatus) bool {
				return passed(s, "ap", steps...) && s.ObservedGeneration == 1
			})
			backup := e.fed.Get(meshMembers, es, "mesh1")
			want.Network = "of today"
			for range 2 {
				e.want("mesh1", want)
			}
			e.eventually("mesh1", "today is seen", func(s *meshv1alpha1.MeshMemberStatus) bool {
				return s.Network == "of today" && s.ObservedGeneration == 3
			})

			down.Store(true)
			unlisted.Store(true)
			e.fed.Restart(epoch)
			e.fed.Edit(meshMembers, es, "mesh1", func(u *unstructured.Unstructured) {
				u.Object["spec"], u.Object["status"] = backup.Object["spec"], backup.Object["status"]
				u.SetGeneration(1)
			})
			down.Store(false)
			e.secret("cacerts", nil, nil)
			report := e.eventually("mesh1", "it is told before it has told what it wants", func(s *meshv1alpha1.MeshMemberStatus) bool { return s.CACerts.Mesh == "" })
			assert.Equal(t, int64(1), report.ObservedGeneration, "there is no later one")
			unlisted.Store(false)
			require.Eventually(t, func() bool {
				return labelsOf(e.member.Get(fakekube.Namespaces, "", system), networkLabel) == "network-eu"
			}, patience, time.Millisecond, "what was wanted then is wanted again")
			e.later(time.Minute)
			s := e.get("mesh1").Status
			assert.Equal(t, int64(1), s.ObservedGeneration)
			assert.Equal(t, "network-eu", s.Network)
			assert.True(t, passed(&s, "ap", steps...), describe(&s))

			// What watches bring is not behind that.
			want.Network = "of tomorrow"
			e.want("mesh1", want)
			e.eventually("mesh1", "tomorrow is seen", func(s *meshv1alpha1.MeshMemberStatus) bool {
				return s.Network == "of tomorrow" && s.ObservedGeneration == 2
			})
		})
	}
}

// What goes back is another history, but for what comes late.
func TestRestored(t *testing.T) {
	version := func(version string, generation int64) *meshv1alpha1.MeshMember {
		return &meshv1alpha1.MeshMember{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version, Generation: generation}}
	}
	known := version("20", 3)
	for name, tc := range map[string]struct {
		object          *meshv1alpha1.MeshMember
		watched, listed bool
	}{
		"Same":              {object: version("20", 3)},
		"Later":             {object: version("30", 4)},
		"Earlier":           {object: version("10", 3), listed: true},
		"EarlierWish":       {object: version("10", 2), listed: true},
		"LaterVersionOfOld": {object: version("30", 2), watched: true, listed: true},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.watched, restored(tc.object, known, false), "watched")
			assert.Equal(t, tc.listed, restored(tc.object, known, true), "listed")
			w := &worker{object: known}
			w.wrote(tc.object)
			assert.Equal(t, !tc.listed, w.current() == tc.object, "taken in after a write")
		})
	}
}
