package binding

import (
	"github.com/google/uuid"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/propagation/claim"
	"github.com/flotilla-io/flotilla/pkg/propagation/templates"
)

// lazyMarkAnnotation is on bindings whose policy is lazy. It says for which state
// of the template the policy was last applied.
const lazyMarkAnnotation = "propagation.flotilla.io/applied-for-template"

// Replicas is what the interpreter says about a template.
type Replicas struct {
	Count        int32
	Requirements *workv1alpha2.ReplicaRequirements
}

// desired is everything a binding is made from.
type desired struct {
	gvk      schema.GroupVersionKind
	template *templates.Metadata
	claim    claim.Claim
	policy   policyv1alpha1.Policy
	replicas Replicas
	priority *workv1alpha2.SchedulePriority
	// lazyMark is empty when the policy is not lazy.
	lazyMark string
}

// newBinding makes the empty binding of a template.
func newBinding(key templates.Key) workv1alpha2.Binding {
	var b workv1alpha2.Binding = &workv1alpha2.ClusterResourceBinding{}
	if key.Namespace != "" {
		b = &workv1alpha2.ResourceBinding{}
	}
	b.SetNamespace(key.Namespace)
	b.SetName(names.BindingName(key.Kind, key.Name))
	return b
}

// create makes the binding of a template that has none.
func (d *desired) create(key templates.Key) workv1alpha2.Binding {
	b := newBinding(key)
	b.SetLabels(map[string]string{permanentIDLabel(b): uuid.NewString()})
	b.GetSpec().Resource.ResourceVersion = d.template.GetResourceVersion()
	d.apply(b)
	return b
}

// apply changes b, in place, to what it should be.
func (d *desired) apply(b workv1alpha2.Binding) {
	previous, claimed := claim.On(b)
	samePolicy := claimed && previous == d.claim
	d.applyTemplate(b)
	if d.lazyMark != "" && samePolicy && b.GetAnnotations()[lazyMarkAnnotation] == d.lazyMark {
		return // the template is still as it was when the policy was applied
	}
	d.applyPolicy(b)
	setAnnotation(b, lazyMarkAnnotation, d.lazyMark)
}

// applyTemplate sets what comes from the template.
func (d *desired) applyTemplate(b workv1alpha2.Binding) {
	claim.StampClaim(b, d.claim)
	b.SetOwnerReferences(withOwner(b.GetOwnerReferences(), d.gvk, d.template))
	if b.GetLabels()[permanentIDLabel(b)] == "" {
		setLabel(b, permanentIDLabel(b), uuid.NewString())
	}

	spec := b.GetSpec()
	apiVersion, kind := d.gvk.ToAPIVersionAndKind()
	spec.Resource.APIVersion = apiVersion
	spec.Resource.Kind = kind
	spec.Resource.Namespace = d.template.GetNamespace()
	spec.Resource.Name = d.template.GetName()
	spec.Resource.UID = d.template.GetUID()
	spec.Replicas = d.replicas.Count
	replace(&spec.ReplicaRequirements, d.replicas.Requirements)
}

// applyPolicy sets what comes from the policy.
func (d *desired) applyPolicy(b workv1alpha2.Binding) {
	spec, from := b.GetSpec(), d.policy.GetSpec().DeepCopy()
	replace(&spec.Placement, &from.Placement)
	replace(&spec.Failover, from.Failover)
	replace(&spec.Suspension, d.suspension(spec.Suspension, from.Suspension))
	replace(&spec.PreserveResourcesOnDeletion, from.PreserveResourcesOnDeletion)
	replace(&spec.SchedulePriority, d.priority)
	replace(&spec.WorkloadAffinityGroups, d.affinityGroups())
	spec.ConflictResolution = from.ConflictResolution
	spec.PropagateDeps = from.PropagateDeps
	spec.SchedulerName = from.SchedulerName
}

// suspension joins the policy's part with the binding's own: whether scheduling
// is suspended is not the policy's to say.
func (d *desired) suspension(existing *workv1alpha2.Suspension, from *policyv1alpha1.Suspension) *workv1alpha2.Suspension {
	out := &workv1alpha2.Suspension{}
	if existing != nil {
		out.Scheduling = existing.Scheduling
	}
	if from != nil {
		out.Suspension = *from
	}
	if apiequality.Semantic.DeepEqual(out, &workv1alpha2.Suspension{}) {
		return nil
	}
	return out
}

// affinityGroups names the groups that the template's labels put it in. The key
// is part of the name: equal values of different labels are different groups.
func (d *desired) affinityGroups() *workv1alpha2.WorkloadAffinityGroups {
	affinity := d.policy.GetSpec().Placement.WorkloadAffinity
	if affinity == nil {
		return nil
	}
	group := func(key string) string {
		if value := d.template.GetLabels()[key]; value != "" {
			return key + "=" + value
		}
		return ""
	}
	out := &workv1alpha2.WorkloadAffinityGroups{}
	if affinity.Affinity != nil {
		out.AffinityGroup = group(affinity.Affinity.GroupByLabelKey)
	}
	if affinity.AntiAffinity != nil {
		out.AntiAffinityGroup = group(affinity.AntiAffinity.GroupByLabelKey)
	}
	if *out == (workv1alpha2.WorkloadAffinityGroups{}) {
		return nil
	}
	return out
}

// replace sets a field unless it means the same already: a quantity that is only
// spelled otherwise is no reason to write.
func replace[T any](field **T, value *T) {
	if !apiequality.Semantic.DeepEqual(*field, value) {
		*field = value
	}
}

// withOwner makes the template the one controlling owner, and drops a former
// incarnation of it. Other owners stay.
func withOwner(owners []metav1.OwnerReference, gvk schema.GroupVersionKind, template *templates.Metadata) []metav1.OwnerReference {
	own := *metav1.NewControllerRef(template, gvk)
	out := make([]metav1.OwnerReference, 0, len(owners)+1)
	for _, o := range owners {
		if o.Controller == nil || !*o.Controller {
			out = append(out, o)
		}
	}
	return append(out, own)
}

func permanentIDLabel(b workv1alpha2.Binding) string {
	if b.GetNamespace() == "" {
		return names.ClusterResourceBindingPermanentIDLabel
	}
	return names.ResourceBindingPermanentIDLabel
}

func setLabel(obj metav1.Object, key, value string) {
	obj.SetLabels(with(obj.GetLabels(), key, value))
}

func setAnnotation(obj metav1.Object, key, value string) {
	obj.SetAnnotations(with(obj.GetAnnotations(), key, value))
}

// with gives m with a value set, or taken out when it is empty.
func with(m map[string]string, key, value string) map[string]string {
	if m[key] == value {
		return m
	}
	out := make(map[string]string, len(m)+1)
	for k, v := range m {
		out[k] = v
	}
	out[key] = value
	if value == "" {
		delete(out, key)
	}
	return out
}
