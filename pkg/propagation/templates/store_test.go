package templates

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata/fake"
	k8stesting "k8s.io/client-go/testing"

	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	deploymentGVK = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	roleGVK       = schema.GroupVersionKind{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"}
)

func object(gvk schema.GroupVersionKind, namespace, name, claim string, bound bool) *Metadata {
	m := &Metadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{
		lastApplied: "{}", "claim": claim,
	}}}
	m.SetGroupVersionKind(gvk)
	if bound {
		m.Labels = map[string]string{names.LabelBound: "true"}
	}
	return m
}

func newStore(t *testing.T, objs ...runtime.Object) (*Store, *fake.FakeMetadataClient) {
	t.Helper()
	scheme := fake.NewTestScheme()
	require.NoError(t, metav1.AddMetaToScheme(scheme))
	client := fake.NewSimpleMetadataClient(scheme, objs...)
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{deploymentGVK.GroupVersion(), roleGVK.GroupVersion()})
	mapper.Add(deploymentGVK, meta.RESTScopeNamespace)
	mapper.Add(roleGVK, meta.RESTScopeRoot)
	return NewStore(client, NewMapper(func() (meta.RESTMapper, error) { return mapper, nil }), func(o metav1.Object) string { return o.GetAnnotations()["claim"] }), client
}

// start runs a Store until the test ends.
func start(t *testing.T, s *Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

func eventually(t *testing.T, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, 10*time.Second, time.Millisecond, what)
}

func TestHoldsOnlyWhatWasClaimed(t *testing.T) {
	s, client := newStore(t,
		object(deploymentGVK, "default", "web", "p", true),
		object(deploymentGVK, "default", "idle", "", false),
		object(roleGVK, "", "app", "p", true))
	_, err := s.Ensure(deploymentGVK.GroupKind()) // before the start, and after
	require.NoError(t, err)
	start(t, s)
	_, err = s.Ensure(roleGVK.GroupKind())
	require.NoError(t, err)

	web := Key{GroupKind: deploymentGVK.GroupKind(), Namespace: "default", Name: "web"}
	role := Key{GroupKind: roleGVK.GroupKind(), Name: "app"}
	eventually(t, func() bool { return len(s.ClaimedBy("p")) == 2 }, "both kinds are watched")
	assert.ElementsMatch(t, []Key{web, role}, s.ClaimedBy("p"))
	assert.Empty(t, s.ClaimedBy("q"))

	client.ClearActions()
	m, err := s.Get(t.Context(), web)
	require.NoError(t, err)
	assert.Empty(t, client.Actions(), "from memory")
	assert.NotContains(t, m.Annotations, lastApplied, "large and useless")

	idle, err := s.Get(t.Context(), Key{GroupKind: deploymentGVK.GroupKind(), Namespace: "default", Name: "idle"})
	require.NoError(t, err, "what was never claimed is asked for")
	assert.Equal(t, "idle", idle.Name)

	_, err = s.Get(t.Context(), Key{GroupKind: deploymentGVK.GroupKind(), Namespace: "default", Name: "none"})
	assert.True(t, apierrors.IsNotFound(err), "got %v", err)
}

func TestUnknownKindIsNoMatch(t *testing.T) {
	s, _ := newStore(t)
	start(t, s)
	_, err := s.Get(t.Context(), Key{GroupKind: schema.GroupKind{Group: "example.io", Kind: "Thing"}, Name: "x"})
	assert.True(t, meta.IsNoMatchError(err), "got %v", err)
}

func TestChangesAreTold(t *testing.T) {
	s, client := newStore(t, object(deploymentGVK, "default", "web", "p", true))
	told := make(chan string, 10)
	tell := func(gk schema.GroupKind, old, now *Metadata) {
		told <- fmt.Sprintln(gk.Kind, old != nil, now != nil)
	}
	require.NoError(t, s.OnChange(tell))
	start(t, s)
	_, err := s.Ensure(deploymentGVK.GroupKind())
	require.NoError(t, err)
	assert.Equal(t, "Deployment false true\n", <-told)

	late := make(chan string, 10)
	require.NoError(t, s.OnChange(func(_ schema.GroupKind, _, now *Metadata) {
		if now != nil {
			late <- now.Name
		}
	}))
	assert.Equal(t, "web", <-late, "whoever comes later hears of what is there")

	eventually(t, func() bool { return len(client.Actions()) >= 2 }, "list and watch")
	deployments := client.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace("default")
	require.NoError(t, deployments.Delete(t.Context(), "web", metav1.DeleteOptions{}))
	assert.Equal(t, "Deployment true false\n", <-told)
}

func TestForget(t *testing.T) {
	s, _ := newStore(t, object(deploymentGVK, "default", "web", "p", true))
	start(t, s)
	_, err := s.Ensure(deploymentGVK.GroupKind())
	require.NoError(t, err)
	eventually(t, func() bool { return len(s.ClaimedBy("p")) == 1 }, "watched")

	s.Forget(ResourceOfCRD("deployments.other"))
	assert.True(t, s.Watched(deploymentGVK.GroupKind()), "another group's resource")
	s.Forget(ResourceOfCRD("deployments.apps"))
	assert.False(t, s.Watched(deploymentGVK.GroupKind()))
	assert.Empty(t, s.ClaimedBy("p"))

	s.Revive(ResourceOfCRD("others.apps"))
	s.Revive(ResourceOfCRD("deployments.apps"))
	eventually(t, func() bool { return len(s.ClaimedBy("p")) == 1 }, "watched anew")
}

// moving is a store over an API server that ends version v1 of a kind and serves v2. What
// discovery gives is behind until it is told.
type moving struct {
	*Store
	client  *fake.FakeMetadataClient
	v1Ended atomic.Bool
	known   atomic.Bool // to discovery
	asked   atomic.Int32
	watches sync.Map
}

var thing = schema.GroupKind{Group: "example.io", Kind: "Thing"}

func newMoving(t *testing.T, objs ...runtime.Object) *moving {
	t.Helper()
	scheme := fake.NewTestScheme()
	require.NoError(t, metav1.AddMetaToScheme(scheme))
	m := &moving{client: fake.NewSimpleMetadataClient(scheme, objs...)}
	ended := func(a k8stesting.Action) (bool, runtime.Object, error) {
		if a.GetResource().Version != "v1" || !m.v1Ended.Load() {
			return false, nil, nil
		}
		m.asked.Add(1)
		// As the API server answers for a path that it does not know.
		return true, nil, apierrors.NewGenericServerResponse(404, a.GetVerb(), a.GetResource().GroupResource(), "", "404 page not found", 0, true)
	}
	m.client.PrependReactor("list", "things", ended)
	m.client.PrependReactor("get", "things", ended)
	m.client.PrependWatchReactor("things", func(a k8stesting.Action) (bool, watch.Interface, error) {
		if a.GetResource().Version != "v1" {
			return false, nil, nil
		}
		w := watch.NewFake()
		m.watches.Store(w, nil)
		if m.v1Ended.Load() {
			w.Stop() // or it might have come too late to be ended with the others
		}
		return true, w, nil
	})
	m.Store = NewStore(m.client, NewMapper(func() (meta.RESTMapper, error) {
		gvk := thing.WithVersion("v1")
		if m.known.Load() {
			gvk = thing.WithVersion("v2")
		}
		mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{gvk.GroupVersion()})
		mapper.Add(gvk, meta.RESTScopeNamespace)
		return mapper, nil
	}), func(o metav1.Object) string { return o.GetAnnotations()["claim"] })
	return m
}

// end has v1 served no more: watches end, too.
func (m *moving) end() {
	m.v1Ended.Store(true)
	m.watches.Range(func(w, _ any) bool {
		w.(*watch.FakeWatcher).Stop()
		return true
	})
}

// A CustomResourceDefinition that moves to another version: discovery gives the old
// one for a while, after the news of the change and after the API server has ended it.
func TestMovesToTheVersionThatIsServed(t *testing.T) {
	m := newMoving(t,
		object(thing.WithVersion("v1"), "default", "stays", "p", true), object(thing.WithVersion("v1"), "default", "goes", "p", true),
		object(thing.WithVersion("v2"), "default", "stays", "p", true), object(thing.WithVersion("v2"), "default", "comes", "p", true))
	told := make(chan string, 10)
	require.NoError(t, m.OnChange(func(_ schema.GroupKind, old, now *Metadata) {
		if now == nil {
			told <- old.Name
		}
	}))
	start(t, m.Store)
	_, err := m.Ensure(thing)
	require.NoError(t, err)
	eventually(t, func() bool { return len(m.ClaimedBy("p")) == 2 }, "what is served in the first version is seen")

	m.end()
	eventually(t, func() bool { return m.asked.Load() > 0 }, "it is no longer served")
	before := m.asked.Load()
	for range 100 {
		got, err := m.Get(t.Context(), Key{GroupKind: thing, Namespace: "default", Name: "goes"})
		require.NoError(t, err, "nothing has told that it is gone")
		assert.Equal(t, "goes", got.Name)
	}
	assert.LessOrEqual(t, m.asked.Load(), before+1, "who reads does not ask")
	_, err = m.GetLive(t.Context(), Key{GroupKind: thing, Namespace: "default", Name: "goes"})
	assert.True(t, meta.IsNoMatchError(err), "it is the version that is not there, not the object: %v", err)
	_, err = m.Get(t.Context(), Key{GroupKind: thing, Namespace: "default", Name: "gone"})
	assert.True(t, meta.IsNoMatchError(err), "%v", err)

	m.known.Store(true)
	_, err = m.GetLive(t.Context(), Key{GroupKind: thing, Namespace: "default", Name: "comes"})
	require.NoError(t, err, "it is looked for where it is served")
	keys := func() (names []string) {
		for _, key := range m.ClaimedBy("p") {
			names = append(names, key.Name)
		}
		slices.Sort(names)
		return names
	}
	eventually(t, func() bool { return slices.Equal(keys(), []string{"comes", "stays"}) }, "what is served in the other version is seen")
	assert.ElementsMatch(t, []string{"goes", "gone"}, []string{<-told, <-told}, "what went meanwhile is told, and of what could not be told")
	assert.Empty(t, told)
}

// Discovery is behind for longer than a look takes: the next failure begins another.
func TestLooksAgain(t *testing.T) {
	m := newMoving(t, object(thing.WithVersion("v2"), "default", "two", "p", true))
	start(t, m.Store)
	m.end()
	_, err := m.Ensure(thing)
	require.NoError(t, err)
	eventually(t, func() bool { return m.asked.Load() >= 2 }, "it is not given up")
	m.known.Store(true)
	eventually(t, func() bool { return len(m.ClaimedBy("p")) == 1 }, "what is served in the other version is seen")
}

func TestMapperForgets(t *testing.T) {
	made := 0
	broken := errors.New("no connection")
	m := NewMapper(func() (meta.RESTMapper, error) {
		if made++; made == 1 {
			return nil, broken
		}
		mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{deploymentGVK.GroupVersion()})
		if made > 2 {
			mapper.Add(deploymentGVK, meta.RESTScopeNamespace)
		}
		return mapper, nil
	})
	_, err := m.RESTMapping(deploymentGVK.GroupKind())
	require.ErrorIs(t, err, broken)
	for range 2 {
		_, err = m.RESTMapping(deploymentGVK.GroupKind())
		assert.True(t, meta.IsNoMatchError(err), "got %v", err)
	}
	assert.Equal(t, 2, made, "what it knows it keeps")
	m.Reset()
	_, err = m.RESTMapping(deploymentGVK.GroupKind())
	require.NoError(t, err)
}

func TestListLive(t *testing.T) {
	s, _ := newStore(t,
		object(deploymentGVK, "default", "web", "", false),
		object(deploymentGVK, "other", "web", "", true),
		object(roleGVK, "", "app", "", false))
	list := func(sel Selection) (out []string) {
		require.NoError(t, s.List(t.Context(), sel, func(m *Metadata) error {
			out = append(out, m.Namespace+"/"+m.Name)
			return nil
		}))
		return out
	}
	assert.Len(t, list(Selection{Kind: deploymentGVK.GroupKind()}), 2)
	assert.Equal(t, []string{"other/web"}, list(Selection{Kind: deploymentGVK.GroupKind(), Namespace: "other"}))
	assert.Equal(t, []string{"other/web"}, list(Selection{Kind: deploymentGVK.GroupKind(), LabelSelector: names.LabelBound}))
	assert.Equal(t, []string{"/app"}, list(Selection{Kind: roleGVK.GroupKind()}))
	assert.Empty(t, list(Selection{Kind: roleGVK.GroupKind(), Namespace: "default"}), "a namespace on a cluster-scoped kind selects nothing")
}

func TestKeyOfBinding(t *testing.T) {
	b := &workv1alpha2.ResourceBinding{}
	b.Spec.Resource = workv1alpha2.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "default", Name: "web"}
	key := KeyOfBinding(b)
	assert.Equal(t, Key{GroupKind: deploymentGVK.GroupKind(), Namespace: "default", Name: "web"}, key)
	assert.Equal(t, "Deployment.apps default/web", key.String())
	assert.Equal(t, "ClusterRole.rbac.authorization.k8s.io app", Key{GroupKind: roleGVK.GroupKind(), Name: "app"}.String())
}
