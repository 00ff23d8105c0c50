package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// MeshMember is the part of one cluster in a mesh. It lies in the execution
// namespace of the cluster and has the name of the Mesh.
type MeshMember struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec says what the agent of the cluster has to do and to look at.
	// +optional
	Spec MeshMemberSpec `json:"spec,omitempty"`

	// Status is what it has seen.
	// +optional
	Status MeshMemberStatus `json:"status,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// MeshMemberList is a list of MeshMembers.
type MeshMemberList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the MeshMembers.
	Items []MeshMember `json:"items"`
}

// MeshMemberSpec says what an agent has to do and to look at.
type MeshMemberSpec struct {
	// MeshID is the name of the Mesh.
	MeshID string `json:"meshID"`
	// ClusterID is the CLUSTER_ID that the cluster's istiod must have.
	ClusterID string `json:"clusterID"`
	// Network that the cluster is in.
	Network string `json:"network"`
	// CA is what istiod has to have in effect.
	// +optional
	CA MemberCA `json:"ca,omitempty"`
	// Gateway is what to look at to find the gateway's addresses. Unset: the
	// cluster needs no gateway.
	// +optional
	Gateway *MemberGateway `json:"gateway,omitempty"`
	// Reader is what peers read the cluster as. Unset: no token is wanted, and
	// the Secret with the last one is to be emptied.
	// +optional
	Reader *MemberReader `json:"reader,omitempty"`
	// Locality is what nodes without a region or zone get as theirs. Unset: nodes
	// are left as they are, and what was written into them is taken back.
	// +optional
	Locality *MemberLocality `json:"locality,omitempty"`
	// Leaving asks the agent to take back what it has written into the cluster:
	// the label of the network, localities of nodes, tokens. It says so with the
	// condition Left.
	// +optional
	Leaving bool `json:"leaving,omitempty"`
	// Peers to look at.
	// +optional
	// +listType=map
	// +listMapKey=name
	Peers []MemberPeer `json:"peers,omitempty"`
}

// MemberLocality is where a cluster is, as its Cluster says.
type MemberLocality struct {
	// Region of the cluster (topology.kubernetes.io/region).
	// +optional
	Region string `json:"region,omitempty"`
	// Zone of the cluster (topology.kubernetes.io/zone); empty when it has
	// several.
	// +optional
	Zone string `json:"zone,omitempty"`
}

// MemberCA is the CA that istiod has to have in effect.
type MemberCA struct {
	// Roots to trust, in this order: sha256:<hex> of the certificates.
	// +optional
	// +listType=atomic
	Roots []string `json:"roots,omitempty"`
	// Signer is the root under which the intermediate is.
	// +optional
	Signer string `json:"signer,omitempty"`
	// Intermediate that signs.
	// +optional
	Intermediate string `json:"intermediate,omitempty"`
}

// MemberGateway says what makes the gateway of a cluster.
type MemberGateway struct {
	// ServiceName of the gateway's Service in istio-system.
	ServiceName string `json:"serviceName"`
	// Port of the Service at which peers connect.
	Port int32 `json:"port"`
}

// MemberReader is what peers read a cluster as.
type MemberReader struct {
	// ServiceAccount in istio-system whose tokens peers get.
	ServiceAccount string `json:"serviceAccount"`
	// TokenTTL is how long a token is valid. A new one is made at half of that.
	TokenTTL metav1.Duration `json:"tokenTTL"`
	// Server is the URL that peers use, if it is not what the agent uses.
	// +optional
	Server string `json:"server,omitempty"`
	// RenewAfter asks for a token that was made after this time: somebody who no
	// longer is to read the cluster has an earlier one.
	// +optional
	RenewAfter *metav1.Time `json:"renewAfter,omitempty"`
	// InUse are the tokens that a peer may still use, the newest last. The agent
	// ends all others, but for one that it has made since.
	// +optional
	// +listType=map
	// +listMapKey=token
	InUse []TokenGeneration `json:"inUse,omitempty"`
}

// TokenGeneration is one token of a reader, and the remote secrets made with it.
type TokenGeneration struct {
	// Token is the sha256:<hex> of the token.
	Token string `json:"token"`
	// Secret is the sha256:<hex> of the kubeconfig with it.
	Secret string `json:"secret"`
	// Expires is when the token ends.
	Expires metav1.Time `json:"expires"`
}

// MemberPeer is a cluster that this one calls.
type MemberPeer struct {
	// Name of the peer; its cluster ID too.
	Name string `json:"name"`
	// Network that the peer is in.
	Network string `json:"network"`
	// Gateways to probe. Empty in the same network.
	// +optional
	// +listType=atomic
	Gateways []GatewayAddress `json:"gateways,omitempty"`
	// SecretHash is the sha256:<hex> of the kubeconfig in the remote secret for
	// the peer. Empty: there must be none.
	// +optional
	SecretHash string `json:"secretHash,omitempty"`
}

// MeshMemberStatus is what an agent has seen. It is written only when something in
// it changes.
type MeshMemberStatus struct {
	// ObservedGeneration is the metadata.generation that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions are the latest judgements; at most one of each type.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Istiod that runs in the cluster. Unset: none answers.
	// +optional
	Istiod *MemberIstiod `json:"istiod,omitempty"`
	// CA that istiod has in effect. Unset: not known.
	// +optional
	CA *MemberCAStatus `json:"ca,omitempty"`
	// CACerts is the Secret istio-system/cacerts as it is. Unset: not looked yet.
	// +optional
	CACerts *MemberCACerts `json:"caCerts,omitempty"`
	// Network is the label of istio-system; empty when it has none.
	// +optional
	Network string `json:"network,omitempty"`
	// Gateway of the cluster. Unset: there is none.
	// +optional
	Gateway *MemberGatewayStatus `json:"gateway,omitempty"`
	// Regions that nodes of the cluster have.
	// +optional
	// +listType=set
	Regions []string `json:"regions,omitempty"`
	// Token that peers read the cluster with.
	// +optional
	Token *MemberToken `json:"token,omitempty"`
	// Peers that were looked at.
	// +optional
	// +listType=map
	// +listMapKey=name
	Peers []MemberPeerStatus `json:"peers,omitempty"`
}

// MemberIstiod is the istiod of a cluster.
type MemberIstiod struct {
	// Version of it, such as 1.31.1.
	// +optional
	Version string `json:"version,omitempty"`
	// ClusterID it has (CLUSTER_ID).
	// +optional
	ClusterID string `json:"clusterID,omitempty"`
}

// MemberCAStatus is the CA that istiod has in effect.
type MemberCAStatus struct {
	// Roots that it gives to workloads, in its order.
	// +optional
	// +listType=atomic
	Roots []string `json:"roots,omitempty"`
	// Signer is the root to which istiod's own certificate leads.
	// +optional
	Signer string `json:"signer,omitempty"`
	// Intermediate that signed istiod's own certificate.
	// +optional
	Intermediate string `json:"intermediate,omitempty"`
	// Expires is when the intermediate ends.
	// +optional
	Expires *metav1.Time `json:"expires,omitempty"`
}

// MemberCACerts is the Secret istio-system/cacerts.
type MemberCACerts struct {
	// Exists is false when there is none.
	Exists bool `json:"exists"`
	// Mesh that made it; empty when somebody else did.
	// +optional
	Mesh string `json:"mesh,omitempty"`
	// Roots in its root-cert.pem.
	// +optional
	// +listType=atomic
	Roots []string `json:"roots,omitempty"`
}

// MemberGatewayStatus is the gateway of a cluster.
type MemberGatewayStatus struct {
	// Addresses at which peers connect.
	// +optional
	// +listType=atomic
	Addresses []GatewayAddress `json:"addresses,omitempty"`
	// Message says why there is no address.
	// +optional
	Message string `json:"message,omitempty"`
}

// MemberToken is the token that peers read a cluster with.
type MemberToken struct {
	// Hash is the sha256:<hex> of it.
	Hash string `json:"hash"`
	// Expires is when it ends.
	Expires metav1.Time `json:"expires"`
}

// MemberPeerStatus is what was seen of a peer.
type MemberPeerStatus struct {
	// Name of the peer.
	Name string `json:"name"`
	// SecretHash is the sha256:<hex> of the kubeconfig in the remote secret;
	// empty when there is none.
	// +optional
	SecretHash string `json:"secretHash,omitempty"`
	// Proofs are what was tried, in the order of steps.
	// +optional
	// +listType=map
	// +listMapKey=step
	Proofs []Proof `json:"proofs,omitempty"`
}

// ReasonSomeAddressesFail is the reason of a Proof of step Probe that has passed, although
// some of the gateway's addresses do not answer: requests that are sent there fail.
const ReasonSomeAddressesFail = "SomeAddressesFail"

// Proof is a step of a link that was tried.
type Proof struct {
	// Step that was tried: Probe, Synced, GatewayKnown or Endpoints. Of a peer for
	// which there is no remote secret, and to be none, Synced is there while istiod
	// still reads it, or does not say.
	Step LinkStep `json:"step"`
	// Passed is true when it holds.
	Passed bool `json:"passed"`
	// Reason is one CamelCase word for why it does not, or not quite.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Message says what was seen instead.
	// +optional
	Message string `json:"message,omitempty"`
	// Since is when it last began to hold, or not to.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
}
