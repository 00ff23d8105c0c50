package mesh

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/meshlinktest"
)

// A Mesh of three becomes Ready, its tokens and its root change, and none of it costs
// more than is written down in docs/design/022-meshlink.md.
func TestWhatAMeshCosts(t *testing.T) {
	l := newLab(t, "mesh1", "ap", "eu", "us")
	startMeshlink(t, l.clock)
	count := func(what string, most int64, do func()) {
		t.Helper()
		before, agents := l.steady(), l.writes
		do()
		after := l.steady()
		agents = l.writes - agents
		t.Logf("%s: %d writes, %d of them by agents", what, after-before, agents)
		if after-before > most {
			t.Errorf("%s: %d writes, at most %d are expected: %s", what, after-before, most, strings.Join(fed.Writes(t, before), "\n"))
		}
	}
	count("apply to Ready", 110, func() {
		l.create(nil)
		l.until("Ready", ready)
	})
	mesh := l.get()
	assert.Len(t, mesh.Status.Clusters, 3)
	assert.Len(t, mesh.Status.Links, 6)
	for from, m := range l.members {
		for to, peer := range l.members {
			if from != to {
				_, works := m.Reads(peer, l.clock.Now())
				assert.True(t, works, "%s reads %s", from, to)
			}
		}
	}
	count("change of all tokens", 60, func() {
		l.clock.move(13 * time.Hour)
		expires := mesh.Status.Clusters[0].TokenExpires
		l.until("new tokens", func(m *meshv1alpha1.Mesh) bool {
			return ready(m) && expires.Before(m.Status.Clusters[0].TokenExpires) && expires.Before(m.Status.Clusters[2].TokenExpires)
		})
	})
	count("change of the root", 150, func() {
		l.edit(func(spec *meshv1alpha1.MeshSpec) { spec.Trust.RootGeneration = 2 })
		for _, stage := range []string{"TrustBoth", "SignNew", "TrustNew"} {
			if stage != "TrustNew" {
				l.until(stage, func(m *meshv1alpha1.Mesh) bool { return m.Status.Trust.Stage == stage && ready(m) })
				l.steady()
				l.clock.move(25 * time.Hour)
				l.until("after "+stage, func(m *meshv1alpha1.Mesh) bool { return m.Status.Trust.Stage != stage })
			}
		}
		l.until("the new root", func(m *meshv1alpha1.Mesh) bool {
			return ready(m) && m.Status.Trust.Stage == "Steady" && m.Status.Trust.RootGeneration == 2
		})
	})
	require.NoError(t, fed.Delete(t.Context(), l.get()))
	l.until("all have left", func(m *meshv1alpha1.Mesh) bool { return m == nil })
	for name, m := range l.members {
		assert.True(t, m.Has("Secret", "istio-system", "cacerts"), "%s keeps its CA", name)
		assert.False(t, m.Has("Service", "istio-system", "istio-eastwestgateway"), name)
		assert.False(t, m.Has("ServiceAccount", "istio-system", "flotilla-mesh-reader"), name)
		assert.Empty(t, m.Network(), name)
	}
}

// The controller ends in between and another one goes on, at any stage.
func TestRestarts(t *testing.T) {
	l := newLab(t, "mesh2", "r1", "r2")
	l.create(nil)
	for i := 0; !ready(l.get()) || i < 5; i++ {
		require.Less(t, i, 100, "it does not become Ready: %+v", l.get().Status)
		stop := startMeshlink(t, l.clock)
		before := fed.Revision(t)
		l.eventually(func() bool {
			l.agents()
			return fed.Revision(t) >= before+3 || ready(l.get())
		}, "something is written")
		stop()
	}
	secrets := &corev1.SecretList{}
	require.NoError(t, fed.List(t.Context(), secrets, client.InNamespace(names.SystemNamespace), client.MatchingLabels{meshv1alpha1.MeshLabel: "mesh2"}))
	assert.Len(t, secrets.Items, 1)
	startMeshlink(t, l.clock)
	l.steady()
	before := l.get().ResourceVersion
	l.steady()
	assert.Equal(t, before, l.get().ResourceVersion)
}

// A cluster is lost, withdrawn and back; another is unjoined; a third leaves and
// comes back; and a second Mesh wants one.
func TestComingAndGoing(t *testing.T) {
	l := newLab(t, "mesh3", "c1", "c2", "c3", "c4")
	startMeshlink(t, l.clock)
	l.create(nil)
	l.until("Ready", ready)

	other := newLab(t, "mesh4")
	other.members, other.silent = map[string]*meshlinktest.Member{"c4": l.members["c4"]}, map[string]bool{"c4": true}
	other.create(nil)
	other.until("the cluster is another's", func(m *meshv1alpha1.Mesh) bool {
		return m.Status.Conditions != nil && m.Status.Conditions[0].Reason == "NotOurs"
	})

	l.silent["c1"] = true
	l.heard("c1", metav1.ConditionUnknown)
	l.clock.move(6 * time.Minute)
	l.until("c1 is withdrawn", func(*meshv1alpha1.Mesh) bool {
		return !l.members["c2"].Has("Secret", "istio-system", "istio-remote-secret-c1")
	})
	l.silent["c1"] = false
	l.heard("c1", metav1.ConditionTrue)
	l.until("c1 is back", ready)

	old := l.members["c3"]
	delete(l.members, "c3")
	l.unjoin("c3")
	l.until("peers let go of c3, and what it knows ends", func(m *meshv1alpha1.Mesh) bool {
		l.clock.move(time.Second)
		_, works := old.Reads(l.members["c2"], l.clock.Now())
		return !works && len(m.Status.Clusters) == 3 && !l.members["c2"].Has("Secret", "istio-system", "istio-remote-secret-c3")
	})

	l.edit(func(spec *meshv1alpha1.MeshSpec) { spec.ClusterAffinity.ClusterNames = []string{"c1", "c2"} })
	l.until("c4 has left", func(m *meshv1alpha1.Mesh) bool { return ready(m) && len(m.Status.Clusters) == 2 })
	assert.Empty(t, l.members["c4"].Network())
	other.silent["c4"] = false
	other.until("the other Mesh has it now, but for the CA", func(m *meshv1alpha1.Mesh) bool {
		return len(m.Status.Clusters) == 1 && strings.Contains(m.Status.Conditions[0].Message, "adopt: true")
	})
	other.edit(func(spec *meshv1alpha1.MeshSpec) { spec.Trust.Adopt = true })
	other.until("and with it", func(m *meshv1alpha1.Mesh) bool {
		l.members["c4"].Restart(l.clock.Now())
		return ready(m)
	})
}

// Tokens and keys are in Secrets and Works only, and the root's key in no Work.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	l := newLab(t, "mesh5", "s1", "s2")
	startMeshlink(t, l.clock)
	l.create(nil)
	l.until("Ready", ready)
	token := &corev1.Secret{}
	require.NoError(t, fed.Get(t.Context(), client.ObjectKey{Namespace: "karmada-es-s1", Name: "mesh-reader-mesh5"}, token))
	bearer := string(token.Data["token"])
	require.NotEmpty(t, bearer)
	root := &corev1.Secret{}
	require.NoError(t, fed.Get(t.Context(), client.ObjectKey{Namespace: names.SystemNamespace, Name: "mesh-trust-mesh5"}, root))
	member := &meshv1alpha1.MeshMember{}
	require.NoError(t, fed.Get(t.Context(), client.ObjectKey{Namespace: "karmada-es-s1", Name: "mesh5"}, member))
	events := &corev1.EventList{}
	require.NoError(t, fed.List(t.Context(), events))
	works := &workv1alpha1.WorkList{}
	require.NoError(t, fed.List(t.Context(), works, client.MatchingLabels{meshv1alpha1.MeshLabel: "mesh5"}))
	for _, open := range []any{l.get(), member, events} {
		text, err := json.Marshal(open)
		require.NoError(t, err)
		assert.NotContains(t, string(text), bearer)
		assert.NotContains(t, string(text), "PRIVATE KEY")
	}
	for key, pem := range root.Data {
		if !strings.HasSuffix(key, ".key") {
			continue
		}
		for _, work := range works.Items {
			for _, manifest := range work.Spec.Workload.Manifests {
				assert.NotContains(t, string(manifest.Raw), base64.StdEncoding.EncodeToString(pem), "the root's key")
			}
		}
	}
	l.eventually(func() bool {
		require.NoError(t, fed.List(t.Context(), events))
		return slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			return e.InvolvedObject.Name == "mesh5" && e.Reason == "LinksReady"
		})
	}, "LinksReady is told")
}
