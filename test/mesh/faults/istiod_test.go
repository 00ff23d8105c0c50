package faults

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// TestAnIstiodWithTheWrongClusterID would have its endpoints mixed up with those
// of another cluster.
func TestAnIstiodWithTheWrongClusterID(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	s.Establish(meshlab.Names, 6)
	us := shared.Members["us"]
	us.Istiod.SetClusterID("Kubernetes") // what Istio has if nobody says
	t.Cleanup(func() {
		us.Istiod.SetClusterID("us")
		require.NoError(t, us.RestartIstiod(context.Background()))
	})
	require.NoError(t, us.RestartIstiod(t.Context()))
	for _, p := range [][2]string{{"eu", "us"}, {"us", "eu"}, {"ap", "us"}, {"us", "ap"}} {
		s.Tells(meshlab.Mesh, p[0], p[1], meshv1alpha1.StepMember, "WrongClusterID", "CLUSTER_ID Kubernetes", "multiCluster.clusterName")
	}
	s.Synced("eu", "ap")
	s.Synced("ap", "eu")
	s.Weights("eu", []string{"eu"}, []string{"ap"})

	us.Istiod.SetClusterID("us")
	require.NoError(t, us.RestartIstiod(t.Context()))
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	s.Weights("eu", []string{"eu"}, []string{"ap", "us"})
}

// TestTwoMeshesThatClaimACluster: the older one has it, the other says so.
func TestTwoMeshesThatClaimACluster(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	s.Establish([]string{"eu", "ap"}, 2)
	s.Apply(lab.Fed, meshlab.Manifest("mesh2", []string{"ap", "us"}))
	for _, p := range [][2]string{{"us", "ap"}, {"ap", "us"}} {
		s.Tells("mesh2", p[0], p[1], meshv1alpha1.StepMember, "NotOurs", "Mesh mesh1 has cluster ap", "spec.clusterAffinity")
	}
	s.Ready(meshlab.Mesh, "2/2", "2/2")
	s.Synced("ap", "eu")
	s.Synced("us")
	s.Gone(lab.Fed, "meshmembers.mesh.flotilla.io", "--namespace=karmada-es-ap", "mesh2")
	s.Weights("eu", []string{"eu"}, []string{"ap"})
	s.Dissolve("mesh2")
	s.Ready(meshlab.Mesh, "2/2", "2/2")
	s.Synced("ap", "eu")
	s.Run("us", "delete", "secret", "cacerts", "--namespace=istio-system", "--ignore-not-found")
}
