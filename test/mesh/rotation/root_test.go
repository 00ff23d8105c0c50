package rotation

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// patience is for a change of the root: three steps, each with a lifetime of
// certificates.
const patience = 6 * meshlab.CertificateLifetime

const lookAgain = 100 * time.Millisecond

// roots are what the istiod of each member tells workloads to trust, in the order
// in which that changes: the number of roots.
type roots struct {
	mu   sync.Mutex
	seen map[string][][]trust.Fingerprint
}

// watchRoots looks at what istiods tell until the test ends.
func watchRoots(s *meshlab.Session) *roots {
	r := &roots{seen: map[string][][]trust.Fingerprint{}}
	ctx, cancel := context.WithCancel(s.Context())
	var done sync.WaitGroup
	for name, m := range shared.Members {
		done.Go(func() {
			ticker := time.NewTicker(lookAgain)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
				}
				bundle, err := m.Istiod.TrustedRoots(ctx, "default")
				if err != nil {
					continue // cut off, or it starts
				}
				found, err := trust.FingerprintsOf(bundle)
				if err == nil {
					r.add(name, found)
				}
			}
		})
	}
	s.Cleanup(func() { cancel(); done.Wait() })
	return r
}

func (r *roots) add(name string, found []trust.Fingerprint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.seen[name]); n == 0 || !slices.Equal(r.seen[name][n-1], found) {
		r.seen[name] = append(r.seen[name], found)
	}
}

// of a member, so far.
func (r *roots) of(name string) [][]trust.Fingerprint {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen[name])
}

// signers are who has signed certificates of workloads, by member.
func signers(s *meshlab.Session) map[string]string {
	s.Helper()
	found := map[string]string{}
	for name, m := range shared.Members {
		certificate, err := m.NewCertificate(s.Context())
		require.NoError(s, err)
		found[name] = string(trust.FingerprintOf(certificate.Chain[len(certificate.Chain)-1]))
	}
	return found
}

// stages waits until a Mesh has reached a stage.
func stages(s *meshlab.Session, stage trust.Stage) *meshv1alpha1.Mesh {
	s.Helper()
	return s.BecomesWithin(patience, meshlab.Mesh, fmt.Sprintf("the root is at stage %s", stage), func(mesh *meshv1alpha1.Mesh) error {
		if mesh.Status.Trust == nil || mesh.Status.Trust.Stage != string(stage) {
			return fmt.Errorf("it is %+v", mesh.Status.Trust)
		}
		return nil
	})
}

// raise asks for another root.
func raise(s *meshlab.Session) (generation int64) {
	s.Helper()
	mesh, err := s.GetMesh(meshlab.Mesh)
	require.NoError(s, err)
	// A Mesh that was made anew begins to count at 1 and finds the root that it had.
	generation = mesh.Status.Trust.RootGeneration + 1
	s.Edit(meshlab.Mesh, fmt.Sprintf(`{"spec":{"trust":{"rootGeneration":%d}}}`, generation))
	return generation
}

// changed waits for the end of a change.
func changed(s *meshlab.Session, generation int64) *meshv1alpha1.Mesh {
	s.Helper()
	return s.BecomesWithin(patience, meshlab.Mesh, fmt.Sprintf("root %d alone is trusted", generation), func(mesh *meshv1alpha1.Mesh) error {
		if t := mesh.Status.Trust; t == nil || t.Stage != string(trust.Steady) || t.RootGeneration != generation || len(t.Roots) != 1 {
			return fmt.Errorf("it is %+v", t)
		}
		return nil
	})
}

// TestTheRootChangesAndNoCallFails: everybody calls everybody all the time, each
// with certificates of a few seconds.
func TestTheRootChangesAndNoCallFails(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	s.Establish(meshlab.Names, 6)
	before := signers(s)
	seen := watchRoots(s)
	var loads []*meshlab.Load
	for _, name := range meshlab.Names {
		load := s.StartLoad(name)
		load.Answers(5, meshlab.Names...)
		loads = append(loads, load)
	}
	begin := time.Now()

	generation := raise(s)
	for _, stage := range []trust.Stage{trust.TrustBoth, trust.SignNew, trust.TrustNew} {
		stages(s, stage)
	}
	changed(s, generation)
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	for _, load := range loads {
		load.Answers(5, meshlab.Names...)
		load.NoneFailed(begin)
	}
	for name, signer := range signers(s) {
		require.NotEqual(t, before[name], signer, "another intermediate signs in %s", name)
		steps := seen.of(name)
		require.Len(t, steps, 3, "%s has trusted the old root, both, and the new one: %v", name, steps)
		old, both, now := steps[0], steps[1], steps[2]
		require.Equal(t, []int{1, 2, 1}, []int{len(old), len(both), len(now)})
		require.ElementsMatch(t, both, []trust.Fingerprint{old[0], now[0]})
		require.NotEqual(t, old, now)
	}
}

// TestTheRootChangesThoughPartsDie: a cluster that is cut off holds the change,
// which says so; an agent and the control plane are killed between two steps.
func TestTheRootChangesThoughPartsDie(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	s.Establish(meshlab.Names, 6, "withdrawAfter: 10m")
	// us is called by nobody, so that being cut off is no reason for a call to fail.
	s.Hello(map[string]int{"eu": 1, "ap": 1})
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	var loads []*meshlab.Load
	for _, name := range []string{"eu", "ap"} {
		load := s.StartLoad(name)
		load.Answers(5, "eu", "ap")
		loads = append(loads, load)
	}
	begin := time.Now()

	heal := s.Cut("us")
	generation := raise(s)
	stages(s, trust.TrustBoth)
	s.Crash("agent-ap")
	s.Becomes(meshlab.Mesh, "it is us alone that holds the change", func(mesh *meshv1alpha1.Mesh) error {
		message := mesh.Status.Trust.Message
		if !strings.Contains(message, "us") || strings.Contains(message, "ap ") || strings.Contains(message, "eu ") {
			return fmt.Errorf("told is: %s", message)
		}
		return nil
	})
	// Longer than it takes where nobody holds it.
	for _, name := range []string{"eu", "ap"} {
		s.Await("workloads of "+name+" have certificates that are newer than the step", func() error {
			certificate, err := shared.Members[name].NewCertificate(t.Context())
			if err == nil && time.Since(begin) < 2*meshlab.CertificateLifetime {
				err = fmt.Errorf("%s since the begin", time.Since(begin))
			}
			if err == nil && bytes.Count(certificate.Roots, []byte("BEGIN CERTIFICATE")) != 2 {
				err = fmt.Errorf("%s trusts\n%s", name, certificate.Roots)
			}
			return err
		})
	}
	stages(s, trust.TrustBoth)

	heal()
	stages(s, trust.SignNew)
	s.Crash("apiserver")
	s.Shows(lab.Fed, "True", "get", "cluster", "eu", `--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	changed(s, generation)
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	for _, load := range loads {
		load.Answers(5, "eu", "ap")
		load.NoneFailed(begin)
	}
	for _, name := range meshlab.Names {
		bundle, err := shared.Members[name].Istiod.TrustedRoots(t.Context(), istiolab.Namespace)
		require.NoError(t, err)
		found, err := trust.FingerprintsOf(bundle)
		require.NoError(t, err)
		require.Len(t, found, 1)
	}
}
