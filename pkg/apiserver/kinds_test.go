package apiserver

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/propagation/projection"
)

// apiOf is an API that serves one kind in one version at a time.
type apiOf struct {
	meta.RESTMapper // nothing but RESTMapping is asked

	mu      sync.Mutex
	version string
	watches []*watch.FakeWatcher
}

func (a *apiOf) Reset() {}

func (a *apiOf) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.version == "" || len(versions) > 0 && versions[0] != a.version {
		return nil, &meta.NoKindMatchError{GroupKind: gk, SearchedVersions: versions}
	}
	return &meta.RESTMapping{Resource: schema.GroupVersionResource{Group: gk.Group, Version: a.version, Resource: "things"}}, nil
}

func (a *apiOf) serve(version string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version = version
	for _, w := range a.watches {
		w.Stop()
	}
	a.watches = nil
}

func (a *apiOf) listWatch(resource schema.GroupVersionResource, _ string) *cache.ListWatch {
	gone := func() error {
		if a.version == resource.Version {
			return nil
		}
		return apierrors.NewNotFound(resource.GroupResource(), "")
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			thing := unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "example.org/" + resource.Version, "kind": "Thing", "metadata": map[string]any{"name": "x"},
			}}
			list := &unstructured.UnstructuredList{Items: []unstructured.Unstructured{thing}}
			list.SetResourceVersion("1")
			return list, gone()
		},
		WatchFuncWithContext: func(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if err := gone(); err != nil {
				return nil, err
			}
			if o.SendInitialEvents != nil {
				return nil, apierrors.NewInvalid(schema.GroupKind{}, "", nil) // a plain list, please
			}
			w := watch.NewFake()
			a.watches = append(a.watches, w)
			return w, nil
		},
	}
}

type seen struct {
	mu       sync.Mutex
	versions []string
	plurals  []string
}

func (s *seen) SetTemplate(o *unstructured.Unstructured) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions = append(s.versions, o.GetAPIVersion())
}
func (s *seen) DeleteTemplate(projection.TemplateKey) {}
func (s *seen) SetPlural(_ schema.GroupKind, resource string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plurals = append(s.plurals, resource)
}

func (s *seen) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.versions) == 0 {
		return ""
	}
	return s.versions[len(s.versions)-1]
}

// A kind whose version a binding names may be served in another one: from the
// start, or when its definition moves on.
func TestKindsFollowTheServedVersion(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	api, view := &apiOf{version: "v1"}, &seen{}
	k := &kinds{mapper: api, listWatch: api.listWatch, view: view, started: map[schema.GroupKind]chan struct{}{}}
	b := &workv1alpha2.ResourceBinding{}
	b.Spec.Resource = workv1alpha2.ObjectReference{APIVersion: "example.org/v1alpha1", Kind: "Thing", Name: "x"}
	k.follow(ctx, b)
	k.follow(ctx, b)
	require.Len(t, k.ready(), 1)

	eventually := func(want string) {
		t.Helper()
		require.Eventually(t, func() bool { return view.last() == want }, 30*time.Second, 10*time.Millisecond, "last seen %q", view.last())
	}
	eventually("example.org/v1")
	require.True(t, waitFor(ctx, k.ready()...))
	api.serve("v2")
	eventually("example.org/v2")
	view.mu.Lock()
	defer view.mu.Unlock()
	require.Contains(t, view.plurals, "things")
}
