package propagation

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// startControllers runs what controller-manager runs, until stop is called. No cluster
// here has an agent; that this is noticed would be a write at a time of its own.
func startControllers(t *testing.T) (stop func()) {
	t.Helper()
	opts := controlplane.Options{ClusterGrace: time.Hour}
	return fed.Controllers(t, func(mgr ctrl.Manager) error { return controlplane.SetupWithManager(mgr, opts) })
}

// unjoin has a cluster gone when the test ends. Leaving takes controllers seconds, and
// would be among the writes that the next test counts; so it goes without them.
func unjoin(t *testing.T, c *clusterv1alpha1.Cluster) {
	t.Helper()
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, client.IgnoreNotFound(fed.Delete(ctx, c)))
		eventually(t, func() bool {
			err := fed.Get(ctx, client.ObjectKeyFromObject(c), c)
			if err == nil {
				c.Finalizers = nil
				err = fed.Update(ctx, c)
			}
			if !apierrors.IsConflict(err) {
				require.NoError(t, client.IgnoreNotFound(err))
			}
			return apierrors.IsNotFound(err)
		}, "cluster %s is gone", c.Name)
	})
}

// newNamespace makes a namespace for one test.
func newNamespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "t-"}}
	require.NoError(t, fed.Create(t.Context(), ns))
	return ns.Name
}

func eventually(t *testing.T, condition func() bool, what string, args ...any) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 20*time.Millisecond, append([]any{what}, args...)...)
}
