package membership

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

const networkLabel = "topology.istio.io/network"

func network(o metav1.Object) string { return networkLabel + "=" + o.GetLabels()[networkLabel] }

// unchanged waits until a member has the objects that it had, and cacerts.
func unchanged(s *meshlab.Session, name string, before map[string]string) {
	s.Helper()
	s.Await("of the mesh nothing but cacerts is left in "+name, func() error {
		after, err := s.Objects(name)
		if err != nil {
			return err
		}
		if _, ok := after["secrets/istio-system/cacerts"]; !ok {
			return fmt.Errorf("Secret cacerts is not there: istiod would make a CA of its own at its next start")
		}
		delete(after, "secrets/istio-system/cacerts")
		if differ := meshlab.Differences(before, after); len(differ) > 0 {
			return fmt.Errorf("it differs:\n%s", strings.Join(differ, "\n"))
		}
		return nil
	})
}

// objects are those of all members, without cacerts, which stays from test to test.
func objects(s *meshlab.Session) map[string]map[string]string {
	s.Helper()
	all := map[string]map[string]string{}
	for _, name := range meshlab.Names {
		found, err := s.Objects(name)
		require.NoError(s, err)
		delete(found, "secrets/istio-system/cacerts")
		all[name] = found
	}
	return all
}

// TestAClusterLeavesAndComesBack: its peers let go of it before anything is taken
// from it, no request fails, and it is one of them again afterwards.
func TestAClusterLeavesAndComesBack(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	before := objects(s)
	s.Establish(meshlab.Names, 6)
	load := s.StartLoad("eu")
	load.Answers(5, meshlab.Names...)
	leaving := time.Now()

	line := s.Timeline()
	for _, peer := range []string{"eu", "ap"} {
		core := shared.Members[peer].Core.CoreV1()
		line.Follow(peer, "Secret", "istio-remote-secret-us", core.Secrets(istiolab.Namespace), nil)
	}
	us := shared.Members["us"].Core
	line.Follow("us", "Service", "istio-eastwestgateway", us.CoreV1().Services(istiolab.Namespace), nil)
	line.Follow("us", "ServiceAccount", "flotilla-mesh-reader", us.CoreV1().ServiceAccounts(istiolab.Namespace), nil)
	line.Follow("us", "Namespace", istiolab.Namespace, us.CoreV1().Namespaces(), network)
	line.When("us: Namespace istio-system ADDED " + networkLabel + "=network-us")

	s.Edit(meshlab.Mesh, `{"spec":{"clusterAffinity":{"clusterNames":["eu","ap"]}}}`)
	s.Ready(meshlab.Mesh, "2/2", "2/2")
	unchanged(s, "us", before["us"])
	released := line.When("eu: Secret istio-remote-secret-us DELETED")
	if also := line.When("ap: Secret istio-remote-secret-us DELETED"); also.After(released) {
		released = also
	}
	for _, cleaned := range []string{
		"us: Service istio-eastwestgateway DELETED", "us: ServiceAccount flotilla-mesh-reader DELETED",
		"us: Namespace istio-system MODIFIED " + networkLabel + "=",
	} {
		require.True(t, line.When(cleaned).After(released), "%s before its peers had let go of it: %v", cleaned, line.Events())
	}
	s.Gone(lab.Fed, "meshmembers.mesh.flotilla.io", "--namespace=karmada-es-us", meshlab.Mesh)
	s.Gone(lab.Fed, "secret", "--namespace=karmada-es-us", meshv1alpha1.ReaderSecretName(meshlab.Mesh))
	s.Synced("us")
	for peer, other := range map[string]string{"eu": "ap", "ap": "eu"} {
		s.Synced(peer, other)
		s.Weights(peer, []string{peer}, []string{other})
	}

	s.Edit(meshlab.Mesh, `{"spec":{"clusterAffinity":{"clusterNames":["eu","ap","us"]}}}`)
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	load.Answers(5, meshlab.Names...)
	load.NoneFailed(leaving)
}

// TestAClusterLeavesWhenIstiodHasLetGo: the remote secret is gone from ap, and istiod there
// has not seen it. Its proxies still call us, which keeps its gateway meanwhile; and the
// Mesh says who is waited for.
func TestAClusterLeavesWhenIstiodHasLetGo(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	s.Establish(meshlab.Names, 6, "withdrawAfter: 5m")
	frozen := shared.Members["ap"].Istiod.PID()
	require.NoError(t, syscall.Kill(frozen, syscall.SIGSTOP))
	thaw := sync.OnceFunc(func() { require.NoError(t, syscall.Kill(frozen, syscall.SIGCONT)) })
	t.Cleanup(thaw)

	s.Edit(meshlab.Mesh, `{"spec":{"clusterAffinity":{"clusterNames":["eu","ap"]}}}`)
	secrets := shared.Members["ap"].Core.CoreV1().Secrets(istiolab.Namespace)
	s.Await("the remote secret for us is gone from ap", func() error {
		_, err := secrets.Get(s.Context(), "istio-remote-secret-us", metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err == nil:
			err = errors.New("it is there")
		}
		return err
	})
	s.Becomes(meshlab.Mesh, "it is said that istiod of ap is waited for", func(mesh *meshv1alpha1.Mesh) error {
		for _, c := range mesh.Status.Clusters {
			available := meta.FindStatusCondition(c.Conditions, meshv1alpha1.ConditionAvailable)
			if c.Name == "us" && available.Reason == "Leaving" && strings.Contains(available.Message, "let go of it: cluster ap (istiod of cluster ap does not answer") && strings.Contains(available.Message, "not waited for after") {
				return nil
			}
		}
		return fmt.Errorf("said is %+v", mesh.Status.Clusters)
	})
	us := shared.Members["us"].Core.CoreV1()
	_, err := us.Services(istiolab.Namespace).Get(t.Context(), "istio-eastwestgateway", metav1.GetOptions{})
	require.NoError(t, err, "us keeps its gateway")
	namespace, err := us.Namespaces().Get(t.Context(), istiolab.Namespace, metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, networkLabel+"=network-us", network(namespace))

	thaw()
	s.Ready(meshlab.Mesh, "2/2", "2/2")
	s.Gone("us", "service", "--namespace="+istiolab.Namespace, "istio-eastwestgateway")
	s.Gone(lab.Fed, "meshmembers.mesh.flotilla.io", "--namespace=karmada-es-us", meshlab.Mesh)
	s.Synced("ap", "eu")
}

// TestADeletedMeshLeavesNothing but the CAs, which workloads live by.
func TestADeletedMeshLeavesNothing(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	before := objects(s)
	s.Establish(meshlab.Names, 6)
	for _, name := range meshlab.Names {
		after, err := s.Objects(name)
		require.NoError(t, err)
		require.Greater(t, len(meshlab.Differences(before[name], after)), 5, "the mesh has left marks to look for")
	}
	s.Dissolve(meshlab.Mesh)
	for _, name := range meshlab.Names {
		unchanged(s, name, before[name])
		s.Synced(name)
		s.Weights(name, []string{name}, nil)
	}
	s.Shows(lab.Fed, "", "get", "works.work.karmada.io,meshmembers.mesh.flotilla.io", "--all-namespaces",
		"--selector="+meshv1alpha1.MeshLabel, "--output=name")
	s.Run(lab.Fed, "get", "secret", "--namespace=karmada-system", meshv1alpha1.TrustSecretName(meshlab.Mesh))
}
