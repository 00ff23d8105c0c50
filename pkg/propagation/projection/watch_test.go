package projection

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/interpreter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func next(t *testing.T, w watch.Interface) watch.Event {
	t.Helper()
	select {
	case e, open := <-w.ResultChan():
		require.True(t, open, "the watch ended")
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event")
		return watch.Event{}
	}
}

func quiet(t *testing.T, w watch.Interface) {
	t.Helper()
	select {
	case e := <-w.ResultChan():
		t.Fatalf("unexpected %s %v", e.Type, e.Object)
	case <-time.After(20 * time.Millisecond):
	}
}

func startWatch(t *testing.T, p *Projection, cluster string, o WatchOptions) watch.Interface {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w, err := p.Watch(ctx, cluster, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		cancel()
		for range w.ResultChan() { // wait for the end
		}
	})
	return w
}

func TestWatchFollowsChanges(t *testing.T) {
	p := newProjection("eu")
	p.SetTemplate(deployment("hello", 3, "v1"))
	from := list(t, p, "eu").ResourceVersion
	w := startWatch(t, p, "eu", WatchOptions{ResourceVersion: from})
	quiet(t, w)

	p.SetBinding(divided("hello", on("eu", 3)))
	e := next(t, w)
	require.Equal(t, watch.Added, e.Type)
	p.SetBinding(divided("hello", on("eu", 3)))
	quiet(t, w) // nothing changed

	p.SetTemplate(deployment("hello", 3, "v2"))
	e = next(t, w)
	require.Equal(t, watch.Modified, e.Type)
	last := e.Object.(*workv1alpha1.Work)

	p.SetBinding(divided("hello"))
	e = next(t, w)
	require.Equal(t, watch.Deleted, e.Type)
	require.Equal(t, last.UID, e.Object.(*workv1alpha1.Work).UID)

	resumed := startWatch(t, p, "eu", WatchOptions{ResourceVersion: last.ResourceVersion})
	require.Equal(t, watch.Deleted, next(t, resumed).Type, "a resumed watch sees what it missed")
}

func TestInitialEventsEndWithABookmark(t *testing.T) {
	p := newProjection("eu")
	for i := range 3 {
		p.SetTemplate(deployment(number(i), 1, "v1"))
		p.SetBinding(divided(number(i), on("eu", 1)))
	}
	w := startWatch(t, p, "eu", WatchOptions{InitialEvents: true, Bookmarks: true})
	for range 3 {
		require.Equal(t, watch.Added, next(t, w).Type)
	}
	e := next(t, w)
	require.Equal(t, watch.Bookmark, e.Type)
	mark := e.Object.(*workv1alpha1.Work)
	require.Equal(t, "true", mark.Annotations[metav1.InitialEventsAnnotationKey])
	require.Equal(t, list(t, p, "eu").ResourceVersion, mark.ResourceVersion)

	empty := newProjection("eu")
	w = startWatch(t, empty, "eu", WatchOptions{InitialEvents: true, Bookmarks: true})
	require.Equal(t, watch.Bookmark, next(t, w).Type, "also when there is nothing")

	w = startWatch(t, p, "eu", WatchOptions{InitialEvents: true})
	for range 3 {
		require.Equal(t, watch.Added, next(t, w).Type)
	}
	quiet(t, w) // a bookmark nobody asked for: the API server panics over it
}

// Agents make status changes, so they are not woken by them; but a change of
// what is to be applied that is followed by a status change must not get lost.
func TestAgentsSeeSpecChangesOnly(t *testing.T) {
	p := newProjection("eu")
	p.SetTemplate(deployment("hello", 3, "v1"))
	b := divided("hello", on("eu", 3))
	p.SetBinding(b)
	from := list(t, p, "eu").ResourceVersion
	agent := startWatch(t, p, "eu", WatchOptions{ResourceVersion: from, SpecOnly: true})
	user := startWatch(t, p, "eu", WatchOptions{ResourceVersion: from})

	reported := b.DeepCopy()
	reported.Status.AggregatedStatus = []workv1alpha2.AggregatedStatusItem{{ClusterName: "eu", Applied: true}}
	p.SetBinding(reported)
	require.Equal(t, watch.Modified, next(t, user).Type)
	quiet(t, agent)

	p.SetTemplate(deployment("hello", 3, "v2"))
	again := reported.DeepCopy()
	again.Status.AggregatedStatus[0].Health = workv1alpha2.ResourceHealthy
	p.SetBinding(again)
	resumed := startWatch(t, p, "eu", WatchOptions{ResourceVersion: from, SpecOnly: true})
	require.Equal(t, watch.Modified, next(t, resumed).Type)
}

func TestWatchesThatCannotGoOn(t *testing.T) {
	p := newProjection("eu")
	other := New(interpreter.New(), epoch+1)
	other.SetCluster(cluster("eu"))
	_, err := p.Watch(t.Context(), "eu", WatchOptions{ResourceVersion: list(t, other, "eu").ResourceVersion})
	require.True(t, apierrors.IsResourceExpired(err), "another run of the server: %v", err)

	_, err = p.Watch(t.Context(), "mars", WatchOptions{})
	require.True(t, apierrors.IsNotFound(err), "a cluster that is not registered")
	_, err = p.List("mars", WatchOptions{})
	require.True(t, apierrors.IsNotFound(err), "an empty list would read as: delete everything")

	_, err = p.Watch(t.Context(), "eu", WatchOptions{ResourceVersion: "abc"})
	require.True(t, apierrors.IsBadRequest(err))
}

func TestClusterThatLeavesIsNotEmptied(t *testing.T) {
	p := newProjection("eu")
	p.SetTemplate(deployment("hello", 3, "v1"))
	p.SetBinding(divided("hello", on("eu", 3)))
	w := startWatch(t, p, "eu", WatchOptions{ResourceVersion: list(t, p, "eu").ResourceVersion})
	p.RemoveCluster("eu")
	e := next(t, w)
	require.Equal(t, watch.Error, e.Type)
	require.EqualValues(t, 404, e.Object.(*metav1.Status).Code)

	p.SetCluster(cluster("eu"))
	require.Len(t, list(t, p, "eu").Items, 1, "back after it joined again")
}

func TestOldWatchesExpireWhenDeletionsAreForgotten(t *testing.T) {
	p := newProjection("eu")
	p.SetTemplate(deployment("hello", 3, "v1"))
	p.SetBinding(divided("hello", on("eu", 1)))
	started := list(t, p, "eu").ResourceVersion
	for range maxTombstones + 1 {
		p.SetBinding(divided("hello"))
		p.SetBinding(divided("hello", on("eu", 1)))
	}
	_, err := p.Watch(t.Context(), "eu", WatchOptions{ResourceVersion: started})
	require.True(t, apierrors.IsResourceExpired(err), "%v", err)
	require.LessOrEqual(t, p.views["eu"].tombstones, maxTombstones)
}

func TestStoredWorksAreInTheUnion(t *testing.T) {
	p := newProjection("eu")
	stored := &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-eu", Name: "mine", ResourceVersion: "7", Generation: 1}}
	p.SetStored(stored)
	p.SetTemplate(deployment("hello", 3, "v1"))
	p.SetBinding(divided("hello", on("eu", 1)))
	l := list(t, p, "eu")
	require.Len(t, l.Items, 2)
	require.Equal(t, "mine", l.Items[1].Name)
	require.True(t, IsProjected(l.Items[1].ResourceVersion))

	version, err := p.StoredVersion("eu", "mine", l.Items[1].ResourceVersion, WatchOptions{})
	require.NoError(t, err)
	require.Equal(t, "7", version)
	changed := stored.DeepCopy()
	changed.ResourceVersion, changed.Generation = "9", 2
	p.SetStored(changed)
	_, err = p.StoredVersion("eu", "mine", l.Items[1].ResourceVersion, WatchOptions{})
	require.True(t, apierrors.IsConflict(err), "%v", err)

	w := startWatch(t, p, "eu", WatchOptions{ResourceVersion: l.ResourceVersion})
	require.Equal(t, watch.Modified, next(t, w).Type)
	p.DeleteStored("karmada-es-eu", "mine")
	require.Equal(t, watch.Deleted, next(t, w).Type)
}

func TestWatchOfAllClusters(t *testing.T) {
	p := newProjection("eu", "ap")
	w := startWatch(t, p, "", WatchOptions{ResourceVersion: list(t, p, "").ResourceVersion})
	p.SetTemplate(deployment("hello", 3, "v1"))
	p.SetBinding(divided("hello", on("eu", 2), on("ap", 1)))
	seen := map[string]bool{}
	for range 2 {
		seen[next(t, w).Object.(*workv1alpha1.Work).Namespace] = true
	}
	require.Len(t, seen, 2)
}

// Somebody relabels a stored Work. Who sees labels has to read it again before
// changing it; an agent, who is not told of them, can still report its status.
func TestVersionsOfStoredWorksAreThoseOfTheReader(t *testing.T) {
	p := newProjection("eu")
	stored := &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-eu", Name: "mine", ResourceVersion: "7", Generation: 1}}
	p.SetStored(stored)
	read := list(t, p, "eu").Items[0].ResourceVersion
	relabelled := stored.DeepCopy()
	relabelled.ResourceVersion, relabelled.Labels = "8", map[string]string{"a": "b"}
	p.SetStored(relabelled)

	_, err := p.StoredVersion("eu", "mine", read, WatchOptions{})
	require.True(t, apierrors.IsConflict(err), "the label would be lost: %v", err)
	version, err := p.StoredVersion("eu", "mine", read, WatchOptions{SpecOnly: true})
	require.NoError(t, err)
	require.Equal(t, "8", version)
	version, err = p.StoredVersion("eu", "mine", list(t, p, "eu").Items[0].ResourceVersion, WatchOptions{})
	require.NoError(t, err)
	require.Equal(t, "8", version)
}
