package projection

import (
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// Interpreter is what the projection asks of the kinds it renders.
type Interpreter interface {
	Replicas(obj *unstructured.Unstructured) (replicas int32, req *workv1alpha2.ReplicaRequirements, ok bool, err error)
	ReviseReplicas(obj *unstructured.Unstructured, replicas int32) error
	Prune(obj *unstructured.Unstructured)
}

// Projection is the index over all inputs. Make one with New.
type Projection struct {
	interpreter Interpreter
	epoch       uint32

	mu        sync.RWMutex
	counter   version
	bindings  map[Key]*source
	spaces    map[string]*source // namespaces that go everywhere
	byTmpl    map[TemplateKey]map[*source]struct{}
	templates map[TemplateKey]*template
	// ready are the kinds whose templates have been listed. Works of other
	// kinds wait: a template not seen yet is not a template that is missing.
	// The value is the kind's plural.
	ready  map[schema.GroupKind]string
	views  map[string]*view
	stored map[Key]*workv1alpha1.Work // by execution namespace and name
	// anyView is closed when any view changes, and replaced.
	anyView chan struct{}

	// overrides are the override policies of both scopes.
	overrides map[Key]policyv1alpha1.Override
}

// New makes an empty projection. epoch must differ between any two processes
// whose clients may meet, and must not be zero; see NewEpoch.
func New(interpreter Interpreter, epoch uint32) *Projection {
	return &Projection{
		interpreter: interpreter,
		epoch:       epoch,
		bindings:    map[Key]*source{},
		spaces:      map[string]*source{},
		byTmpl:      map[TemplateKey]map[*source]struct{}{},
		templates:   map[TemplateKey]*template{},
		ready:       map[schema.GroupKind]string{namespaceKind: "namespaces"},
		views:       map[string]*view{},
		stored:      map[Key]*workv1alpha1.Work{},
		anyView:     make(chan struct{}),
		overrides:   map[Key]policyv1alpha1.Override{},
	}
}

// next is the version of the next change. Callers hold mu.
func (p *Projection) next() version {
	p.counter++
	return p.counter
}

// SetBinding adds or replaces a binding. The projection keeps b.
func (p *Projection) SetBinding(b workv1alpha2.Binding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := KeyOf(b)
	src := p.bindings[key]
	if src != nil && src.template != templateKeyOf(b) {
		p.drop(src)
		src = nil
	}
	if src == nil {
		ref := b.GetSpec().Resource
		src = &source{
			key:      key,
			template: templateKeyOf(b),
			workName: names.WorkName(ref.Kind, ref.Namespace, ref.Name),
			placed:   map[string]*entry{},
		}
		p.bindings[key] = src
		p.link(src)
	}
	src.binding = b
	p.place(src)
}

// DeleteBinding takes a binding's Works away.
func (p *Projection) DeleteBinding(key Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if src := p.bindings[key]; src != nil {
		p.drop(src)
		delete(p.bindings, key)
	}
}

// KindReady says that the templates of a kind, whose plural is resource, have
// been listed.
func (p *Projection) KindReady(kind schema.GroupKind, resource string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ready := p.ready[kind]; ready {
		return
	}
	p.ready[kind] = resource
	for key, sources := range p.byTmpl {
		if key.GroupKind == kind {
			for src := range sources {
				p.place(src)
			}
		}
	}
}

// SetCluster registers a cluster, so that it has Works to read, or updates what
// override policies see of it. The projection keeps c.
func (p *Projection) SetCluster(c *clusterv1alpha1.Cluster) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, seen := p.views[c.Name], traits(c)
	if v != nil {
		before := v.traits
		v.cluster, v.traits = c, seen
		if before != seen && len(p.overrides) > 0 {
			p.placeAll("")
		}
		return
	}
	v = newView(c)
	v.traits = seen
	p.views[c.Name] = v
	p.placeAll("")
	for key, work := range p.stored {
		if key.Namespace == names.ExecutionNamespace(c.Name) {
			v.add(&entry{name: work.Name, work: work}, p.next())
		}
	}
	p.notifyAny()
}

// RemoveCluster ends every watch of the cluster with an error. No Work is
// reported as deleted: leaving the federation deletes nothing in the member.
func (p *Projection) RemoveCluster(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.views[name]
	if v == nil {
		return
	}
	delete(p.views, name)
	for _, e := range v.entries {
		if e.src != nil {
			delete(e.src.placed, name)
		}
	}
	v.gone = true
	v.notify()
	p.notifyAny()
}

// SetStored adds or replaces a Work that somebody created.
func (p *Projection) SetStored(work *workv1alpha1.Work) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := Key{work.Namespace, work.Name}
	before := p.stored[key]
	p.stored[key] = work
	cluster, _ := names.ClusterOf(work.Namespace)
	v := p.views[cluster]
	if v == nil {
		return
	}
	e := v.entries[work.Name]
	switch {
	case e == nil:
		v.add(&entry{name: work.Name, work: work}, p.next())
	case e.work == nil:
		return // a computed Work has the name; the store refuses such creates
	default:
		e.work = work
		// Without a spec change only status or metadata moved.
		v.change(e, p.next(), before == nil || before.Generation != work.Generation || work.DeletionTimestamp != nil)
	}
	p.notifyAny()
}

// DeleteStored takes a stored Work away.
func (p *Projection) DeleteStored(namespace, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := Key{namespace, name}
	work := p.stored[key]
	delete(p.stored, key)
	cluster, _ := names.ClusterOf(namespace)
	v := p.views[cluster]
	if work == nil || v == nil {
		return
	}
	if e := v.entries[name]; e != nil && e.work != nil {
		v.remove(e, p.next(), work)
		p.notifyAny()
	}
}

func (p *Projection) link(src *source) {
	set := p.byTmpl[src.template]
	if set == nil {
		set = map[*source]struct{}{}
		p.byTmpl[src.template] = set
	}
	set[src] = struct{}{}
}

// drop takes a source's Works away and forgets it.
func (p *Projection) drop(src *source) {
	for cluster, e := range src.placed {
		p.withdraw(src, cluster, e)
	}
	delete(p.byTmpl[src.template], src)
	if len(p.byTmpl[src.template]) == 0 {
		delete(p.byTmpl, src.template)
	}
	p.notifyAny()
}

func (p *Projection) withdraw(src *source, cluster string, e *entry) {
	delete(src.placed, cluster)
	v := p.views[cluster]
	if v == nil {
		return
	}
	at := p.next()
	v.remove(e, at, tombstone(p.inputs(src, cluster, share{replicas: -1}), formatVersion(p.epoch, at)))
}

// place brings the entries of a source in line with its inputs.
func (p *Projection) place(src *source) {
	if _, ready := p.ready[src.template.GroupKind]; !ready && src.binding != nil {
		return
	}
	tmpl := p.templates[src.template]
	want := p.wanted(src, tmpl)
	for cluster, e := range src.placed {
		if _, keep := want[cluster]; !keep {
			p.withdraw(src, cluster, e)
		}
	}
	items, policies := reported(src.binding), p.overridesOf(src.template, tmpl)
	for cluster, s := range want {
		v := p.views[cluster]
		if v == nil {
			continue
		}
		changes := policies.hash
		if changes != 0 {
			changes ^= v.traits
		}
		hash := pairHash(src, tmpl, s, changes)
		e, status := src.placed[cluster], statusHash(items[cluster])
		if src.binding == nil && e != nil {
			status = e.status // comes by ReportNamespace
		}
		switch {
		case e == nil && v.entries[src.workName] != nil:
			// Two templates whose Works have one name: the first keeps it.
		case e == nil:
			e = &entry{name: src.workName, src: src, hash: hash, status: status}
			src.placed[cluster] = e
			v.add(e, p.next())
		case e.hash != hash:
			e.hash, e.status = hash, status
			v.change(e, p.next(), true)
		case e.status != status:
			e.status = status
			v.change(e, p.next(), false)
		}
	}
	p.notifyAny()
}

func (p *Projection) wanted(src *source, tmpl *template) map[string]share {
	if src.binding != nil {
		return shares(src.binding, tmpl != nil && tmpl.divisible)
	}
	want := make(map[string]share, len(p.views))
	for cluster := range p.views {
		want[cluster] = shareOfNamespace(tmpl)
	}
	return want
}

func (p *Projection) notifyAny() {
	close(p.anyView)
	p.anyView = make(chan struct{})
}

// inputs takes what a Work is rendered from. Callers hold mu.
func (p *Projection) inputs(src *source, cluster string, s share) inputs {
	tmpl := p.templates[src.template]
	var object *clusterv1alpha1.Cluster
	if v := p.views[cluster]; v != nil {
		object = v.cluster
	}
	return inputs{
		cluster: cluster, object: object, workName: src.workName, key: src.template, resource: p.ready[src.template.GroupKind], binding: src.binding,
		template: tmpl, share: s, overrides: p.overridesOf(src.template, tmpl),
	}
}
