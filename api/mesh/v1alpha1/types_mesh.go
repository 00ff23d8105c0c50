package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// Mesh joins clusters into one Istio mesh. Its name is the mesh ID.
type Mesh struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec says which clusters form the mesh, and how.
	// +optional
	Spec MeshSpec `json:"spec,omitempty"`

	// Status says how far that is true.
	// +optional
	Status MeshStatus `json:"status,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// MeshList is a list of Meshes.
type MeshList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the Meshes.
	Items []Mesh `json:"items"`
}

// MeshSpec says which clusters form a mesh, and how.
type MeshSpec struct {
	// ClusterAffinity says which clusters are in the mesh, by clusterNames,
	// labelSelector or fieldSelector; a Mesh of every cluster that ever joins there
	// is not, because each reads the others. Names are the safe choice: labels and
	// region of a new Cluster are chosen by the agent that joins. A cluster can be
	// in one Mesh only. Required.
	// +optional
	ClusterAffinity *policyv1alpha1.ClusterAffinity `json:"clusterAffinity,omitempty"`

	// Topology says where istiod runs. Default MultiPrimary: one in each cluster.
	// +optional
	Topology MeshTopology `json:"topology,omitempty"`

	// Networks lists clusters whose pods reach each other directly. A cluster
	// that is in none is a network of its own, network-<cluster>. Between
	// networks traffic goes through gateways.
	// +optional
	// +listType=map
	// +listMapKey=name
	Networks []MeshNetwork `json:"networks,omitempty"`

	// Trust says under which root the certificates of all workloads are.
	// +optional
	Trust MeshTrust `json:"trust,omitempty"`

	// Gateway says how traffic from other networks gets into a cluster.
	// +optional
	Gateway MeshGateway `json:"gateway,omitempty"`

	// RemoteAccess says how the istiod of a cluster reads Services and endpoints
	// of the others.
	// +optional
	RemoteAccess MeshRemoteAccess `json:"remoteAccess,omitempty"`

	// Links says which pairs of clusters are connected. Default All; Placement:
	// those whose propagated workloads need each other.
	// +optional
	Links MeshLinks `json:"links,omitempty"`

	// WithdrawAfter is how long nothing may be heard of a cluster before its
	// peers stop sending it traffic. It comes back by itself. At least 30s, at
	// most 24h; default 5m.
	// +optional
	WithdrawAfter *metav1.Duration `json:"withdrawAfter,omitempty"`

	// Failover sends traffic to other regions when there is nobody in the
	// caller's own. Unset: traffic is divided by the number of endpoints.
	// +optional
	Failover *MeshFailover `json:"failover,omitempty"`
}

// MeshTopology says where istiod runs.
// +enum
type MeshTopology string

// MultiPrimary means an istiod in each cluster.
const MultiPrimary MeshTopology = "MultiPrimary"

// MeshNetwork is a set of clusters whose pods reach each other directly.
type MeshNetwork struct {
	// Name of the network, as Istio's label topology.istio.io/network has it.
	Name string `json:"name"`
	// ClusterNames are the clusters in it.
	// +listType=atomic
	ClusterNames []string `json:"clusterNames"`
}

// MeshTrustMode says who makes the root.
// +enum
type MeshTrustMode string

const (
	// TrustManaged means that the federation makes a root and signs an
	// intermediate for each cluster.
	TrustManaged MeshTrustMode = "Managed"
	// TrustExternal means that both come from a Secret.
	TrustExternal MeshTrustMode = "External"
)

// MeshTrust says under which root the certificates of all workloads are.
type MeshTrust struct {
	// Mode is Managed (default) or External.
	// +optional
	Mode MeshTrustMode `json:"mode,omitempty"`

	// TrustDomain is the host of the SPIFFE IDs of workloads, as istiod's
	// meshConfig.trustDomain has it. Default cluster.local. It cannot be changed.
	// +optional
	TrustDomain string `json:"trustDomain,omitempty"`

	// SecretRef names the Secret of mode External: root-cert.pem and either
	// root-key.pem, or for each cluster <cluster>.ca-cert.pem,
	// <cluster>.ca-key.pem and <cluster>.cert-chain.pem.
	// +optional
	SecretRef *clusterv1alpha1.LocalSecretReference `json:"secretRef,omitempty"`

	// Adopt allows a Secret istio-system/cacerts to be replaced that this Mesh did
	// not make. istiod has to be restarted then, and calls within that cluster
	// can fail until its workloads have new certificates. Default false: a
	// cluster with such a Secret is not joined.
	// +optional
	Adopt bool `json:"adopt,omitempty"`

	// RootGeneration changes the root when it is raised by one above what it was
	// and above status.trust.rootGeneration; mode Managed only. The change goes by
	// three steps and no call fails. From mode External to Managed it has to be
	// raised, too: that is a change of the root. Default 1.
	// +optional
	RootGeneration int64 `json:"rootGeneration,omitempty"`

	// IntermediateLifetime is how long the intermediate of a cluster is valid. It
	// is renewed after two thirds of that. At most 87600h, as long as a root;
	// default 8760h.
	// +optional
	IntermediateLifetime *metav1.Duration `json:"intermediateLifetime,omitempty"`

	// WorkloadCertificateLifetime is the longest that certificates of workloads
	// are valid in this mesh (SECRET_TTL of Istio's agent). A change of the root
	// waits so long at each step. At most 2160h; default 24h.
	// +optional
	WorkloadCertificateLifetime *metav1.Duration `json:"workloadCertificateLifetime,omitempty"`
}

// MeshLinks says which pairs of clusters are connected.
// +enum
type MeshLinks string

const (
	// LinksAll means every pair.
	LinksAll MeshLinks = "All"
	// LinksPlacement means those pairs whose propagated workloads need each other.
	LinksPlacement MeshLinks = "Placement"
)

// MeshRemoteAccess says how the istiod of a cluster reads the others.
type MeshRemoteAccess struct {
	// TokenTTL is how long a token of a reader is valid. It is renewed at half of
	// that. At least 10m, at most 720h; default 24h.
	// +optional
	TokenTTL *metav1.Duration `json:"tokenTTL,omitempty"`

	// Secrets says whether the reader may read Secrets. Default Read, which istiod
	// needs (see MeshSecretAccess).
	// +optional
	Secrets MeshSecretAccess `json:"secrets,omitempty"`

	// Servers says where peers reach the API server of a cluster, where that is
	// not spec.apiEndpoint of the Cluster and not what its agent uses.
	// +optional
	// +listType=map
	// +listMapKey=clusterName
	Servers []MeshServer `json:"servers,omitempty"`
}

// MeshSecretAccess says whether peers may read the Secrets of a cluster.
// +enum
type MeshSecretAccess string

const (
	// SecretsRead lets the istiods of peers list and watch Secrets of the whole
	// cluster, as Istio's own reader does. istiod 1.31 watches them in every peer
	// and is never synced without; it keeps a connection for each token it was
	// ever given then.
	SecretsRead MeshSecretAccess = "Read"
	// SecretsNone keeps Secrets from peers. All istiods of the mesh have to run
	// with PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER=false, in a version that
	// works with that; 1.31.1 and before end with a panic.
	SecretsNone MeshSecretAccess = "None"
)

// MeshServer is where peers reach the API server of a cluster.
type MeshServer struct {
	// ClusterName is the cluster.
	ClusterName string `json:"clusterName"`
	// URL of its API server, such as https://203.0.113.7:6443.
	URL string `json:"url"`
}

// MeshFailover sends traffic to other regions when there is nobody in the
// caller's own.
type MeshFailover struct {
	// Regions are where traffic of a region goes.
	// +listType=map
	// +listMapKey=from
	Regions []RegionFailover `json:"regions"`
}

// RegionFailover is where the traffic of a region goes.
type RegionFailover struct {
	// From is the region of the caller, spec.region of its Cluster.
	From string `json:"from"`
	// To are the regions that take its traffic, the first one first. One region
	// for now: Istio prefers one besides the caller's own. When there is nobody in
	// that one either, traffic goes to all others.
	// +listType=atomic
	To []string `json:"to"`
}
