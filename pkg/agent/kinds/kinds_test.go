package kinds

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	apidiscovery "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// pass lets time pass, which costs nothing in a bubble of fake time.
func pass(d time.Duration) { <-time.After(d) }

func resource(plural, kind string, verbs ...string) apidiscovery.APIResourceDiscovery {
	return apidiscovery.APIResourceDiscovery{
		Resource: plural, Scope: apidiscovery.ScopeNamespace, Verbs: verbs,
		ResponseKind: &metav1.GroupVersionKind{Kind: kind},
	}
}

func group(name string, versions ...apidiscovery.APIVersionDiscovery) apidiscovery.APIGroupDiscovery {
	return apidiscovery.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: name}, Versions: versions}
}

func version(name string, resources ...apidiscovery.APIResourceDiscovery) apidiscovery.APIVersionDiscovery {
	return apidiscovery.APIVersionDiscovery{Version: name, Freshness: apidiscovery.DiscoveryFreshnessCurrent, Resources: resources}
}

func documents(groups ...apidiscovery.APIGroupDiscovery) []apidiscovery.APIGroupDiscoveryList {
	return []apidiscovery.APIGroupDiscoveryList{{Items: groups}}
}

func TestSnapshot(t *testing.T) {
	odd := resource("bindings", "", "create")
	odd.ResponseKind = nil
	s := newSnapshot(documents(
		group("", version("v1", resource("pods", "Pod", "list", "delete"), resource("events", "Event", "create"), odd)),
		group("apps", version("v1", resource("deployments", "Deployment", "list", "delete")), version("v1beta1", resource("deployments", "Deployment", "list", "delete"))),
	), nil)
	require.True(t, s.Complete)
	found, ok := s.Lookup(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"})
	require.True(t, ok)
	require.Equal(t, "deployments", found.Resource)
	require.True(t, found.Namespaced)
	_, ok = s.Lookup(schema.GroupVersionKind{Version: "v1", Kind: "Deployment"})
	require.False(t, ok)
	var listable []string
	for _, r := range s.Listable() {
		listable = append(listable, r.GroupVersionResource.String())
	}
	require.Equal(t, []string{"/v1, Resource=pods", "apps/v1, Resource=deployments"}, listable, "one version of each kind that can be listed")
	require.Equal(t, []clusterv1alpha1.APIEnablement{
		{GroupVersion: "v1", Resources: []clusterv1alpha1.APIResource{{Name: "events", Kind: "Event"}, {Name: "pods", Kind: "Pod"}}},
		{GroupVersion: "apps/v1", Resources: []clusterv1alpha1.APIResource{{Name: "deployments", Kind: "Deployment"}}},
		{GroupVersion: "apps/v1beta1", Resources: []clusterv1alpha1.APIResource{{Name: "deployments", Kind: "Deployment"}}},
	}, s.Enablements())
}

func TestStaleGroupsKeepWhatTheyServed(t *testing.T) {
	widgets := group("example.com", version("v1", resource("widgets", "Widget", "list", "delete")))
	before := newSnapshot(documents(widgets), nil)
	stale := group("example.com", apidiscovery.APIVersionDiscovery{Version: "v1", Freshness: apidiscovery.DiscoveryFreshnessStale})
	after := newSnapshot(documents(stale), before)
	require.False(t, after.Complete)
	require.Equal(t, []string{"example.com/v1"}, after.Stale)
	_, ok := after.Lookup(schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"})
	require.True(t, ok, "an API server that is down for a moment does not take its kinds along")
	kind := schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"}
	require.False(t, newSnapshot(documents(stale), nil).Lacks(kind), "what could not be discovered may be served")
	require.True(t, newSnapshot(documents(), nil).Lacks(kind))
	require.False(t, before.Lacks(kind))
	kind.Version = "v2"
	require.True(t, after.Lacks(kind), "what else could not be discovered does not matter")
}

func TestAnyVersion(t *testing.T) {
	kind := schema.GroupKind{Group: "example.com", Kind: "Widget"}
	widgets := resource("widgets", "Widget", "list", "delete")
	s := newSnapshot(documents(
		group("example.com", version("v2", widgets), version("v1", widgets), version("v1beta1", widgets)),
		group("example.org", version("v3", widgets)),
	), nil)
	found, ok := s.AnyVersion(kind)
	require.True(t, ok)
	require.Equal(t, "v2", found.Version, "the preferred one")
	delete(s.byKind, kind.WithVersion("v2"))
	found, ok = s.AnyVersion(kind)
	require.True(t, ok)
	require.Equal(t, "v1", found.Version, "always the same one")
	_, ok = newSnapshot(documents(), nil).AnyVersion(kind)
	require.False(t, ok)
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var served atomic.Pointer[[]apidiscovery.APIGroupDiscoveryList]
		var fail atomic.Bool
		var fetches, changes atomic.Int32
		set := func(d []apidiscovery.APIGroupDiscoveryList) { served.Store(&d) }
		set(documents())
		k := New(Options{Fetch: func(context.Context) ([]apidiscovery.APIGroupDiscoveryList, error) {
			fetches.Add(1)
			if fail.Load() {
				return nil, errors.New("down")
			}
			return *served.Load(), nil
		}})
		k.OnChange(func() { changes.Add(1) })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		fail.Store(true)
		go func() { defer close(done); k.Run(ctx) }()
		pass(time.Minute)
		require.Nil(t, k.Snapshot())
		require.Less(t, fetches.Load(), int32(12), "a member that is down is not hammered")
		fail.Store(false)
		pass(time.Minute)
		synctest.Wait()
		require.EqualValues(t, 1, changes.Load())

		idle := fetches.Load()
		pass(time.Hour)
		require.LessOrEqual(t, fetches.Load()-idle, int32(7))
		require.EqualValues(t, 1, changes.Load(), "the same answer is no change")

		set(documents(group("example.com", version("v1", resource("widgets", "Widget")))))
		widget := schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"}
		_, ok := k.Lookup(widget)
		require.False(t, ok)
		pass(3 * time.Second)
		synctest.Wait()
		_, ok = k.Lookup(widget)
		require.True(t, ok, "asking for an unknown kind finds it soon after it is served")
		require.EqualValues(t, 2, changes.Load())

		busy := fetches.Load()
		for range 1000 {
			k.Refresh()
			pass(10 * time.Millisecond)
		}
		require.LessOrEqual(t, fetches.Load()-busy, int32(6), "however often it is asked for")
		cancel()
		<-done
	})
}
