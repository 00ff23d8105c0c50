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
// it, or a mesh no longer links it to others. Seen the wrong way round, the second
// would look like the wish to delete the workload in the member, where leaving a
// federation deletes nothing. A cluster that joins under the name of one that has
// left is another one.
type departures struct {
	// read returns a cluster as it is stored now.
	read func(ctx context.Context, name string) (*clusterv1alpha1.Cluster, error)
	// set puts a cluster into the projection, remove takes one out of it.
	set    func(*clusterv1alpha1.Cluster)
	remove func(name string)

	mu   sync.Mutex           // held over set and remove, too: what they do follows from uids and left
	uids map[string]types.UID // of the clusters seen last
	left map[types.UID]bool   // gone for good; an older event must not bring them back
}

func newDepartures(get func(context.Context, string, *metav1.GetOptions) (runtime.Object, error), set func(*clusterv1alpha1.Cluster), remove func(string)) *departures {
	return &departures{
		read: func(ctx context.Context, name string) (*clusterv1alpha1.Cluster, error) {
			obj, err := get(genericapirequest.WithNamespace(ctx, metav1.NamespaceNone), name, &metav1.GetOptions{})
			if err != nil {
				return nil, err
			}
			return obj.(*clusterv1alpha1.Cluster), nil
		},
		set:    set,
		remove: remove,
		uids:   map[string]types.UID{},
		left:   map[types.UID]bool{},
	}
}

// saw takes in a cluster that was seen, and says whether it still belongs to the
// federation.
func (d *departures) saw(c *clusterv1alpha1.Cluster) (stays bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.DeletionTimestamp != nil {
		d.left[c.UID] = true
	}
	if d.left[c.UID] || d.uids[c.Name] != c.UID {
		d.remove(c.Name) // or another that had the name, if its end was missed
	}
	d.uids[c.Name] = c.UID
	if d.left[c.UID] {
		return false
	}
	d.set(c)
	return true
}

// check looks at the clusters that a binding or mesh has lost, before the loss is
// passed on. It blocks while they cannot be read.
func (d *departures) check(ctx context.Context, by string, clusters []string) {
	for _, name := range clusters {
		err := wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			uid := d.uid(name) // before the read, which is the newer of the two then
			c, err := d.read(ctx, name)
			switch {
			case apierrors.IsNotFound(err), err == nil && (c.DeletionTimestamp != nil || c.UID != uid):
				d.depart(name, uid)
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

// uid is that of the cluster seen last under a name, empty when there was none.
func (d *departures) uid(name string) types.UID {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.uids[name]
}

// depart notes that a cluster has left, or is about to. Another one of its name
// that was seen meanwhile stays.
func (d *departures) depart(name string, uid types.UID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if uid == "" {
		return // none was seen, so none is in the projection
	}
	d.left[uid] = true
	if d.uids[name] == uid {
		d.remove(name)
	}
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
