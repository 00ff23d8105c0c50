package apply

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	apidiscovery "k8s.io/api/apidiscovery/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
	"github.com/flotilla-io/flotilla/pkg/agent/kinds"
)

func widgets(version string) fakekube.Resource {
	return fakekube.Resource{
		GroupVersionResource: schema.GroupVersionResource{Group: "example.com", Version: version, Resource: "widgets"}, Kind: "Widget", Namespaced: true,
	}
}

const widget = `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"namespace":"n","name":"w"},"spec":{"k":"1"}}`

// noSuchPath is what a server answers that does not serve what it is asked for.
func noSuchPath(r *http.Request) error {
	return apierrors.NewGenericServerResponse(http.StatusNotFound, r.Method, schema.GroupResource{}, "", "404 page not found", 0, true)
}

// servesWidgets has the member serve widgets in v1 and v2, and no longer in v1 once that has ended.
func servesWidgets(b *bench) (ended *atomic.Bool) {
	ended = &atomic.Bool{}
	b.member.Serve(widgets("v1"))
	b.member.Serve(widgets("v2"))
	b.member.Withhold = func(r fakekube.Resource) bool { return r == widgets("v1") && ended.Load() }
	b.member.Hook = func(r *http.Request) error {
		if ended.Load() && strings.HasPrefix(r.URL.Path, "/apis/example.com/v1/") {
			return noSuchPath(r)
		}
		return nil
	}
	return ended
}

// refreshed asks for the member's kinds and waits until they were read from now on.
func (b *bench) refreshed() {
	b.t.Helper()
	// One refresh may have been on its way.
	for before := b.engine.opts.Kinds.Refreshes(); b.engine.opts.Kinds.Refreshes() < before+2; {
		was := b.engine.opts.Kinds.Refreshes()
		b.engine.opts.Kinds.Refresh()
		b.eventually("the kinds are read", func() bool { return b.engine.opts.Kinds.Refreshes() > was })
	}
}

func TestAVersionThatIsGoneIsNoKindThatIsGone(t *testing.T) {
	for name, known := range map[string]bool{"it is known": true, "discovery is behind": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			ended := servesWidgets(b)
			b.start()
			b.set("w", widget)
			b.applied("w")
			ended.Store(true)
			if known {
				b.refreshed()
			}
			b.engine.Remove("w")
			b.eventually("the removal is over", func() bool { return b.record("w") == nil })
			require.Nil(t, b.member.Get(widgets("v2"), "n", "w"), "the object is there in every version that is served")
		})
	}
}

func TestAnObjectWhoseVersionIsGone(t *testing.T) {
	b := newBench(t)
	ended := servesWidgets(b)
	stop := b.start()
	b.set("w", widget)
	b.applied("w")
	b.eventually("written down", func() bool { r := b.record("w"); return r != nil && r.Objects[0].Hash != "" })

	ended.Store(true)
	b.engine.opts.Kinds.Refresh()
	said := func() bool { return b.report("w").Reason == ReasonUnknownKind }
	b.eventually("it is said that nobody looks after it", said)
	require.Contains(t, b.report("w").Message, "does not serve kind example.com/v1, Kind=Widget, but in version v2. Serve v1 there again")
	require.Equal(t, healthUnknown, b.report("w").Health)
	require.Nil(t, b.report("w").Status)
	require.NotNil(t, b.member.Get(widgets("v2"), "n", "w"))

	stop()
	b.reports = map[string]Observation{}
	stop = b.start()
	b.eventually("also after a restart", said)

	b.member.Edit(widgets("v2"), "n", "w", func(u *unstructured.Unstructured) { u.Object["spec"] = map[string]any{"k": "drift"} })
	ended.Store(false)
	b.engine.opts.Kinds.Refresh()
	b.applied("w")
	value, _, _ := unstructured.NestedString(b.member.Get(widgets("v2"), "n", "w").Object, "spec", "k")
	require.Equal(t, "1", value, "it is repaired when the version is back")
	stop()
}

// One answer that lacks a version does not make it so.
func TestAVersionThatSeemsToBeGoneOnce(t *testing.T) {
	b := newBench(t)
	b.member.Serve(widgets("v1"))
	var lacks, lacked atomic.Bool
	b.member.Withhold = func(r fakekube.Resource) bool {
		if r != widgets("v1") || !lacks.CompareAndSwap(true, false) {
			return false
		}
		lacked.Store(true)
		return true
	}
	b.start()
	b.set("w", widget)
	b.applied("w")
	failed := b.engine.Failed.Load()
	lacks.Store(true)
	b.engine.opts.Kinds.Refresh()
	b.eventually("it is asked", lacked.Load)
	b.refreshed()
	b.eventually("the watch is back", func() bool {
		b.engine.mu.Lock()
		defer b.engine.mu.Unlock()
		w := b.engine.watches[widgets("v1").GroupVersion().WithKind("Widget")]
		return w != nil && w.synced
	})
	require.True(t, b.report("w").Applied)
	require.Equal(t, failed, b.engine.Failed.Load(), "nothing was said about it meanwhile")
	b.member.Edit(widgets("v1"), "n", "w", func(u *unstructured.Unstructured) { u.Object["spec"] = map[string]any{"k": "drift"} })
	b.eventually("it is looked after", func() bool {
		value, _, _ := unstructured.NestedString(b.member.Get(widgets("v1"), "n", "w").Object, "spec", "k")
		return value == "1"
	})
}

// Reviews and bindings are only made: there is no path to look for one.
func TestAKindThatKeepsNoObjects(t *testing.T) {
	b := newBench(t)
	b.member.Hook = noSuchPath
	b.start()()
	served := kinds.New(kinds.Options{Fetch: func(context.Context) ([]apidiscovery.APIGroupDiscoveryList, error) {
		return []apidiscovery.APIGroupDiscoveryList{{Items: []apidiscovery.APIGroupDiscovery{{Versions: []apidiscovery.APIVersionDiscovery{{
			Version: "v1", Resources: []apidiscovery.APIResourceDiscovery{
				{Resource: "bindings", Scope: apidiscovery.ScopeNamespace, Verbs: []string{"create"}, ResponseKind: &metav1.GroupVersionKind{Kind: "Binding"}},
				{Resource: "pods", Scope: apidiscovery.ScopeNamespace, Verbs: []string{"list", "delete"}, ResponseKind: &metav1.GroupVersionKind{Kind: "Pod"}},
			},
		}}}}}}, nil
	}})
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { served.Run(ctx) })
	defer group.Wait()
	defer cancel()
	b.eventually("the kinds are read", func() bool { return served.Snapshot() != nil })
	a := b.engine.applier
	a.kinds = served
	remove := func(kind string) error {
		return a.remove(ctx, removeRequest{key: inventory.Key{Kind: kind, Namespace: "n", Name: "x"}, version: "v1", work: "w"}, "")
	}
	require.NoError(t, remove("Binding"))
	err := remove("Pod")
	require.ErrorIs(t, err, ErrUnknownKind, "nobody has looked for it")
	require.ErrorContains(t, err, "Pod n/x: cluster eu lists kind Pod, but knows no path for it")
}

// No server has a path for what cannot be. It must not keep a cluster from leaving.
func TestWhatCannotBeThereIsRemoved(t *testing.T) {
	for name, key := range map[string]inventory.Key{
		"a namespace in a kind without": {Kind: "Namespace", Namespace: "n", Name: "x"},
		"none in a kind with":           {Kind: "ConfigMap", Name: "x"},
		"a name of two parts":           {Kind: "ConfigMap", Namespace: "n", Name: "x/y"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.member.Hook = func(r *http.Request) error {
				if strings.Contains(r.URL.Path, "/x") {
					return noSuchPath(r)
				}
				return nil
			}
			b.saved["w"] = &inventory.Record{Name: "w", Removed: true, Objects: []inventory.Object{{Key: key, Version: "v1"}}}
			b.start()
			b.eventually("the removal is over", func() bool { return b.record("w") == nil })
		})
	}
}
