package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kind names of this group and the resource they are served at.
const (
	// ResourceKindCluster is the kind of Cluster.
	ResourceKindCluster = "Cluster"
	// ResourcePluralCluster is the resource path segment of Cluster.
	ResourcePluralCluster = "clusters"
)

// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// Cluster is a member of the federation. Its name is how policies, bindings and
// execution namespaces refer to the member, and cannot be changed.
type Cluster struct {
	metav1.TypeMeta `json:",inline"`
	// Standard object metadata. Labels are what label selectors of cluster
	// affinities look at.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec says how the member is reached and what is known about it beforehand.
	Spec ClusterSpec `json:"spec"`

	// Status is what was last observed of the member.
	// +optional
	Status ClusterStatus `json:"status,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterList is a list of Clusters.
type ClusterList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the clusters.
	Items []Cluster `json:"items"`
}

// ClusterSyncMode says who opens the connection between the federation and a
// member.
// +enum
type ClusterSyncMode string

const (
	// Push means that the control plane connects to the member's API server.
	Push ClusterSyncMode = "Push"
	// Pull means that an agent in the member connects to the federation.
	Pull ClusterSyncMode = "Pull"
)

// ClusterSpec is the wanted side of a Cluster.
type ClusterSpec struct {
	// ID tells this member apart from every other cluster, whatever they are
	// called: the UID of the member's kube-system namespace. The same ID may
	// not be registered under two names.
	// +optional
	ID string `json:"id,omitempty"`

	// SyncMode says who opens the connection: Push (the control plane) or Pull
	// (the agent in the member). It cannot be changed after creation.
	SyncMode ClusterSyncMode `json:"syncMode"`

	// APIEndpoint is the URL of the member's API server, such as
	// https://203.0.113.7:6443. Needed in Push mode; in Pull mode it serves
	// only the cluster proxy.
	// +optional
	APIEndpoint string `json:"apiEndpoint,omitempty"`

	// SecretRef names the Secret with the credentials for the member: keys
	// "token" (bearer token) and "caBundle" (PEM of the member's CA).
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`

	// ImpersonatorSecretRef names the Secret with the credential ("token") that
	// may impersonate users in the member. The cluster proxy needs it.
	// +optional
	ImpersonatorSecretRef *LocalSecretReference `json:"impersonatorSecretRef,omitempty"`

	// InsecureSkipTLSVerification turns off the check of the member's serving
	// certificate; the connection can then be intercepted. Default false.
	// +optional
	InsecureSkipTLSVerification bool `json:"insecureSkipTLSVerification,omitempty"`

	// ProxyURL is the HTTP(S) or SOCKS5 proxy through which the member's API
	// server is reached. Empty: a direct connection.
	// +optional
	ProxyURL string `json:"proxyURL,omitempty"`

	// ProxyHeader holds HTTP headers that are sent to ProxyURL with CONNECT.
	// Several values of one header are separated by commas.
	// +optional
	ProxyHeader map[string]string `json:"proxyHeader,omitempty"`

	// Provider names who runs the infrastructure of the member. Field selectors
	// and spread constraints may use it.
	// +optional
	Provider string `json:"provider,omitempty"`

	// Region is where the member is. Field selectors and spread constraints may
	// use it.
	// +optional
	Region string `json:"region,omitempty"`

	// Zone is the one zone the member is in.
	// Deprecated: use Zones. When only Zone is given, Zones is defaulted to it.
	// +optional
	Zone string `json:"zone,omitempty"`

	// Zones are the failure domains, within Region, that the member spans.
	// +optional
	// +listType=atomic
	Zones []string `json:"zones,omitempty"`

	// Taints keep away (NoSchedule) or drive out (NoExecute) whatever has no
	// toleration for them.
	// +optional
	// +listType=atomic
	Taints []corev1.Taint `json:"taints,omitempty"`

	// ResourceModels sort the member's nodes into grades by size, so that the
	// scheduler can tell free capacity that fits a replica from scattered rests.
	// Grades count from 0 without gaps, and each grade's ranges start where the
	// previous grade's end.
	// +optional
	// +listType=atomic
	ResourceModels []ResourceModel `json:"resourceModels,omitempty"`
}

// LocalSecretReference names a Secret in the federation.
type LocalSecretReference struct {
	// Namespace of the Secret.
	Namespace string `json:"namespace"`
	// Name of the Secret.
	Name string `json:"name"`
}
