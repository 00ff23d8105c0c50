package mesh

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/meshlink"
	"github.com/flotilla-io/flotilla/test/integration/inprocess"
)

// fed is the API server all tests share, each with clusters and Meshes of its own.
var fed *inprocess.Federation

func TestMain(m *testing.M) {
	inprocess.Main(m, func(ctx context.Context, f *inprocess.Federation) error {
		fed = f
		return client.IgnoreAlreadyExists(fed.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names.SystemNamespace}}))
	})
}

// offset is a clock that a test moves on.
type offset struct {
	mu sync.Mutex
	by time.Duration
}

func (o *offset) Now() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Now().Add(o.by)
}

func (o *offset) Since(t time.Time) time.Duration { return o.Now().Sub(t) }

func (o *offset) move(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.by += d
}

// startMeshlink runs the mesh controller and the writer of events, until stop is
// called.
func startMeshlink(t *testing.T, clock *offset) (stop func()) {
	t.Helper()
	writer, err := events.NewForConfig(fed.Config, events.Options{})
	require.NoError(t, err)
	return fed.Controllers(t, func(mgr ctrl.Manager) error {
		return errors.Join(mgr.Add(writer), meshlink.SetupWithManager(mgr, meshlink.Options{Recorder: writer.For(meshlink.Component), Clock: clock}))
	})
}
