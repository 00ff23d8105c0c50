package meshlab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/gateway"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
)

var (
	shared  *Lab
	errNone = errors.New("not yet")
)

func TestMain(m *testing.M) {
	os.Exit(Main(m, func(l *Lab) { shared = l }))
}

// apply writes objects into a member.
func apply(s *Session, where string, objects ...runtime.Object) {
	s.Helper()
	for _, object := range objects {
		data, err := json.Marshal(object)
		require.NoError(s, err)
		s.Run(where, "get", "namespace", istiolab.Namespace)
		s.Apply(where, string(data))
	}
}

// TestTheLabShowsWhatIsThere does by hand what meshlink does, and looks after each
// step whether the lab sees it, and sees that it was not there before.
func TestTheLabShowsWhatIsThere(t *testing.T) {
	s := shared.Begin(t)
	ctx := t.Context()
	spec := &meshv1alpha1.Mesh{}
	meshv1alpha1.SetDefaults_Mesh(spec)
	identity := trust.Mesh{Name: "byhand", TrustDomain: "cluster.local"}
	root, err := trust.NewRoot(identity, 1, time.Now(), time.Hour)
	require.NoError(t, err)
	for name := range shared.Members {
		cluster := gateway.Cluster{Mesh: "byhand", Name: name, Network: "network-" + name}
		apply(s, name, gateway.Namespace(cluster), cacerts(t, identity, root, name))
		apply(s, name, remotesecret.Reader("byhand", "", meshv1alpha1.SecretsRead)...)
	}
	require.NoError(t, shared.RestartIstiods(ctx))
	s.Hello(map[string]int{"eu": 2, "ap": 1, "us": 2})
	s.Shards("eu", map[string]int{"eu": 2})
	s.Weights("eu", []string{"eu"}, nil)
	require.Error(t, s.SyncedNow("eu", "ap"))

	for name := range shared.Members {
		cluster := gateway.Cluster{Mesh: "byhand", Name: name, Network: "network-" + name}
		apply(s, name, gateway.Objects(&spec.Spec.Gateway, cluster)...)
	}
	for _, name := range Names {
		s.Gateways(name, name)
	}
	for _, from := range Names {
		for _, to := range Names {
			if from != to {
				apply(s, from, remote(s, to))
			}
		}
	}
	for name, peers := range map[string][]string{"eu": {"ap", "us"}, "ap": {"eu", "us"}, "us": {"ap", "eu"}} {
		s.Synced(name, peers...)
		s.Gateways(name, Names...)
		s.Shards(name, map[string]int{"eu": 2, "ap": 1, "us": 2})
		s.Weights(name, []string{name}, peers)
	}
	load := s.StartLoad("eu")
	load.Answers(10, Names...)

	// Cut off, us does not answer, and its peers do not know.
	heal := s.Cut("us")
	begin := time.Now()
	s.Await("calls fail", func() error {
		if _, failed := load.Since(begin); len(failed) == 0 {
			return errNone
		}
		return nil
	})
	heal()
	s.Await("us answers again", func() error {
		begin := time.Now().Add(-time.Second)
		if answered, failed := load.Since(begin); len(failed) > 0 || answered["us"] == 0 {
			return errNone
		}
		return nil
	})

	// Under another root us is not believed, nor does it believe.
	second, err := trust.NewRoot(identity, 2, time.Now(), time.Hour)
	require.NoError(t, err)
	apply(s, "us", cacerts(t, identity, second, "us"))
	require.NoError(t, shared.Members["us"].RestartIstiod(ctx))
	begin = time.Now()
	s.Await("calls to us fail for its root", func() error {
		_, failed := load.Since(begin)
		for _, why := range failed {
			if strings.Contains(why, "unknown authority") {
				return nil
			}
		}
		return fmt.Errorf("%w: %v", errNone, failed)
	})
	load.Stop()

	s.Run("eu", "delete", "secret", "--namespace="+istiolab.Namespace, remotesecret.Name("us"))
	s.Synced("eu", "ap")
	s.Weights("eu", []string{"eu"}, []string{"ap"})
	ingress := []string{"get", "service", "--namespace=istio-system", "--selector=" + networkLabel, "--output=jsonpath={.items[*].status.loadBalancer.ingress[*].ip}"}
	shared.Members["ap"].WithholdAddress(true)
	s.Shows("ap", "", ingress...)
	shared.Members["ap"].WithholdAddress(false)
	s.Shows("ap", shared.Members["ap"].GatewayIP(), ingress...)
	s.NoHello()
	s.Shards("eu", map[string]int{})
}

func cacerts(t *testing.T, mesh trust.Mesh, root *trust.Authority, cluster string) *corev1.Secret {
	t.Helper()
	trusted, err := trust.NewStore(root).Trusted()
	require.NoError(t, err)
	signer, err := trust.NewIntermediate(root, mesh, cluster, time.Now(), time.Hour)
	require.NoError(t, err)
	files, err := trust.CACerts(signer, trusted, time.Now())
	require.NoError(t, err)
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: istiolab.Namespace, Name: trust.CACertsSecret}, Data: files,
	}
}

func remote(s *Session, peer string) *corev1.Secret {
	m := s.Mesh.Members[peer]
	seconds := int64(3600)
	token, err := m.Core.CoreV1().ServiceAccounts(istiolab.Namespace).CreateToken(s.Context(), remotesecret.ReaderName,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	require.NoError(s, err)
	config := rest.CopyConfig(m.Config)
	require.NoError(s, rest.LoadTLSFiles(config))
	secret, err := remotesecret.Secret("byhand", peer, &remotesecret.Token{
		Bearer: token.Status.Token, CA: config.CAData, Server: config.Host, Expires: token.Status.ExpirationTimestamp.Time,
	})
	require.NoError(s, err)
	return secret
}
