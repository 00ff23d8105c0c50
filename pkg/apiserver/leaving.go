package apiserver

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// departures keeps the order of two things that are read from different
// watches: that a cluster leaves, and that a binding therefore no longer names
// it, or a mesh no longer links it to others. Seen the wrong way round, the second would look like the wish to delete
// the workload in the member, where leaving a federation deletes nothing.
type departures struct {
	// read returns a cluster as it is stored now.
	read func(ctx context.Context, name string) (*clusterv1alpha1.Cluster, error)
	// remove takes a cluster out of the projection.
	remove func(name string)

	mu   sync.Mutex
	uids map[string]types.UID // of the clusters seen last
	left map[types.UID]bool   // gone for good; an older event must not bring them back
}

func newDepartures(get func(context.Context, string, *metav1.GetOptions) (runtime.Object, error), remove func(string)) *departures {
	return &departures{
		read: func(ctx context.Context, name string) (*clusterv1alpha1.Cluster, error) {
			obj, err := get(genericapirequest.WithNamespace(ctx, metav1.NamespaceNone), name, &metav1.GetOptions{})
			if err != nil {
				return nil, err
			}
			return obj.(*clusterv1alpha1.Cluster), nil
		},
		remove: remove,
		uids:   map[string]types.UID{},
		left:   map[types.UID]bool{},
	}
}

// stays notes a cluster that was seen, and says whether it still belongs to the
// federation.
func (d *departures) stays(c *clusterv1alpha1.Cluster) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.DeletionTimestamp != nil {
		d.left[c.UID] = true
	}
	d.uids[c.Name] = c.UID
	return !d.left[c.UID]
}

// check looks at the clusters that a binding or mesh has lost, before the loss is
// passed on. It blocks while they cannot be read.
func (d *departures) check(ctx context.Context, by string, clusters []string) {
	for _, name := range clusters {
		err := wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			c, err := d.read(ctx, name)
			switch {
			case apierrors.IsNotFound(err), err == nil && c.DeletionTimestamp != nil:
				d.depart(name)
				return true, nil
			case err != nil:
				klog.FromContext(ctx).Error(err, "Reading a cluster that was lost failed, trying again", "cluster", name, "by", by)
				return false, nil
			}
			return true, nil
		})
		if err != nil {
			return // ctx ended
		}
	}
}

func (d *departures) depart(name string) {
	d.mu.Lock()
	if uid, seen := d.uids[name]; seen {
		d.left[uid] = true
	}
	d.mu.Unlock()
	d.remove(name)
}

// lost lists the clusters of before that are not in after.
func lost(before, after workv1alpha2.Binding) []string {
	if before == nil {
		return nil
	}
	has := map[string]bool{}
	for _, t := range after.GetSpec().Clusters {
		has[t.Name] = true
	}
	var out []string
	for _, t := range before.GetSpec().Clusters {
		if !has[t.Name] {
			out = append(out, t.Name)
		}
	}
	return out
}
