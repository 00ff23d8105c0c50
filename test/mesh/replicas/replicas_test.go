package replicas

import (
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
	agentmesh "github.com/flotilla-io/flotilla/pkg/agent/mesh"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// names waits until the agent of eu says what is wrong with its istiods, and names one
// and no other.
func names(s *meshlab.Session, kind, reason, pod, other string) {
	s.Helper()
	s.Await(fmt.Sprintf("the agent of eu tells %s %s %s", kind, reason, pod), func() error {
		member, err := s.GetMember("eu", meshlab.Mesh)
		if err != nil {
			return err
		}
		c := meta.FindStatusCondition(member.Status.Conditions, kind)
		if c == nil || c.Status != metav1.ConditionFalse || c.Reason != reason || !strings.Contains(c.Message, pod) || strings.Contains(c.Message, other) {
			return fmt.Errorf("it tells %+v", c)
		}
		return nil
	})
}

// well waits until the agent of eu has nothing to say about its istiods.
func well(s *meshlab.Session) {
	s.Helper()
	s.Await("the agent of eu has nothing to say about istiods", func() error {
		member, err := s.GetMember("eu", meshlab.Mesh)
		if err != nil {
			return err
		}
		for _, kind := range []string{meshv1alpha1.ConditionIstiodAnswers, meshv1alpha1.ConditionCASigns} {
			if c := meta.FindStatusCondition(member.Status.Conditions, kind); c == nil || c.Status != metav1.ConditionTrue {
				return fmt.Errorf("it tells %+v", c)
			}
		}
		return nil
	})
}

// secrets is what comes of listing Secrets of a member with a token of its reader.
func secrets(s *meshlab.Session, name, token string) error {
	client, err := shared.Members[name].With(token)
	require.NoError(s, err)
	_, err = client.CoreV1().Secrets(metav1.NamespaceAll).List(s.Context(), metav1.ListOptions{})
	return err
}

// TestTwoIstiods: eu has two behind one Service, and its agent is a pod there.
func TestTwoIstiods(t *testing.T) {
	s := shared.Begin(t)
	address, err := istiolab.Address()
	require.NoError(t, err)
	eu := shared.Members["eu"]
	s.Hello(map[string]int{"eu": 1, "ap": 1})
	eu.Istiod.SetAddress(address)
	s.TakeOver("eu", func(o *agentmesh.Options) { o.InCluster, o.Clock = true, hasty{} })

	s.Apply(lab.Fed, meshlab.Manifest(meshlab.Mesh, meshlab.Names,
		fmt.Sprintf("remoteAccess: {secrets: None, servers: [{clusterName: eu, url: %q}]}", eu.Config.Host)))
	s.TakeCA(meshlab.Names...)
	usual := slices.Clone(eu.Istiod.Env)
	// The second looks for remote secrets where there are none.
	second, err := eu.AddIstiod(t.Context(), address, "PILOT_MULTICLUSTER_KUBECONFIG_PATH="+t.TempDir())
	require.NoError(t, err)

	// Without the right to read Secrets istiod 1.31 never says synced.
	for _, p := range [][2]string{{"ap", "eu"}, {"eu", "ap"}} {
		s.Tells(meshlab.Mesh, p[0], p[1], meshv1alpha1.StepSynced, "SecretsWithheld", "spec.remoteAccess.secrets", "Read")
		require.True(t, apierrors.IsForbidden(secrets(s, p[1], s.Token(p[0], p[1]))))
	}
	s.Edit(meshlab.Mesh, `{"spec":{"remoteAccess":{"secrets":"Read"}}}`)
	s.Tells(meshlab.Mesh, "eu", "ap", meshv1alpha1.StepSynced, "NotKnown", second.Pod)
	s.Becomes(meshlab.Mesh, "ap, which has one istiod, is linked to eu, and eu not to ap", func(mesh *meshv1alpha1.Mesh) error {
		there, back := meshlab.Link(mesh, "ap", "eu"), meshlab.Link(mesh, "eu", "ap")
		if there.Phase != meshv1alpha1.LinkReady || back.Phase != meshv1alpha1.LinkPending {
			return fmt.Errorf("they are %+v and %+v", there, back)
		}
		return nil
	})
	second.Env = usual
	require.NoError(t, second.Restart(t.Context()))
	s.Ready(meshlab.Mesh, "2/2", "2/2")
	require.NoError(t, secrets(s, "eu", s.Token("ap", "eu")))
	well(s)

	gone := watchLinks(s)
	begin := time.Now()
	var loads []*meshlab.Load
	for _, name := range meshlab.Names {
		load := s.StartLoad(name)
		load.Answers(5, meshlab.Names...)
		loads = append(loads, load)
	}

	// One of them gets its files late.
	second.HoldCA(true)
	s.Edit(meshlab.Mesh, `{"spec":{"trust":{"rootGeneration":2}}}`)
	names(s, meshv1alpha1.ConditionCASigns, "Differ", second.Pod, eu.Istiod.Pod+",")
	s.Becomes(meshlab.Mesh, "the change of the root waits for "+second.Pod, func(mesh *meshv1alpha1.Mesh) error {
		if trust := mesh.Status.Trust; trust == nil || trust.Stage != "TrustBoth" || !strings.Contains(trust.Message, "cluster eu: ") || !strings.Contains(trust.Message, second.Pod) {
			return fmt.Errorf("it is %+v", mesh.Status.Trust)
		}
		return nil
	})
	second.HoldCA(false)
	well(s)

	// It crashes, and stays behind the Service until that is noticed.
	require.NoError(t, second.Kill())
	names(s, meshv1alpha1.ConditionIstiodAnswers, "SomeSilent", second.Pod, eu.Istiod.Pod+",")
	require.NoError(t, second.Withdraw())
	well(s)
	require.NoError(t, second.Restart(t.Context()))

	// One after the other, as a Deployment is restarted.
	for _, istiod := range eu.Istiods() {
		require.NoError(t, istiod.Restart(t.Context()))
	}
	well(s)
	s.Ready(meshlab.Mesh, "2/2", "2/2")
	for _, load := range loads {
		load.Answers(5, meshlab.Names...)
		load.NoneFailed(begin)
	}
	require.Empty(t, gone.list())
}
