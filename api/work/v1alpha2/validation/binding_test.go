package validation

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// summary is what tests look at: field and type of each error, not its words.
func summary(errs field.ErrorList) []string {
	var all []string
	for _, err := range errs {
		all = append(all, err.Field+" "+string(err.Type))
	}
	return all
}

func ptr[T any](v T) *T { return &v }

func validBinding() *workv1alpha2.ResourceBinding {
	return &workv1alpha2.ResourceBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-deployment"},
		Spec:       workv1alpha2.ResourceBindingSpec{Resource: workv1alpha2.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}},
	}
}

func TestValidateBinding(t *testing.T) {
	type spec = workv1alpha2.ResourceBindingSpec
	cases := map[string]struct {
		reason string
		change func(*spec)
		want   []string
	}{
		"Valid":       {reason: "The smallest binding.", change: func(*spec) {}},
		"Negative":    {reason: "Replicas are counted.", change: func(s *spec) { s.Replicas = -1 }, want: []string{"spec.replicas FieldValueInvalid"}},
		"SameCluster": {reason: "A share could be lost in a merge.", change: func(s *spec) { s.Clusters = []workv1alpha2.TargetCluster{{Name: "eu"}, {Name: "eu", Replicas: -1}} }, want: []string{"spec.clusters[1].name FieldValueDuplicate", "spec.clusters[1].replicas FieldValueInvalid"}},
		"Components":  {reason: "Components have names of their own.", change: func(s *spec) { s.Components = []workv1alpha2.Component{{Name: "a"}, {Name: "a"}} }, want: []string{"spec.components[1].name FieldValueDuplicate"}},
		"KeepOrDelete": {reason: "A copy is deleted in time, or kept.", change: func(s *spec) {
			s.GracefulEvictionTasks = []workv1alpha2.GracefulEvictionTask{{FromCluster: "eu", Reason: "R", Producer: "p", GracePeriodSeconds: ptr(int32(1)), SuppressDeletion: ptr(true)}}
		}, want: []string{"spec.gracefulEvictionTasks[0].suppressDeletion FieldValueForbidden"}},
		"Placement": {reason: "A placement is held to what holds in a policy.", change: func(s *spec) {
			s.Placement = &policyv1alpha1.Placement{ClusterAffinities: []policyv1alpha1.ClusterAffinityTerm{{}}}
		}, want: []string{"spec.placement.clusterAffinities[0].affinityName FieldValueRequired"}},
		"RequiredBy": {reason: "Snapshots have names and shares.", change: func(s *spec) {
			s.RequiredBy = []workv1alpha2.BindingSnapshot{{Clusters: []workv1alpha2.TargetCluster{{}}}}
		}, want: []string{"spec.requiredBy[0].name FieldValueRequired", "spec.requiredBy[0].clusters[0].name FieldValueRequired"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			binding := validBinding()
			tc.change(&binding.Spec)
			if diff := cmp.Diff(tc.want, summary(ValidateBinding(binding))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.want, summary(ValidateBindingUpdate(binding, validBinding()))); diff != "" {
				t.Errorf("An update must be held to the same: %s (-want +got):\n%s", tc.reason, diff)
			}
			labelled := binding.DeepCopy()
			labelled.Labels = map[string]string{"a": "b"}
			if errs := ValidateBindingUpdate(labelled, binding); len(errs) > 0 {
				t.Errorf("What is stored can be labelled: %v", errs)
			}
		})
	}
}

func TestClustersOfAnOldBinding(t *testing.T) {
	old := validBinding()
	old.Spec.Placement = &policyv1alpha1.Placement{ClusterAffinities: []policyv1alpha1.ClusterAffinityTerm{{}}}
	now := old.DeepCopy()
	now.Spec.Clusters = []workv1alpha2.TargetCluster{{Name: "eu"}}
	if errs := ValidateBindingUpdate(now, old); len(errs) > 0 {
		t.Errorf("What was stored under older rules can leave a cluster: %v", errs)
	}
	now.Spec.Clusters[0].Replicas = -1
	if diff := cmp.Diff([]string{"spec.clusters[0].replicas FieldValueInvalid"}, summary(ValidateBindingUpdate(now, old))); diff != "" {
		t.Errorf("Clusters are checked (-want +got):\n%s", diff)
	}
	if old.Spec.Clusters != nil || len(now.Spec.Clusters) != 1 {
		t.Error("Nothing is changed by a look.")
	}
}

func TestScopesAreToldApart(t *testing.T) {
	binding := &workv1alpha2.ClusterResourceBinding{ObjectMeta: validBinding().ObjectMeta, Spec: validBinding().Spec}
	if diff := cmp.Diff([]string{"metadata.namespace FieldValueForbidden"}, summary(ValidateBinding(binding))); diff != "" {
		t.Errorf("A cluster-scoped binding has no namespace (-want +got):\n%s", diff)
	}
}

func TestBindingsStayInTheirNamespace(t *testing.T) {
	foreign := validBinding()
	foreign.Spec.Resource.Namespace = "bank"
	if diff := cmp.Diff([]string{"spec.resource.namespace FieldValueInvalid"}, summary(ValidateBinding(foreign))); diff != "" {
		t.Errorf("Who may write bindings in one namespace must not place what is in another (-want +got):\n%s", diff)
	}
	wide := &workv1alpha2.ClusterResourceBinding{ObjectMeta: metav1.ObjectMeta{Name: "web-deployment"}, Spec: validBinding().Spec}
	if diff := cmp.Diff([]string{"spec.resource.namespace FieldValueForbidden"}, summary(ValidateBinding(wide))); diff != "" {
		t.Errorf("Nor does a cluster-scoped binding (-want +got):\n%s", diff)
	}
	labelled := foreign.DeepCopy()
	labelled.Labels = map[string]string{"a": "b"}
	if errs := ValidateBindingUpdate(labelled, foreign); len(errs) > 0 {
		t.Errorf("What is stored can be labelled: %v", errs)
	}
}

func TestABindingIsAboutATemplate(t *testing.T) {
	binding := validBinding()
	binding.Spec.Resource = workv1alpha2.ObjectReference{Namespace: "shop"}
	want := []string{"spec.resource.apiVersion FieldValueRequired", "spec.resource.kind FieldValueRequired", "spec.resource.name FieldValueRequired"}
	if diff := cmp.Diff(want, summary(ValidateBinding(binding))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestABindingStaysWithItsTemplate(t *testing.T) {
	type ref = workv1alpha2.ObjectReference
	for name, tc := range map[string]struct {
		change func(*ref)
		want   []string
	}{
		"Version":   {change: func(r *ref) { r.APIVersion = "apps/v2" }},
		"Seen":      {change: func(r *ref) { r.UID, r.ResourceVersion = "1", "2" }},
		"Group":     {change: func(r *ref) { r.APIVersion = "v1" }, want: []string{"spec.resource FieldValueForbidden"}},
		"Kind":      {change: func(r *ref) { r.Kind = "StatefulSet" }, want: []string{"spec.resource FieldValueForbidden"}},
		"Namespace": {change: func(r *ref) { r.Namespace = "bank" }, want: []string{"spec.resource FieldValueForbidden"}},
		"Name":      {change: func(r *ref) { r.Name = "shop" }, want: []string{"spec.resource FieldValueForbidden"}},
	} {
		t.Run(name, func(t *testing.T) {
			now := validBinding()
			tc.change(&now.Spec.Resource)
			if diff := cmp.Diff(tc.want, summary(ValidateBindingUpdate(now, validBinding()))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPermanentIDIsImmutable(t *testing.T) {
	old, now := validBinding(), validBinding()
	now.Labels = map[string]string{names.ResourceBindingPermanentIDLabel: "1"}
	if errs := ValidateBindingUpdate(now, old); len(errs) > 0 {
		t.Errorf("It may be given: %v", errs)
	}
	if errs := ValidateBindingUpdate(old, now); len(errs) != 1 {
		t.Errorf("It may not be taken: %v", errs)
	}
}

func TestStatusNamesEachClusterOnce(t *testing.T) {
	binding := validBinding()
	binding.Status.AggregatedStatus = []workv1alpha2.AggregatedStatusItem{{ClusterName: "eu"}, {ClusterName: "eu", Health: "Fine"}}
	want := []string{"status.aggregatedStatus[1].clusterName FieldValueDuplicate", "status.aggregatedStatus[1].health FieldValueNotSupported"}
	if diff := cmp.Diff(want, summary(ValidateBindingStatusUpdate(binding, binding))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzValidateBinding(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"spec":{"placement":{},"failover":{"application":{}},"suspension":{},"clusters":[{"components":[{}]}],"gracefulEvictionTasks":[{"reason":"a b"}],"requiredBy":[{}]},"status":{"conditions":[{}],"aggregatedStatus":[{}]}}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		for _, b := range []workv1alpha2.Binding{&workv1alpha2.ResourceBinding{}, &workv1alpha2.ClusterResourceBinding{}} {
			if json.Unmarshal(data, b) == nil {
				ValidateBinding(b)
				ValidateBindingUpdate(b, b)
				ValidateBindingStatusUpdate(b, b)
			}
		}
	})
}
