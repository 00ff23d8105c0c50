package work

import (
	"cmp"
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/api/work/v1alpha2/validation"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
)

func resourceBindings() registry.Resource {
	return bindings("resourcebindings", "resourcebinding", "rb", true,
		func() runtime.Object { return &workv1alpha2.ResourceBinding{} },
		func() runtime.Object { return &workv1alpha2.ResourceBindingList{} })
}

func clusterResourceBindings() registry.Resource {
	return bindings("clusterresourcebindings", "clusterresourcebinding", "crb", false,
		func() runtime.Object { return &workv1alpha2.ClusterResourceBinding{} },
		func() runtime.Object { return &workv1alpha2.ClusterResourceBindingList{} })
}

func binding(obj runtime.Object) workv1alpha2.Binding { return obj.(workv1alpha2.Binding) }

func bindings(plural, singular, short string, namespaced bool, newObj, newList func() runtime.Object) registry.Resource {
	finalizer := names.ClusterResourceBindingFinalizer
	if namespaced {
		finalizer = names.BindingFinalizer
	}
	condition := func(kind string) func(obj runtime.Object) string {
		return func(obj runtime.Object) string {
			if c := meta.FindStatusCondition(binding(obj).GetStatus().Conditions, kind); c != nil {
				return string(c.Status)
			}
			return ""
		}
	}
	return registry.Resource{
		Group: workv1alpha2.Resource(plural), Singular: singular, ShortNames: []string{short}, Categories: category,
		Namespaced: namespaced, New: newObj, NewList: newList,
		OnCreate: func(obj runtime.Object) {
			*binding(obj).GetStatus() = workv1alpha2.ResourceBindingStatus{}
			dropRepeated(binding(obj))
			registry.DropFinalizers(binding(obj), finalizer)
		},
		OnUpdate: func(obj, old runtime.Object) {
			*binding(obj).GetStatus() = *binding(old).GetStatus()
			dropRepeated(binding(obj))
			registry.DropFinalizers(binding(obj), finalizer)
		},
		OnStatus:    func(obj, old runtime.Object) { *binding(obj).GetSpec() = *binding(old).GetSpec() },
		SpecChanged: specChanged,
		Validate:    func(obj runtime.Object) field.ErrorList { return validation.ValidateBinding(binding(obj)) },
		ValidateUpdate: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidateBindingUpdate(binding(obj), binding(old))
		},
		ValidateStatus: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidateBindingStatusUpdate(binding(obj), binding(old))
		},
		Columns: []registry.Column{
			registry.Text("Scheduled", "Whether clusters were chosen.", condition(workv1alpha2.Scheduled)),
			registry.Text("FullyApplied", "Whether every cluster has applied its share.", condition(workv1alpha2.FullyApplied)),
			registry.Age(),
		},
	}
}

func specChanged(obj, old runtime.Object) bool {
	return !apiequality.Semantic.DeepEqual(binding(obj).GetSpec(), binding(old).GetSpec())
}

// dropRepeated removes all but the first target of a name, and keeps an empty
// list absent. A target whose replicas are 0 stays: that is how clusters of a
// kind without replicas are written, and in the type zero and absent are one.
// That a kind with replicas never has a share of zero is up to who divides.
func dropRepeated(b workv1alpha2.Binding) {
	spec := b.GetSpec()
	seen := make(map[string]bool, len(spec.Clusters))
	spec.Clusters = slices.DeleteFunc(slices.Clone(spec.Clusters), func(t workv1alpha2.TargetCluster) bool {
		again := seen[t.Name]
		seen[t.Name] = true
		return again
	})
	if len(spec.Clusters) == 0 {
		spec.Clusters = nil
	}
}

// decide reduces an update to what a scheduler decides, and makes the decision
// and its condition one write: the clusters, the condition Scheduled, the time,
// the affinity group, and the placement that was looked at. Everything else is
// kept as it is stored.
func decide(obj, old runtime.Object) {
	decision, stored := binding(obj), binding(old)
	clusters := decision.GetSpec().Clusters
	placement, hasPlacement := decision.GetAnnotations()[names.AppliedPlacementAnnotation]
	status := *decision.GetStatus()

	registry.KeepMetadata(obj, old)
	annotations := map[string]string{}
	for k, v := range stored.GetAnnotations() {
		annotations[k] = v
	}
	if hasPlacement {
		annotations[names.AppliedPlacementAnnotation] = placement
		decision.SetAnnotations(annotations)
	}
	*decision.GetSpec() = *stored.GetSpec().DeepCopy()
	decision.GetSpec().Clusters = clusters
	dropRepeated(decision)

	next := stored.GetStatus().DeepCopy()
	next.LastScheduledTime = cmp.Or(status.LastScheduledTime, next.LastScheduledTime)
	next.SchedulerObservingAffinityName = status.SchedulerObservingAffinityName
	if c := meta.FindStatusCondition(status.Conditions, workv1alpha2.Scheduled); c != nil {
		meta.SetStatusCondition(&next.Conditions, metav1.Condition{
			Type: c.Type, Status: c.Status, Reason: c.Reason, Message: c.Message,
			ObservedGeneration: c.ObservedGeneration, LastTransitionTime: c.LastTransitionTime,
		})
	}
	if specChanged(obj, old) {
		decision.SetGeneration(stored.GetGeneration() + 1)
	}
	next.SchedulerObservedGeneration = decision.GetGeneration()
	*decision.GetStatus() = *next
}
