package gateways

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// TestGatewayAPI: istiods make the gateways, of one Gateway each. A cluster without the
// kind, and one whose istiod makes none, say so, and the others are linked.
func TestGatewayAPI(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 2, "ap": 1, "us": 1})
	front := outsideIP(t)
	s.Apply(lab.Fed, meshlab.Manifest(meshlab.Mesh, meshlab.Names, fmt.Sprintf(
		`gateway: {mode: GatewayAPI, port: %d, annotations: {example.org/balancer: internal}, addresses: [{clusterName: eu, addresses: [%q]}]}`, port, front)))
	takeCA(s)
	s.Tells(meshlab.Mesh, "eu", "us", meshv1alpha1.StepGateway, "GatewayNotMade", "cluster us", "istio-system/cross-network-gateway", "does not serve kind")
	says(s, "us", "GatewayNotMade", "Install or propagate its CustomResourceDefinition")

	us := shared.Members["us"]
	require.NoError(t, istiolab.PrepareGatewayAPI(t.Context(), shared.Kubeconfig("us")))
	s.Tells(meshlab.Mesh, "eu", "us", meshv1alpha1.StepGateway, "NoGateway", "cluster us", "Gateway istio-system/cross-network-gateway")
	says(s, "us", "NoGateway", "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER")
	env, err := istiolab.DeployGateways(t.Context(), shared.Kubeconfig("us"))
	require.NoError(t, err)
	us.Istiod.Env = append(us.Istiod.Env, env...)
	require.NoError(t, us.RestartIstiod(t.Context()))
	s.Ready(meshlab.Mesh, "3/3", "6/6")

	balanced := func(name string) string { return at(shared.Members[name].GatewayIP(), port) }
	agree(s, map[string][]string{"eu": {balanced("eu"), at(front, port)}, "ap": {balanced("ap")}, "us": {balanced("us")}})
	s.Ways("ap", map[string]uint32{pod(s, "ap"): 1, balanced("eu"): 1, at(front, port): 1, balanced("us"): 1})
	load := s.StartLoad("ap")
	load.Answers(5, meshlab.Names...)
	load.Stop()

	// What istiod makes has what the Mesh says, and nothing by which the agent knows its own.
	service, err := us.Core.CoreV1().Services(istiolab.Namespace).Get(t.Context(), "cross-network-gateway-istio", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, meshlab.Mesh, service.Labels[meshv1alpha1.MeshLabel])
	require.Equal(t, map[string]string{"example.org/balancer": "internal", meshv1alpha1.MeshLabel: meshlab.Mesh}, service.Annotations)
	require.NotContains(t, service.Labels, "karmada.io/managed")
	require.Len(t, service.OwnerReferences, 1)
	require.Equal(t, "Gateway", service.OwnerReferences[0].Kind, "it goes with that")
}

// says waits until the condition of a cluster about its gateway, and that of the Mesh, say
// why it is not ready, and the way out.
func says(s *meshlab.Session, cluster, reason, wayOut string) {
	s.Helper()
	s.Becomes(meshlab.Mesh, fmt.Sprintf("conditions say %s of %s: %s", reason, cluster, wayOut), func(mesh *meshv1alpha1.Mesh) error {
		conditions := map[string]*metav1.Condition{
			"Mesh": meta.FindStatusCondition(mesh.Status.Conditions, meshv1alpha1.ConditionReady),
		}
		for i := range mesh.Status.Clusters {
			if c := &mesh.Status.Clusters[i]; c.Name == cluster {
				conditions["cluster"] = meta.FindStatusCondition(c.Conditions, meshv1alpha1.ConditionGatewayReady)
			}
		}
		for of, c := range conditions {
			if c == nil || c.Status != metav1.ConditionFalse || c.Reason != reason {
				return fmt.Errorf("that of the %s is %+v", of, c)
			}
			if err := mentions(c.Message, wayOut); err != nil {
				return err
			}
		}
		return nil
	})
}
