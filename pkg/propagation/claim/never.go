package claim

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/flotilla-io/flotilla/api/names"
)

// groupsThatStay are API groups of which no object ever travels: what they hold
// describes or controls the one API server that stores it.
var groupsThatStay = map[string]bool{
	"admission.k8s.io":             true,
	"apiregistration.k8s.io":       true, // whom this API server forwards to
	"authentication.k8s.io":        true, // reviews: answered, never stored
	"authorization.k8s.io":         true,
	"coordination.k8s.io":          true, // leases of processes
	"custom.metrics.k8s.io":        true,
	"discovery.k8s.io":             true, // endpoint slices: each cluster makes its own
	"events.k8s.io":                true,
	"external.metrics.k8s.io":      true,
	"flowcontrol.apiserver.k8s.io": true, // request priorities of this API server
	"internal.apiserver.k8s.io":    true,
	"metrics.k8s.io":               true,
	"storagemigration.k8s.io":      true,
}

// kindsThatStay are single kinds of groups that otherwise travel.
//
// RuntimeClass, PriorityClass, webhook configurations and admission policies
// are not among them. A policy has to name a kind to select it, there is no
// wildcard, and installing an operator with its webhooks in the members is a
// thing people do.
var kindsThatStay = map[schema.GroupKind]bool{
	{Kind: "Binding"}:         true,
	{Kind: "ComponentStatus"}: true,
	{Kind: "Endpoints"}:       true,
	{Kind: "Event"}:           true,
	{Kind: "Namespace"}:       true, // namespace propagation brings these
	{Kind: "Node"}:            true,

	{Group: "apps", Kind: "ControllerRevision"}:                       true,
	{Group: "certificates.k8s.io", Kind: "CertificateSigningRequest"}: true,
	{Group: "certificates.k8s.io", Kind: "PodCertificateRequest"}:     true,
	{Group: "networking.k8s.io", Kind: "IPAddress"}:                   true,
	{Group: "networking.k8s.io", Kind: "ServiceCIDR"}:                 true,
	{Group: "resource.k8s.io", Kind: "ResourceSlice"}:                 true,
	{Group: "storage.k8s.io", Kind: "CSINode"}:                        true,
	{Group: "storage.k8s.io", Kind: "CSIStorageCapacity"}:             true,
	{Group: "storage.k8s.io", Kind: "VolumeAttachment"}:               true,
}

// federationDomains are the domains of API groups that are about the federation
// itself.
var federationDomains = []string{"karmada.io", "flotilla.io"}

// bootstrappingLabel is on the RBAC objects that every API server makes for
// itself at start. A policy that selects all ClusterRoles must not replace the
// members' own.
const bootstrappingLabel = "kubernetes.io/bootstrapping"

// NeverPropagated tells whether an object is outside of what policies can
// select, whatever they say. namespace and name are those of the request: obj
// may not have them yet in admission. obj may be nil; then only kind, namespace
// and name are looked at.
func NeverPropagated(gvk schema.GroupVersionKind, namespace, name string, obj metav1.Object) bool {
	return KindNeverPropagated(gvk.GroupKind()) ||
		namespace != "" && names.IsReservedNamespace(namespace) ||
		perClusterObject(gvk.GroupKind(), namespace, name, obj)
}

// KindNeverPropagated tells whether no object of a kind can be selected.
func KindNeverPropagated(gk schema.GroupKind) bool {
	if groupsThatStay[gk.Group] || kindsThatStay[gk] {
		return true
	}
	for _, domain := range federationDomains {
		if gk.Group == domain || strings.HasSuffix(gk.Group, "."+domain) {
			return true
		}
	}
	return false
}

// perClusterObject finds the objects of travelling kinds that every cluster has
// by itself, with contents of its own.
func perClusterObject(gk schema.GroupKind, namespace, name string, obj metav1.Object) bool {
	switch gk {
	case schema.GroupKind{Kind: "ServiceAccount"}:
		return name == "default"
	case schema.GroupKind{Kind: "ConfigMap"}:
		return name == "kube-root-ca.crt"
	case schema.GroupKind{Kind: "Service"}:
		return namespace == metav1.NamespaceDefault && name == "kubernetes"
	case schema.GroupKind{Kind: "Secret"}:
		// The annotation is what makes a Secret of the token type valid, so it
		// is as good as the type, and metadata-only clients see it.
		return strings.HasPrefix(name, "bootstrap-token-") ||
			obj != nil && obj.GetAnnotations()["kubernetes.io/service-account.name"] != ""
	case schema.GroupKind{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:
		return strings.HasPrefix(name, "system-")
	}
	if gk.Group == "rbac.authorization.k8s.io" {
		return strings.HasPrefix(name, "system:") ||
			obj != nil && obj.GetLabels()[bootstrappingLabel] != ""
	}
	return false
}
