package snapshot

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// Cluster is one member in a Snapshot.
type Cluster struct {
	// Object is the API object. It must not be changed.
	Object *clusterv1alpha1.Cluster
	// Ready is true if the member's condition Ready is True.
	Ready bool
	// Deleting is true once someone has asked for the member to be removed.
	Deleting bool
	// EnablementsComplete is true if the list of kinds that the member serves is
	// known in full. While it is not, a kind that is missing in the list may be
	// there all the same.
	EnablementsComplete bool
}

func newCluster(object *clusterv1alpha1.Cluster) *Cluster {
	return &Cluster{
		Object:              object,
		Ready:               meta.IsStatusConditionTrue(object.Status.Conditions, clusterv1alpha1.ClusterConditionReady),
		Deleting:            !object.DeletionTimestamp.IsZero(),
		EnablementsComplete: meta.IsStatusConditionTrue(object.Status.Conditions, clusterv1alpha1.ClusterConditionCompleteAPIEnablements),
	}
}

// Name returns the member's name.
func (c *Cluster) Name() string { return c.Object.Name }

// Condition returns the member's condition Ready, or nil if none was reported.
func (c *Cluster) Condition() *metav1.Condition {
	return meta.FindStatusCondition(c.Object.Status.Conditions, clusterv1alpha1.ClusterConditionReady)
}

// Serves reports whether the member lists the kind among those it serves.
func (c *Cluster) Serves(gvk schema.GroupVersionKind) bool {
	groupVersion := gvk.GroupVersion().String()
	for i := range c.Object.Status.APIEnablements {
		enabled := &c.Object.Status.APIEnablements[i]
		if enabled.GroupVersion != groupVersion {
			continue
		}
		for j := range enabled.Resources {
			if enabled.Resources[j].Kind == gvk.Kind {
				return true
			}
		}
	}
	return false
}

// Snapshot is the fleet at one moment, ordered by name.
type Snapshot struct {
	clusters []*Cluster
	byName   map[string]*Cluster
}

// New takes the picture. The objects must not be changed afterwards. Their
// order does not matter; names are taken to be unique, as the API makes them.
func New(objects ...*clusterv1alpha1.Cluster) *Snapshot {
	s := &Snapshot{
		clusters: make([]*Cluster, 0, len(objects)),
		byName:   make(map[string]*Cluster, len(objects)),
	}
	for _, object := range objects {
		c := newCluster(object)
		s.clusters = append(s.clusters, c)
		s.byName[c.Name()] = c
	}
	slices.SortFunc(s.clusters, func(a, b *Cluster) int { return strings.Compare(a.Name(), b.Name()) })
	return s
}

// Clusters returns all members in order of their names. The slice must not be
// changed.
func (s *Snapshot) Clusters() []*Cluster { return s.clusters }

// Get returns the member with that name, or nil.
func (s *Snapshot) Get(name string) *Cluster { return s.byName[name] }

// Len returns the number of members.
func (s *Snapshot) Len() int { return len(s.clusters) }
