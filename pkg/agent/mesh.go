package agent

import (
	"slices"

	"k8s.io/utils/clock"

	"github.com/flotilla-io/flotilla/pkg/agent/mesh"
)

// wireMesh makes what works for meshes, over the connections that there are.
func (a *Agent) wireMesh() (err error) {
	if a.opts.NoMesh {
		return nil
	}
	a.mesh, err = mesh.New(mesh.Options{
		Cluster:    a.opts.ClusterName,
		Federation: unlimited(a.opts.Federation), FederationHTTP: a.connected[0],
		Member: unlimited(a.opts.Member), MemberHTTP: a.connected[1], Metadata: a.metadata,
		InCluster: a.opts.InCluster, NoLocalities: a.opts.NoMeshLocalities, Admit: a.admission.admit, Refused: a.admission.wrong, Clock: clock.RealClock{},
		Brought: a.brought,
	})
	return err
}

// brought are the works with a prefix of which something may be in the member, and whether that waits
// for a person.
func (a *Agent) brought(prefix string) (works []string, held bool) {
	works, held = a.engine.Remaining(prefix)
	orphans := a.intake.heldOrphans(prefix)
	works = append(works, orphans...)
	slices.Sort(works)
	return slices.Compact(works), held || len(orphans) > 0
}
