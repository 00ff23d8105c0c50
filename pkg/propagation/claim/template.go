package claim

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// BoundValue is the value of the label names.LabelBound.
const BoundValue = "true"

// Template is what a policy can see of an object.
type Template struct {
	GroupKind schema.GroupKind
	Namespace string // empty for a cluster-scoped object
	Name      string
	Labels    labels.Set
}

// TemplateOf takes what a policy can see from an object.
func TemplateOf(gvk schema.GroupVersionKind, obj metav1.Object) Template {
	return Template{
		GroupKind: gvk.GroupKind(),
		Namespace: obj.GetNamespace(),
		Name:      obj.GetName(),
		Labels:    obj.GetLabels(),
	}
}

// Claim says which policy an object (a template or its binding) belongs to.
type Claim struct {
	// Namespace of the policy; empty for a ClusterPropagationPolicy.
	Namespace string
	Name      string
	// PermanentID survives a backup and restore of the policy and differs
	// after the policy was deleted and made anew.
	PermanentID string
}

// Of gives the claim that a policy would stamp.
func Of(p policyv1alpha1.Policy) Claim {
	c := Claim{Namespace: p.GetNamespace(), Name: p.GetName()}
	c.PermanentID = p.GetLabels()[c.keys().id]
	return c
}

// ClusterScoped tells whether the policy is a ClusterPropagationPolicy.
func (c Claim) ClusterScoped() bool { return c.Namespace == "" }

// HeldBy tells whether p is the very policy the claim names. A policy of the
// same name with another permanent id is not. A claim without an id (it was
// written by hand, or by something older) is held by whoever has the name.
func (c Claim) HeldBy(p policyv1alpha1.Policy) bool {
	other := Of(p)
	if c.Namespace != other.Namespace || c.Name != other.Name {
		return false
	}
	return c.PermanentID == "" || c.PermanentID == other.PermanentID
}

// Kind is the kind of the policy that the claim names.
func (c Claim) Kind() string {
	if c.ClusterScoped() {
		return "ClusterPropagationPolicy"
	}
	return "PropagationPolicy"
}

// String is for messages: "PropagationPolicy default/nginx".
func (c Claim) String() string {
	if c.ClusterScoped() {
		return c.Kind() + " " + c.Name
	}
	return c.Kind() + " " + c.Namespace + "/" + c.Name
}

// claimKeys are the label and the annotations that carry a claim of one scope.
type claimKeys struct {
	id        string
	name      string
	namespace string // empty: not written
}

var (
	namespacedKeys = claimKeys{
		id:        names.PropagationPolicyPermanentIDLabel,
		name:      names.PropagationPolicyNameAnnotation,
		namespace: names.PropagationPolicyNamespaceAnnotation,
	}
	clusterKeys = claimKeys{
		id:   names.ClusterPropagationPolicyPermanentIDLabel,
		name: names.ClusterPropagationPolicyNameAnnotation,
	}
)

func (c Claim) keys() claimKeys {
	if c.ClusterScoped() {
		return clusterKeys
	}
	return namespacedKeys
}

// LabelKey is the label that carries the permanent id of claims of this scope.
func (c Claim) LabelKey() string { return c.keys().id }

// On reads the claim on a template or binding. An object that carries marks
// of both scopes, which only a hand can write, counts as claimed by the
// PropagationPolicy.
func On(obj metav1.Object) (Claim, bool) {
	objLabels, annotations := obj.GetLabels(), obj.GetAnnotations()
	if name := annotations[namespacedKeys.name]; name != "" && annotations[namespacedKeys.namespace] != "" {
		return Claim{
			Namespace:   annotations[namespacedKeys.namespace],
			Name:        name,
			PermanentID: objLabels[namespacedKeys.id],
		}, true
	}
	if name := annotations[clusterKeys.name]; name != "" {
		return Claim{Name: name, PermanentID: objLabels[clusterKeys.id]}, true
	}
	return Claim{}, false
}

// HasMarks tells whether an object carries any part of a claim, be it complete
// or not.
func HasMarks(obj metav1.Object) bool {
	objLabels, annotations := obj.GetLabels(), obj.GetAnnotations()
	for _, k := range []claimKeys{namespacedKeys, clusterKeys} {
		if _, ok := objLabels[k.id]; ok {
			return true
		}
		if _, ok := annotations[k.name]; ok {
			return true
		}
		if _, ok := annotations[k.namespace]; ok {
			return true
		}
	}
	return false
}

// Stamp makes a template belong to p: it gets the marks of the claim and the
// label names.LabelBound. It is idempotent, and replaces a claim of another
// policy completely.
func Stamp(obj metav1.Object, p policyv1alpha1.Policy) {
	StampClaim(obj, Of(p))
	objLabels := copied(obj.GetLabels(), 1)
	objLabels[names.LabelBound] = BoundValue
	obj.SetLabels(objLabels)
}

// StampClaim puts the marks of a claim on a binding.
func StampClaim(obj metav1.Object, c Claim) {
	Release(obj)
	k := c.keys()
	if c.PermanentID != "" {
		objLabels := copied(obj.GetLabels(), 1)
		objLabels[k.id] = c.PermanentID
		obj.SetLabels(objLabels)
	}

	annotations := copied(obj.GetAnnotations(), 2)
	annotations[k.name] = c.Name
	if k.namespace != "" {
		annotations[k.namespace] = c.Namespace
	}
	obj.SetAnnotations(annotations)
}

// Release takes every mark of a claim from obj. The label names.LabelBound stays:
// what was placed for the template stays too, so it has to remain visible to
// the caches that select by that label.
func Release(obj metav1.Object) {
	if !HasMarks(obj) {
		return
	}
	objLabels, annotations := copied(obj.GetLabels(), 0), copied(obj.GetAnnotations(), 0)
	for _, k := range []claimKeys{namespacedKeys, clusterKeys} {
		delete(objLabels, k.id)
		delete(annotations, k.name)
		delete(annotations, k.namespace)
	}
	obj.SetLabels(nilIfEmpty(objLabels))
	obj.SetAnnotations(nilIfEmpty(annotations))
}

// copied keeps maps that are shared with a cache from being written to.
func copied(m map[string]string, extra int) map[string]string {
	out := make(map[string]string, len(m)+extra)
	for k, v := range m {
		out[k] = v
	}
	return out
}

func nilIfEmpty(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}
