package projection

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/propagation/override"
)

// overrides are the override policies that are about one template.
type overrides struct {
	cluster    []*policyv1alpha1.ClusterOverridePolicy
	namespaced []*policyv1alpha1.OverridePolicy
	hash       uint64 // 0 when there are none
}

// apply changes a manifest for a cluster, and returns the annotations that
// record it.
func (o overrides) apply(obj *unstructured.Unstructured, cluster *clusterv1alpha1.Cluster) (map[string]string, error) {
	if o.hash == 0 || cluster == nil {
		return nil, nil
	}
	applied, err := override.Apply(obj, cluster, o.cluster, o.namespaced)
	if err != nil {
		return nil, err
	}
	return applied.Annotations()
}

// SetOverride adds or replaces an override policy of either scope. The
// projection keeps it.
func (p *Projection) SetOverride(policy policyv1alpha1.Override) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.overrides[Key{policy.GetNamespace(), policy.GetName()}] = policy
	p.placeAll(policy.GetNamespace())
}

// DeleteOverride forgets an override policy; one of the cluster scope has no
// namespace.
func (p *Projection) DeleteOverride(key Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.overrides, key)
	p.placeAll(key.Namespace)
}

// Failures are the clusters whose Work of a binding cannot be rendered because an
// override does not fit, with the reason. Stubs are not among them.
func (p *Projection) Failures(key Key) map[string]string {
	p.mu.RLock()
	src := p.bindings[key]
	if src == nil || p.overridesOf(src.template, p.templates[src.template]).hash == 0 {
		p.mu.RUnlock()
		return nil
	}
	all := make([]inputs, 0, len(src.placed))
	for cluster, e := range src.placed {
		if !e.stub {
			all = append(all, p.inputs(src, cluster, p.shareOf(e, cluster)))
		}
	}
	p.mu.RUnlock()
	out := map[string]string{}
	for _, in := range all {
		if _, err := manifest(in, p.interpreter); err != nil {
			out[in.cluster] = err.Error()
		}
	}
	return out
}

// placeAll looks at every source again, or at those of a namespace.
func (p *Projection) placeAll(namespace string) {
	for _, src := range p.bindings {
		if namespace == "" || src.template.Namespace == namespace {
			p.place(src)
		}
	}
	if namespace == "" {
		for _, src := range p.spaces {
			p.place(src)
		}
	}
}

// overridesOf finds the policies that are about a template. Callers hold mu.
func (p *Projection) overridesOf(key TemplateKey, tmpl *template) overrides {
	var out overrides
	if tmpl == nil || len(p.overrides) == 0 {
		return out
	}
	obj := &metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: tmpl.labels}
	for _, policy := range p.overrides {
		if !override.Selects(policy, key.GroupKind, obj) {
			continue
		}
		switch policy := policy.(type) {
		case *policyv1alpha1.ClusterOverridePolicy:
			out.cluster = append(out.cluster, policy)
		case *policyv1alpha1.OverridePolicy:
			out.namespaced = append(out.namespaced, policy)
		}
	}
	if len(out.cluster)+len(out.namespaced) == 0 {
		return out
	}
	slices.SortFunc(out.cluster, func(a, b *policyv1alpha1.ClusterOverridePolicy) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(out.namespaced, func(a, b *policyv1alpha1.OverridePolicy) int { return cmp.Compare(a.Name, b.Name) })
	h := newHash()
	for _, policy := range out.cluster {
		h.str(string(policy.UID))
		h.num(uint64(policy.Generation))
	}
	for _, policy := range out.namespaced {
		h.str(string(policy.UID))
		h.num(uint64(policy.Generation))
	}
	out.hash = h.Sum64() | 1
	return out
}

// traits sums up what a selector can see of a cluster.
func traits(c *clusterv1alpha1.Cluster) uint64 {
	h := newHash()
	for _, key := range sortedKeys(c.Labels) {
		h.str(key)
		h.str(c.Labels[key])
	}
	h.str(c.Spec.Provider)
	h.str(c.Spec.Region)
	h.str(c.Spec.Zone)
	for _, zone := range c.Spec.Zones {
		h.str(zone)
	}
	return h.Sum64()
}
