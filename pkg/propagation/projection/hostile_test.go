package projection

import (
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// Whoever may write bindings in one namespace must have no say over another.
func TestBindingOfAForeignNamespaceHasNoWorks(t *testing.T) {
	p := newProjection("eu")
	p.SetTemplate(deployment("hello", 3, "v1"))
	b := divided("hello", on("eu", 3))
	b.Namespace = "tenant"
	p.SetBinding(b)
	require.Empty(t, list(t, p, "eu").Items)

	own := divided("hello", on("eu", 3))
	p.SetBinding(own)
	require.Len(t, list(t, p, "eu").Items, 1)
	p.DeleteBinding(KeyOf(b))
	require.Len(t, list(t, p, "eu").Items, 1)
}

// Two kinds of two groups can give their Works one name. One waits, and comes
// when the other goes.
func TestNameOfAWorkIsFreeAgain(t *testing.T) {
	p := newProjection("eu")
	other := func(b *workv1alpha2.ResourceBinding) *workv1alpha2.ResourceBinding {
		b.Name, b.UID = "other", "other"
		b.Spec.Resource.APIVersion = "example.org/v1"
		return b
	}
	p.SetTemplate(deployment("hello", 3, "v1"))
	thing := deployment("hello", 3, "v1")
	thing.SetGroupVersionKind(schema.GroupVersionKind{Group: "example.org", Version: "v1", Kind: "Deployment"})
	p.SetTemplate(thing)
	first := divided("hello", on("eu", 3))
	p.SetBinding(first)
	p.SetBinding(other(divided("hello", on("eu", 3))))
	stored := &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-eu", Name: onlyWork(t, p, "eu").Name, ResourceVersion: "7"}}
	require.Equal(t, "apps/v1", manifestOf(t, onlyWork(t, p, "eu")).GetAPIVersion())

	p.DeleteBinding(KeyOf(first))
	require.Equal(t, "example.org/v1", manifestOf(t, onlyWork(t, p, "eu")).GetAPIVersion())

	p.SetStored(stored)
	require.Len(t, onlyWork(t, p, "eu").Spec.Workload.Manifests, 1, "a computed Work keeps the name")
	p.SetBinding(other(divided("hello")))
	require.Empty(t, onlyWork(t, p, "eu").Spec.Workload.Manifests, "the stored one was waiting")
}

// A cluster that joins finds one Work under a name, also when somebody has created one
// that a template's would be called.
func TestOneWorkOfANameInAClusterThatJoins(t *testing.T) {
	p := newProjection()
	p.SetTemplate(deployment("hello", 3, "v1"))
	b := divided("hello", on("eu", 3))
	p.SetBinding(b)
	stored := coloured(names.WorkName("Deployment", "default", "hello"), "red")
	p.SetStored(stored)
	p.SetCluster(cluster("eu"))
	require.Len(t, onlyWork(t, p, "eu").Spec.Workload.Manifests, 1, "the computed one has it, as when the stored one comes later")
	w := startWatch(t, p, "eu", WatchOptions{})
	e := next(t, w)
	require.Equal(t, watch.Added, e.Type)
	require.Len(t, e.Object.(*workv1alpha1.Work).Spec.Workload.Manifests, 1)
	quiet(t, w)

	p.DeleteBinding(KeyOf(b))
	require.Equal(t, watch.Deleted, next(t, w).Type)
	e = next(t, w)
	require.Equal(t, watch.Added, e.Type, "it was waiting")
	require.Equal(t, stored.UID, e.Object.(*workv1alpha1.Work).UID)
	require.Equal(t, stored.UID, onlyWork(t, p, "eu").UID)
	quiet(t, w)
	p.DeleteStored(stored.Namespace, stored.Name)
	require.Equal(t, watch.Deleted, next(t, w).Type)
	require.Empty(t, list(t, p, "eu").Items)
}

// A client that watches all clusters is told to list again when one leaves: there
// is no deletion it could be told of.
func TestWatchOfAllExpiresWhenAClusterLeaves(t *testing.T) {
	p := newProjection("eu", "ap")
	from := list(t, p, "").ResourceVersion
	w := startWatch(t, p, "", WatchOptions{ResourceVersion: from})
	p.RemoveCluster("eu")
	e := next(t, w)
	require.Equal(t, watch.Error, e.Type)
	require.EqualValues(t, 410, e.Object.(*metav1.Status).Code)
	_, err := p.Watch(t.Context(), "", WatchOptions{ResourceVersion: from})
	require.True(t, apierrors.IsResourceExpired(err), "%v", err)
}

// What a cluster was told before it left says nothing about what it has missed.
func TestOldVersionsExpireWhenAClusterJoinsAgain(t *testing.T) {
	p := newProjection("eu")
	from := list(t, p, "eu").ResourceVersion
	p.SetTemplate(deployment("hello", 3, "v1"))
	p.SetBinding(divided("hello", on("eu", 3)))
	before := list(t, p, "eu").ResourceVersion
	p.RemoveCluster("eu")
	p.SetBinding(divided("hello"))
	p.SetCluster(cluster("eu"))
	for _, version := range []string{from, before} {
		_, err := p.Watch(t.Context(), "eu", WatchOptions{ResourceVersion: version})
		require.True(t, apierrors.IsResourceExpired(err), "%v", err)
	}
	startWatch(t, p, "eu", WatchOptions{ResourceVersion: list(t, p, "eu").ResourceVersion})
}

// An agent that was away, or slow, learns with the deletion that the workload is
// to stay.
func TestDeletionSaysWhetherToPreserve(t *testing.T) {
	p := newProjection("eu")
	p.SetTemplate(deployment("hello", 3, "v1"))
	p.SetBinding(divided("hello", on("eu", 3)))
	from := list(t, p, "eu").ResourceVersion
	yes := true
	preserved := divided("hello", on("eu", 3))
	preserved.Spec.PreserveResourcesOnDeletion = &yes
	p.SetBinding(preserved)
	p.DeleteBinding(KeyOf(preserved))
	e := next(t, startWatch(t, p, "eu", WatchOptions{ResourceVersion: from}))
	require.Equal(t, watch.Deleted, e.Type)
	require.True(t, *e.Object.(*workv1alpha1.Work).Spec.PreserveResourcesOnDeletion)
}

// The beginning of a watch is additions, however long it is and whatever changes
// meanwhile.
func TestTheBeginningIsAdditions(t *testing.T) {
	p := newProjection("eu")
	const n = 3 * watchBatch
	for i := range n {
		p.SetBinding(divided(number(i), on("eu", 1)))
	}
	for i := range n {
		p.SetTemplate(deployment(number(i), 1, "v1"))
	}
	w := startWatch(t, p, "eu", WatchOptions{})
	for range n {
		require.Equal(t, watch.Added, next(t, w).Type)
	}
	quiet(t, w)
}
