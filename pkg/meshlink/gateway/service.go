package gateway

import (
	"encoding/json"
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// podSelector chooses the pods of the gateway, for its Service, its Deployment and
// Istio's Gateway.
func podSelector() map[string]string {
	return map[string]string{"app": name, "istio": selector}
}

func networkLabels(cluster Cluster) map[string]string {
	labels := podSelector()
	labels[NetworkLabel] = cluster.Network
	return labels
}

func serviceAccount(cluster Cluster) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: metadata(name, cluster, podSelector()),
	}
}

func service(spec *meshv1alpha1.MeshGateway, cluster Cluster) *corev1.Service {
	port := func(name string, number int32) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Port: number, TargetPort: intstr.FromInt32(number), Protocol: corev1.ProtocolTCP}
	}
	tls := port("tls", spec.Port)
	tls.NodePort = spec.NodePort
	s := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metadata(name, cluster, networkLabels(cluster)),
		Spec: corev1.ServiceSpec{
			Type:        spec.ServiceType,
			Selector:    podSelector(),
			Ports:       []corev1.ServicePort{port("status-port", 15021), tls, port("tls-istiod", 15012), port("tls-webhook", 15017)},
			ExternalIPs: static(spec, cluster.Name),
		},
	}
	s.Annotations = maps.Clone(spec.Annotations)
	if spec.Port != meshv1alpha1.DefaultGatewayPort {
		s.Labels[PortLabel] = strconv.Itoa(int(spec.Port))
	}
	if spec.ServiceType == corev1.ServiceTypeNodePort {
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[NodeSelectorAnnotation] = nodeSelector(spec.NodeSelector)
	}
	return s
}

// nodeSelector writes labels as JSON. Keys are in order, so the same labels give
// the same text; without labels it is "{}", which chooses every node.
func nodeSelector(labels map[string]string) string {
	if len(labels) == 0 {
		return "{}"
	}
	text, err := json.Marshal(labels)
	if err != nil { // there is no map of strings that cannot be written
		return "{}"
	}
	return string(text)
}

// deployment is a pod that istiod's injection makes a gateway of, as Istio's chart
// "gateway" has it.
func deployment(spec *meshv1alpha1.MeshGateway, cluster Cluster) *appsv1.Deployment {
	labels := networkLabels(cluster)
	labels["sidecar.istio.io/inject"] = "true"
	labels[meshv1alpha1.MeshLabel] = cluster.Mesh
	if spec.Revision != "" {
		labels["istio.io/rev"] = spec.Revision
	}
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metadata(name, cluster, podSelector()),
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(replicas(spec)),
			Selector: &metav1.LabelSelector{MatchLabels: podSelector()},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{
					Labels:      labels,
					Annotations: map[string]string{"inject.istio.io/templates": "gateway"},
				},
				Spec: corev1.PodSpec{
					ServiceAccountName: name,
					SecurityContext: &corev1.PodSecurityContext{
						Sysctls: []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}},
					},
					// Two gateways on one node are lost together.
					TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
						MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
						LabelSelector: &metav1.LabelSelector{MatchLabels: podSelector()},
					}},
					Containers: []corev1.Container{proxy(cluster)},
				},
			},
		},
	}
}

func proxy(cluster Cluster) corev1.Container {
	return corev1.Container{
		Name:  "istio-proxy",
		Image: "auto", // istiod puts its own in
		Env:   []corev1.EnvVar{{Name: "ISTIO_META_REQUESTED_NETWORK_VIEW", Value: cluster.Network}},
		Ports: []corev1.ContainerPort{{Name: "http-envoy-prom", ContainerPort: 15090, Protocol: corev1.ProtocolTCP}},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false),
			Privileged:               ptr.To(false),
			ReadOnlyRootFilesystem:   ptr.To(true),
			RunAsNonRoot:             ptr.To(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi")},
		},
	}
}

func disruptionBudget(cluster Cluster) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: metadata(name, cluster, podSelector()),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(intstr.FromInt32(1)),
			Selector:       &metav1.LabelSelector{MatchLabels: podSelector()},
		},
	}
}
