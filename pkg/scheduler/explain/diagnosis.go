package explain

import "github.com/flotilla-io/flotilla/pkg/scheduler/framework"

// Reasons of the condition Scheduled that the wire API has no constant for.
const (
	// ReasonNotSupported means that the placement asks for something this
	// version does not do.
	ReasonNotSupported = "NotSupported"
	// ReasonInvalidPlacement means that the placement makes no sense: a selector
	// that does not parse, bounds that contradict each other.
	ReasonInvalidPlacement = "InvalidPlacement"
)

// Diagnosis is what a decision is based on.
type Diagnosis struct {
	// Reason is that of the condition Scheduled.
	Reason string
	// Problem is set if the placement was refused without looking at clusters: a
	// sentence that names the field and the way out.
	Problem string
	// Clusters is how many clusters were looked at.
	Clusters int
	// Groups are the affinity groups that were tried, in that order. Without
	// spec.placement.clusterAffinities there is one, without a name.
	Groups []Group
	// Unknown are names in the placement to which there is no cluster.
	Unknown []UnknownCluster
}

// Group is what was found about one affinity group.
type Group struct {
	// Affinity is the group's name; empty if the placement has no groups.
	Affinity string
	// Fit is how many clusters passed all filters.
	Fit int
	// Rejections are the others, ordered by name.
	Rejections []framework.Rejection
	// Shortage says what is missing although clusters fit, or is empty.
	Shortage string
}

// UnknownCluster is a name to which there is no cluster.
type UnknownCluster struct {
	Name string
	// Affinity is the affinity group that names it; empty if none does.
	Affinity string
	// Field is where the name stands, such as placement.clusterAffinity.clusterNames.
	Field string
}
