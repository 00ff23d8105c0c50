package work

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry/registrytest"
	"github.com/flotilla-io/flotilla/pkg/propagation/projection"
)

// fakeView has computed Works of cluster eu: web of binding ns/web-deployment,
// node of binding node-thing, and space of a namespace.
type fakeView struct {
	incomplete error
	version    string
	conflict   error
	agent      bool // who asked for a stored version
}

var origins = map[string]projection.Key{"web": {Namespace: "ns", Name: "web-deployment"}, "node": {Name: "node-thing"}, "space": {}, "stub": {Namespace: "ns", Name: "web-service"}}

func (v *fakeView) Lookup(cluster, name string) (projection.Origin, bool) {
	key, ok := origins[name]
	return projection.Origin{Binding: key, UID: types.UID("uid-" + name), Stub: name == "stub"}, ok && cluster == "eu"
}

func (v *fakeView) Get(cluster, name string) (*workv1alpha1.Work, bool) {
	o, ok := v.Lookup(cluster, name)
	if !ok {
		return nil, false
	}
	w := &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-" + cluster, Name: name, UID: o.UID, ResourceVersion: "18446744073709551615"}}
	w.Spec.Workload.Manifests = []workv1alpha1.Manifest{{RawExtension: runtime.RawExtension{Raw: []byte(`{"kind":"ConfigMap"}`)}}}
	return w, true
}

func (v *fakeView) List(string, projection.WatchOptions) (*workv1alpha1.WorkList, error) {
	return &workv1alpha1.WorkList{}, v.incomplete
}

func (v *fakeView) Watch(context.Context, string, projection.WatchOptions) (watch.Interface, error) {
	return watch.NewFake(), v.incomplete
}
func (v *fakeView) StoredVersion(_, _, _ string, o projection.WatchOptions) (string, error) {
	v.agent = o.SpecOnly
	return v.version, v.conflict
}
func (v *fakeView) Complete() error { return v.incomplete }

type fakeReporter struct {
	got      []agentv1alpha1.WorkObservation
	cluster  string
	rejected []agentv1alpha1.RejectedObservation
	err      error
}

func (r *fakeReporter) Report(_ context.Context, cluster string, o []agentv1alpha1.WorkObservation) ([]agentv1alpha1.RejectedObservation, error) {
	r.cluster, r.got = cluster, append(r.got, o...)
	return r.rejected, r.err
}

func inNamespace(namespace string, groups ...string) context.Context {
	ctx := genericapirequest.WithNamespace(genericapirequest.NewContext(), namespace)
	return genericapirequest.WithUser(ctx, &user.DefaultInfo{Name: "someone", Groups: groups})
}

func TestServedResources(t *testing.T) {
	info, _, err := Group(registrytest.NoStorage{}, &fakeView{}, &fakeReporter{})
	require.NoError(t, err)
	paths := func(version string) (out []string) {
		for path := range info.VersionedResourcesStorageMap[version] {
			out = append(out, path)
		}
		slices.Sort(out)
		return out
	}
	assert.Equal(t, []string{"clusterresourcebindings", "clusterresourcebindings/schedule", "clusterresourcebindings/status",
		"resourcebindings", "resourcebindings/schedule", "resourcebindings/status"}, paths("v1alpha2"))
	assert.Equal(t, []string{"clusterresourcebindings", "clusterresourcebindings/status",
		"resourcebindings", "resourcebindings/status", "works", "works/status"}, paths("v1alpha1"))

	binding := registrytest.Discovered{Categories: []string{"karmada-io"}, Columns: "NAME SCHEDULED FULLYAPPLIED AGE"}
	for _, tt := range []struct {
		version, path, short string
		namespaced           bool
		example              runtime.Object
		columns              string
	}{
		{"v1alpha2", "resourcebindings", "rb", true, &workv1alpha2.ResourceBinding{}, binding.Columns},
		{"v1alpha2", "clusterresourcebindings", "crb", false, &workv1alpha2.ClusterResourceBinding{}, binding.Columns},
		{"v1alpha1", "resourcebindings", "rb", true, &workv1alpha2.ResourceBinding{}, binding.Columns},
		{"v1alpha1", "clusterresourcebindings", "crb", false, &workv1alpha2.ClusterResourceBinding{}, binding.Columns},
		{"v1alpha1", "works", "wk", true, &workv1alpha1.Work{}, "NAME WORKLOAD-KIND APPLIED AGE"},
	} {
		got, err := registrytest.Discover(info.VersionedResourcesStorageMap[tt.version][tt.path], tt.example)
		require.NoError(t, err)
		want := binding
		want.ShortNames, want.Namespaced, want.Columns = []string{tt.short}, tt.namespaced, tt.columns
		assert.Equal(t, want, got, "%s %s", tt.version, tt.path)
	}
}

func TestCells(t *testing.T) {
	cells := func(obj runtime.Object, columns []any) {
		t.Helper()
		info, _, err := Group(registrytest.NoStorage{}, &fakeView{}, &fakeReporter{})
		require.NoError(t, err)
		resource, version := "resourcebindings", "v1alpha2"
		if _, isWork := obj.(*workv1alpha1.Work); isWork {
			resource, version = "works", "v1alpha1"
		}
		table, err := info.VersionedResourcesStorageMap[version][resource].(rest.TableConvertor).ConvertToTable(t.Context(), obj, nil)
		require.NoError(t, err)
		assert.Equal(t, columns, table.Rows[0].Cells[:3])
	}
	cells(stored(), []any{"web-deployment", "True", "True"})
	cells(&workv1alpha2.ResourceBinding{}, []any{"", "", ""})
	w := &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Name: "w"}}
	for _, raw := range []string{`{"apiVersion":"apps/v1","kind":"Deployment"}`, `{"apiVersion":"v1","kind":"Service"}`, `not JSON`} {
		w.Spec.Workload.Manifests = append(w.Spec.Workload.Manifests, workv1alpha1.Manifest{RawExtension: runtime.RawExtension{Raw: []byte(raw)}})
	}
	w.Status.Conditions = []metav1.Condition{{Type: workv1alpha1.WorkApplied, Status: metav1.ConditionFalse}}
	cells(w, []any{"w", "Deployment,Service", "False"})
}

func TestSelection(t *testing.T) {
	tests := map[string]struct {
		reason    string
		namespace string
		agent     bool
		options   *metainternalversion.ListOptions
		cluster   string
		want      projection.WatchOptions
		refused   bool
	}{
		"one cluster": {reason: "its namespace names it", namespace: "karmada-es-eu", cluster: "eu"},
		"everything":  {reason: "for people who look at all of them", namespace: ""},
		"an agent":    {reason: "it makes the statuses, so it is not told of them", namespace: "karmada-es-eu", agent: true, cluster: "eu", want: projection.WatchOptions{SpecOnly: true}},
		"elsewhere":   {reason: "there are no Works, but a list and a watch", namespace: "default", want: projection.WatchOptions{Name: nobody}},
		"by name": {
			reason: "kubectl get -w does that", namespace: "karmada-es-eu", cluster: "eu",
			options: &metainternalversion.ListOptions{FieldSelector: fields.ParseSelectorOrDie("metadata.name=web")}, want: projection.WatchOptions{Name: "web"},
		},
		"by namespace": {
			reason: "as good as a request in it", namespace: "",
			options: &metainternalversion.ListOptions{FieldSelector: fields.ParseSelectorOrDie("metadata.namespace=karmada-es-eu")}, cluster: "eu",
		},
		"by another namespace": {
			reason: "nothing is in two namespaces", namespace: "karmada-es-ap",
			options: &metainternalversion.ListOptions{FieldSelector: fields.ParseSelectorOrDie("metadata.namespace=karmada-es-eu")},
			cluster: "eu", want: projection.WatchOptions{Name: nobody},
		},
		"not by name": {
			reason: "it would have to be understood by the projection", namespace: "karmada-es-eu", refused: true,
			options: &metainternalversion.ListOptions{FieldSelector: fields.ParseSelectorOrDie("metadata.name!=web")},
		},
		"by another field": {
			reason: "as above", namespace: "karmada-es-eu", refused: true,
			options: &metainternalversion.ListOptions{FieldSelector: fields.ParseSelectorOrDie("spec.x=1")},
		},
		"a watch": {
			reason: "the options of a watch are passed on", namespace: "karmada-es-eu", cluster: "eu",
			options: &metainternalversion.ListOptions{ResourceVersion: "12", AllowWatchBookmarks: true, SendInitialEvents: ptr.To(true)},
			want:    projection.WatchOptions{ResourceVersion: "12", Bookmarks: true, InitialEvents: true},
		},
		"by labels": {
			reason: "the projection leaves out what they do not select, before it renders", namespace: "", cluster: "",
			options: &metainternalversion.ListOptions{LabelSelector: labels.SelectorFromSet(labels.Set{"c": "red"})},
			want:    projection.WatchOptions{Labels: labels.SelectorFromSet(labels.Set{"c": "red"})},
		},
		"initial events not wanted": {
			reason: "false is not true", namespace: "karmada-es-eu", cluster: "eu",
			options: &metainternalversion.ListOptions{SendInitialEvents: ptr.To(false)},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var groups []string
			if tt.agent {
				groups = []string{names.AgentGroup}
			}
			got, err := selectionOf(inNamespace(tt.namespace, groups...), tt.options)
			if tt.refused {
				require.True(t, apierrors.IsBadRequest(err), "%s: %v", tt.reason, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.cluster, got.cluster, tt.reason)
			assert.Equal(t, tt.want, got.options, tt.reason)
		})
	}
}

// A namespace of users may have the name of a cluster.
func TestNamespaceWithTheNameOfACluster(t *testing.T) {
	works := &REST{view: &fakeView{}}
	assert.Empty(t, clusterOf(inNamespace("eu")))
	assert.Equal(t, "eu", clusterOf(inNamespace("karmada-es-eu")))
	_, ok := works.view.Get(clusterOf(inNamespace("eu")), "web")
	assert.False(t, ok, "who may read the namespace may not read the Works of the cluster")
}

func TestComputedWorksAreReadOnly(t *testing.T) {
	works := &REST{view: &fakeView{}}
	ctx := inNamespace("karmada-es-eu")
	for name, says := range map[string]string{
		"web":   "binding ns/web-deployment: change its template or policy",
		"node":  "binding node-thing: change its template or policy",
		"space": names.SkipAutoPropagationLabel,
		"stub":  "binding ns/web-service: annotate its Service with mesh.flotilla.io/stub=false",
	} {
		_, _, err := works.Update(ctx, name, nil, nil, nil, false, nil)
		require.True(t, apierrors.IsForbidden(err), "%v", err)
		require.ErrorContains(t, err, says)
		_, _, err = works.Delete(ctx, name, nil, nil)
		require.True(t, apierrors.IsForbidden(err), "%v", err)
		require.ErrorContains(t, err, says)
		_, err = works.Create(ctx, &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Name: name}}, nil, nil)
		require.True(t, apierrors.IsAlreadyExists(err), "%v", err)
		got, err := works.Get(ctx, name, nil)
		require.NoError(t, err)
		require.Equal(t, name, got.(*workv1alpha1.Work).Name)
	}
}

func TestWhileWorksAreComputed(t *testing.T) {
	incomplete := apierrors.NewServiceUnavailable("try again")
	gone := apierrors.NewNotFound(workv1alpha1.Resource("works"), "x")
	assert.Equal(t, error(incomplete), absent(gone, &fakeView{incomplete: incomplete}), "a Work that is not there yet must not look deleted")
	assert.Equal(t, error(gone), absent(gone, &fakeView{}))
	other := errors.New("another")
	assert.Equal(t, other, absent(other, &fakeView{incomplete: incomplete}))
	require.NoError(t, absent(nil, &fakeView{incomplete: incomplete}))

	works := &REST{view: &fakeView{incomplete: incomplete}}
	_, err := works.Create(inNamespace("karmada-es-eu"), &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Name: "new"}}, nil, nil)
	require.True(t, apierrors.IsServiceUnavailable(err), "it might have the name of a computed one: %v", err)
	_, err = works.List(inNamespace("karmada-es-eu"), nil)
	require.True(t, apierrors.IsServiceUnavailable(err))
	_, err = works.Watch(inNamespace("karmada-es-eu"), nil)
	require.True(t, apierrors.IsServiceUnavailable(err))
}

func TestResourceVersionsOfStoredWorks(t *testing.T) {
	send := func(version string, view *fakeView) (string, error) {
		w := &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Name: "mine", ResourceVersion: version}}
		obj, err := translate(rest.DefaultUpdatedObjectInfo(w), view, "eu", "mine").UpdatedObject(t.Context(), &workv1alpha1.Work{})
		if err != nil {
			return "", err
		}
		return obj.(*workv1alpha1.Work).ResourceVersion, nil
	}
	const projected = "7730941132800000001"
	require.True(t, projection.IsProjected(projected))
	got, err := send(projected, &fakeView{version: "42"})
	require.NoError(t, err)
	assert.Equal(t, "42", got, "the version a list gave is the one that is stored")
	view := &fakeView{version: "42"}
	w := &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{ResourceVersion: projected}}
	_, err = translate(rest.DefaultUpdatedObjectInfo(w), view, "eu", "mine").UpdatedObject(inNamespace("karmada-es-eu", names.AgentGroup), &workv1alpha1.Work{})
	require.NoError(t, err)
	assert.True(t, view.agent, "versions are those of the reader")
	for _, own := range []string{"", "41"} {
		got, err = send(own, &fakeView{version: "42"})
		require.NoError(t, err)
		assert.Equal(t, own, got, "the store's own versions are left to the store")
	}
	_, err = send(projected, &fakeView{conflict: apierrors.NewConflict(workv1alpha1.Resource("works"), "mine", errors.New("changed"))})
	require.True(t, apierrors.IsConflict(err))
}

func TestStatusOfComputedWorks(t *testing.T) {
	identifier := workv1alpha1.ResourceIdentifier{Version: "v1", Kind: "ConfigMap", Resource: "configmaps", Name: "web"}
	report := func(change func(w *workv1alpha1.Work), reporter *fakeReporter, options *metav1.UpdateOptions) (runtime.Object, error) {
		status := &StatusREST{view: &fakeView{}, report: reporter}
		w, _ := (&fakeView{}).Get("eu", "web")
		change(w)
		obj, created, err := status.Update(inNamespace("karmada-es-eu"), "web", rest.DefaultUpdatedObjectInfo(w), nil, nil, false, options)
		assert.False(t, created)
		return obj, err
	}
	applied := func(w *workv1alpha1.Work) {
		w.Status.Conditions = []metav1.Condition{{Type: workv1alpha1.WorkApplied, Status: metav1.ConditionTrue, Reason: "AppliedSuccessful", LastTransitionTime: then}}
		w.Status.ManifestStatuses = []workv1alpha1.ManifestStatus{{Identifier: identifier, Status: &runtime.RawExtension{Raw: []byte(`{"a":1}`)}, Health: "Healthy"}}
		w.Spec.Workload.Manifests = nil // not taken
	}
	r := &fakeReporter{}
	obj, err := report(applied, r, nil)
	require.NoError(t, err)
	assert.Equal(t, "eu", r.cluster)
	assert.Equal(t, []agentv1alpha1.WorkObservation{{
		Name: "web", UID: "uid-web", Applied: true, Reason: "AppliedSuccessful", Status: &runtime.RawExtension{Raw: []byte(`{"a":1}`)}, Health: "Healthy",
	}}, r.got)
	assert.Len(t, obj.(*workv1alpha1.Work).Spec.Workload.Manifests, 1)
	assert.Len(t, obj.(*workv1alpha1.Work).Status.Conditions, 1)

	r = &fakeReporter{}
	_, err = report(func(w *workv1alpha1.Work) {
		w.Status.Conditions = []metav1.Condition{{Type: workv1alpha1.WorkApplied, Status: metav1.ConditionFalse, Reason: "AppliedFailed", Message: "why", LastTransitionTime: then}}
	}, r, nil)
	require.NoError(t, err)
	assert.Equal(t, []agentv1alpha1.WorkObservation{{Name: "web", UID: "uid-web", Reason: "AppliedFailed", Message: "why"}}, r.got)

	r = &fakeReporter{}
	_, err = report(applied, r, &metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
	require.NoError(t, err)
	assert.Empty(t, r.got, "a dry run reports nothing")

	_, err = report(func(w *workv1alpha1.Work) { applied(w); w.UID = "of-before" }, r, nil)
	require.True(t, apierrors.IsConflict(err), "%v", err)
	_, err = report(func(w *workv1alpha1.Work) { applied(w); w.Status.ManifestStatuses[0].Health = "Fine" }, r, nil)
	require.True(t, apierrors.IsInvalid(err), "%v", err)
	assert.Empty(t, r.got)

	_, err = report(applied, &fakeReporter{rejected: []agentv1alpha1.RejectedObservation{{Name: "web", Reason: "Stale"}}}, nil)
	require.True(t, apierrors.IsConflict(err), "%v", err)
	_, err = report(applied, &fakeReporter{err: errors.New("etcd")}, nil)
	require.Error(t, err)
}
