package meshlink

import (
	"testing"

	"github.com/stretchr/testify/require"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// divided is the tutorial's hello when the policy's weights are 2, 1, 2.
var divided = map[string]int{"eu": 2, "ap": 1, "us": 2}

// TestThreeClustersThreeNetworks is the tutorial: clusters with Istio running, one
// apply.
func TestThreeClustersThreeNetworks(t *testing.T) {
	s := shared.Begin(t)
	s.WithoutCA()
	s.Hello(divided)
	s.Apply(lab.Fed, s.Document("mesh.yaml"))

	// An istiod that has made a CA of its own takes another only when it starts.
	s.Tells(meshlab.Mesh, "eu", "ap", meshv1alpha1.StepCA, "CANotInEffect", "rollout restart deployment istiod")
	for _, name := range meshlab.Names {
		require.NoError(t, s.SyncedNow(name), "nobody is read before the CA is in effect")
	}
	require.NoError(t, shared.RestartIstiods(t.Context()))
	mesh := s.Ready(meshlab.Mesh, "3/3", "6/6")
	for i := range mesh.Status.Clusters {
		c := &mesh.Status.Clusters[i]
		require.Equal(t, "network-"+c.Name, c.Network)
		require.Regexp(t, `^1\.31\.`, c.IstiodVersion)
		require.Equal(t, []meshv1alpha1.GatewayAddress{{Address: shared.Members[c.Name].GatewayIP(), Port: 15443}}, c.GatewayAddresses)
	}

	for _, name := range meshlab.Names {
		s.Synced(name, meshlab.Others(name)...)
		s.Gateways(name, meshlab.Names...)
		s.Shards(name, divided)
		s.Weights(name, []string{name}, meshlab.Others(name))
	}
	answeredEverywhere(s)
	inProportion(s, "eu")

	// Endpoints follow.
	s.Run(lab.Fed, "scale", "deployment/hello", "--replicas=10")
	s.Shards("ap", map[string]int{"eu": 4, "ap": 2, "us": 4})
	s.Weights("ap", []string{"ap"}, meshlab.Others("ap"))
}

// answeredEverywhere calls from all members until pods of all have answered each.
func answeredEverywhere(s *meshlab.Session) {
	s.Helper()
	for _, name := range meshlab.Names {
		load := s.StartLoad(name)
		load.Answers(10, meshlab.Names...)
		load.Stop()
	}
}

// inProportion calls often enough to see the weights.
func inProportion(s *meshlab.Session, from string) {
	s.Helper()
	const calls, pods = 300, 5
	by := map[string]int{}
	for range calls {
		answer, err := s.Call(s.Context(), from)
		require.NoError(s, err)
		require.Equal(s, "spiffe://cluster.local/ns/default/sa/default", answer.As, "mTLS shows who calls")
		by[answer.By]++
	}
	s.Logf("%d calls from %s: %v", calls, from, by)
	require.Len(s, by, pods, "every pod of every cluster answers")
	for pod, n := range by {
		require.InDelta(s, calls/pods, n, calls/pods*0.6, "share of %s", pod)
	}
}

func TestFlatNetwork(t *testing.T) {
	s := shared.Begin(t)
	shared.Wire(map[string]string{"eu": "vpc-1", "ap": "vpc-1", "us": "vpc-1"})
	s.Hello(divided)
	s.Establish(meshlab.Names, 6, "networks: [{name: vpc-1, clusterNames: [eu, ap, us]}]")
	for _, name := range meshlab.Names {
		s.Synced(name, meshlab.Others(name)...)
		s.Shards(name, divided)
		s.Weights(name, meshlab.Names, nil)
		s.Shows(name, "", "get", "services,deployments,gateways.networking.istio.io", "--namespace="+istiolab.Namespace,
			"--selector="+meshv1alpha1.MeshLabel, "--output=name")
	}
	answeredEverywhere(s)
}

func TestSomeInOneNetwork(t *testing.T) {
	s := shared.Begin(t)
	shared.Wire(map[string]string{"eu": "vpc-1", "ap": "vpc-1"})
	s.Hello(divided)
	s.Establish(meshlab.Names, 6, "networks: [{name: vpc-1, clusterNames: [eu, ap]}]")
	for _, name := range meshlab.Names {
		s.Synced(name, meshlab.Others(name)...)
		s.Gateways(name, meshlab.Names...)
		s.Shards(name, divided)
	}
	s.Weights("eu", []string{"eu", "ap"}, []string{"us"})
	s.Weights("ap", []string{"eu", "ap"}, []string{"us"})
	s.Weights("us", []string{"us"}, []string{"eu", "ap"})
	answeredEverywhere(s)
}
