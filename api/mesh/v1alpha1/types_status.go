package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Types of conditions on a Mesh and on its clusters.
const (
	// ConditionReady is True when all clusters and links are.
	ConditionReady = "Ready"
	// ConditionTrusted is True when the wanted CA is in effect, or during a change of
	// it the one before.
	ConditionTrusted = "Trusted"
	// ConditionGatewayReady is True when the cluster has a gateway with an
	// address, and peers reach it at all that it has, or when it needs none.
	ConditionGatewayReady = "GatewayReady"
	// ConditionReadable is True when peers have a valid token for the cluster.
	ConditionReadable = "Readable"
	// ConditionAvailable is True while something is heard of the cluster, and its
	// istiod is one that can be in the mesh.
	ConditionAvailable = "Available"
	// ConditionDisrupted on a Mesh is True while most of its clusters are lost at once,
	// when none is withdrawn, and False for a while after that.
	ConditionDisrupted = "Disrupted"
	// ConditionLocality is True when nodes have the region that their Cluster has,
	// without which spec.failover does not match. Only there with spec.failover.
	ConditionLocality = "Locality"
)

// MeshStatus says how far a Mesh is true.
type MeshStatus struct {
	// ObservedGeneration is the metadata.generation that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions are the latest judgements; at most one of each type.
	// +optional
	// +patchMergeKey=type
	// +patchStrategy=merge
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// Trust says which root is in force.
	// +optional
	Trust *MeshTrustStatus `json:"trust,omitempty"`

	// Clusters of the mesh, by name.
	// +optional
	// +listType=map
	// +listMapKey=name
	Clusters []MeshCluster `json:"clusters,omitempty"`

	// Links are the ordered pairs of clusters that are connected, or are to be.
	// +optional
	// +listType=map
	// +listMapKey=from
	// +listMapKey=to
	Links []MeshLink `json:"links,omitempty"`
}

// MeshTrustStatus says which root is in force.
type MeshTrustStatus struct {
	// RootGeneration is that of the newest root.
	// +optional
	RootGeneration int64 `json:"rootGeneration,omitempty"`
	// Stage is Steady, or during a change of the root TrustBoth, SignNew or
	// TrustNew.
	// +optional
	Stage string `json:"stage,omitempty"`
	// Roots that clusters trust at this stage: sha256:<hex> of the certificates.
	// +optional
	// +listType=atomic
	Roots []string `json:"roots,omitempty"`
	// RootExpires is when the newest root ends.
	// +optional
	RootExpires *metav1.Time `json:"rootExpires,omitempty"`
	// Message says what a change of the root waits for.
	// +optional
	Message string `json:"message,omitempty"`
}

// MeshCluster is one cluster of a mesh.
type MeshCluster struct {
	// Name of the cluster.
	Name string `json:"name"`
	// Network it is in.
	// +optional
	Network string `json:"network,omitempty"`
	// GatewayAddresses at which peers of other networks connect.
	// +optional
	// +listType=atomic
	GatewayAddresses []GatewayAddress `json:"gatewayAddresses,omitempty"`
	// CAExpires is when its intermediate ends.
	// +optional
	CAExpires *metav1.Time `json:"caExpires,omitempty"`
	// TokenExpires is when the token ends with which its peers read it.
	// +optional
	TokenExpires *metav1.Time `json:"tokenExpires,omitempty"`
	// IstiodVersion that runs there.
	// +optional
	IstiodVersion string `json:"istiodVersion,omitempty"`
	// Conditions are the latest judgements; at most one of each type.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// LinkPhase sums a link up.
// +enum
type LinkPhase string

const (
	// LinkPending means that a step is missing that was not there before.
	LinkPending LinkPhase = "Pending"
	// LinkReady means that traffic goes from one cluster to the other.
	LinkReady LinkPhase = "Ready"
	// LinkWithdrawn means that no traffic goes there, because nothing is heard of
	// the cluster, or because it leaves.
	LinkWithdrawn LinkPhase = "Withdrawn"
)

// LinkStep is one thing that a link needs. They are listed in the order in which
// they are made and proven.
// +enum
type LinkStep string

const (
	// StepMember means that both clusters have reported, have one Mesh and the
	// cluster ID that the federation knows.
	StepMember LinkStep = "Member"
	// StepCA means that both have the wanted CA in effect.
	StepCA LinkStep = "CA"
	// StepNetwork means that istio-system of both has the label of its network.
	StepNetwork LinkStep = "Network"
	// StepGateway means that the other cluster has its gateway.
	StepGateway LinkStep = "Gateway"
	// StepAddress means that the gateway has an address.
	StepAddress LinkStep = "Address"
	// StepProbe means that the gateway was reached, and its certificate is under
	// the mesh's root.
	StepProbe LinkStep = "Probe"
	// StepToken means that there is a valid token for the other cluster.
	StepToken LinkStep = "Token"
	// StepSecret means that istio-system has the remote secret.
	StepSecret LinkStep = "Secret"
	// StepSynced means that istiod is synced with the other cluster.
	StepSynced LinkStep = "Synced"
	// StepGatewayKnown means that istiod knows the gateway.
	StepGatewayKnown LinkStep = "GatewayKnown"
	// StepEndpoints means that endpoints of the other cluster go to the gateway
	// and not to pods.
	StepEndpoints LinkStep = "Endpoints"
)

// MeshLink is one ordered pair of clusters.
type MeshLink struct {
	// From is the cluster that calls.
	From string `json:"from"`
	// To is the cluster that is called.
	To string `json:"to"`
	// Phase sums the link up.
	// +optional
	Phase LinkPhase `json:"phase,omitempty"`
	// Step is the first that is missing; empty when none is.
	// +optional
	Step LinkStep `json:"step,omitempty"`
	// Reason is one CamelCase word for why it is missing; without a step, for what is
	// not quite as it is to be.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Message says what is in the way and what to do about it.
	// +optional
	Message string `json:"message,omitempty"`
	// LastProbe is when a probe last changed what is said here.
	// +optional
	LastProbe *metav1.Time `json:"lastProbe,omitempty"`
}
