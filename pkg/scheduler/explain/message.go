package explain

import (
	"fmt"
	"slices"
	"strings"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/framework"
)

const (
	// maxNames is how many names a list spells out before it says how many more
	// there are. A condition may hold 32 KiB, a reader holds less.
	maxNames = 10
	// maxFindings is how many different reasons of one group are spelled out.
	maxFindings = 20
	// maxMessage is the end in any case, in bytes, if names are very long.
	maxMessage = 24 << 10
	// maxResult is how many bytes of a result an event shows. An event's note
	// ends at 1024, and there is a sentence around the result.
	maxResult = 800
)

// Message is the text of the condition Scheduled, at most 24 KiB of it. It ends
// with the way out if there is something to do.
func (d Diagnosis) Message() string {
	message := d.message()
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "..."
	}
	return message
}

func (d Diagnosis) message() string {
	switch d.Reason {
	case workv1alpha2.BindingReasonSuccess:
		if len(d.Unknown) == 0 {
			return "Clusters were chosen."
		}
		return "Clusters were chosen, but the placement names some that are not in the federation: " +
			unknown(d.Unknown) + ". Register them, or correct the policy."
	case ReasonNotSupported, ReasonInvalidPlacement:
		return d.Problem
	}
	parts := make([]string, 0, len(d.Groups))
	for i := range d.Groups {
		text := d.group(&d.Groups[i])
		if name := d.Groups[i].Affinity; name != "" {
			text = "group " + name + ": " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " | ") + ". This is tried again whenever the policy or a cluster changes."
}

// group renders "0/3 clusters fit: ap: taint x is not tolerated; mars: no such
// cluster (placement.clusterAffinity.clusterNames)".
func (d Diagnosis) group(g *Group) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d/%d clusters fit", g.Fit, d.Clusters)
	var findings []string
	if g.Shortage != "" {
		findings = append(findings, g.Shortage)
	}
	findings = append(findings, atMost(rejections(g.Rejections))...)
	named := slices.DeleteFunc(slices.Clone(d.Unknown), func(u UnknownCluster) bool { return u.Affinity != g.Affinity })
	if len(named) > 0 {
		findings = append(findings, unknown(named))
	}
	switch {
	case len(findings) > 0:
		out.WriteString(": " + strings.Join(findings, "; "))
	case d.Clusters == 0:
		out.WriteString(": no cluster has joined the federation")
	}
	return out.String()
}

// rejections puts clusters with the same reason together, in the order of the
// first cluster of each.
func rejections(all []framework.Rejection) []string {
	var reasons []string
	clusters := map[string][]string{}
	for _, r := range all {
		if _, seen := clusters[r.Reason]; !seen {
			reasons = append(reasons, r.Reason)
		}
		clusters[r.Reason] = append(clusters[r.Reason], r.Cluster)
	}
	texts := make([]string, 0, len(reasons))
	for _, reason := range reasons {
		texts = append(texts, enumerate(clusters[reason])+": "+reason)
	}
	return texts
}

// unknown renders "mars: no such cluster (field)", the fields in their order.
func unknown(all []UnknownCluster) string {
	var fields []string
	clusters := map[string][]string{}
	for _, u := range all {
		if _, seen := clusters[u.Field]; !seen {
			fields = append(fields, u.Field)
		}
		clusters[u.Field] = append(clusters[u.Field], u.Name)
	}
	texts := make([]string, 0, len(fields))
	for _, field := range fields {
		texts = append(texts, enumerate(clusters[field])+": no such cluster ("+field+")")
	}
	return strings.Join(atMost(texts), "; ")
}

func atMost(findings []string) []string {
	if len(findings) <= maxFindings {
		return findings
	}
	more := fmt.Sprintf("and %d other reasons", len(findings)-maxFindings)
	return append(slices.Clone(findings[:maxFindings]), more)
}

func enumerate(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	if len(names) <= maxNames {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), len(names)-maxNames)
}

// Result renders a decision for people: "ap:4, eu:3, us:3", and only the names
// for kinds without replicas. Long results are cut after a whole entry.
func Result(clusters []workv1alpha2.TargetCluster) string {
	var out strings.Builder
	for i := range clusters {
		entry := clusters[i].Name
		if n := clusters[i].Replicas; n > 0 {
			entry = fmt.Sprintf("%s:%d", entry, n)
		}
		if out.Len()+len(entry) > maxResult {
			fmt.Fprintf(&out, " and %d more", len(clusters)-i)
			break
		}
		if i > 0 {
			out.WriteString(", ")
		}
		out.WriteString(entry)
	}
	return out.String()
}
