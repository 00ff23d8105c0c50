package mesh

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
)

// force deletes the Mesh and removes its finalizer by hand, with nobody looking.
func (l *lab) force() {
	l.t.Helper()
	require.NoError(l.t, fed.Delete(l.t.Context(), l.get()))
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	require.NoError(l.t, client.IgnoreNotFound(fed.Patch(l.t.Context(), &meshv1alpha1.Mesh{ObjectMeta: metav1.ObjectMeta{Name: l.mesh}}, patch)))
	require.Nil(l.t, l.get())
}

// works are the Works of the Mesh, by namespace, name and UID.
func (l *lab) works() []string {
	l.t.Helper()
	list := &workv1alpha1.WorkList{}
	require.NoError(l.t, fed.List(l.t.Context(), list, client.MatchingLabels{meshv1alpha1.MeshLabel: l.mesh}))
	var all []string
	for i := range list.Items {
		all = append(all, list.Items[i].Namespace+"/"+list.Items[i].Name+" "+string(list.Items[i].UID))
	}
	return all
}

// A Mesh whose finalizer somebody removed leaves everything behind. It is taken away in the
// same order as if it were deleted, whether somebody looked when it went or not; and nothing
// is when one of its name is there again.
func TestAMeshThatWentWithoutItsFinalizer(t *testing.T) {
	l := newLab(t, "mesh6", "v1", "v2")
	stop := startMeshlink(t, l.clock)
	l.create(nil)
	l.until("Ready", ready)

	// Made anew while nobody looks: all goes on.
	stop()
	before := l.works()
	l.force()
	l.create(nil)
	stop = startMeshlink(t, l.clock)
	l.until("Ready again", ready)
	l.steady()
	assert.ElementsMatch(t, before, l.works(), "what the first one has left is the second one's")

	// Gone while nobody looks, and somebody took a MeshMember, too.
	stop()
	l.force()
	require.NoError(t, fed.Delete(t.Context(), &meshv1alpha1.MeshMember{ObjectMeta: metav1.ObjectMeta{Namespace: names.ExecutionNamespace("v2"), Name: l.mesh}}))
	startMeshlink(t, l.clock)
	swept := func() bool {
		for name := range l.members {
			namespace := names.ExecutionNamespace(name)
			for _, object := range []client.Object{
				&meshv1alpha1.MeshMember{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: l.mesh}},
				&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: meshv1alpha1.ReaderSecretName(l.mesh)}},
			} {
				if err := fed.Get(t.Context(), client.ObjectKeyFromObject(object), object); !apierrors.IsNotFound(err) {
					require.NoError(t, err)
					return false
				}
			}
		}
		return len(l.works()) == 0
	}
	began := time.Now()
	l.eventually(func() bool {
		l.agents()
		for from, m := range l.members {
			for to, peer := range l.members {
				if from != to && m.Has("Secret", "istio-system", "istio-remote-secret-"+to) {
					require.True(t, peer.Has("Service", "istio-system", "istio-eastwestgateway"), "%s is cleaned while %s has its remote secret", to, from)
				}
			}
		}
		return swept()
	}, "all that it has left is taken away")
	t.Logf("swept after %s", time.Since(began).Round(time.Millisecond))
	assert.Empty(t, l.members["v1"].Network(), "its agent was asked to take back what it has written")
	for name, m := range l.members {
		assert.True(t, m.Has("Secret", "istio-system", "cacerts"), "%s keeps its CA", name)
		assert.False(t, m.Has("ServiceAccount", "istio-system", "flotilla-mesh-reader"), name)
	}
	root := &corev1.Secret{}
	require.NoError(t, fed.Get(t.Context(), client.ObjectKey{Namespace: names.SystemNamespace, Name: meshv1alpha1.TrustSecretName(l.mesh)}, root), "the roots stay")
}
