package gateways

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// port is another one than 15443.
const port = 16443

// TestNodes: a gateway is reached at the ExternalIPs of nodes with some labels, and at the
// addresses of what is in front of nodes where the Mesh says so. All are used, so one that
// is dead is told. Links follow the nodes.
func TestNodes(t *testing.T) {
	s := shared.Begin(t)
	for _, name := range meshlab.Names { // what an earlier test had istiod make, if there was one
		s.Gone(name, "service", "--namespace="+istiolab.Namespace, "cross-network-gateway-istio")
	}
	s.Hello(map[string]int{"eu": 2, "ap": 1, "us": 1})
	eu := shared.Members["eu"]
	first, second := addNode(s, "eu", "edge-1", edge), addNode(s, "eu", "edge-2", edge)
	eu.UnplugAt(second)
	t.Cleanup(func() { eu.UnplugAt() })
	addNode(s, "eu", "inner", nil)
	ap := addNode(s, "ap", "edge-1", nil)
	front := outsideIP(t)
	s.Apply(lab.Fed, meshlab.Manifest(meshlab.Mesh, meshlab.Names, fmt.Sprintf(
		`gateway: {serviceType: NodePort, port: %d, nodeSelector: {edge: "true"}, addresses: [{clusterName: us, addresses: [%q]}]}`, port, front)))
	takeCA(s)
	s.Tells(meshlab.Mesh, "eu", "ap", meshv1alpha1.StepAddress, "NoAddress", `no node with labels {"edge":"true"}`, "ExternalIP", "spec.gateway.addresses")
	s.Run("ap", "label", "node", "edge-1", "edge=true")

	// The dead one is no reason to do without the others.
	saysSomeFail(s, "eu", second)
	ports := nodePorts(s)
	atFirst, atSecond, atAP, atUS := at(first, ports["eu"]), at(second, ports["eu"]), at(ap, ports["ap"]), at(front, ports["us"])
	agree(s, map[string][]string{"eu": {atFirst, atSecond}, "ap": {atAP}, "us": {atUS}})
	own := pod(s, "ap")
	s.Ways("ap", map[string]uint32{own: 1, atFirst: 1, atSecond: 1, atUS: 1})
	answered, failed := call(s, "ap", 40)
	require.Positive(t, failed[atSecond], "what is said is true")
	require.Len(t, failed, 1, "%v", failed)
	require.Len(t, answered, 3, "%v", answered)

	eu.UnplugAt()
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	answered, failed = call(s, "ap", 40)
	require.Empty(t, failed)
	require.Len(t, answered, 4, "%v", answered)

	// A node goes, and as with a drain it is let go of before.
	load := s.StartLoad("ap")
	s.Run("eu", "label", "node", "edge-1", "edge-")
	agree(s, map[string][]string{"eu": {atSecond}})
	s.Ways("ap", map[string]uint32{own: 1, atSecond: 2, atUS: 1})
	s.Run("eu", "delete", "node", "edge-1")
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	load.Answers(5, meshlab.Names...)
	load.NoneFailed(time.Time{})

	// istiod does not let go of the address of a node that has lost it, but is there. What
	// peers are sent to is then not what the Mesh says, and that is found.
	// (Not of the only one: then the link is withdrawn, and istiod forgets all of the cluster.)
	third := at(addNode(s, "eu", "edge-3", edge), ports["eu"])
	agree(s, map[string][]string{"eu": {atSecond, third}})
	s.Run("eu", "patch", "node", "edge-2", "--subresource=status", "--type=merge", `--patch={"status":{"addresses":[{"type":"InternalIP","address":"10.0.0.9"}]}}`)
	s.TellsAddresses(meshlab.Mesh, "eu", third)
	s.GatewaysOf("ap", "eu", atSecond, third)
	s.Await("the agent of ap finds that its istiod sends to an old gateway of eu", func() error {
		return proven(s, "ap", "eu", meshv1alpha1.StepEndpoints, "OldGateway", atSecond)
	})

	// Nor does it stay with addresses that come after nodes, when any node goes; so the Mesh
	// takes none.
	s.Run("eu", "patch", "service", "istio-eastwestgateway", "--namespace="+istiolab.Namespace, "--type=merge", fmt.Sprintf(`--patch={"spec":{"externalIPs":[%q]}}`, front))
	s.GatewaysOf("ap", "eu", at(front, ports["eu"]))
	s.Apply("eu", "{apiVersion: v1, kind: Node, metadata: {name: plain}}")
	s.Run("eu", "delete", "node", "plain")
	s.GatewaysOf("ap", "eu", atSecond, third)
	_, err := s.Try(lab.Fed, "patch", "mesh", meshlab.Mesh, "--type=merge", fmt.Sprintf(
		`--patch={"spec":{"gateway":{"addresses":[{"clusterName":"us","addresses":[%q]},{"clusterName":"eu","addresses":["203.0.113.7"]}]}}}`, front))
	require.ErrorContains(t, err, "at the next change of a node")
}

// saysSomeFail waits until all links are ready, and the Mesh says that an address of a
// cluster's gateway fails.
func saysSomeFail(s *meshlab.Session, cluster, ip string) {
	s.Helper()
	mesh := s.Becomes(meshlab.Mesh, "all are linked, and "+ip+" of "+cluster+" is said to fail", func(mesh *meshv1alpha1.Mesh) error {
		for i := range mesh.Status.Links {
			l := &mesh.Status.Links[i]
			if l.Phase != meshv1alpha1.LinkReady {
				return fmt.Errorf("link from %s to %s: %s %s", l.From, l.To, l.Step, l.Message)
			}
			if fails := l.Reason == meshv1alpha1.ReasonSomeAddressesFail; fails != (l.To == cluster) {
				return fmt.Errorf("link from %s to %s says %q: %s", l.From, l.To, l.Reason, l.Message)
			}
		}
		ready := meta.FindStatusCondition(mesh.Status.Conditions, meshv1alpha1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionFalse {
			return fmt.Errorf("condition Ready is %+v", ready)
		}
		return mentions(ready.Message, "cluster "+cluster+", GatewayReady", "1 of 2 addresses", ip, "connection refused", "take them away")
	})
	require.Len(s, mesh.Status.Links, 6)
	require.Contains(s, s.Run(lab.Fed, "get", "mesh", meshlab.Mesh), "2/3", "the other clusters are as they have to be")
}

// call calls hello some times, and tells by way how often it was answered and failed.
func call(s *meshlab.Session, from string, times int) (answered, failed map[string]int) {
	s.Helper()
	answered, failed = map[string]int{}, map[string]int{}
	for range times {
		answer, err := s.Call(s.Context(), from)
		if err == nil {
			answered[answer.Via.Address]++
			continue
		}
		require.ErrorIs(s, err, syscall.ECONNREFUSED)
		var operation *net.OpError
		require.ErrorAs(s, err, &operation)
		failed[operation.Addr.String()]++
	}
	s.Logf("of %d calls from %s %v were answered, %v refused", times, from, answered, failed)
	return answered, failed
}

// addNode adds a node with an ExternalIP, which is returned.
func addNode(s *meshlab.Session, in, name string, labels map[string]string) string {
	s.Helper()
	ip, err := meshlab.SomeIP()
	require.NoError(s, err)
	_, err = shared.Members[in].Core.CoreV1().Nodes().Create(s.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}, {Type: corev1.NodeExternalIP, Address: ip},
		}},
	}, metav1.CreateOptions{})
	require.NoError(s, err)
	s.Cleanup(func() { s.Run(in, "delete", "node", name, "--ignore-not-found") })
	return ip
}

// nodePorts are what members have chosen for their gateways.
func nodePorts(s *meshlab.Session) map[string]int32 {
	s.Helper()
	ports := map[string]int32{}
	for name, m := range shared.Members {
		service, err := m.Core.CoreV1().Services(istiolab.Namespace).Get(s.Context(), "istio-eastwestgateway", metav1.GetOptions{})
		require.NoError(s, err)
		for _, p := range service.Spec.Ports {
			if p.Name == "tls" {
				ports[name] = p.NodePort
			}
		}
		require.NotZero(s, ports[name], "node port in %s", name)
	}
	return ports
}

// proven says whether an agent has reported a proof that has not passed, and mentions words.
func proven(s *meshlab.Session, from, to string, step meshv1alpha1.LinkStep, reason, words string) error {
	member, err := s.GetMember(from, meshlab.Mesh)
	if err != nil {
		return err
	}
	for _, peer := range member.Status.Peers {
		for _, proof := range peer.Proofs {
			if peer.Name != to || proof.Step != step {
				continue
			}
			if !proof.Passed && proof.Reason == reason && mentions(proof.Message, words) == nil {
				return nil
			}
			return fmt.Errorf("it says %v %s: %s", proof.Passed, proof.Reason, proof.Message)
		}
	}
	return errors.New("there is no such proof")
}

func at(ip string, port int32) string { return net.JoinHostPort(ip, strconv.Itoa(int(port))) }

var edge = map[string]string{"edge": "true"}
