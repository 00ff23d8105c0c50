package validation

import (
	"fmt"
	"net/netip"
	"net/url"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	clustervalidation "github.com/flotilla-io/flotilla/api/cluster/v1alpha1/validation"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

func validateTrust(trust *meshv1alpha1.MeshTrust, path *field.Path) field.ErrorList {
	errs := oneOf(trust.Mode, path.Child("mode"), meshv1alpha1.TrustManaged, meshv1alpha1.TrustExternal)
	// What SPIFFE allows as a trust domain, short of underscores, which are no
	// part of host names.
	for _, msg := range validation.IsDNS1123Subdomain(trust.TrustDomain) {
		errs = append(errs, field.Invalid(path.Child("trustDomain"), trust.TrustDomain, msg))
	}
	ref := path.Child("secretRef")
	switch {
	case trust.Mode == meshv1alpha1.TrustExternal && trust.SecretRef == nil:
		errs = append(errs, field.Required(ref, "mode External takes the CA from a Secret; name it"))
	case trust.Mode == meshv1alpha1.TrustManaged && trust.SecretRef != nil:
		errs = append(errs, field.Forbidden(ref, "mode Managed makes the CA itself; write mode External, or remove secretRef"))
	case trust.SecretRef != nil:
		for _, msg := range apivalidation.ValidateNamespaceName(trust.SecretRef.Namespace, false) {
			errs = append(errs, field.Invalid(ref.Child("namespace"), trust.SecretRef.Namespace, msg))
		}
		for _, msg := range apivalidation.NameIsDNSSubdomain(trust.SecretRef.Name, false) {
			errs = append(errs, field.Invalid(ref.Child("name"), trust.SecretRef.Name, msg))
		}
	}
	if trust.RootGeneration < 1 {
		errs = append(errs, field.Invalid(path.Child("rootGeneration"), trust.RootGeneration, "the first root is 1"))
	}
	leaf := trust.WorkloadCertificateLifetime
	if leaf != nil && leaf.Duration <= 0 {
		errs = append(errs, field.Invalid(path.Child("workloadCertificateLifetime"), leaf.Duration.String(), "must be more than 0"))
		leaf = nil
	}
	if leaf != nil {
		errs = append(errs, atLeast(trust.IntermediateLifetime, 4*leaf.Duration,
			"what it signs lives for workloadCertificateLifetime, and it is renewed in time for that", path.Child("intermediateLifetime"))...)
	}
	return errs
}

func validateGateway(gateway *meshv1alpha1.MeshGateway, path *field.Path) field.ErrorList {
	errs := oneOf(gateway.Mode, path.Child("mode"), meshv1alpha1.GatewayService, meshv1alpha1.GatewayAPI)
	errs = append(errs, oneOf(gateway.ServiceType, path.Child("serviceType"), corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort, corev1.ServiceTypeClusterIP)...)
	for _, msg := range validation.IsValidPortNum(int(gateway.Port)) {
		errs = append(errs, field.Invalid(path.Child("port"), gateway.Port, msg))
	}
	switch gateway.Port {
	case 15012, 15017, 15021, 15008:
		errs = append(errs, field.Invalid(path.Child("port"), gateway.Port, "the gateway has this port for something else; choose another, such as 15443"))
	}
	nodes := gateway.ServiceType == corev1.ServiceTypeNodePort
	if nodes && gateway.Mode == meshv1alpha1.GatewayAPI {
		errs = append(errs, field.Invalid(path.Child("serviceType"), gateway.ServiceType,
			"Istio finds the nodes by an annotation that it does not put on the Service of a Gateway; use mode Service"))
	}
	if !nodes && gateway.NodePort != 0 {
		errs = append(errs, field.Forbidden(path.Child("nodePort"), "is only for serviceType NodePort"))
	}
	if gateway.NodePort < 0 || gateway.NodePort > 65535 {
		errs = append(errs, field.Invalid(path.Child("nodePort"), gateway.NodePort, "must be a port, or 0"))
	}
	if !nodes && len(gateway.NodeSelector) > 0 {
		errs = append(errs, field.Forbidden(path.Child("nodeSelector"), "is only for serviceType NodePort"))
	}
	errs = append(errs, metav1validation.ValidateLabels(gateway.NodeSelector, path.Child("nodeSelector"))...)
	errs = append(errs, apivalidation.ValidateAnnotations(gateway.Annotations, path.Child("annotations"))...)
	for _, msg := range validation.IsValidLabelValue(gateway.Revision) {
		errs = append(errs, field.Invalid(path.Child("revision"), gateway.Revision, msg))
	}
	if gateway.Replicas != nil && *gateway.Replicas < 1 {
		errs = append(errs, field.Invalid(path.Child("replicas"), *gateway.Replicas, "must be at least 1: without a gateway peers would send traffic to pods they cannot reach"))
	}
	if gateway.Mode == meshv1alpha1.GatewayAPI && gateway.Replicas != nil && *gateway.Replicas > 1 {
		errs = append(errs, field.Invalid(path.Child("replicas"), *gateway.Replicas, "istiod makes the Deployment of a Gateway, with one replica; use mode Service, or a HorizontalPodAutoscaler in the member"))
	}
	if gateway.ServiceType == corev1.ServiceTypeClusterIP && len(gateway.Addresses) == 0 {
		errs = append(errs, field.Required(path.Child("addresses"), "nothing gives a Service of type ClusterIP an address that peers reach; write them here"))
	}
	return append(errs, validateAddresses(gateway.Addresses, path.Child("addresses"))...)
}

func validateAddresses(addresses []meshv1alpha1.ClusterAddresses, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i := range addresses {
		item, p := &addresses[i], path.Index(i)
		errs = append(errs, validateClusterName(item.ClusterName, p.Child("clusterName"))...)
		if seen.Has(item.ClusterName) {
			errs = append(errs, field.Duplicate(p.Child("clusterName"), item.ClusterName))
		}
		seen.Insert(item.ClusterName)
		if len(item.Addresses) == 0 {
			errs = append(errs, field.Required(p.Child("addresses"), "write at least one IP, or remove the item"))
		}
		for j, text := range item.Addresses {
			ip, err := netip.ParseAddr(text)
			ap := p.Child("addresses").Index(j)
			switch {
			case err != nil || ip.Zone() != "":
				errs = append(errs, field.Invalid(ap, text, "must be an IP; a host name comes from a load balancer"))
			case ip.IsUnspecified(), ip.IsLoopback(), ip.IsMulticast(), ip.IsLinkLocalUnicast():
				errs = append(errs, field.Invalid(ap, text, "must be an IP that other clusters reach"))
			}
		}
	}
	return errs
}

func validateClusterName(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "name a cluster")}
	}
	if len(name) > clustervalidation.MaxNameLength {
		return field.ErrorList{field.TooLong(path, name, clustervalidation.MaxNameLength)}
	}
	var errs field.ErrorList
	for _, msg := range apivalidation.NameIsDNSLabel(name, false) {
		errs = append(errs, field.Invalid(path, name, msg))
	}
	return errs
}

func validateURL(text string, path *field.Path) field.ErrorList {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return field.ErrorList{field.Required(path, "write the URL of the API server, such as https://203.0.113.7:6443")}
	case err != nil:
		return field.ErrorList{field.Invalid(path, text, "cannot be read as a URL: "+err.Error())}
	case u.Scheme != "https" || u.Hostname() == "":
		return field.ErrorList{field.Invalid(path, text, "must be https:// and a host: a token is sent there")}
	case u.Fragment != "" || u.RawQuery != "" || u.User != nil:
		return field.ErrorList{field.Invalid(path, fmt.Sprintf("https://%s", u.Host), "must have no user, query or fragment")}
	}
	return nil
}
