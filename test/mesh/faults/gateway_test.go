package faults

import (
	"testing"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// TestAGatewayWithoutAddress: a load balancer that does not come. Nobody is sent
// to its pods instead.
func TestAGatewayWithoutAddress(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	ap := shared.Members["ap"]
	ap.WithholdAddress(true)
	t.Cleanup(func() { ap.WithholdAddress(false) })
	s.Apply(lab.Fed, meshlab.Manifest(meshlab.Mesh, meshlab.Names))
	for _, name := range meshlab.Names {
		s.TakeCA(name)
	}
	for _, from := range []string{"eu", "us"} {
		s.Tells(meshlab.Mesh, from, "ap", meshv1alpha1.StepAddress, "NoAddress", "has no address", "load balancer")
	}
	s.Shows(lab.Fed, "False", "get", "meshes.mesh.flotilla.io", meshlab.Mesh, `--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	// The other four links are there.
	s.Synced("eu", "us")
	s.Synced("us", "eu")
	s.Synced("ap", "eu", "us")
	s.Weights("eu", []string{"eu"}, []string{"us"})
	s.Weights("ap", []string{"ap"}, []string{"eu", "us"})

	ap.WithholdAddress(false)
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	s.Weights("eu", []string{"eu"}, []string{"ap", "us"})
	load := s.StartLoad("eu")
	load.Answers(5, meshlab.Names...)
	load.Stop()

	// Taken away again, it takes the links with it.
	ap.WithholdAddress(true)
	s.Tells(meshlab.Mesh, "eu", "ap", meshv1alpha1.StepAddress, "NoAddress", "has no address")
	s.Synced("eu", "us")
	s.Weights("eu", []string{"eu"}, []string{"us"})
	ap.WithholdAddress(false)
	s.Ready(meshlab.Mesh, "3/3", "6/6")
}

// TestAGatewayThatNobodyReaches: a firewall that is closed. The address alone is
// no reason to send anybody there.
func TestAGatewayThatNobodyReaches(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	ap := shared.Members["ap"]
	ap.Unplug(true)
	t.Cleanup(func() { ap.Unplug(false) })
	s.Apply(lab.Fed, meshlab.Manifest(meshlab.Mesh, meshlab.Names))
	for _, name := range meshlab.Names {
		s.TakeCA(name)
	}
	for _, from := range []string{"eu", "us"} {
		s.Tells(meshlab.Mesh, from, "ap", meshv1alpha1.StepProbe, "Unreachable", "does not reach the gateway of cluster ap", ap.GatewayIP())
	}
	s.Synced("eu", "us")
	s.Synced("ap", "eu", "us")
	ap.Unplug(false)
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	s.Weights("us", []string{"us"}, []string{"ap", "eu"})
}
