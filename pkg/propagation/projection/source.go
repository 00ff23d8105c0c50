package projection

import (
	"encoding/binary"
	"hash"
	"hash/fnv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// Key names a binding: ResourceBindings have a namespace, ClusterResource
// Bindings have none.
type Key struct{ Namespace, Name string }

// KeyOf is the key of a binding.
func KeyOf(b workv1alpha2.Binding) Key { return Key{b.GetNamespace(), b.GetName()} }

// TemplateKey names a template. The version is not part of it.
type TemplateKey struct {
	schema.GroupKind
	Namespace, Name string
}

func templateKeyOf(b workv1alpha2.Binding) TemplateKey {
	ref := b.GetSpec().Resource
	group := ""
	if g, _, found := strings.Cut(ref.APIVersion, "/"); found {
		group = g
	}
	return TemplateKey{schema.GroupKind{Group: group, Kind: ref.Kind}, ref.Namespace, ref.Name}
}

// template is what is kept of a template: its pruned form, encoded.
type template struct {
	uid        types.UID
	generation int64
	created    int64 // unix seconds
	// divisible says that the kind has replicas a placement can divide.
	divisible bool
	manifest  []byte
	labels    map[string]string
	hash      uint64
	// noStub is set on a Service of which there are to be no stubs.
	noStub bool
	// stays is set on a namespace that asks not to be created in members.
	stays bool
	// err says why the template cannot be rendered at all.
	err error
}

// source is one origin of Works: a binding, or a namespace that goes everywhere.
type source struct {
	key      Key
	template TemplateKey
	workName string
	binding  workv1alpha2.Binding // nil for a namespace
	id       string               // of the binding, as its Works are labelled
	// placed are the clusters the source has entries in.
	placed map[string]*entry
}

// share is what one cluster gets.
type share struct {
	// replicas to write into the manifest; negative leaves the template's own.
	replicas  int32
	suspended bool
	// stub says that the cluster has no share but calls one that has.
	stub bool
}

// shares lists the clusters of a binding.
func shares(b workv1alpha2.Binding, divisible bool) map[string]share {
	spec := b.GetSpec()
	out := make(map[string]share, len(spec.Clusters))
	divided := divisible && isDivided(spec.Placement)
	for _, target := range spec.Clusters {
		s := share{replicas: -1, suspended: suspendedOn(spec.Suspension, target.Name)}
		if divided {
			s.replicas = target.Replicas
		}
		out[target.Name] = s
	}
	for _, snapshot := range spec.RequiredBy {
		for _, target := range snapshot.Clusters {
			if _, have := out[target.Name]; !have {
				out[target.Name] = shareOf(b, divisible, target.Name)
			}
		}
	}
	return out
}

// shareOf is the share of one cluster of a binding.
func shareOf(b workv1alpha2.Binding, divisible bool, cluster string) share {
	spec := b.GetSpec()
	s := share{replicas: -1, suspended: suspendedOn(spec.Suspension, cluster)}
	if !divisible || !isDivided(spec.Placement) {
		return s
	}
	for _, target := range spec.Clusters {
		if target.Name == cluster {
			// Also when it is zero: until the scheduler has divided a template
			// that was scaled up, every cluster would otherwise run all of it.
			s.replicas = target.Replicas
			return s
		}
	}
	return s // a dependency goes, undivided, wherever what needs it is
}

func shareOfNamespace(tmpl *template) share {
	return share{replicas: -1, suspended: tmpl != nil && tmpl.stays}
}

func isDivided(p *policyv1alpha1.Placement) bool {
	return p != nil && p.ReplicaScheduling != nil &&
		p.ReplicaScheduling.ReplicaSchedulingType == policyv1alpha1.ReplicaSchedulingTypeDivided
}

func suspendedOn(s *workv1alpha2.Suspension, cluster string) bool {
	if s == nil {
		return false
	}
	if s.Dispatching != nil && *s.Dispatching {
		return true
	}
	if s.DispatchingOnClusters == nil {
		return false
	}
	for _, name := range s.DispatchingOnClusters.ClusterNames {
		if name == cluster {
			return true
		}
	}
	return false
}

var jobKind = schema.GroupKind{Group: "batch", Kind: "Job"}

// pairHash changes whenever the rendered Work of src in a cluster may change.
func pairHash(src *source, tmpl *template, s share, overrides uint64) uint64 {
	h := newHash()
	if tmpl != nil {
		h.num(tmpl.hash)
		h.str(string(tmpl.uid))
		h.num(uint64(tmpl.generation))
	}
	h.num(uint64(int64(s.replicas)))
	if s.stub {
		h.flag(s.stub)
	}
	h.flag(s.suspended)
	h.num(overrides)
	if src.binding != nil {
		spec := src.binding.GetSpec()
		h.str(string(src.binding.GetUID()))
		h.str(string(spec.ConflictResolution))
		h.flag(spec.PreserveResourcesOnDeletion != nil && *spec.PreserveResourcesOnDeletion)
		if src.template.GroupKind == jobKind {
			// A Job's completions are divided over all its clusters.
			for _, target := range spec.Clusters {
				h.str(target.Name)
				h.num(uint64(target.Replicas))
			}
		}
	}
	return h.Sum64()
}

// statusHash changes whenever what a cluster reported of a binding changes.
func statusHash(item *workv1alpha2.AggregatedStatusItem) uint64 {
	if item == nil {
		return 0
	}
	h := newHash()
	h.flag(item.Applied)
	h.str(item.AppliedMessage)
	h.str(string(item.Health))
	if item.Status != nil {
		h.str(string(item.Status.Raw))
	}
	return h.Sum64()
}

func reported(b workv1alpha2.Binding) map[string]*workv1alpha2.AggregatedStatusItem {
	if b == nil {
		return nil
	}
	items := b.GetStatus().AggregatedStatus
	out := make(map[string]*workv1alpha2.AggregatedStatusItem, len(items))
	for i := range items {
		out[items[i].ClusterName] = &items[i]
	}
	return out
}

func aggregatedItem(b workv1alpha2.Binding, cluster string) *workv1alpha2.AggregatedStatusItem {
	if b == nil {
		return nil
	}
	items := b.GetStatus().AggregatedStatus
	for i := range items {
		if items[i].ClusterName == cluster {
			return &items[i]
		}
	}
	return nil
}

type hasher struct {
	hash.Hash64
	buf [8]byte
}

func newHash() *hasher { return &hasher{Hash64: fnv.New64a()} }

func (h *hasher) num(n uint64) {
	binary.LittleEndian.PutUint64(h.buf[:], n)
	_, _ = h.Write(h.buf[:]) // a hash never fails
}

func (h *hasher) str(s string) {
	h.num(uint64(len(s)))
	_, _ = h.Write([]byte(s))
}

func (h *hasher) flag(b bool) {
	if b {
		h.num(1)
	} else {
		h.num(0)
	}
}

// keyOfTemplate is the key of an object as a template.
func keyOfTemplate(obj *unstructured.Unstructured) TemplateKey {
	return TemplateKey{obj.GroupVersionKind().GroupKind(), obj.GetNamespace(), obj.GetName()}
}
