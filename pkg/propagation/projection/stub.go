package projection

import (
	"errors"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// serviceKind is the one kind of which there are stubs.
var serviceKind = schema.GroupKind{Kind: "Service"}

// errExternalName is the reason a stub has no manifest.
var errExternalName = errors.New("an override makes it an ExternalName, of which there is no stub; " +
	"take the cluster out of the override, or set the annotation " + meshv1alpha1.StubLabel + ": \"false\" on the Service")

// OnHandover has f told what a cluster last said of a stub, when it becomes a
// share: agents do not repeat what has not changed. f must return at once, and not
// call back. It is set before anything else.
func (p *Projection) OnHandover(f func(Key, workv1alpha2.AggregatedStatusItem)) { p.onHandover = f }

// SetLinks replaces which clusters call which: by the one that calls. A Service
// that is placed in a called cluster has stubs in those that call it.
func (p *Projection) SetLinks(links map[string][]string) {
	callers := map[string][]string{}
	for from, called := range links {
		for _, to := range called {
			if from != to {
				callers[to] = append(callers[to], from)
			}
		}
	}
	for to, from := range callers {
		slices.Sort(from)
		callers[to] = slices.Compact(from)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.callers
	p.callers = callers
	differs := func(cluster string) bool { return !slices.Equal(before[cluster], callers[cluster]) }
	for _, src := range p.bindings {
		if src.template.GroupKind != serviceKind {
			continue
		}
		for cluster := range shares(src.binding, false) {
			if differs(cluster) {
				p.place(src)
				break
			}
		}
	}
}

// addStubs adds the clusters that call one in want, and are not in it. A template
// that is not known does not end a stub, no more than it ends a share.
func (p *Projection) addStubs(src *source, tmpl *template, want map[string]share) {
	if src.template.GroupKind != serviceKind || tmpl != nil && tmpl.noStub {
		return
	}
	for _, cluster := range slices.Collect(maps.Keys(want)) {
		for _, caller := range p.callers[cluster] {
			if _, have := want[caller]; !have {
				want[caller] = stubOf(src.binding, caller)
			}
		}
	}
}

func stubOf(b workv1alpha2.Binding, cluster string) share {
	return share{replicas: -1, suspended: suspendedOn(b.GetSpec().Suspension, cluster), stub: true}
}

// turn makes a share of a stub, or a stub of a share. What was reported goes with
// it: the agent does not say it again if it is still true.
func (p *Projection) turn(src *source, e *entry, item *workv1alpha2.AggregatedStatusItem) {
	e.stub = !e.stub
	if e.stub {
		e.report = item
		return
	}
	if e.report != nil && p.onHandover != nil {
		p.onHandover(src.key, *e.report)
	}
	e.report = nil
}

// displace gives a share the name of its Work if another template's stub has it.
func (p *Projection) displace(v *view, src *source) bool {
	holder := v.entries[src.workName]
	if holder == nil || !holder.stub {
		return false
	}
	p.withdraw(holder.src, v.cluster.Name, holder)
	return true
}

// relabel says whether the labels of a source's Works have changed.
func (src *source) relabel() bool {
	if src.binding == nil {
		return false
	}
	before := src.id
	_, src.id = permanentID(src.binding)
	return before != src.id
}

// refusesStubs says that there are to be no stubs of a template.
func refusesStubs(obj *unstructured.Unstructured) bool {
	if obj.GroupVersionKind().GroupKind() != serviceKind {
		return false
	}
	kind, _, _ := unstructured.NestedString(obj.Object, "spec", "type") // what is no string is no ExternalName
	return kind == "ExternalName" || obj.GetAnnotations()[meshv1alpha1.StubLabel] == "false"
}

// beyondCluster are the fields of a Service that are about being reached from
// outside of a cluster.
var beyondCluster = []string{
	"externalIPs", "externalTrafficPolicy", "healthCheckNodePort",
	"loadBalancerIP", "loadBalancerSourceRanges", "loadBalancerClass", "allocateLoadBalancerNodePorts",
}

// makeStub makes a Service one that can be called in its cluster, and nothing else.
func makeStub(obj *unstructured.Unstructured) error {
	withoutOverwrite(obj)
	labels := withDefault(obj.GetLabels())
	labels[meshv1alpha1.StubLabel] = "true"
	obj.SetLabels(labels)
	spec, ok := obj.Object["spec"].(map[string]any)
	if !ok {
		return nil // the member says what is wrong with it
	}
	if spec["type"] == "ExternalName" {
		return errExternalName
	}
	spec["type"] = "ClusterIP"
	for _, field := range beyondCluster {
		delete(spec, field)
	}
	ports, _ := spec["ports"].([]any)
	for _, entry := range ports {
		if port, ok := entry.(map[string]any); ok {
			delete(port, "nodePort")
		}
	}
	return nil
}

// withoutOverwrite takes the permission off to take over what is somebody
// else's. It was given for the clusters that the Service is placed in.
func withoutOverwrite(obj *unstructured.Unstructured) {
	annotations := obj.GetAnnotations()
	if _, set := annotations[names.ConflictResolutionAnnotation]; set {
		delete(annotations, names.ConflictResolutionAnnotation)
		obj.SetAnnotations(annotations)
	}
}
