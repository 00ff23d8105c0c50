package apiserver

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/propagation/projection"
)

// Until everything stored is read, no list, watch or report gets an answer that
// an agent could act upon; afterwards all do.
func TestGate(t *testing.T) {
	f := newFederation(NewOptions())
	f.projection.SetCluster(&clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu"}})
	g := gate{f}
	ask := map[string]func() error{
		"list": func() error { _, err := g.List("eu", projection.WatchOptions{}); return err },
		"watch": func() error {
			w, err := g.Watch(t.Context(), "eu", projection.WatchOptions{})
			if err == nil {
				w.Stop()
			}
			return err
		},
		"report":   func() error { _, err := g.Report(t.Context(), "eu", nil); return err },
		"complete": g.Complete,
	}
	for name, request := range ask {
		assert.True(t, apierrors.IsServiceUnavailable(request()), name)
	}
	require.Error(t, f.readiness().Check(nil), "/readyz says so, too")
	f.synced.Store(true)
	for name, request := range ask {
		require.NoError(t, request(), name)
	}
	require.NoError(t, f.readiness().Check(nil))
	_, found := g.Get("eu", "nothing")
	assert.False(t, found)
	_, err := g.Report(t.Context(), "eu", []agentv1alpha1.WorkObservation{{}})
	require.NoError(t, err)
}
