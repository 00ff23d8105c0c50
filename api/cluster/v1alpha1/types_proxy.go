package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// ClusterProxyOptions are the parameters of a request to the subresource proxy
// of a Cluster. They are never stored.
type ClusterProxyOptions struct {
	metav1.TypeMeta `json:",inline"`

	// Path is the path of the request in the member, such as /api/v1/nodes: what
	// follows clusters/<name>/proxy in the path of the request.
	// +optional
	Path string `json:"path,omitempty"`
}
