package projection

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/flotilla-io/flotilla/api/names"
)

// namespaceKind is the one kind that travels without a binding.
var namespaceKind = schema.GroupKind{Kind: "Namespace"}

// SetTemplate adds or replaces a template. obj is not kept, and not modified.
func (p *Projection) SetTemplate(obj *unstructured.Unstructured) {
	key, tmpl := keyOfTemplate(obj), p.digest(obj)
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.templates[key]; old != nil && old.hash == tmpl.hash && old.uid == tmpl.uid && old.generation == tmpl.generation {
		return // status or bookkeeping changed
	}
	p.templates[key] = tmpl
	for src := range p.byTmpl[key] {
		p.place(src)
	}
}

// DeleteTemplate forgets a template. Its Works stay, without a manifest, until
// the binding goes.
func (p *Projection) DeleteTemplate(key TemplateKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.templates, key)
	for src := range p.byTmpl[key] {
		p.place(src)
	}
}

// SetNamespace adds or updates a namespace of the federation. Those that are
// not reserved exist in every member. One that asks not to has suspended Works:
// it is not created where it is missing, and where it is, it stays, with all
// that is in it.
func (p *Projection) SetNamespace(obj *unstructured.Unstructured) {
	name := obj.GetName()
	if names.IsReservedNamespace(name) || name == metav1.NamespaceDefault {
		return
	}
	obj.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: namespaceKind.Kind})
	p.SetTemplate(obj)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spaces[name] != nil {
		return
	}
	src := &source{
		template: TemplateKey{GroupKind: namespaceKind, Name: name},
		workName: names.WorkName(namespaceKind.Kind, "", name),
		placed:   map[string]*entry{},
	}
	p.spaces[name] = src
	p.link(src)
	p.place(src)
}

// DeleteNamespace takes a namespace's Works away.
func (p *Projection) DeleteNamespace(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if src := p.spaces[name]; src != nil {
		p.drop(src)
		delete(p.spaces, name)
	}
	delete(p.templates, TemplateKey{GroupKind: namespaceKind, Name: name})
}

// digest prunes and encodes a template.
func (p *Projection) digest(obj *unstructured.Unstructured) *template {
	t := &template{
		uid:        obj.GetUID(),
		generation: obj.GetGeneration(),
		created:    obj.GetCreationTimestamp().Unix(),
		labels:     obj.GetLabels(),
		noStub:     refusesStubs(obj),
		stays:      obj.GetLabels()[names.SkipAutoPropagationLabel] == names.SkipAutoPropagationValue,
	}
	fail := func(err error) *template {
		t.err = fmt.Errorf("%s %s: %w", obj.GetKind(), join(obj.GetNamespace(), obj.GetName()), err)
		h := newHash()
		h.str(t.err.Error())
		t.hash = h.Sum64()
		return t
	}
	pruned := obj.DeepCopy()
	p.interpreter.Prune(pruned)
	pruneClaim(pruned)
	var err error
	if _, _, t.divisible, err = p.interpreter.Replicas(pruned); err != nil {
		return fail(err)
	}
	if t.manifest, err = json.Marshal(pruned.Object); err != nil {
		return fail(err)
	}
	h := newHash()
	h.str(string(t.manifest))
	t.hash = h.Sum64()
	return t
}

// pruneClaim removes the claim: who placed a template is no business of the
// members, and a policy that goes should not change anything there.
func pruneClaim(obj *unstructured.Unstructured) {
	labels := obj.GetLabels()
	for _, key := range []string{names.LabelBound, names.PropagationPolicyPermanentIDLabel, names.ClusterPropagationPolicyPermanentIDLabel} {
		delete(labels, key)
	}
	obj.SetLabels(labels)
	annotations := obj.GetAnnotations()
	for _, key := range []string{names.PropagationPolicyNameAnnotation, names.PropagationPolicyNamespaceAnnotation, names.ClusterPropagationPolicyNameAnnotation} {
		delete(annotations, key)
	}
	obj.SetAnnotations(annotations)
}
