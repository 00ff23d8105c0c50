package mesh

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// A Mesh of three becomes Ready, its tokens and its root change, and none of it costs
// more than is written down in docs/design/022-meshlink.md.
func TestWhatAMeshCosts(t *testing.T) {
	l := newLab(t, "mesh1", "ap", "eu", "us")
	startMeshlink(t, l.clock)
	count := func(what string, most int, do func()) {
		t.Helper()
		before, agents := l.steady(), l.writes
		do()
		after := l.steady()
		agents = l.writes - agents
		t.Logf("%s: %d writes, %d of them by agents", what, after-before, agents)
		assert.LessOrEqual(t, after-before, most, what)
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
