package gateway

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// gatewayAPI is one Gateway from which istiod makes Deployment and Service. Labels
// of its infrastructure get onto the Service, which is how peers find it. The API is not
// one of Istio's own, so the object is written out.
func gatewayAPI(spec *meshv1alpha1.MeshGateway, cluster Cluster) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1",
		"kind":       "Gateway",
		"spec": map[string]any{
			"gatewayClassName": "istio",
			"listeners": []any{map[string]any{
				"name":     "cross-network",
				"hostname": "*.local",
				"port":     int64(spec.Port),
				"protocol": "TLS",
				"tls": map[string]any{
					"mode":    "Passthrough",
					"options": map[string]any{"gateway.istio.io/listener-protocol": "auto-passthrough"},
				},
			}},
		},
	}}
	labels := map[string]string{NetworkLabel: cluster.Network, meshv1alpha1.MeshLabel: cluster.Mesh}
	if spec.Port != meshv1alpha1.DefaultGatewayPort {
		labels[PortLabel] = strconv.Itoa(int(spec.Port))
	}
	if spec.Revision != "" {
		labels["istio.io/rev"] = spec.Revision
	}
	u.SetNamespace(meshv1alpha1.IstioNamespace)
	u.SetName(exposure)
	u.SetLabels(labels)
	annotations := map[string]string{}
	for key, value := range spec.Annotations {
		annotations[key] = value
	}
	if spec.ServiceType != corev1.ServiceTypeLoadBalancer {
		annotations["networking.istio.io/service-type"] = string(spec.ServiceType)
	}
	if len(annotations) > 0 {
		u.SetAnnotations(annotations)
	}
	// Without this istiod would copy what else is on the Gateway when it comes, by which the
	// agent knows objects of its own, onto all that it makes. One of each is needed for that.
	made := map[string]any{meshv1alpha1.MeshLabel: cluster.Mesh}
	for key, value := range spec.Annotations {
		made[key] = value
	}
	infrastructure := map[string]any{"labels": map[string]any{}, "annotations": made}
	for key, value := range labels {
		infrastructure["labels"].(map[string]any)[key] = value
	}
	u.Object["spec"].(map[string]any)["infrastructure"] = infrastructure
	if ips := static(spec, cluster.Name); len(ips) > 0 {
		var addresses []any
		for _, ip := range ips {
			addresses = append(addresses, map[string]any{"type": "IPAddress", "value": ip})
		}
		u.Object["spec"].(map[string]any)["addresses"] = addresses
	}
	return u
}
