package meshlink

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// priorities waits until endpoints of hello in a member have these priorities, by
// region.
func priorities(s *meshlab.Session, in string, want map[string]uint32) {
	s.Helper()
	s.Await(fmt.Sprintf("EDS in %s has priorities %v", in, want), func() error {
		endpoints, err := s.HelloEndpoints(in)
		if err != nil {
			return err
		}
		got := map[string]uint32{}
		for _, e := range endpoints {
			region, _, _ := strings.Cut(e.Locality, "/")
			if was, ok := got[region]; ok && was != e.Priority {
				return fmt.Errorf("region %s has two priorities: %+v", region, endpoints)
			}
			got[region] = e.Priority
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("it has %v: %+v", got, endpoints)
		}
		return nil
	})
}

// TestFailover: the own region first, then the named one, then all others.
func TestFailover(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(divided)
	const labels = `--output=jsonpath={.items[*].metadata.labels.topology\.kubernetes\.io/region}`
	// Nodes of ap do not say where they are; its Cluster does.
	s.Run("ap", "label", "nodes", "--all", "topology.kubernetes.io/region-", "topology.kubernetes.io/zone-")
	t.Cleanup(func() {
		s.Run("ap", "label", "nodes", "--all", "--overwrite", "topology.kubernetes.io/region=ap", "topology.kubernetes.io/zone=ap-a")
	})
	s.Shows(lab.Fed, "ap", "get", "cluster", "ap", "--output=jsonpath={.spec.region}")

	s.Establish(meshlab.Names, 6, "failover: {regions: [{from: eu, to: [us]}, {from: us, to: [ap]}]}")
	s.Shows("ap", "ap", "get", "nodes", labels)
	priorities(s, "eu", map[string]uint32{"eu": 0, "us": 1, "ap": 2})
	priorities(s, "us", map[string]uint32{"us": 0, "ap": 1, "eu": 2})
	priorities(s, "ap", map[string]uint32{"ap": 0, "eu": 1, "us": 1})
	load := s.StartLoad("eu")
	load.Answers(30, "eu")
	load.Stop()

	s.Edit(meshlab.Mesh, `{"spec":{"failover":null}}`)
	priorities(s, "eu", map[string]uint32{"eu": 0, "us": 0, "ap": 0})
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	answeredEverywhere(s)

	s.Dissolve(meshlab.Mesh)
	s.Shows("ap", "", "get", "nodes", labels)
	s.Shows("eu", "eu", "get", "nodes", labels)
}
