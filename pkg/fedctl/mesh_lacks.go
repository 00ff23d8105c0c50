package fedctl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// lack is something that a mesh lacks.
type lack struct {
	// Cluster it is about, or the link From and To, or neither: the mesh.
	Cluster string `json:"cluster,omitempty"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
	// What is missing: a type of condition, or a step.
	What    string `json:"what"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Because is what a cluster lacks that a link follows from: the cluster and What.
	Because *cause `json:"because,omitempty"`
	// Do is what usually helps.
	Do string `json:"do,omitempty"`
}

// cause is what a cluster lacks.
type cause struct {
	Cluster string `json:"cluster"`
	What    string `json:"what"`
}

// about is what a lack is about.
func (l *lack) about() string {
	switch {
	case l.Cluster != "":
		return "cluster " + l.Cluster
	case l.From != "":
		return l.From + " to " + l.To
	}
	return "mesh"
}

// lacking is everything that a mesh lacks: clusters first, since links follow. Of a cluster
// it is the first thing that is not as it is to be, and what links follow from.
func lacking(m *meshv1alpha1.Mesh) []lack {
	status := &m.Status
	var links []lack
	causes := map[cause]bool{}
	for i := range status.Links {
		l := &status.Links[i]
		if l.Phase == meshv1alpha1.LinkReady {
			continue
		}
		because := causeOf(l, status.Clusters)
		do := wayOut(l)
		if because != nil {
			causes[*because] = true
			do = ""
		}
		links = append(links, lack{From: l.From, To: l.To, What: cellOf(l), Reason: l.Reason, Message: l.Message, Because: because, Do: do})
	}
	var all []lack
	for i := range status.Clusters {
		cluster := &status.Clusters[i]
		first := notTrue(cluster.Conditions)
		if first == nil {
			continue
		}
		for _, c := range append([]metav1.Condition{*first}, cluster.Conditions...) {
			known := slices.ContainsFunc(all, func(l lack) bool { return l.Cluster == cluster.Name && l.What == c.Type })
			waited := causes[cause{cluster.Name, c.Type}]
			if known || c.Type != first.Type && !waited {
				continue
			}
			l := lack{Cluster: cluster.Name, What: c.Type, Reason: c.Reason, Message: c.Message}
			if waited {
				l.Do = wayOutOf(&l)
			}
			all = append(all, l)
		}
	}
	return append(all, links...)
}

// conditionOf is the condition of a cluster that says the same as a step of a link.
var conditionOf = map[meshv1alpha1.LinkStep]string{
	meshv1alpha1.StepMember:  meshv1alpha1.ConditionAvailable,
	meshv1alpha1.StepCA:      meshv1alpha1.ConditionTrusted,
	meshv1alpha1.StepGateway: meshv1alpha1.ConditionGatewayReady,
	meshv1alpha1.StepAddress: meshv1alpha1.ConditionGatewayReady,
	meshv1alpha1.StepToken:   meshv1alpha1.ConditionReadable,
}

// causeOf is what a cluster lacks that a link follows from; nil when it is about the link
// itself. The gateway and the token are the called cluster's.
func causeOf(l *meshv1alpha1.MeshLink, clusters []meshv1alpha1.MeshCluster) *cause {
	kind := conditionOf[l.Step]
	var found *cause
	for i := range clusters {
		cluster := &clusters[i]
		called := kind == meshv1alpha1.ConditionGatewayReady || kind == meshv1alpha1.ConditionReadable
		if cluster.Name != l.To && (cluster.Name != l.From || called) {
			continue
		}
		if len(cluster.Conditions) == 0 {
			return &cause{cluster.Name, notTrue(nil).Type}
		}
		for j := range cluster.Conditions {
			c := &cluster.Conditions[j]
			if c.Type != kind || c.Status == metav1.ConditionTrue {
				continue
			}
			if c.Reason == l.Reason {
				return &cause{cluster.Name, kind}
			}
			found = &cause{cluster.Name, kind}
		}
	}
	return found
}

// group is one cause, and the links that lack something for it.
type group struct {
	lack
	// links are those that follow from what a cluster lacks, or all about which the same is
	// to be said.
	links []lack
}

// grouped says each cause once.
func grouped(all []lack) []group {
	var groups []group
	for _, l := range all {
		at := slices.IndexFunc(groups, func(g group) bool {
			if l.Because != nil {
				return g.Cluster == l.Because.Cluster && g.What == l.Because.What
			}
			return l.From != "" && g.From != "" && g.What == l.What && g.Reason == l.Reason && g.Message == l.Message
		})
		if at >= 0 {
			groups[at].links = append(groups[at].links, l)
			continue
		}
		groups = append(groups, group{lack: l})
	}
	return groups
}

// lines are for people.
func (g *group) lines() []string {
	names := []string{g.about()}
	if g.From != "" {
		for i := range g.links {
			names = append(names, g.links[i].about())
		}
	}
	lines := []string{strings.Join(names, ", ") + ": " + g.What + after(", ", g.Reason) + after(": ", g.Message)}
	if g.From == "" && len(g.links) > 0 {
		var waiting []string
		for i := range g.links {
			waiting = append(waiting, fmt.Sprintf("%s (%s)", g.links[i].about(), g.links[i].What))
		}
		lines = append(lines, "  Links that wait for it: "+strings.Join(waiting, ", "))
	}
	return lines
}

// headline says whether a mesh is ready, and why not, unless that is said below anyway.
func headline(m *meshv1alpha1.Mesh, all []lack) string {
	ready, reason, message := readiness(m)
	if ready {
		return fmt.Sprintf("Mesh %s is ready.", m.Name)
	}
	said := slices.ContainsFunc(all, func(l lack) bool {
		words := strings.TrimSuffix(l.Message, "...")
		return words != "" && strings.Contains(message, words)
	})
	if said {
		message = proportion(&m.Status)
	}
	return fmt.Sprintf("Mesh %s is not ready: %s%s", m.Name, reason, after(": ", message))
}

// proportion is how much of a mesh is ready.
func proportion(status *meshv1alpha1.MeshStatus) string {
	clusters, links := 0, 0
	for i := range status.Clusters {
		if notTrue(status.Clusters[i].Conditions) == nil {
			clusters++
		}
	}
	for i := range status.Links {
		if status.Links[i].Phase == meshv1alpha1.LinkReady {
			links++
		}
	}
	return fmt.Sprintf("%d of %d clusters and %d of %d links are ready", clusters, len(status.Clusters), links, len(status.Links))
}

// wayOutOf is what usually helps when a cluster lacks something that links wait for. What a
// cluster that leaves waits for is in the message.
func wayOutOf(l *lack) string {
	switch {
	case l.Reason == "Leaving", l.Reason == "DeletionsHeld":
		return ""
	case l.What == meshv1alpha1.ConditionTrusted:
		return wayOut(&meshv1alpha1.MeshLink{Step: meshv1alpha1.StepCA})
	case l.What == meshv1alpha1.ConditionGatewayReady:
		step := meshv1alpha1.StepGateway
		if l.Reason == "NoAddress" {
			step = meshv1alpha1.StepAddress
		}
		return wayOut(&meshv1alpha1.MeshLink{To: l.Cluster, Step: step})
	case l.What == meshv1alpha1.ConditionReadable:
		return wayOut(&meshv1alpha1.MeshLink{To: l.Cluster, Step: meshv1alpha1.StepToken})
	default:
		return fmt.Sprintf("look whether agent and istiod of %s run: kubectl get cluster %s; kubectl -n istio-system get pods there", l.Cluster, l.Cluster)
	}
}

func cellOf(l *meshv1alpha1.MeshLink) string {
	if l.Phase == meshv1alpha1.LinkReady {
		return "ok"
	}
	return cmp.Or(string(l.Step), string(l.Phase), string(metav1.ConditionUnknown))
}
