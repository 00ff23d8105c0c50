package registry

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// inCluster is the context of a request for a cluster-scoped object.
var inCluster = genericapirequest.WithNamespace(genericapirequest.NewContext(), metav1.NamespaceNone)

func cluster(obj runtime.Object) *clusterv1alpha1.Cluster { return obj.(*clusterv1alpha1.Cluster) }

// example is a resource of which the region is all there is to the spec, and the
// version all there is to the status.
func example() Resource {
	return Resource{
		Group: clusterv1alpha1.Resource("clusters"), Singular: "cluster", ShortNames: []string{"cl"}, Categories: []string{"all"},
		New:      func() runtime.Object { return &clusterv1alpha1.Cluster{} },
		NewList:  func() runtime.Object { return &clusterv1alpha1.ClusterList{} },
		OnCreate: func(obj runtime.Object) { cluster(obj).Status = clusterv1alpha1.ClusterStatus{} },
		OnUpdate: func(obj, old runtime.Object) { cluster(obj).Status = cluster(old).Status },
		OnStatus: func(obj, old runtime.Object) { cluster(obj).Spec = cluster(old).Spec },
		SpecChanged: func(obj, old runtime.Object) bool {
			return cluster(obj).Spec.Region != cluster(old).Spec.Region
		},
		Validate: func(obj runtime.Object) field.ErrorList {
			if cluster(obj).Spec.Region == "nowhere" {
				return field.ErrorList{field.Invalid(field.NewPath("spec", "region"), "nowhere", "not a place")}
			}
			return nil
		},
		ValidateStatus: func(obj, _ runtime.Object) field.ErrorList {
			if cluster(obj).Status.KubernetesVersion == "?" {
				return field.ErrorList{field.Invalid(field.NewPath("status", "kubernetesVersion"), "?", "not a version")}
			}
			return nil
		},
		Warnings: func(obj runtime.Object) []string { return []string{"mind " + cluster(obj).Spec.Region} },
	}
}

func sample(region, version string) *clusterv1alpha1.Cluster {
	return &clusterv1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{
			Name: "eu", UID: "uid", ResourceVersion: "7", Generation: 4, CreationTimestamp: metav1.Now(),
			Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"a": "1"}, Finalizers: []string{"x.io/f"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n", UID: "u"}},
		},
		Spec:   clusterv1alpha1.ClusterSpec{Region: region},
		Status: clusterv1alpha1.ClusterStatus{KubernetesVersion: version},
	}
}

func TestCreate(t *testing.T) {
	s := strategy{resource: example(), typer: Scheme}
	obj := sample("europe", "v1")
	obj.ResourceVersion, obj.UID = "", ""
	obj.Generation = 99
	require.NoError(t, rest.BeforeCreate(s, inCluster, obj))
	assert.EqualValues(t, 1, obj.Generation, "generations count from 1, whatever was sent")
	assert.Empty(t, obj.Status.KubernetesVersion, "status is not set through the resource")
	assert.Equal(t, "europe", obj.Spec.Region)
	assert.Equal(t, []string{"mind europe"}, s.WarningsOnCreate(t.Context(), obj))

	obj = sample("nowhere", "")
	err := rest.BeforeCreate(s, inCluster, obj)
	require.True(t, apierrors.IsInvalid(err), "%v", err)
	require.ErrorContains(t, err, "spec.region")
	assert.False(t, s.AllowCreateOnUpdate(), "a PUT of what is not there is a mistake")
}

func TestUpdate(t *testing.T) {
	tests := map[string]struct {
		reason     string
		status     bool // through the subresource
		change     func(c *clusterv1alpha1.Cluster)
		want       func(c *clusterv1alpha1.Cluster) // of what is stored
		refused    string
		generation int64
	}{
		"spec": {
			reason: "a new generation",
			change: func(c *clusterv1alpha1.Cluster) { c.Spec.Region = "asia" },
			want:   func(c *clusterv1alpha1.Cluster) { c.Spec.Region = "asia" }, generation: 5,
		},
		"nothing": {reason: "no new generation", change: func(*clusterv1alpha1.Cluster) {}, generation: 4},
		"metadata": {
			reason: "labels are no spec",
			change: func(c *clusterv1alpha1.Cluster) { c.Labels = map[string]string{"l": "2"} },
			want:   func(c *clusterv1alpha1.Cluster) { c.Labels = map[string]string{"l": "2"} }, generation: 4,
		},
		"generation": {
			reason: "clients do not count", generation: 4,
			change: func(c *clusterv1alpha1.Cluster) { c.Generation = 77 },
		},
		"status by the resource": {
			reason: "it has a subresource of its own", generation: 4,
			change: func(c *clusterv1alpha1.Cluster) { c.Status.KubernetesVersion = "v2" },
		},
		"bad spec": {
			reason: "an update is validated like a new object", refused: "spec.region",
			change: func(c *clusterv1alpha1.Cluster) { c.Spec.Region = "nowhere" },
		},
		"status": {
			reason: "the subresource takes the status", status: true, generation: 4,
			change: func(c *clusterv1alpha1.Cluster) { c.Status.KubernetesVersion = "v2" },
			want:   func(c *clusterv1alpha1.Cluster) { c.Status.KubernetesVersion = "v2" },
		},
		"status and everything else": {
			reason: "and nothing but the status", status: true, generation: 4,
			change: func(c *clusterv1alpha1.Cluster) {
				c.Status.KubernetesVersion = "v2"
				c.Spec.Region = "asia"
				c.Generation = 77
				c.Labels, c.Annotations, c.Finalizers, c.OwnerReferences = nil, map[string]string{"b": "2"}, nil, nil
			},
			want: func(c *clusterv1alpha1.Cluster) { c.Status.KubernetesVersion = "v2" },
		},
		"bad status": {
			reason: "statuses are validated, too", status: true, refused: "status.kubernetesVersion",
			change: func(c *clusterv1alpha1.Cluster) { c.Status.KubernetesVersion = "?" },
		},
		"bad spec by status": {
			reason: "what is not taken is not looked at", status: true, generation: 4,
			change: func(c *clusterv1alpha1.Cluster) { c.Spec.Region = "nowhere" },
		},
		"another object": {
			reason: "a UID is for life", refused: "metadata.uid",
			change: func(c *clusterv1alpha1.Cluster) { c.UID = "another" },
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var s rest.RESTUpdateStrategy = strategy{resource: example(), typer: Scheme}
			if tt.status {
				s = statusStrategy{strategy{resource: example(), typer: Scheme}}
				assert.Empty(t, s.WarningsOnUpdate(t.Context(), nil, nil), "agents write statuses; nobody reads warnings")
			}
			old := sample("europe", "v1")
			obj, want, before := old.DeepCopy(), old.DeepCopy(), old.DeepCopy()
			tt.change(obj)
			err := rest.BeforeUpdate(s, inCluster, obj, old)
			assert.Equal(t, before, old, "what is stored is only read")
			if tt.refused != "" {
				require.True(t, apierrors.IsInvalid(err), "%s: %v", tt.reason, err)
				assert.ErrorContains(t, err, tt.refused)
				return
			}
			require.NoError(t, err)
			if tt.want != nil {
				tt.want(want)
			}
			want.Generation = tt.generation
			assert.Equal(t, want, obj, tt.reason)
		})
	}
}

// Clients of kinds that are custom resources elsewhere expect a conflict where
// somebody else was first, and so must say what they have read.
func TestUnconditionalUpdate(t *testing.T) {
	s := strategy{resource: example(), typer: Scheme}
	assert.False(t, s.AllowUnconditionalUpdate())
	assert.False(t, statusStrategy{s}.AllowUnconditionalUpdate())
	s.resource.UnconditionalUpdate = true
	assert.True(t, s.AllowUnconditionalUpdate())
}

func TestDropFinalizers(t *testing.T) {
	read := []string{"x.io/f", "karmada.io/a", "karmada.io/b", "karmada.io/a-too"}
	c := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Finalizers: read}}
	DropFinalizers(c, "karmada.io/a", "karmada.io/b", "karmada.io/c")
	assert.Equal(t, []string{"x.io/f", "karmada.io/a-too"}, c.Finalizers, "exactly these, and in the order they had")
	assert.Equal(t, []string{"x.io/f", "karmada.io/a", "karmada.io/b", "karmada.io/a-too"}, read, "the list may be shared")
	c.Finalizers = nil
	DropFinalizers(c, "karmada.io/a")
	assert.Nil(t, c.Finalizers)
}

func TestResetFields(t *testing.T) {
	v1 := fieldpath.APIVersion(clusterv1alpha1.GroupVersion.String())
	s := strategy{resource: example(), typer: Scheme}
	own := s.GetResetFields()[v1]
	require.NotNil(t, own)
	assert.True(t, own.Has(fieldpath.MakePathOrDie("status")), "who applies an object does not own its status")
	status := statusStrategy{s}.GetResetFields()[v1]
	assert.True(t, status.Has(fieldpath.MakePathOrDie("spec")))
	assert.True(t, status.Has(fieldpath.MakePathOrDie("metadata", "labels")))

	r := example()
	r.OnStatus = nil
	assert.Nil(t, strategy{resource: r, typer: Scheme}.GetResetFields(), "without the subresource, status is a field like others")

	bindings := s
	bindings.resource.New = func() runtime.Object { return &workv1alpha2.ResourceBinding{} }
	assert.Len(t, bindings.GetResetFields(), 2, "in each version it is served in: %v", bindings.GetResetFields())
}
