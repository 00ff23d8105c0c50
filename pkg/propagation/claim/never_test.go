package claim

import (
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestNeverPropagated(t *testing.T) {
	gvk := func(group, kind string) schema.GroupVersionKind {
		return schema.GroupVersionKind{Group: group, Version: "v1", Kind: kind}
	}
	type meta = metav1.ObjectMeta
	cases := map[string]struct {
		reason    string
		gvk       schema.GroupVersionKind
		namespace string
		name      string
		obj       metav1.Object
		want      bool
	}{
		"Deployment":     {"the normal case", gvk("apps", "Deployment"), "default", "web", &meta{}, false},
		"NilObject":      {"the object is optional", gvk("", "Secret"), "default", "s", nil, false},
		"KubeSystem":     {"reserved namespace", gvk("apps", "Deployment"), "kube-system", "web", &meta{}, true},
		"KubeOther":      {"reserved prefix", gvk("apps", "Deployment"), "kube-node-lease", "web", &meta{}, true},
		"KarmadaSystem":  {"reserved namespace", gvk("apps", "Deployment"), "karmada-system", "web", &meta{}, true},
		"Execution":      {"execution namespace", gvk("", "Secret"), "karmada-es-eu", "s", &meta{}, true},
		"KubeLookalike":  {"only the prefix with a dash is reserved", gvk("apps", "Deployment"), "kubernetes", "web", &meta{}, false},
		"Namespace":      {"namespace propagation does it", gvk("", "Namespace"), "", "shop", &meta{}, true},
		"Event":          {"must not travel", gvk("", "Event"), "default", "e", &meta{}, true},
		"NewEvent":       {"must not travel", gvk("events.k8s.io", "Event"), "default", "e", &meta{}, true},
		"Endpoints":      {"each cluster makes its own", gvk("", "Endpoints"), "default", "e", &meta{}, true},
		"EndpointSlice":  {"each cluster makes its own", gvk("discovery.k8s.io", "EndpointSlice"), "default", "e", &meta{}, true},
		"Node":           {"belongs to a cluster", gvk("", "Node"), "", "n", &meta{}, true},
		"Lease":          {"belongs to a process", gvk("coordination.k8s.io", "Lease"), "default", "l", &meta{}, true},
		"Revision":       {"made by a controller", gvk("apps", "ControllerRevision"), "default", "r", &meta{}, true},
		"APIService":     {"about this API server", gvk("apiregistration.k8s.io", "APIService"), "", "v1.x", &meta{}, true},
		"FlowSchema":     {"about this API server", gvk("flowcontrol.apiserver.k8s.io", "FlowSchema"), "", "f", &meta{}, true},
		"CSR":            {"a request to this API server", gvk("certificates.k8s.io", "CertificateSigningRequest"), "", "c", &meta{}, true},
		"TrustBundle":    {"trust anchors are for everyone", gvk("certificates.k8s.io", "ClusterTrustBundle"), "", "c", &meta{}, false},
		"Review":         {"never stored", gvk("authorization.k8s.io", "SubjectAccessReview"), "", "", &meta{}, true},
		"OwnGroup":       {"about the federation", gvk("policy.karmada.io", "PropagationPolicy"), "default", "p", &meta{}, true},
		"OwnGroup2":      {"about the federation", gvk("mesh.flotilla.io", "Mesh"), "default", "p", &meta{}, true},
		"Lookalike":      {"not our domain", gvk("notkarmada.io", "Thing"), "default", "p", &meta{}, false},
		"CustomResource": {"any other CR travels", gvk("example.io", "Thing"), "default", "p", &meta{}, false},
		"CRD":            {"CRDs travel", gvk("apiextensions.k8s.io", "CustomResourceDefinition"), "", "things.example.io", &meta{}, false},
		"Webhook":        {"operators bring webhooks", gvk("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"), "", "w", &meta{}, false},
		"RuntimeClass":   {"a policy names it or not", gvk("node.k8s.io", "RuntimeClass"), "", "r", &meta{}, false},
		"ResourceQuota":  {"a template", gvk("", "ResourceQuota"), "default", "q", &meta{}, false},
		"LimitRange":     {"a template", gvk("", "LimitRange"), "default", "q", &meta{}, false},
		"DefaultSA":      {"every namespace has one", gvk("", "ServiceAccount"), "shop", "default", &meta{}, true},
		"OtherSA":        {"a template", gvk("", "ServiceAccount"), "shop", "app", &meta{}, false},
		"RootCA":         {"every cluster has its own", gvk("", "ConfigMap"), "shop", "kube-root-ca.crt", &meta{}, true},
		"APIServer":      {"the federation's own Service", gvk("", "Service"), "default", "kubernetes", &meta{}, true},
		"KubernetesSvc":  {"only in namespace default", gvk("", "Service"), "shop", "kubernetes", &meta{}, false},
		"SAToken": {"a credential of this API server", gvk("", "Secret"), "shop", "t",
			&meta{Annotations: map[string]string{"kubernetes.io/service-account.name": "app"}}, true},
		"Bootstrap":     {"a credential of this API server", gvk("", "Secret"), "shop", "bootstrap-token-abcdef", &meta{}, true},
		"SystemRole":    {"every cluster has it", gvk("rbac.authorization.k8s.io", "ClusterRole"), "", "system:node", &meta{}, true},
		"DefaultRole":   {"every cluster has it", gvk("rbac.authorization.k8s.io", "ClusterRole"), "", "view", &meta{Labels: map[string]string{"kubernetes.io/bootstrapping": "rbac-defaults"}}, true},
		"UserRole":      {"a template", gvk("rbac.authorization.k8s.io", "ClusterRole"), "", "app", &meta{}, false},
		"PriorityClass": {"every cluster has it", gvk("scheduling.k8s.io", "PriorityClass"), "", "system-node-critical", &meta{}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, NeverPropagated(tc.gvk, tc.namespace, tc.name, tc.obj), tc.reason)
		})
	}
}
