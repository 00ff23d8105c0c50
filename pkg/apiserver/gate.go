package apiserver

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/propagation/projection"
)

// gate refuses lists and watches of Works, and reports of them, until the
// projection covers all that is stored. Half a list would look like the wish to
// delete the other half, and a report of the other half would be for nothing.
type gate struct{ f *federation }

func (g gate) Lookup(cluster, work string) (projection.Origin, bool) {
	return g.f.projection.Lookup(cluster, work)
}

func (g gate) Get(cluster, name string) (*workv1alpha1.Work, bool) {
	return g.f.projection.Get(cluster, name)
}

func (g gate) StoredVersion(cluster, name, version string, o projection.WatchOptions) (string, error) {
	return g.f.projection.StoredVersion(cluster, name, version, o)
}

func (g gate) List(cluster string, o projection.WatchOptions) (*workv1alpha1.WorkList, error) {
	if err := g.open(); err != nil {
		return nil, err
	}
	return g.f.projection.List(cluster, o)
}

func (g gate) Watch(ctx context.Context, cluster string, o projection.WatchOptions) (watch.Interface, error) {
	if err := g.open(); err != nil {
		return nil, err
	}
	return g.f.projection.Watch(ctx, cluster, o)
}

func (g gate) Complete() error { return g.open() }

func (g gate) Report(ctx context.Context, cluster string, observations []agentv1alpha1.WorkObservation) ([]agentv1alpha1.RejectedObservation, error) {
	if err := g.open(); err != nil {
		return nil, err
	}
	return g.f.folder.Report(ctx, cluster, observations)
}

func (g gate) open() error {
	if g.f.synced.Load() {
		return nil
	}
	return apierrors.NewServiceUnavailable("works are still being computed after a start of the API server; try again")
}
