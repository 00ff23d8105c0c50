package apiserver

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/propagation/projection"
)

// meshLinks is the union of the links of all Meshes, as the projection wants it.
// It is used by one goroutine.
type meshLinks struct {
	apply func(map[string][]string)
	// check is told of clusters that no longer call others, before that is applied:
	// they may have left the federation.
	check  func(clusters []string)
	byMesh map[string]map[string][]string
	last   map[string][]string
}

func newMeshLinks(apply func(map[string][]string), check func([]string)) *meshLinks {
	return &meshLinks{apply: apply, check: check, byMesh: map[string]map[string][]string{}}
}

// set takes in a Mesh. Its links count in every phase: what is withdrawn for a
// while is to find its Services when it comes back.
func (l *meshLinks) set(mesh *meshv1alpha1.Mesh) {
	links := map[string][]string{}
	for _, link := range mesh.Status.Links {
		links[link.From] = append(links[link.From], link.To)
	}
	l.byMesh[mesh.Name] = links
	l.update()
}

func (l *meshLinks) delete(mesh string) {
	delete(l.byMesh, mesh)
	l.update()
}

// update passes the union on if it has changed, which it seldom does when the
// status of a Mesh does.
func (l *meshLinks) update() {
	union := map[string][]string{}
	for _, links := range l.byMesh {
		for from, to := range links {
			union[from] = append(union[from], to...)
		}
	}
	for from, to := range union {
		slices.Sort(to)
		union[from] = slices.Compact(to)
	}
	if maps.EqualFunc(union, l.last, slices.Equal[[]string]) {
		return
	}
	var less []string
	for from, to := range l.last {
		if slices.ContainsFunc(to, func(name string) bool { return !slices.Contains(union[from], name) }) {
			less = append(less, from)
		}
	}
	slices.Sort(less)
	l.check(less)
	l.last = union
	l.apply(union)
}

// reportStub takes what a cluster says of a stub. It is in the status of the
// stub's Work, and a failure is told to the owner of the Service by an event: the
// binding's status is about the clusters it is placed in.
func (f *federation) reportStub(ctx context.Context, of projection.Key, work string, item workv1alpha2.AggregatedStatusItem) bool {
	there, news := f.projection.ReportStub(work, item)
	if b, ok := f.bindings.get(of); ok && news && !item.Applied {
		ref := b.GetSpec().Resource
		service := corev1.ObjectReference{APIVersion: ref.APIVersion, Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID}
		f.recorder.Event(ctx, service, corev1.EventTypeWarning, names.EventStubNotApplied, fmt.Sprintf(
			"cluster %s calls this Service and cannot have a stub of it. A stub takes nothing over; if there is to be none, annotate the Service with %s=false. It said: %s",
			item.ClusterName, meshv1alpha1.StubLabel, item.AppliedMessage))
	}
	return there
}
