package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/placement"
)

// membership finds the clusters that are in the Mesh, or were.
func (r *round) membership() {
	objects := map[string]*clusterv1alpha1.Cluster{}
	known := map[string]bool{}
	for _, object := range r.picture.Clusters {
		objects[object.Name], known[object.Name] = object, true
	}
	works := map[string]map[string]*workv1alpha1.Work{}
	for _, work := range r.picture.Works {
		name, ok := names.ClusterOf(work.Namespace)
		part := partOf(r.mesh.Name, work.Name)
		if !ok || part == "" || work.Labels[meshv1alpha1.MeshLabel] != r.mesh.Name {
			continue
		}
		if works[name] == nil {
			works[name] = map[string]*workv1alpha1.Work{}
		}
		works[name][part], known[name] = work, true
	}
	members, others := map[string]*meshv1alpha1.MeshMember{}, map[string][]string{}
	for _, member := range r.picture.Members {
		name, ok := names.ClusterOf(member.Namespace)
		switch {
		case !ok:
		case member.Name == r.mesh.Name:
			members[name], known[name] = member, true
		default:
			others[name] = append(others[name], member.Name)
		}
	}
	for i := range r.mesh.Status.Clusters {
		known[r.mesh.Status.Clusters[i].Name] = true
	}
	for name := range known {
		c := &cluster{name: name, object: objects[name], member: members[name], works: works[name]}
		if r.place(c, others[name]) {
			r.clusters = append(r.clusters, c)
			r.byName[name] = c
		}
	}
	slices.SortFunc(r.clusters, func(a, b *cluster) int { return cmp.Compare(a.name, b.name) })
	r.disruption()
	if affinity := r.mesh.Spec.ClusterAffinity; affinity != nil && !r.deleting() {
		for _, name := range affinity.ClusterNames {
			if object := objects[name]; (object == nil || !object.DeletionTimestamp.IsZero()) && !slices.Contains(affinity.ExcludeClusters, name) && !slices.Contains(r.missing, name) {
				r.missing = append(r.missing, name)
			}
		}
		slices.Sort(r.missing)
	}
}

// disruption says whether most clusters are lost at once, and for how many too many
// there are.
func (r *round) disruption() {
	members, lost := 0, 0
	for _, c := range r.clusters {
		if c.phase != active {
			continue
		}
		if members++; c.lost != nil {
			lost++
		}
	}
	r.disrupted = lost > 1 && 2*lost > members
	r.crowded = members > maxClusters
	was := meta.FindStatusCondition(r.mesh.Status.Conditions, meshv1alpha1.ConditionDisrupted)
	switch {
	case r.disrupted || was == nil:
	case was.Status == metav1.ConditionTrue:
		r.calm = r.now
	case r.now.Before(was.LastTransitionTime.Add(r.hold())):
		r.calm = was.LastTransitionTime.Time
	}
	if !r.calm.IsZero() {
		r.atUnlessPast(r.calm.Add(r.hold()))
	}
}

// place says what a cluster is to the Mesh; false for nothing. Others are Meshes that
// have a MeshMember there.
func (r *round) place(c *cluster, others []string) bool {
	ours := c.member != nil || len(c.works) > 0
	if c.object == nil || !c.object.DeletionTimestamp.IsZero() {
		c.phase = gone
		return ours || slices.ContainsFunc(r.mesh.Status.Clusters, func(s meshv1alpha1.MeshCluster) bool { return s.Name == c.name })
	}
	if ready := meta.FindStatusCondition(c.object.Status.Conditions, clusterv1alpha1.ClusterConditionReady); ready != nil {
		since := ready.LastTransitionTime.Time
		if ready.Status == metav1.ConditionUnknown {
			c.lost = &since
			r.atUnlessPast(r.lostSince(c).Add(r.hold()))
		} else {
			c.heard = since
		}
	}
	selected, err := placement.Matches(c.object, r.mesh.Spec.ClusterAffinity)
	if err != nil {
		r.affinity = err
	}
	switch {
	case r.deleting():
		selected = false
	case err != nil && ours:
		c.phase = active // what cannot be decided leaves things as they are
		return true
	}
	owner, held := r.mesh.Name, false
	if selected {
		owner, held = r.owner(c, others)
	}
	switch {
	case selected && c.object.Spec.SyncMode == clusterv1alpha1.Push:
		c.phase, c.why = claimed, "PushMode"
		c.claim = fmt.Sprintf("cluster %s is in Push mode: its agent runs beside the control plane and proves nothing about the cluster's own network; register it in Pull mode (fedctl register)", c.name)
	case selected && c.member == nil && !controllerutil.ContainsFinalizer(c.object, names.ClusterFinalizer):
		// Its execution namespace is made before it gets that finalizer.
		c.phase, c.why = claimed, "Joining"
		c.claim = fmt.Sprintf("cluster %s is just joining the federation; look whether controller-manager runs if it stays so", c.name)
	case selected && owner == r.mesh.Name && !held:
		c.phase = active
	case !selected && !ours:
		return false
	default:
		c.phase = leaving
		if !ours {
			c.phase = claimed
		}
		if selected && held && owner == r.mesh.Name {
			c.claim = fmt.Sprintf("cluster %s is still in Mesh %s, which is about to leave it", c.name, others[0])
		} else if selected {
			c.claim = fmt.Sprintf("Mesh %s has cluster %s; take the cluster out of one of the two (spec.clusterAffinity)", owner, c.name)
		}
	}
	if c.phase == claimed && ours {
		c.phase = leaving
	}
	return true
}

// owner is the Mesh that has a cluster of all that select it: one whose MeshMember is
// there, or else the oldest. Held says that there is a MeshMember of another that does
// not select it any more.
func (r *round) owner(c *cluster, others []string) (name string, held bool) {
	best, bestHas := r.mesh, c.member != nil
	for _, m := range r.picture.Meshes {
		if m.Name == r.mesh.Name || !m.DeletionTimestamp.IsZero() {
			continue
		}
		ok, err := placement.Matches(c.object, m.Spec.ClusterAffinity)
		has := slices.Contains(others, m.Name)
		if err != nil && has {
			ok = true
		}
		if ok && (has && !bestHas || has == bestHas && older(m, best)) {
			best, bestHas = m, has
		}
	}
	return best.Name, c.member == nil && len(others) > 0
}

func older(a, b *meshv1alpha1.Mesh) bool {
	return cmp.Or(a.CreationTimestamp.Time.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name)) < 0
}

// selects says whether a Mesh other than this one is there and selects a cluster.
func (r *round) selects(mesh string, object *clusterv1alpha1.Cluster) bool {
	for _, m := range r.picture.Meshes {
		if m.Name == mesh && m.DeletionTimestamp.IsZero() {
			ok, err := placement.Matches(object, m.Spec.ClusterAffinity)
			return ok || err != nil
		}
	}
	return false
}

// atUnlessPast has the Mesh looked at again at a time that is to come.
func (r *round) atUnlessPast(t time.Time) {
	if t.After(r.now) {
		r.at(t)
	}
}
