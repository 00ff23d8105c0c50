package propagation

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/controlplane"
	"github.com/flotilla-io/flotilla/test/integration/inprocess"
)

// fed is the API server all tests share, each in a namespace of its own.
var fed *inprocess.Federation

func TestMain(m *testing.M) {
	inprocess.Main(m, func(ctx context.Context, f *inprocess.Federation) error {
		fed = f
		return fed.Create(ctx, &clusterv1alpha1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Name: "eu"}, Spec: clusterv1alpha1.ClusterSpec{SyncMode: clusterv1alpha1.Pull},
		})
	})
}

// startControllers runs what controller-manager runs, until stop is called.
func startControllers(t *testing.T) (stop func()) {
	t.Helper()
	return fed.Controllers(t, func(mgr ctrl.Manager) error { return controlplane.SetupWithManager(mgr, controlplane.Options{}) })
}

// newNamespace makes a namespace for one test.
func newNamespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "t-"}}
	require.NoError(t, fed.Create(t.Context(), ns))
	return ns.Name
}

// quiet is longer than the API server holds reports back to fold them.
const quiet = 3 * time.Second

// settled is the revision once nothing has been written for a while.
func settled(t *testing.T) int {
	t.Helper()
	last, since := fed.Revision(t), time.Now()
	require.Eventually(t, func() bool {
		if now := fed.Revision(t); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > quiet
	}, 30*time.Second, 50*time.Millisecond, "writes go on")
	return last
}

func eventually(t *testing.T, condition func() bool, what string, args ...any) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 20*time.Millisecond, append([]any{what}, args...)...)
}
