package membership

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/ads"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// reads says what comes of reading a member with a token.
func reads(ctx context.Context, name, token string) error {
	client, err := shared.Members[name].With(token)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err = client.CoreV1().Services(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	return err
}

// TestAnUnjoinedClusterReadsNobody: what it knows of its peers is of no use to it.
func TestAnUnjoinedClusterReadsNobody(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	s.Establish(meshlab.Names, 6)
	known := map[string]string{"eu": s.Token("us", "eu"), "ap": s.Token("us", "ap")}
	for name, token := range known {
		require.NoError(t, reads(t.Context(), name, token))
	}
	load := s.StartLoad("eu")
	load.Answers(5, meshlab.Names...)
	leaving := time.Now()

	s.Run(lab.Fed, "delete", "cluster", "us", "--timeout=40s")
	for name, token := range known {
		s.Await("the token that us has for "+name+" has ended", func() error {
			switch err := reads(t.Context(), name, token); {
			case err == nil:
				return fmt.Errorf("it is valid")
			case apierrors.IsUnauthorized(err):
				return nil
			default:
				return err
			}
		})
	}
	// The Mesh still names it, and says so.
	s.Becomes(meshlab.Mesh, "it is said that us is missing", func(mesh *meshv1alpha1.Mesh) error {
		ready := meta.FindStatusCondition(mesh.Status.Conditions, meshv1alpha1.ConditionReady)
		if ready == nil || ready.Reason != "ClusterMissing" || !strings.Contains(ready.Message, "us") || !strings.Contains(ready.Message, "join it, or remove the name") {
			return fmt.Errorf("said is: %+v", ready)
		}
		return nil
	})
	s.Edit(meshlab.Mesh, `{"spec":{"clusterAffinity":{"clusterNames":["eu","ap"]}}}`)
	s.Ready(meshlab.Mesh, "2/2", "2/2")
	for peer, other := range map[string]string{"eu": "ap", "ap": "eu"} {
		s.Synced(peer, other)
		require.NoError(t, reads(t.Context(), other, s.Token(peer, other)), "the peers' own token is another one")
		s.Weights(peer, []string{peer}, []string{other})
	}
	load.Answers(5, "eu", "ap")
	load.NoneFailed(leaving)

	// An agent that starts joins its cluster.
	s.Edit(meshlab.Mesh, `{"spec":{"clusterAffinity":{"clusterNames":["eu","ap","us"]}}}`)
	s.Crash("agent-us")
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	s.Synced("us", "eu", "ap")
	s.Weights("us", []string{"us"}, []string{"eu", "ap"})
}

// TestALostClusterIsWithdrawn: after the hold time nobody is sent there, and it
// comes back by itself.
func TestALostClusterIsWithdrawn(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 2, "ap": 1, "us": 2})
	s.Establish(meshlab.Names, 6)
	load := s.StartLoad("eu")
	load.Answers(5, meshlab.Names...)

	heal := s.Cut("us")
	begin := time.Now()
	s.Await("calls fail that go to us", func() error {
		if _, failed := load.Since(begin); len(failed) == 0 {
			return fmt.Errorf("none does")
		}
		return nil
	})
	// Until it is known, istiod goes on with what it has.
	endpoints, err := s.HelloEndpoints("eu")
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(endpoints, func(e ads.Endpoint) bool {
		return strings.HasPrefix(e.Address, shared.Members["us"].GatewayIP()+":")
	}), "%+v", endpoints)
	s.BecomesWithin(3*time.Minute, meshlab.Mesh, "the link to us is withdrawn", func(mesh *meshv1alpha1.Mesh) error {
		for _, from := range []string{"eu", "ap"} {
			l := meshlab.Link(mesh, from, "us")
			if l == nil || l.Phase != meshv1alpha1.LinkWithdrawn || l.Reason != "ClusterLost" {
				return fmt.Errorf("link is %+v", l)
			}
		}
		return nil
	})
	t.Logf("%8s from the cut until it is withdrawn", time.Since(begin).Round(time.Second))
	s.Tells(meshlab.Mesh, "eu", "us", meshv1alpha1.StepMember, "ClusterLost", "comes back by itself")
	for peer, other := range map[string]string{"eu": "ap", "ap": "eu"} {
		s.Synced(peer, other)
		s.Weights(peer, []string{peer}, []string{other})
	}
	load.Answers(20, "eu", "ap") // and none fails

	heal()
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	s.Weights("eu", []string{"eu"}, []string{"ap", "us"})
	load.Answers(20, meshlab.Names...)
	load.Stop()
}
