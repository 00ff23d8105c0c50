package projection

import (
	"cmp"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// Origin says where a computed Work comes from.
type Origin struct {
	// Binding is empty for the Work of a namespace.
	Binding Key
	UID     types.UID
	// Stub says that the cluster has no share of the binding, and that what it
	// reports is no part of the binding's status.
	Stub bool
}

// Lookup finds the origin of a cluster's computed Work.
func (p *Projection) Lookup(cluster, work string) (Origin, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	v := p.views[cluster]
	if v == nil {
		return Origin{}, false
	}
	e := v.entries[work]
	if e == nil || e.src == nil {
		return Origin{}, false
	}
	return Origin{Binding: e.src.key, UID: workUID(p.inputs(e.src, cluster, share{})), Stub: e.stub}, true
}

// Get returns a computed Work; false when there is none of that name.
func (p *Projection) Get(cluster, name string) (*workv1alpha1.Work, bool) {
	p.mu.RLock()
	v := p.views[cluster]
	if v == nil || v.entries[name] == nil || v.entries[name].src == nil {
		p.mu.RUnlock()
		return nil, false
	}
	shot := p.snapshot(v, v.entries[name], byLatest)
	p.mu.RUnlock()
	return p.render(shot), true
}

// ReportNamespace notes what a cluster says of the Work of a namespace.
func (p *Projection) ReportNamespace(work string, item workv1alpha2.AggregatedStatusItem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.views[item.ClusterName]
	if v == nil || v.entries[work] == nil || v.entries[work].src == nil || v.entries[work].src.binding != nil {
		return
	}
	p.keep(v, v.entries[work], item)
}

// ReportStub notes what a cluster says of a stub. It returns whether there is a
// stub of that name, and whether this is news of it.
func (p *Projection) ReportStub(work string, item workv1alpha2.AggregatedStatusItem) (there, news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.views[item.ClusterName]
	if v == nil || v.entries[work] == nil || !v.entries[work].stub {
		return false, false
	}
	return true, p.keep(v, v.entries[work], item)
}

// keep remembers a report that has no binding to go to. Callers hold mu.
func (p *Projection) keep(v *view, e *entry, item workv1alpha2.AggregatedStatusItem) (news bool) {
	status := statusHash(&item)
	if e.report != nil && e.status == status {
		return false
	}
	e.report, e.status = &item, status
	v.change(e, p.next(), false)
	p.notifyAny()
	return true
}

// StoredVersion translates the projected resource version of a stored Work, as a
// client with the options o has read it, into the one of its storage. It fails
// with a conflict when the Work has changed since in what such a client sees.
func (p *Projection) StoredVersion(cluster, name, resourceVersion string, o WatchOptions) (string, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	conflict := func(why string) error {
		return apierrors.NewConflict(workv1alpha1.Resource(workv1alpha1.ResourcePluralWork), name, fmt.Errorf("%s; read it again and repeat the change", why))
	}
	v := p.views[cluster]
	if v == nil || v.entries[name] == nil || v.entries[name].work == nil {
		return "", conflict("the Work is not there any more")
	}
	e := v.entries[name]
	if resourceVersion == formatVersion(p.epoch, e.changed[o.order()]) {
		return e.work.ResourceVersion, nil
	}
	return "", conflict("the Work has been modified")
}

// List returns the Works of a cluster, or of all with an empty name, sorted by
// namespace and name, and the resource version to watch from. What o does not
// select is not rendered.
func (p *Projection) List(cluster string, o WatchOptions) (*workv1alpha1.WorkList, error) {
	p.mu.RLock()
	views, err := p.viewsOf(cluster)
	if err != nil {
		p.mu.RUnlock()
		return nil, err
	}
	var shots []shot
	for _, v := range views {
		for _, e := range v.entries {
			if o.selects(e) {
				shots = append(shots, p.snapshot(v, e, o.order()))
			}
		}
	}
	list := &workv1alpha1.WorkList{ListMeta: metav1.ListMeta{ResourceVersion: formatVersion(p.epoch, p.counter)}}
	p.mu.RUnlock()

	slices.SortFunc(shots, func(a, b shot) int {
		return cmp.Or(cmp.Compare(a.cluster, b.cluster), cmp.Compare(a.name, b.name))
	})
	list.Items = make([]workv1alpha1.Work, 0, len(shots))
	for _, s := range shots {
		list.Items = append(list.Items, *p.render(s))
	}
	return list, nil
}

// viewsOf finds the views of a request. Callers hold mu.
func (p *Projection) viewsOf(cluster string) ([]*view, error) {
	if cluster == "" {
		views := make([]*view, 0, len(p.views))
		for _, v := range p.views {
			views = append(views, v)
		}
		return views, nil
	}
	if v := p.views[cluster]; v != nil {
		return []*view{v}, nil
	}
	return nil, apierrors.NewNotFound(clusterv1alpha1.Resource("clusters"), cluster)
}

// horizonOf is the version before which deletions are forgotten. Callers hold
// mu.
func (p *Projection) horizonOf(cluster string, views []*view) version {
	if cluster == "" {
		return p.horizon
	}
	return views[0].horizon
}

// shot is an entry as it was under the lock.
type shot struct {
	cluster string
	name    string
	stored  *workv1alpha1.Work
	deleted *workv1alpha1.Work
	inputs  inputs
	version string
}

// snapshot takes an entry. Callers hold mu.
func (p *Projection) snapshot(v *view, e *entry, o order) shot {
	s := shot{
		cluster: v.cluster.Name, name: e.name, stored: e.work, version: formatVersion(p.epoch, e.changed[o]),
	}
	switch {
	case e.deleted:
		s.deleted = e.last
	case e.src != nil:
		s.inputs = p.inputs(e.src, v.cluster.Name, p.shareOf(e, v.cluster.Name))
		s.inputs.version, s.inputs.report = s.version, e.report
	}
	return s
}

// shareOf is what place wanted when it last looked at an entry. Callers hold mu.
func (p *Projection) shareOf(e *entry, cluster string) share {
	tmpl := p.templates[e.src.template]
	switch {
	case e.src.binding == nil:
		return shareOfNamespace(tmpl)
	case e.stub:
		return stubOf(e.src.binding, cluster)
	default:
		return shareOf(e.src.binding, tmpl != nil && tmpl.divisible, cluster)
	}
}

// render turns a snapshot into the Work a client sees.
func (p *Projection) render(s shot) *workv1alpha1.Work {
	switch {
	case s.deleted != nil:
		work := s.deleted.DeepCopy()
		work.ResourceVersion = s.version
		return work
	case s.stored != nil:
		work := s.stored.DeepCopy()
		work.ResourceVersion = s.version
		return work
	default:
		return render(s.inputs, p.interpreter)
	}
}

// renderFor renders what a watcher is told. Of a Work that is gone to it, the
// manifests are not needed.
func (p *Projection) renderFor(h happening) *workv1alpha1.Work {
	if h.what == watch.Deleted && h.deleted == nil && h.stored == nil {
		return tombstone(h.inputs, h.version)
	}
	return p.render(h.shot)
}

// tombstone is what watchers are told of a Work that is gone. It says whether
// what it brought is to stay: an agent may not have seen the last state of it.
func tombstone(in inputs, version string) *workv1alpha1.Work {
	work := frame(in)
	work.ResourceVersion = version
	return work
}
