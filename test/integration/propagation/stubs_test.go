package propagation

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// join registers a cluster without an agent, and waits until it has Works.
func join(t *testing.T, name string) {
	t.Helper()
	c := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: clusterv1alpha1.ClusterSpec{SyncMode: clusterv1alpha1.Pull}}
	create(t, c)
	unjoin(t, c)
	eventually(t, func() bool {
		return fed.List(t.Context(), &workv1alpha1.WorkList{}, client.InNamespace(names.ExecutionNamespace(name))) == nil
	}, "works of %s", name)
}

// link makes a Mesh in which each cluster calls the next, as its status has it. No
// controllers may run: they know better.
func link(t *testing.T, name string, clusters ...string) *meshv1alpha1.Mesh {
	t.Helper()
	mesh := &meshv1alpha1.Mesh{ObjectMeta: metav1.ObjectMeta{Name: name}}
	mesh.Spec.ClusterAffinity = &policyv1alpha1.ClusterAffinity{ClusterNames: clusters}
	create(t, mesh)
	t.Cleanup(func() { assert.NoError(t, client.IgnoreNotFound(fed.Delete(context.Background(), mesh))) })
	for i := 1; i < len(clusters); i++ {
		mesh.Status.Links = append(mesh.Status.Links, meshv1alpha1.MeshLink{From: clusters[i-1], To: clusters[i], Phase: meshv1alpha1.LinkWithdrawn})
	}
	require.NoError(t, fed.Status().Update(t.Context(), mesh))
	return mesh
}

// serviceIn creates a Service and has it placed.
func serviceIn(t *testing.T, ns string, svc *corev1.Service, clusters ...string) *workv1alpha2.ResourceBinding {
	t.Helper()
	create(t, policy(ns, "p", policyv1alpha1.ResourceSelector{APIVersion: "v1", Kind: "Service"}), svc)
	b := &workv1alpha2.ResourceBinding{}
	eventually(t, func() bool {
		return fed.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: names.BindingName("Service", svc.Name)}, b) == nil
	}, "binding")
	place(t, b, clusters...)
	return b
}

func place(t *testing.T, b *workv1alpha2.ResourceBinding, clusters ...string) {
	t.Helper()
	update(t, b, func(b *workv1alpha2.ResourceBinding) {
		b.Spec.Clusters = nil
		for _, c := range clusters {
			b.Spec.Clusters = append(b.Spec.Clusters, workv1alpha2.TargetCluster{Name: c})
		}
	})
}

// says reports a Work, as an agent does.
func says(t *testing.T, cluster string, w *workv1alpha1.Work, failure string) {
	t.Helper()
	sent := &agentv1alpha1.StatusReport{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: cluster}}
	sent.Spec.Works = []agentv1alpha1.WorkObservation{{
		Name: w.Name, UID: w.UID, Applied: failure == "", Message: failure, Health: string(workv1alpha2.ResourceHealthy),
	}}
	require.NoError(t, fed.Create(t.Context(), sent))
	require.Empty(t, sent.Status.Rejected)
}

func fullyApplied(t *testing.T, b *workv1alpha2.ResourceBinding) bool {
	t.Helper()
	require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(b), b))
	return meta.IsStatusConditionTrue(b.Status.Conditions, workv1alpha2.FullyApplied)
}

func TestStubsOfServices(t *testing.T) {
	stop := startControllers(t)
	ns := newNamespace(t)
	join(t, "stub-ap")
	b := serviceIn(t, ns, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}},
	}, "eu")
	work := names.WorkName("Service", ns, "web")
	of := func(cluster string) *workv1alpha1.Work {
		w := &workv1alpha1.Work{}
		err := fed.Get(t.Context(), client.ObjectKey{Namespace: names.ExecutionNamespace(cluster), Name: work}, w)
		if apierrors.IsNotFound(err) {
			return nil
		}
		require.NoError(t, err)
		return w
	}
	eventually(t, func() bool { return of("eu") != nil && len(of("eu").Spec.Workload.Manifests) == 1 }, "share")
	says(t, "eu", of("eu"), "")
	eventually(t, func() bool { return fullyApplied(t, b) }, "applied where it is placed")
	stop()
	before := fed.Settled(t)
	mesh := link(t, "stubs", "stub-ap", "eu")
	eventually(t, func() bool { return of("stub-ap") != nil }, "stub")
	stub := of("stub-ap")
	require.Contains(t, string(stub.Spec.Workload.Manifests[0].Raw), `"type":"ClusterIP"`)
	require.Equal(t, "true", stub.Labels[meshv1alpha1.StubLabel])
	err := fed.Delete(t.Context(), stub)
	require.ErrorContains(t, err, "annotate its Service with mesh.flotilla.io/stub=false")
	says(t, "stub-ap", stub, "")
	eventually(t, func() bool {
		return meta.IsStatusConditionTrue(of("stub-ap").Status.Conditions, workv1alpha1.WorkApplied)
	}, "its status")
	require.Len(t, fed.Writes(t, before), 2, "the Mesh, its status")

	says(t, "stub-ap", stub, "it belongs to somebody else")
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"}}
	require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(svc), svc))
	eventually(t, func() bool { return strings.Contains(strings.Join(reasons(t, svc), " "), names.EventStubNotApplied) }, "event")
	eventually(t, func() bool {
		return meta.IsStatusConditionFalse(of("stub-ap").Status.Conditions, workv1alpha1.WorkApplied)
	}, "its status")
	fed.Settled(t)
	require.True(t, fullyApplied(t, b))
	require.Len(t, b.Status.AggregatedStatus, 1, "that is no failure of the binding")
	says(t, "stub-ap", stub, "")

	place(t, b, "eu", "stub-ap")
	eventually(t, func() bool { return of("stub-ap").Labels[meshv1alpha1.StubLabel] == "" }, "the stub becomes a share")
	require.Equal(t, stub.UID, of("stub-ap").UID)
	eventually(t, func() bool { return fullyApplied(t, b) && len(b.Status.AggregatedStatus) == 2 }, "the agent does not say it again")
	place(t, b, "eu")
	eventually(t, func() bool { return of("stub-ap").Labels[meshv1alpha1.StubLabel] == "true" }, "and a stub again")
	eventually(t, func() bool { return fullyApplied(t, b) && len(b.Status.AggregatedStatus) == 1 }, "it is no part of the binding")

	require.NoError(t, fed.Delete(t.Context(), mesh))
	eventually(t, func() bool { return of("stub-ap") == nil }, "the mesh asked for it")
	require.NotNil(t, of("eu"))
}

// A cluster that leaves is taken out of the mesh, too. That deletes nothing in it:
// whoever watches its Works is cut off, and not told of a deletion.
func TestStubsStayInAClusterThatLeaves(t *testing.T) {
	ctx := t.Context()
	stop := startControllers(t)
	ns := newNamespace(t)
	join(t, "stub-leaver")
	serviceIn(t, ns, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}, "eu")
	stop() // also, else the execution namespace goes, and with it the cluster
	mesh := link(t, "leaver", "stub-leaver", "eu")
	work := client.ObjectKey{Namespace: names.ExecutionNamespace("stub-leaver"), Name: names.WorkName("Service", ns, "web")}
	eventually(t, func() bool { return fed.Get(ctx, work, &workv1alpha1.Work{}) == nil }, "stub")
	works := dynamic.NewForConfigOrDie(fed.Config).Resource(workv1alpha1.SchemeGroupVersion.WithResource("works")).Namespace(work.Namespace)
	list, err := works.List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	w, err := works.Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	require.NoError(t, err)
	defer w.Stop()
	c := &clusterv1alpha1.Cluster{}
	require.NoError(t, fed.Get(ctx, client.ObjectKey{Name: "stub-leaver"}, c))
	require.NoError(t, fed.Delete(ctx, c))
	mesh.Status.Links = nil
	require.NoError(t, fed.Status().Update(ctx, mesh))
	for e := range w.ResultChan() {
		require.NotEqual(t, "DELETED", string(e.Type), "%v", e.Object)
		if status, ok := e.Object.(*metav1.Status); ok {
			require.EqualValues(t, 404, status.Code)
		}
	}
	update(t, c, func(c *clusterv1alpha1.Cluster) { c.Finalizers = nil })
}

// Controllers of meshes follow their Works by label, over all clusters, whoever
// comes and goes.
func TestWorksByLabelOverAllClusters(t *testing.T) {
	join(t, "label-eu")
	works := workv1alpha1.SchemeGroupVersion.WithResource("works")
	kept := map[string]string{}
	var mu sync.Mutex
	note := func(obj any, there bool) {
		if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		mu.Lock()
		defer mu.Unlock()
		o := obj.(metav1.Object)
		delete(kept, o.GetNamespace())
		if there {
			kept[o.GetNamespace()] = o.GetName()
		}
	}
	has := func(cluster string) bool {
		mu.Lock()
		defer mu.Unlock()
		return kept[names.ExecutionNamespace(cluster)] == "mesh.m.ca"
	}
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(dynamic.NewForConfigOrDie(fed.Config), 0, metav1.NamespaceAll,
		func(o *metav1.ListOptions) { o.LabelSelector = meshv1alpha1.MeshLabel })
	_, err := factory.ForResource(works).Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { note(obj, true) }, UpdateFunc: func(_, obj any) { note(obj, true) }, DeleteFunc: func(obj any) { note(obj, false) },
	})
	require.NoError(t, err)
	ctx := t.Context()
	stop := make(chan struct{})
	factory.Start(stop)
	defer func() { close(stop); factory.Shutdown() }()
	require.True(t, factory.WaitForCacheSync(ctx.Done())[works])

	stored := func(cluster string) *workv1alpha1.Work {
		w := &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{
			Namespace: names.ExecutionNamespace(cluster), Name: "mesh.m.ca", Labels: map[string]string{meshv1alpha1.MeshLabel: "m"},
		}}
		w.Spec.Workload.Manifests = []workv1alpha1.Manifest{{}}
		w.Spec.Workload.Manifests[0].Raw = []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"default","name":"x"}}`)
		return w
	}
	namespace := func(cluster string) {
		err := fed.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names.ExecutionNamespace(cluster)}})
		require.NoError(t, client.IgnoreAlreadyExists(err))
	}
	namespace("label-eu")
	create(t, stored("label-eu"))
	eventually(t, func() bool { return has("label-eu") }, "what is created")
	namespace("label-ap")
	create(t, stored("label-ap"))
	join(t, "label-ap")
	eventually(t, func() bool { return has("label-ap") }, "of a cluster that joins later")
	require.NoError(t, fed.Delete(ctx, &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "label-eu"}}))
	eventually(t, func() bool { return !has("label-eu") }, "of a cluster that has left: the list after the 410 lacks it")
	require.NoError(t, fed.Patch(ctx, stored("label-ap"), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":null}}`))))
	eventually(t, func() bool { return !has("label-ap") }, "what has lost its label")
}
