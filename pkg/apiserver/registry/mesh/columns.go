package mesh

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
)

const none = "<none>"

func meshColumns(of func(runtime.Object) *meshv1alpha1.Mesh) []registry.Column {
	return []registry.Column{
		registry.Text("Clusters", "Clusters that are ready, of those that are in the mesh.", func(obj runtime.Object) string {
			return clusters(of(obj).Status.Clusters)
		}),
		registry.Text("Links", "Links that are ready, of those that are wanted.", func(obj runtime.Object) string {
			return links(of(obj).Status.Links)
		}),
		registry.Text("Ready", "Whether all clusters and links are ready.", func(obj runtime.Object) string {
			return condition(of(obj).Status.Conditions, meshv1alpha1.ConditionReady)
		}),
		registry.Age(),
		registry.Wide(registry.Text("Missing", "Links that are not ready, and the step that each of them lacks.", func(obj runtime.Object) string {
			return missing(of(obj).Status.Links)
		})),
		registry.Wide(registry.Text("Root", "Stage of a change of the root; Steady when there is none.", func(obj runtime.Object) string {
			if trust := of(obj).Status.Trust; trust != nil {
				return cmp.Or(trust.Stage, none)
			}
			return none
		})),
	}
}

func memberColumns(of func(runtime.Object) *meshv1alpha1.MeshMember) []registry.Column {
	return []registry.Column{
		registry.Text("Cluster", "Cluster ID that its istiod must have.", func(obj runtime.Object) string { return of(obj).Spec.ClusterID }),
		registry.Text("Network", "Network that the cluster is in.", func(obj runtime.Object) string { return of(obj).Spec.Network }),
		registry.Text("Istiod", "Version of the istiod that answers.", func(obj runtime.Object) string {
			if istiod := of(obj).Status.Istiod; istiod != nil {
				return cmp.Or(istiod.Version, none)
			}
			return none
		}),
		registry.Text("Leaving", "Whether the cluster leaves the mesh: No, Yes, or Left when the agent has taken back what it has written.", func(obj runtime.Object) string {
			switch m := of(obj); {
			case !m.Spec.Leaving:
				return "No"
			case meta.IsStatusConditionTrue(m.Status.Conditions, meshv1alpha1.ConditionLeft):
				return "Left"
			}
			return "Yes"
		}),
		registry.Age(),
	}
}

func condition(conditions []metav1.Condition, name string) string {
	if c := meta.FindStatusCondition(conditions, name); c != nil {
		return string(c.Status)
	}
	return string(metav1.ConditionUnknown)
}

// clusters counts a cluster as ready when something is said of it, and all of that
// is True.
func clusters(clusters []meshv1alpha1.MeshCluster) string {
	ready := 0
	for i := range clusters {
		if allTrue(clusters[i].Conditions) {
			ready++
		}
	}
	return fmt.Sprintf("%d/%d", ready, len(clusters))
}

func allTrue(conditions []metav1.Condition) bool {
	for i := range conditions {
		if conditions[i].Status != metav1.ConditionTrue {
			return false
		}
	}
	return len(conditions) > 0
}

func links(links []meshv1alpha1.MeshLink) string {
	ready := 0
	for i := range links {
		if links[i].Phase == meshv1alpha1.LinkReady {
			ready++
		}
	}
	return fmt.Sprintf("%d/%d", ready, len(links))
}

// missing names the step that each link lacks, or the phase when no step is named.
func missing(links []meshv1alpha1.MeshLink) string {
	var out []string
	for i := range links {
		if l := &links[i]; l.Phase != meshv1alpha1.LinkReady {
			out = append(out, fmt.Sprintf("%s>%s %s", l.From, l.To, cmp.Or(string(l.Step), string(l.Phase), string(metav1.ConditionUnknown))))
		}
	}
	return cmp.Or(strings.Join(out, ","), none)
}
