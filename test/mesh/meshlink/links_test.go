package meshlink

import (
	"testing"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// TestLinksFollowPlacement: only clusters with workloads of one namespace are
// linked, and that changes with the policy.
func TestLinksFollowPlacement(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1})
	s.Establish(meshlab.Names, 2, "links: Placement")
	s.Synced("eu", "ap")
	s.Synced("ap", "eu")
	s.Synced("us")

	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	for _, name := range meshlab.Names {
		s.Synced(name, meshlab.Others(name)...)
		s.Weights(name, []string{name}, meshlab.Others(name))
	}

	s.Hello(map[string]int{"eu": 1, "us": 1})
	s.Ready(meshlab.Mesh, "3/3", "2/2")
	s.Synced("eu", "us")
	s.Synced("us", "eu")
	s.Synced("ap")
	s.Weights("eu", []string{"eu"}, []string{"us"})
}

// TestAServiceIsCalledFromWhereItIsNotPlaced: a caller's cluster has the Service,
// without pods.
func TestAServiceIsCalledFromWhereItIsNotPlaced(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 2, "us": 1})
	s.Gone("ap", "service", "hello")
	s.Establish(meshlab.Names, 6)
	s.Shows("ap", "service/hello", "get", "service", "hello", "--output=name")
	s.Weights("ap", nil, []string{"eu", "us"})
	load := s.StartLoad("ap")
	load.Answers(10, "eu", "us")
	load.Stop()

	// It goes with the link, and the Service's own copies stay.
	s.Edit(meshlab.Mesh, `{"spec":{"clusterAffinity":{"clusterNames":["eu","us"]}}}`)
	s.Gone("ap", "service", "hello")
	s.Ready(meshlab.Mesh, "2/2", "2/2")
	s.Run("eu", "get", "service", "hello")
	s.Gone("ap", "deployment", "hello")
	s.Gone(lab.Fed, "meshmembers.mesh.flotilla.io", "--namespace=karmada-es-ap", meshlab.Mesh)
}
