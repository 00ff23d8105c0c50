package apiserver

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"pgregory.net/rapid"
)

func cm(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, ResourceVersion: "1"}}
}

// A sink passes on exactly what a store would hold, in whatever order lists and
// events come.
func TestSinkHasWhatAStoreHas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		has := map[string]bool{}
		s := newSink(func(o *corev1.ConfigMap) { has[o.Name] = true }, func(n types.NamespacedName) {
			require.True(t, has[n.Name], "%s was never told of", n.Name)
			delete(has, n.Name)
		})
		want := map[string]bool{}
		name := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			n := name.Draw(t, "name")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				require.NoError(t, s.Add(cm(n)))
				want[n] = true
			case 1:
				require.NoError(t, s.Update(cm(n)))
				want[n] = true
			case 2:
				if want[n] {
					require.NoError(t, s.Delete(cm(n)))
					delete(want, n)
				}
			case 3:
				var list []any
				want = map[string]bool{}
				for _, n := range rapid.SliceOfDistinct(name, rapid.ID[string]).Draw(t, "list") {
					list, want[n] = append(list, cm(n)), true
				}
				require.NoError(t, s.Replace(list, "1"))
			}
			require.Equal(t, want, has)
		}
	})
}

func TestSinkIsReadyAfterTheFirstList(t *testing.T) {
	s := newSink(func(*corev1.ConfigMap) {}, func(types.NamespacedName) {})
	require.NoError(t, s.Add(cm("a")))
	select {
	case <-s.ready:
		t.Fatal("one object is not all of them")
	default:
	}
	for range 2 {
		require.NoError(t, s.Replace(nil, "1"))
		<-s.ready
	}
	require.NoError(t, s.Add("something else"))
	require.NoError(t, s.Delete(cache.DeletedFinalStateUnknown{}), "what is no object is left out")
}

func TestWaitFor(t *testing.T) {
	closed, open := make(chan struct{}), make(chan struct{})
	close(closed)
	assert.True(t, waitFor(t.Context()))
	assert.True(t, waitFor(t.Context(), closed, closed))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	assert.False(t, waitFor(ctx, closed, open))
}
