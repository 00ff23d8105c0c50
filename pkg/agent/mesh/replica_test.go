package mesh

import (
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakeistiod"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
)

// The first service of a mesh is the first whose endpoints istiod is asked for. When that takes
// too long, what it had proven before is so all the same.
func TestSlowEndpointsCostNoOtherProof(t *testing.T) {
	e := newEnv(t)
	e.install(alone(), map[string][]string{istiod.ClusterName(hello, 80): {"10.0.0.1:8080 eu"}})
	secure, _ := e.istiod.Ports()
	task := newIstiodTask(&worker{agent: &Agent{Options: Options{Cluster: "eu", Clock: testingclock.NewFakeClock(e.clock.Now())}}})
	token := "token"
	task.token.Store(&token)
	var err error
	task.request, err = istiod.NewRequest()
	require.NoError(t, err)
	r := &replica{task: task, at: istiod.Location{Secure: net.JoinHostPort("127.0.0.1", fmt.Sprint(secure))}}
	t.Cleanup(r.close)
	q := &question{node: istiod.Node{ClusterID: "eu", ServiceAccount: "flotilla-mesh-reader"}, roots: []byte(fakeistiod.PEM(e.ca.Root))}
	h := r.ask(t.Context(), q)
	require.NoError(t, h.err)
	require.NotNil(t, h.effect)
	q.ca.Roots, q.ca.Signer, q.ca.Intermediate = h.effect.Roots, h.effect.Signer, h.effect.Intermediate

	e.istiod.Set(func(a *fakeistiod.Answers) { a.HangEndpoints, a.NoCA = true, true })
	q.clusters = []string{istiod.ClusterName(hello, 80)}
	h = r.ask(t.Context(), q)
	require.NoError(t, h.err)
	require.ErrorIs(t, h.noneBy, errSlow)
	e.istiod.Set(func(a *fakeistiod.Answers) { a.HangEndpoints = false })
	h = r.ask(t.Context(), q)
	require.NoError(t, h.err)
	require.NoError(t, h.noneBy)
	assert.NotEmpty(t, h.endpoints[q.clusters[0]])
	assert.NotNil(t, h.effect, "it is the same istiod")
	assert.Empty(t, h.signs)
}
