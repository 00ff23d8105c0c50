package binding

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flotilla-io/flotilla/pkg/interpreter"
	"github.com/flotilla-io/flotilla/pkg/propagation/templates"
)

// readerOver makes a reader with the real interpreter and counts what it fetches.
func readerOver(obj *unstructured.Unstructured) (*replicaReader, *int) {
	fetched := 0
	return newReplicaReader(func(context.Context, templates.Key, *templates.Metadata) (*unstructured.Unstructured, error) {
		fetched++
		return obj.DeepCopy(), nil
	}, interpreter.New().Replicas), &fetched
}

func object(apiVersion, kind string, generation int64, content map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: content}
	obj.SetAPIVersion(apiVersion)
	obj.SetKind(kind)
	obj.SetName("web")
	obj.SetUID("uid")
	obj.SetGeneration(generation)
	return obj
}

func metadataOf(obj *unstructured.Unstructured) *templates.Metadata {
	return &templates.Metadata{ObjectMeta: metav1.ObjectMeta{Name: obj.GetName(), UID: obj.GetUID(), Generation: obj.GetGeneration()}}
}

func TestReplicasAreFetchedOncePerGeneration(t *testing.T) {
	obj := object("apps/v1", "Deployment", 1, map[string]any{"spec": map[string]any{"replicas": int64(3)}})
	reader, fetched := readerOver(obj)
	read := func() int32 {
		r, err := reader.Replicas(t.Context(), web, metadataOf(obj))
		require.NoError(t, err)
		return r.Count
	}
	assert.Equal(t, int32(3), read())
	assert.Equal(t, int32(3), read())
	assert.Equal(t, 1, *fetched, "the same generation has the same replicas")

	require.NoError(t, unstructured.SetNestedField(obj.Object, int64(10), "spec", "replicas"))
	obj.SetGeneration(2)
	assert.Equal(t, int32(10), read())

	obj.SetUID(types.UID("other"))
	assert.Equal(t, int32(10), read())
	assert.Equal(t, 3, *fetched, "another incarnation is another template")
}

func TestKindsWithoutReplicasAreNotFetched(t *testing.T) {
	obj := object("v1", "ConfigMap", 0, map[string]any{})
	reader, fetched := readerOver(obj)
	key := templates.Key{GroupKind: schema.GroupKind{Kind: "ConfigMap"}, Namespace: "default", Name: "web"}
	r, err := reader.Replicas(t.Context(), key, metadataOf(obj))
	require.NoError(t, err)
	assert.Zero(t, r)
	assert.Zero(t, *fetched)
}

func TestReplicasThatCannotBeRead(t *testing.T) {
	obj := object("apps/v1", "Deployment", 1, map[string]any{"spec": map[string]any{"replicas": "three"}})
	reader, _ := readerOver(obj)
	_, err := reader.Replicas(t.Context(), web, metadataOf(obj))
	require.ErrorIs(t, err, interpreter.ErrMalformed)
	assert.Contains(t, err.Error(), web.String())

	gone := errors.New("gone")
	reader.fetch = func(context.Context, templates.Key, *templates.Metadata) (*unstructured.Unstructured, error) {
		return nil, gone
	}
	_, err = reader.Replicas(t.Context(), web, metadataOf(obj))
	require.ErrorIs(t, err, gone)
}

func TestMark(t *testing.T) {
	key := templates.Key{GroupKind: schema.GroupKind{Kind: "ConfigMap"}, Namespace: "default", Name: "web"}
	obj := object("v1", "ConfigMap", 0, map[string]any{"data": map[string]any{"a": "1"}})
	reader, _ := readerOver(obj)
	mark := func() string {
		m, err := reader.Mark(t.Context(), key, metadataOf(obj))
		require.NoError(t, err)
		return m
	}
	first := mark()
	obj.SetLabels(map[string]string{"a": "b"})
	obj.Object["status"] = map[string]any{"x": "y"}
	assert.Equal(t, first, mark(), "our own labels, and statuses, are not the user's change")
	obj.Object["data"] = map[string]any{"a": "2"}
	assert.NotEqual(t, first, mark())

	obj.SetGeneration(4)
	assert.Equal(t, "uid/4", mark())
}
