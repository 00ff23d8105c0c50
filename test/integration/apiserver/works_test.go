package apiserver

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/api/scheme"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func TestComputedWorks(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	join(t, "cw-eu")
	join(t, "cw-ap")
	d, b := placed(t, ns, "web", "cw-eu", "cw-ap")

	w := workOf(t, d, "cw-ap")
	m := manifestOf(t, w)
	assert.EqualValues(t, 2, *m.Spec.Replicas, "the share of the cluster")
	assert.Equal(t, names.ManagedLabelValue, m.Labels[names.ManagedLabel])
	assert.Equal(t, string(d.UID), m.Annotations[names.TemplateUIDAnnotation])
	assert.EqualValues(t, 1, *manifestOf(t, workOf(t, d, "cw-eu")).Spec.Replicas)

	// Computed Works follow from their binding: they cannot be edited.
	w.Spec.Workload.Manifests = nil
	err := fed.Update(t.Context(), w)
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	require.ErrorContains(t, err, ns+"/"+b.Name)
	err = fed.Delete(t.Context(), w)
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	require.ErrorContains(t, err, "change its template or policy")
	err = fed.Patch(t.Context(), w, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`)))
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	err = fed.Create(t.Context(), configMapWork("cw-ap", w.Name))
	require.True(t, apierrors.IsAlreadyExists(err), "%v", err)

	// A change of the template is a change of the Work.
	update(t, d, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "i:2" })
	eventually(t, func() bool {
		return manifestOf(t, workOf(t, d, "cw-eu")).Spec.Template.Spec.Containers[0].Image == "i:2"
	}, "the new image")

	// A cluster that is taken away has no Work.
	b.Spec.Clusters = b.Spec.Clusters[:1]
	update(t, b, func(b *workv1alpha2.ResourceBinding) { b.Spec.Clusters = b.Spec.Clusters[:1] })
	eventually(t, func() bool { return apierrors.IsNotFound(fed.Get(t.Context(), client.ObjectKeyFromObject(w), w)) }, "the work goes")
}

func TestWhoMaySeeWorks(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	join(t, "see-eu")
	join(t, "see-ap")
	d, _ := placed(t, ns, "web", "see-eu", "see-ap")
	own, other := "karmada-es-see-eu", "karmada-es-see-ap"
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: "s"}}
	create(t, secret, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: other, Name: "s"}})
	agent, nobody := clientFor(t, agentOf(t, "see-eu")), clientFor(t, as(t, "someone", "some-group"))

	list := &workv1alpha1.WorkList{}
	require.NoError(t, agent.List(t.Context(), list, client.InNamespace(own)))
	require.NotEmpty(t, list.Items)
	for _, w := range list.Items {
		assert.Equal(t, own, w.Namespace)
	}
	require.NoError(t, agent.Get(t.Context(), client.ObjectKey{Namespace: own, Name: workOf(t, d, "see-eu").Name}, &workv1alpha1.Work{}))
	require.NoError(t, agent.Get(t.Context(), client.ObjectKeyFromObject(secret), &corev1.Secret{}))
	require.NoError(t, agent.Get(t.Context(), client.ObjectKey{Name: "kube-system"}, &corev1.Namespace{}), "the federation's UID")

	forbidden := func(what string, err error) {
		t.Helper()
		assert.True(t, apierrors.IsForbidden(err), "%s: %v", what, err)
	}
	forbidden("works of another cluster", agent.List(t.Context(), list, client.InNamespace(other)))
	forbidden("all works", agent.List(t.Context(), list))
	forbidden("secrets of another cluster", agent.Get(t.Context(), client.ObjectKey{Namespace: other, Name: "s"}, &corev1.Secret{}))
	forbidden("all secrets", agent.List(t.Context(), &corev1.SecretList{}))
	forbidden("templates", agent.List(t.Context(), &appsv1.DeploymentList{}, client.InNamespace(ns)))
	forbidden("bindings", agent.List(t.Context(), &workv1alpha2.ResourceBindingList{}, client.InNamespace(ns)))
	forbidden("another namespace", agent.Get(t.Context(), client.ObjectKey{Name: "default"}, &corev1.Namespace{}))
	forbidden("to make works", agent.Create(t.Context(), configMapWork("see-eu", "x")))
	forbidden("to delete", agent.Delete(t.Context(), workOf(t, d, "see-eu")))
	forbidden("works, of nobody", nobody.List(t.Context(), list, client.InNamespace(own)))

	dyn, err := dynamic.NewForConfig(agentOf(t, "see-eu"))
	require.NoError(t, err)
	_, err = dyn.Resource(works).Namespace(other).Watch(t.Context(), metav1.ListOptions{})
	forbidden("a watch of another cluster", err)
	w, err := dyn.Resource(works).Namespace(own).Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	w.Stop()
}

// recorder is an informer's handler that remembers names.
type recorder struct {
	mu   sync.Mutex
	have map[string]string // name -> image or resource version
	gone []string
}

func (r *recorder) handler() cache.ResourceEventHandlerFuncs {
	set := func(obj any) {
		m, err := meta.Accessor(obj)
		if err != nil {
			panic(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.have[m.GetNamespace()+"/"+m.GetName()] = m.GetResourceVersion()
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    set,
		UpdateFunc: func(_, obj any) { set(obj) },
		DeleteFunc: func(obj any) {
			if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = unknown.Obj
			}
			m, err := meta.Accessor(obj)
			if err != nil {
				panic(err)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.have, m.GetNamespace()+"/"+m.GetName())
			r.gone = append(r.gone, m.GetName())
		},
	}
}

func (r *recorder) version(key string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.have[key]
}

// Informers begin with a streaming list; the projection has to end it with the
// right bookmark, or they never sync.
func TestInformers(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	join(t, "inf")
	d, b := placed(t, ns, "web", "inf")
	key := "karmada-es-inf/" + names.WorkName("Deployment", ns, "web")
	ctx, cancel := context.WithCancel(t.Context())
	typed, err := newWorkListWatch(fed.admin, "karmada-es-inf")
	require.NoError(t, err)

	recorders := map[string]*recorder{}
	var running sync.WaitGroup
	defer func() { cancel(); running.Wait() }()
	follow := func(name string, informer cache.SharedIndexInformer) {
		recorders[name] = &recorder{have: map[string]string{}}
		_, err := informer.AddEventHandler(recorders[name].handler())
		require.NoError(t, err)
		running.Go(func() { informer.RunWithContext(ctx) })
		require.True(t, cache.WaitForCacheSync(ctx.Done(), informer.HasSynced), name)
	}
	follow("typed", cache.NewSharedIndexInformer(typed, &workv1alpha1.Work{}, 0, cache.Indexers{}))
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(fed.dynamic, 0, "karmada-es-inf", nil)
	follow("dynamic", factory.ForResource(works).Informer())
	everywhere := dynamicinformer.NewDynamicSharedInformerFactory(fed.dynamic, 0)
	follow("all namespaces", everywhere.ForResource(works).Informer())
	elsewhere := dynamicinformer.NewFilteredDynamicSharedInformerFactory(fed.dynamic, 0, ns, nil)
	follow("a namespace of no cluster", elsewhere.ForResource(works).Informer())

	for name, r := range recorders {
		if name == "a namespace of no cluster" {
			assert.Empty(t, r.have)
			continue
		}
		assert.NotEmpty(t, r.version(key), "%s: all that is there when it has synced", name)
	}
	before := recorders["typed"].version(key)
	update(t, d, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "i:2" })
	for name, r := range recorders {
		if name != "a namespace of no cluster" {
			eventually(t, func() bool { v := r.version(key); return v != "" && v != before }, "%s: the change", name)
		}
	}
	require.NoError(t, fed.Delete(t.Context(), b))
	for name, r := range recorders {
		if name != "a namespace of no cluster" {
			eventually(t, func() bool { return r.version(key) == "" }, "%s: the deletion", name)
		}
	}
}

func TestResourceVersionsOfWorks(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	join(t, "rv")
	placed(t, ns, "web", "rv")
	of := fed.dynamic.Resource(works).Namespace("karmada-es-rv")
	list, err := of.List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	version, err := strconv.ParseUint(list.GetResourceVersion(), 10, 64)
	require.NoError(t, err)
	require.NotZero(t, version>>32, "the epoch of the process")

	w, err := of.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	require.NoError(t, err)
	w.Stop()
	for name, rv := range map[string]string{
		"another run": strconv.FormatUint((version>>32-1)<<32|5, 10),
		"the future":  strconv.FormatUint(version+1000, 10),
		"of etcd":     "5",
	} {
		_, err = of.Watch(t.Context(), metav1.ListOptions{ResourceVersion: rv})
		assert.True(t, apierrors.IsResourceExpired(err) || apierrors.IsGone(err), "%s: 410 makes clients list again: %v", name, err)
	}
	_, err = of.List(t.Context(), metav1.ListOptions{FieldSelector: "spec.x=y"})
	assert.True(t, apierrors.IsBadRequest(err), "%v", err)
	one, err := of.List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + list.Items[0].GetName()})
	require.NoError(t, err)
	assert.Len(t, one.Items, 1)
	_, err = fed.dynamic.Resource(works).Namespace("karmada-es-unknown").List(t.Context(), metav1.ListOptions{})
	assert.True(t, apierrors.IsNotFound(err), "an empty list would read as: delete everything: %v", err)
}

func TestStoredWorks(t *testing.T) {
	t.Parallel()
	join(t, "sto")
	create(t, configMapWork("sto", "mine"))
	list := &workv1alpha1.WorkList{}
	find := func() *workv1alpha1.Work {
		require.NoError(t, fed.List(t.Context(), list, client.InNamespace("karmada-es-sto")))
		for i := range list.Items {
			if list.Items[i].Name == "mine" {
				return &list.Items[i]
			}
		}
		return nil
	}
	eventually(t, func() bool { return find() != nil }, "the list is the union")

	// kubectl edit reads one way and writes the other: the version of a list is
	// the projection's, storage knows its own.
	w := find()
	first := w.ResourceVersion
	w.Labels = map[string]string{"c": "red"}
	require.NoError(t, fed.Update(t.Context(), w))
	stale := w.DeepCopy()
	eventually(t, func() bool { return find().Labels["c"] == "red" }, "the change is in the list")
	listed := find()
	listed.Labels["c"] = "blue"
	require.NoError(t, fed.Update(t.Context(), listed))
	err := fed.Update(t.Context(), stale)
	require.True(t, apierrors.IsConflict(err), "%v", err)
	stale.ResourceVersion = first
	require.True(t, apierrors.IsConflict(fed.Update(t.Context(), stale)), "a projected version that is not the newest")

	// A watch with a label selector tells of Works that no longer match.
	watcher, err := fed.dynamic.Resource(works).Namespace("karmada-es-sto").Watch(t.Context(), metav1.ListOptions{LabelSelector: "c=blue", SendInitialEvents: ptr.To(true),
		AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan})
	require.NoError(t, err)
	defer watcher.Stop()
	next := func() watch.Event {
		t.Helper()
		for {
			select {
			case e := <-watcher.ResultChan():
				if e.Type != watch.Bookmark {
					return e
				}
			case <-time.After(patience):
				require.FailNow(t, "no event")
			}
		}
	}
	e := next()
	require.Equal(t, "mine", e.Object.(*unstructured.Unstructured).GetName())
	update(t, w, func(w *workv1alpha1.Work) { w.Labels["c"] = "green" })
	for e.Type != watch.Deleted {
		e = next()
	}

	require.NoError(t, fed.Delete(t.Context(), w))
	eventually(t, func() bool { return find() == nil }, "it goes from the list")

	bad := configMapWork("sto", "bad")
	bad.Spec.Workload.Manifests[0].Raw = []byte(`{"kind":"ConfigMap"}`)
	err = fed.Create(t.Context(), bad)
	require.True(t, apierrors.IsInvalid(err), "%v", err)
	elsewhere := configMapWork("sto", "bad")
	elsewhere.Namespace = "default"
	require.Error(t, fed.Create(t.Context(), elsewhere), "nobody would ever take it")
}

// newWorkListWatch is what a generated client gives an informer.
func newWorkListWatch(cfg *rest.Config, namespace string) (cache.ListerWatcher, error) {
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return nil, err
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list := &workv1alpha1.WorkList{}
			return list, c.List(ctx, list, &client.ListOptions{Namespace: namespace, Raw: &o})
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.Watch(ctx, &workv1alpha1.WorkList{}, &client.ListOptions{Namespace: namespace, Raw: &o})
		},
	}, nil
}

// The ways to begin a watch: with a streaming list that ends with a bookmark,
// and, as curl does, with nothing at all.
func TestBeginningsOfWatches(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	join(t, "begin")
	d, _ := placed(t, ns, "web", "begin")
	of := fed.dynamic.Resource(works).Namespace("karmada-es-begin")
	list, err := of.List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)

	// initial reads what a watch begins with: up to the mark, or as many Works as there are
	// and what comes within a second after them.
	initial := func(w watch.Interface, mark bool) (seen int, marked bool) {
		t.Helper()
		for {
			quiet := patience
			if !mark && seen >= len(list.Items) {
				quiet = time.Second
			}
			select {
			case e, open := <-w.ResultChan():
				require.True(t, open, "the watch stays open")
				obj, ok := e.Object.(*unstructured.Unstructured)
				require.True(t, ok, "%v", e.Object)
				if e.Type == watch.Bookmark {
					return seen, obj.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true"
				}
				require.Equal(t, watch.Added, e.Type)
				seen++
			case <-time.After(quiet):
				return seen, false
			}
		}
	}
	for name, tt := range map[string]struct {
		options metav1.ListOptions
		marked  bool
	}{
		"streaming list": {metav1.ListOptions{SendInitialEvents: ptr.To(true), AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}, true},
		"nothing":        {metav1.ListOptions{}, false},
		"any version":    {metav1.ListOptions{ResourceVersion: "0"}, false},
	} {
		w, err := of.Watch(t.Context(), tt.options)
		require.NoError(t, err, name)
		seen, marked := initial(w, tt.marked)
		assert.GreaterOrEqual(t, seen, len(list.Items), name)
		assert.Equal(t, tt.marked, marked, name)
		update(t, d, func(d *appsv1.Deployment) { d.Spec.MinReadySeconds++ })
		select {
		case e, open := <-w.ResultChan():
			require.True(t, open, "%s: it goes on after the beginning", name)
			assert.Contains(t, []watch.EventType{watch.Modified, watch.Added}, e.Type, name)
		case <-time.After(patience):
			require.FailNow(t, name+": no change is told")
		}
		w.Stop()
	}
}
