package apiserver

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

func meshWith(name string, links ...meshv1alpha1.MeshLink) *meshv1alpha1.Mesh {
	return &meshv1alpha1.Mesh{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: meshv1alpha1.MeshStatus{Links: links}}
}

func TestLinksOfMeshes(t *testing.T) {
	type said struct {
		lost  []string
		links map[string][]string
	}
	var got []said
	var lost []string
	links := newMeshLinks(
		func(union map[string][]string) { got, lost = append(got, said{lost, union}), nil },
		func(clusters []string) { lost = clusters },
	)
	expect := func(reason string, want ...said) {
		t.Helper()
		require.Equal(t, want, got, reason)
		got = nil
	}
	euAp, apEu := meshv1alpha1.MeshLink{From: "eu", To: "ap"}, meshv1alpha1.MeshLink{From: "ap", To: "eu"}
	euUs := meshv1alpha1.MeshLink{From: "eu", To: "us"}

	links.set(meshWith("m"))
	expect("nothing is what was known")
	links.set(meshWith("m", euAp, apEu))
	expect("links count when they are listed", said{links: map[string][]string{"eu": {"ap"}, "ap": {"eu"}}})
	ready := euAp
	ready.Phase = meshv1alpha1.LinkWithdrawn
	links.set(meshWith("m", apEu, ready))
	expect("in every phase, in any order")
	links.set(meshWith("n", euUs, euAp))
	expect("of all Meshes", said{links: map[string][]string{"eu": {"ap", "us"}, "ap": {"eu"}}})
	links.set(meshWith("m", apEu))
	expect("another Mesh has it, too")
	links.set(meshWith("m"))
	expect("clusters that call less are looked at first: they may have left", said{[]string{"ap"}, map[string][]string{"eu": {"ap", "us"}}})
	links.delete("n")
	expect("a Mesh that is gone", said{[]string{"eu"}, map[string][]string{}})
	links.delete("m")
	expect("nothing was left of it")
}
