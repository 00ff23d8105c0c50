package registration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/gateway"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

const istioGateways = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gateways.networking.istio.io}
spec:
  group: networking.istio.io
  scope: Namespaced
  names: {kind: Gateway, plural: gateways, singular: gateway}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// workOf is a Work that somebody stores, as the control plane does for a mesh.
func workOf(t *testing.T, namespace, name string, objects ...runtime.Object) string {
	t.Helper()
	w := &workv1alpha1.Work{
		TypeMeta:   metav1.TypeMeta{APIVersion: workv1alpha1.GroupVersion.String(), Kind: "Work"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
	}
	for _, object := range objects {
		raw, err := json.Marshal(object)
		require.NoError(t, err)
		w.Spec.Workload.Manifests = append(w.Spec.Workload.Manifests, workv1alpha1.Manifest{RawExtension: runtime.RawExtension{Raw: raw}})
	}
	out, err := yaml.Marshal(w)
	require.NoError(t, err)
	return string(out) + "---\n"
}

// Kubernetes itself decides here whether an agent may grant what peers read with.
func TestTheAgentHasTheRightsForAMesh(t *testing.T) {
	s := newSite(t, "ap", "kyoto")
	s.Run("ap", "create", "namespace", "istio-system")
	s.Apply("ap", istioGateways)
	s.Cleanup(func() {
		_, _ = s.Try("ap", "delete", "namespace", "istio-system", "--wait=false")
		_, _ = s.Try("ap", "delete", "clusterrole,clusterrolebinding", remotesecret.ReaderName)
		_, _ = s.Try("ap", "delete", "crd", "gateways.networking.istio.io", "--wait=false")
		_, _ = s.Try("ap", "label", "nodes", "--all", "topology.istio.io/subzone-")
	})
	s.register(s.invite())
	s.ready()

	mesh := &meshv1alpha1.Mesh{}
	mesh.Spec.Gateway.Replicas = ptr.To[int32](2)
	meshv1alpha1.SetDefaults_Mesh(mesh)
	ca := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "cacerts"}, StringData: map[string]string{"ca-key.pem": "key"},
	}
	s.Namespace = "karmada-es-kyoto"
	s.Apply(lab.Fed, workOf(t, s.Namespace, "mesh.mesh1.ca", ca)+
		workOf(t, s.Namespace, "mesh.mesh1.reader", remotesecret.Reader("mesh1", "", meshv1alpha1.SecretsRead)...)+
		workOf(t, s.Namespace, "mesh.mesh1.gateway", gateway.Objects(&mesh.Spec.Gateway, gateway.Cluster{Mesh: "mesh1", Name: "kyoto", Network: "network-kyoto"})...))
	s.Eventually("all of it is applied", func() (string, bool) {
		out, err := s.Try(lab.Fed, "get", "works", `--output=jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Applied")].status} {.status.conditions[?(@.type=="Applied")].message}{"\n"}{end}`)
		return out + errorText(err), strings.Count(out, " True ") == 3
	})

	t.Log("What travels as no Work.")
	account := s.account()
	s.Run(account, "label", "namespace", "istio-system", "topology.istio.io/network=network-kyoto")
	s.Run(account, "label", "nodes", "--all", "topology.istio.io/subzone=rack-1")
	reader := s.speaker(account, "istio-system", remotesecret.ReaderName)

	t.Log("Peers read what they need, and nothing else.")
	for _, may := range []string{"list services --all-namespaces", "watch endpointslices.discovery.k8s.io --all-namespaces", "list secrets --all-namespaces", "get configmap/istio --namespace=istio-system"} {
		s.Run(reader, append([]string{"auth", "can-i"}, strings.Fields(may)...)...)
	}
	for _, not := range []string{"list configmaps --namespace=istio-system", "create pods --all-namespaces", "delete secrets --namespace=istio-system", "create serviceaccounts --subresource=token --namespace=istio-system"} {
		s.Refused(reader, append([]string{"auth", "can-i"}, strings.Fields(not)...)...)
	}

	t.Log("The agent grants no more than it has, and leaves others' roles alone.")
	for _, not := range []string{
		"create clusterrolebinding mine --clusterrole=cluster-admin --serviceaccount=istio-system:flotilla-mesh-reader",
		"delete clusterrole view --dry-run=server",
		"label clusterrole view a=b --dry-run=server",
		"create token default --namespace=istio-system",
		"delete node --all --dry-run=server",
	} {
		require.Contains(t, s.Refused(account, strings.Fields(not)...), "orbidden", not)
	}
}
