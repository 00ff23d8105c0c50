package projection

import (
	"maps"
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
	byWork    map[string]map[*source]struct{} // by the name of their Works
	templates map[TemplateKey]*template
	// plurals are those of the kinds whose templates have been listed.
	plurals map[schema.GroupKind]string
	// horizon is the version of the last change that watches of all clusters
	// cannot be told of: a cluster left, or deletions were forgotten.
	horizon version
	views   map[string]*view
	stored  map[Key]*workv1alpha1.Work // by execution namespace and name
	// anyView is closed when any view changes, and replaced.
	anyView chan struct{}

	// callers are the clusters with a link to each cluster, sorted.
	callers map[string][]string

	// onHandover is told what was reported of a stub that became a share.
	onHandover func(Key, workv1alpha2.AggregatedStatusItem)
	// onOverridden is told of bindings whose overridden Works changed.
	onOverridden func(Key)
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
		byWork:      map[string]map[*source]struct{}{},
		templates:   map[TemplateKey]*template{},
		plurals:     map[schema.GroupKind]string{namespaceKind: "namespaces"},
		views:       map[string]*view{},
		stored:      map[Key]*workv1alpha1.Work{},
		anyView:     make(chan struct{}),
		overrides:   map[Key]policyv1alpha1.Override{},
	}
}

// OnOverridden has f told of every binding whose Works changed and have overrides,
// which may fail; see Failures. f must return at once, and not call back. It is
// set before anything else.
func (p *Projection) OnOverridden(f func(Key)) { p.onOverridden = f }

// next is the version of the next change. Callers hold mu.
func (p *Projection) next() version {
	p.counter++
	return p.counter
}

// SetBinding adds or replaces a binding. The projection keeps b. A binding about
// a template of another namespace has no Works: whoever may write bindings in
// one namespace has no say over another.
func (p *Projection) SetBinding(b workv1alpha2.Binding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := KeyOf(b)
	if b.GetSpec().Resource.Namespace != b.GetNamespace() {
		if src := p.bindings[key]; src != nil {
			p.drop(src)
			delete(p.bindings, key)
		}
		return
	}
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

// SetPlural notes the resource of a kind, for the identifiers in statuses.
func (p *Projection) SetPlural(kind schema.GroupKind, resource string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plurals[kind] = resource
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
	// What a cluster of this name was told before it left is of no use now.
	v.traits, v.horizon = seen, p.next()
	p.views[c.Name] = v
	p.placeAll("")
	for key, work := range p.stored {
		// A computed Work that has the name keeps it, as in SetStored.
		if key.Namespace == names.ExecutionNamespace(c.Name) && v.entries[work.Name] == nil {
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
	p.horizon = p.next()
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
		v.change(e, p.next(), before == nil || matters(before, work))
		if before == nil || !maps.Equal(before.Labels, work.Labels) {
			e.labelled = p.counter
		}
	}
	p.notifyAny()
}

// matters says whether a stored Work changed in what an agent acts on; statuses
// do not. Annotations do: conflicts are resolved by one.
func matters(before, after *workv1alpha1.Work) bool {
	return before.UID != after.UID || before.Generation != after.Generation || after.DeletionTimestamp != nil ||
		!maps.Equal(before.Annotations, after.Annotations)
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
		p.bury(v, e, work, nil)
		p.notifyAny()
	}
}

func (p *Projection) link(src *source) {
	insert(p.byTmpl, src.template, src)
	insert(p.byWork, src.workName, src)
}

func insert[K comparable](index map[K]map[*source]struct{}, key K, src *source) {
	if index[key] == nil {
		index[key] = map[*source]struct{}{}
	}
	index[key][src] = struct{}{}
}

func remove[K comparable](index map[K]map[*source]struct{}, key K, src *source) {
	if delete(index[key], src); len(index[key]) == 0 {
		delete(index, key)
	}
}

// drop takes a source's Works away and forgets it.
func (p *Projection) drop(src *source) {
	remove(p.byTmpl, src.template, src)
	remove(p.byWork, src.workName, src)
	for cluster, e := range src.placed {
		p.withdraw(src, cluster, e)
	}
	p.notifyAny()
}

func (p *Projection) withdraw(src *source, cluster string, e *entry) {
	delete(src.placed, cluster)
	v := p.views[cluster]
	if v == nil {
		return
	}
	p.bury(v, e, tombstone(p.inputs(src, cluster, share{replicas: -1, stub: e.stub}), ""), src)
}

// bury takes an entry of a source, nil for a stored one, away. Its name is free
// then for whoever else wanted it.
func (p *Projection) bury(v *view, e *entry, last *workv1alpha1.Work, of *source) {
	forgotten := v.remove(e, p.next(), last)
	p.horizon = max(p.horizon, forgotten)
	if work := p.stored[Key{names.ExecutionNamespace(v.cluster.Name), e.name}]; work != nil {
		v.add(&entry{name: e.name, work: work}, p.next())
		return
	}
	for other := range p.byWork[e.name] {
		if other != of {
			p.place(other)
		}
	}
}

// place brings the entries of a source in line with its inputs.
func (p *Projection) place(src *source) {
	tmpl := p.templates[src.template]
	want := p.wanted(src, tmpl)
	for cluster, e := range src.placed {
		if _, keep := want[cluster]; !keep {
			p.withdraw(src, cluster, e)
		}
	}
	items, policies, changed := reported(src.binding), p.overridesOf(src.template, tmpl), false
	relabelled := src.relabel()
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
		if e == nil && !s.stub && p.displace(v, src) {
			e = src.placed[cluster]
		}
		if e != nil && (src.binding == nil || s.stub && e.stub) {
			status = e.status // comes by ReportNamespace or ReportStub
		}
		switch {
		case e == nil && v.entries[src.workName] != nil:
			// Two templates whose Works have one name: the first keeps it.
		case e == nil:
			e = &entry{name: src.workName, src: src, hash: hash, status: status, stub: s.stub}
			if s.stub {
				e.report = items[cluster]
			}
			src.placed[cluster] = e
			changed = changed || !s.stub
			v.add(e, p.next())
		case e.hash != hash:
			changed = changed || !s.stub
			at := p.next()
			if e.stub != s.stub {
				p.turn(src, e, items[cluster])
				e.labelled = at
			}
			e.hash, e.status = hash, status
			v.change(e, at, true)
		case e.status != status || relabelled:
			e.status = status
			v.change(e, p.next(), false)
		}
		if e != nil && relabelled {
			e.labelled = p.counter
		}
	}
	if changed && policies.hash != 0 && src.binding != nil && p.onOverridden != nil {
		p.onOverridden(src.key)
	}
	p.notifyAny()
}

func (p *Projection) wanted(src *source, tmpl *template) map[string]share {
	if src.binding != nil {
		want := shares(src.binding, tmpl != nil && tmpl.divisible)
		if len(p.callers) > 0 {
			p.addStubs(src, tmpl, want)
		}
		return want
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
		cluster: cluster, object: object, workName: src.workName, key: src.template, resource: p.plurals[src.template.GroupKind], binding: src.binding,
		template: tmpl, share: s, overrides: p.overridesOf(src.template, tmpl),
	}
}
