package plan

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// reasonUnjoined is why a cluster is not available that is in the federation no more.
const reasonUnjoined = "Unjoined"

// Without has the status say what is so when writes for some clusters have failed. A
// cluster that was unjoined is known by what the status said of it, and by that alone
// once its namespace is gone; so it is not forgotten before all whose tokens it knows
// were told to renew them.
func (p *Plan) Without(mesh *meshv1alpha1.Mesh, clusters map[string]bool) {
	for former, readable := range p.worthless {
		for _, name := range readable {
			if clusters[name] {
				p.keep(&mesh.Status, former, name)
			}
		}
	}
}

// keep has the status tell of a cluster, and that it knows the token of another.
func (p *Plan) keep(was *meshv1alpha1.MeshStatus, former, other string) {
	cluster := meshv1alpha1.MeshCluster{Name: former}
	for i := range was.Clusters {
		if was.Clusters[i].Name == former {
			cluster = *was.Clusters[i].DeepCopy()
		}
	}
	link := meshv1alpha1.MeshLink{From: former, To: other}
	for i := range was.Links {
		if was.Links[i].From == former && was.Links[i].To == other {
			link = *was.Links[i].DeepCopy()
		}
	}
	if !hadSecret(&link) {
		link.Phase, link.Step = meshv1alpha1.LinkWithdrawn, ""
	}
	if !slices.ContainsFunc(p.Status.Clusters, func(c meshv1alpha1.MeshCluster) bool { return c.Name == former }) {
		p.markUnjoined(&cluster)
		p.Status.Clusters = append(p.Status.Clusters, cluster)
		slices.SortFunc(p.Status.Clusters, func(a, b meshv1alpha1.MeshCluster) int { return cmp.Compare(a.Name, b.Name) })
	}
	p.Status.Links = slices.DeleteFunc(p.Status.Links, func(l meshv1alpha1.MeshLink) bool { return l.From == former && l.To == other })
	p.Status.Links = append(p.Status.Links, link)
	slices.SortFunc(p.Status.Links, func(a, b meshv1alpha1.MeshLink) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
}

// markUnjoined has a cluster say since when it is not in the federation, so that those whose
// tokens it knows are told once to renew them, however long it takes to tell all.
func (p *Plan) markUnjoined(cluster *meshv1alpha1.MeshCluster) {
	was := meta.FindStatusCondition(cluster.Conditions, meshv1alpha1.ConditionAvailable)
	if was != nil && was.Reason == reasonUnjoined {
		return
	}
	condition := judged(meshv1alpha1.ConditionAvailable, false, reasonUnjoined, "it was unjoined; it is listed until all whose tokens it knows were told to renew them")
	condition.LastTransitionTime = metav1.NewTime(p.unjoined)
	meta.RemoveStatusCondition(&cluster.Conditions, condition.Type) // or the time would stay
	cluster.Conditions = append([]metav1.Condition{condition}, cluster.Conditions...)
}

// hadSecret says that a link came so far that there was a remote secret for it.
func hadSecret(l *meshv1alpha1.MeshLink) bool {
	return l.Phase != "" && (l.Phase != meshv1alpha1.LinkPending || slices.Index(steps, l.Step) >= slices.Index(steps, meshv1alpha1.StepSecret))
}
