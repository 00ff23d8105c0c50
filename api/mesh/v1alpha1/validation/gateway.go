package validation

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// validateGatewayUpdate keeps what peers reach gateways by, while there are peers.
// Nothing brings a new gateway up beside the old one yet.
func validateGatewayUpdate(mesh, old *meshv1alpha1.Mesh, path *field.Path) field.ErrorList {
	if len(old.Status.Links) == 0 {
		return nil
	}
	var errs field.ErrorList
	fixed := func(name string, value, was any) {
		if value != was {
			errs = append(errs, field.Invalid(path.Child(name), value, fmt.Sprintf(
				"was %v and cannot change while clusters are linked, because peers would be without a gateway meanwhile; take clusters out of spec.clusterAffinity until status.links is empty, change it and put them back, or make another Mesh", was)))
		}
	}
	gateway, before := &mesh.Spec.Gateway, &old.Spec.Gateway
	fixed("mode", gateway.Mode, before.Mode)
	fixed("serviceType", gateway.ServiceType, before.ServiceType)
	fixed("port", gateway.Port, before.Port)
	return append(errs, validateNewAddresses(mesh, old, path.Child("addresses"))...)
}

// validateNewAddresses keeps a gateway that is reached at nodes from getting addresses: an
// istiod (1.31) that knows it by its nodes goes back to them at the next change of one.
// Addresses that are what peers know are put back: they were taken out by mistake.
func validateNewAddresses(mesh, old *meshv1alpha1.Mesh, path *field.Path) field.ErrorList {
	if mesh.Spec.Gateway.ServiceType != corev1.ServiceTypeNodePort {
		return nil
	}
	var errs field.ErrorList
	for i := range mesh.Spec.Gateway.Addresses {
		name, written := mesh.Spec.Gateway.Addresses[i].ClusterName, sets.New(mesh.Spec.Gateway.Addresses[i].Addresses...)
		had := slices.ContainsFunc(old.Spec.Gateway.Addresses, func(a meshv1alpha1.ClusterAddresses) bool { return a.ClusterName == name })
		known := slices.ContainsFunc(old.Status.Clusters, func(c meshv1alpha1.MeshCluster) bool {
			return c.Name == name && len(c.GatewayAddresses) > 0 && !written.Equal(hosts(c.GatewayAddresses))
		})
		if !had && known {
			errs = append(errs, field.Forbidden(path.Index(i), fmt.Sprintf(
				"peers know cluster %s by its nodes, and their istiods would go back to those at the next change of a node; take the cluster out of spec.clusterAffinity until it is gone from status.clusters, write its addresses and put it back", name)))
		}
	}
	return errs
}

// hosts are addresses without their ports.
func hosts(addresses []meshv1alpha1.GatewayAddress) sets.Set[string] {
	all := sets.New[string]()
	for i := range addresses {
		all.Insert(addresses[i].Address)
	}
	return all
}

// validateOneAddress keeps Gateways from several addresses. Those that a Gateway had before
// this was checked are let be, so that the rest of the Mesh can change. Without before
// the Mesh is new.
func validateOneAddress(gateway, before *meshv1alpha1.MeshGateway, path *field.Path) field.ErrorList {
	if gateway.Mode != meshv1alpha1.GatewayAPI {
		return nil
	}
	var errs field.ErrorList
	for i := range gateway.Addresses {
		item := &gateway.Addresses[i]
		stored := before != nil && before.Mode == meshv1alpha1.GatewayAPI && slices.ContainsFunc(before.Addresses, func(a meshv1alpha1.ClusterAddresses) bool {
			return a.ClusterName == item.ClusterName && slices.Equal(a.Addresses, item.Addresses)
		})
		if len(item.Addresses) > 1 && !stored {
			errs = append(errs, field.Invalid(path.Index(i).Child("addresses"), item.Addresses,
				"istiod makes no Service of a Gateway with several addresses; write one, or use mode Service"))
		}
	}
	return errs
}

// portsOfIstio are those that Istio has for itself in the pod of a gateway.
var portsOfIstio = []int32{15000, 15001, 15002, 15004, 15006, 15008, 15009, 15010, 15012, 15014, 15017, 15020, 15021, 15053, 15090}

func validateGateway(gateway *meshv1alpha1.MeshGateway, path *field.Path) field.ErrorList {
	errs := oneOf(gateway.Mode, path.Child("mode"), meshv1alpha1.GatewayService, meshv1alpha1.GatewayAPI)
	errs = append(errs, oneOf(gateway.ServiceType, path.Child("serviceType"), corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort, corev1.ServiceTypeClusterIP)...)
	for _, msg := range validation.IsValidPortNum(int(gateway.Port)) {
		errs = append(errs, field.Invalid(path.Child("port"), gateway.Port, msg))
	}
	if slices.Contains(portsOfIstio, gateway.Port) {
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
	errs = append(errs, validateReserved(gateway.Annotations, path.Child("annotations"))...)
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

// nodeSelectorAnnotation says at which nodes Istio finds a gateway.
const nodeSelectorAnnotation = "traffic.istio.io/nodeSelector"

// reservedDomains are those of annotations by which the federation works: with one
// of them a Service of somebody else could be overwritten.
var reservedDomains = []string{"karmada.io", "flotilla.io"}

func validateReserved(annotations map[string]string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		domain, _, _ := strings.Cut(key, "/")
		switch {
		case slices.ContainsFunc(reservedDomains, func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) }):
			errs = append(errs, field.Forbidden(path.Key(key), "the federation works by it; remove it"))
		case key == nodeSelectorAnnotation:
			errs = append(errs, field.Forbidden(path.Key(key), "write nodeSelector instead"))
		}
	}
	return errs
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
