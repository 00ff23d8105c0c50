package apiserver

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
	meshregistry "github.com/flotilla-io/flotilla/pkg/apiserver/registry/mesh"
	policyregistry "github.com/flotilla-io/flotilla/pkg/apiserver/registry/policy"
	workregistry "github.com/flotilla-io/flotilla/pkg/apiserver/registry/work"
	"github.com/flotilla-io/flotilla/pkg/propagation/projection"
)

// feed keeps the projection, the policies and the folder up to date with what
// is stored.
type feed struct {
	federation *federation
	clusters   *registry.Storage
	meshes     *meshregistry.Storages
	policies   *policyregistry.Storages
	works      *workregistry.Storages

	departures *departures
	dynamic    dynamic.Interface
	kinds      *kinds
}

func (f *feed) start(ctx context.Context, cfg *restclient.Config) error {
	var err error
	if f.dynamic, err = dynamic.NewForConfig(cfg); err != nil {
		return err
	}
	client, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return err
	}
	f.kinds = &kinds{
		mapper:    restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client)),
		listWatch: f.listWatch,
		view:      f.federation.projection,
		started:   map[schema.GroupKind]chan struct{}{},
	}
	f.departures = newDepartures(f.clusters.Get, f.federation.projection.SetCluster, f.federation.projection.RemoveCluster)

	policiesReady := f.followPolicies(ctx)
	go func() {
		if waitFor(ctx, policiesReady...) {
			close(f.federation.policies.synced)
		}
	}()
	ready := f.followInputs(ctx)
	go f.announce(ctx, ready)
	return nil
}

func (f *feed) followPolicies(ctx context.Context) []<-chan struct{} {
	p := f.federation.policies
	namespaced := newSink(func(o *policyv1alpha1.PropagationPolicy) { p.Upsert(o) },
		func(n types.NamespacedName) { p.Delete(n.Namespace, n.Name) })
	cluster := newSink(func(o *policyv1alpha1.ClusterPropagationPolicy) { p.Upsert(o) },
		func(n types.NamespacedName) { p.Delete("", n.Name) })
	go follow(ctx, "propagationpolicies", f.policies.PropagationPolicies.Store, &policyv1alpha1.PropagationPolicy{}, namespaced)
	go follow(ctx, "clusterpropagationpolicies", f.policies.ClusterPropagationPolicies.Store, &policyv1alpha1.ClusterPropagationPolicy{}, cluster)
	return []<-chan struct{}{namespaced.ready, cluster.ready}
}

// followInputs starts everything a Work is computed from but the templates,
// which follow the kinds of the bindings.
func (f *feed) followInputs(ctx context.Context) []<-chan struct{} {
	p := f.federation.projection
	clusters := newSink(f.setCluster, func(n types.NamespacedName) {
		f.federation.policies.clusters.Delete(n.Name)
		p.RemoveCluster(n.Name)
	})
	bindings := newSink(func(b *workv1alpha2.ResourceBinding) { f.setBinding(ctx, b) },
		func(n types.NamespacedName) { f.deleteBinding(projection.Key(n)) })
	clusterBindings := newSink(func(b *workv1alpha2.ClusterResourceBinding) { f.setBinding(ctx, b) },
		func(n types.NamespacedName) {
			f.deleteBinding(projection.Key(n))
		})
	works := newSink(p.SetStored, func(n types.NamespacedName) { p.DeleteStored(n.Namespace, n.Name) })
	namespaces := newSink(func(o *unstructured.Unstructured) { p.SetNamespace(o.DeepCopy()) },
		func(n types.NamespacedName) { p.DeleteNamespace(n.Name) })

	overrides := newSink(func(o *policyv1alpha1.OverridePolicy) { p.SetOverride(o) },
		func(n types.NamespacedName) { p.DeleteOverride(projection.Key(n)) })
	clusterOverrides := newSink(func(o *policyv1alpha1.ClusterOverridePolicy) { p.SetOverride(o) },
		func(n types.NamespacedName) { p.DeleteOverride(projection.Key(n)) })

	links := newMeshLinks(p.SetLinks, func(clusters []string) { f.departures.check(ctx, "mesh", clusters) })
	meshes := newSink(links.set, func(n types.NamespacedName) { links.delete(n.Name) })

	go follow(ctx, "meshes", f.meshes.Meshes.Store, &meshv1alpha1.Mesh{}, meshes)
	go follow(ctx, "overridepolicies", f.policies.OverridePolicies.Store, &policyv1alpha1.OverridePolicy{}, overrides)
	go follow(ctx, "clusteroverridepolicies", f.policies.ClusterOverridePolicies.Store, &policyv1alpha1.ClusterOverridePolicy{}, clusterOverrides)
	go follow(ctx, "clusters", f.clusters.Store, &clusterv1alpha1.Cluster{}, clusters)
	go follow(ctx, "resourcebindings", f.works.ResourceBindings.Store, &workv1alpha2.ResourceBinding{}, bindings)
	go follow(ctx, "clusterresourcebindings", f.works.ClusterResourceBindings.Store, &workv1alpha2.ClusterResourceBinding{}, clusterBindings)
	go follow(ctx, "works", f.works.StoredWorks.Store, &workv1alpha1.Work{}, works)
	go run(ctx, "namespaces", f.listWatch(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}, ""), &unstructured.Unstructured{}, namespaces)
	return []<-chan struct{}{overrides.ready, clusterOverrides.ready, meshes.ready, clusters.ready, bindings.ready, clusterBindings.ready, works.ready, namespaces.ready}
}

// announce opens the gate when every input, and every kind the bindings name,
// has been read.
func (f *feed) announce(ctx context.Context, ready []<-chan struct{}) {
	if !waitFor(ctx, ready...) {
		return
	}
	if waitFor(ctx, f.kinds.ready()...) {
		f.federation.synced.Store(true)
	}
}

func (f *feed) setCluster(c *clusterv1alpha1.Cluster) {
	if f.departures.saw(c) {
		f.federation.policies.clusters.Store(c.Name, struct{}{})
	} else {
		f.federation.policies.clusters.Delete(c.Name)
	}
}

func (f *feed) setBinding(ctx context.Context, b workv1alpha2.Binding) {
	if before, ok := f.federation.bindings.get(projection.KeyOf(b)); ok {
		f.departures.check(ctx, "binding", lost(before, b))
	}
	f.federation.bindings.set(b)
	f.kinds.follow(ctx, b)
	f.federation.projection.SetBinding(b)
	f.federation.folder.BindingChanged(b)
}

func (f *feed) deleteBinding(key projection.Key) {
	f.federation.bindings.delete(key)
	f.federation.projection.DeleteBinding(key)
	f.federation.folder.BindingDeleted(key)
}

func (f *feed) listWatch(resource schema.GroupVersionResource, selector string) *cache.ListWatch {
	client := f.dynamic.Resource(resource)
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector
			return client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = selector
			return client.Watch(ctx, o)
		},
	}
}
