package apiserver

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/api/scheme"
	"github.com/flotilla-io/flotilla/pkg/apiserver"
	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
	"github.com/flotilla-io/flotilla/test/ports"
)

// fed is the API server all tests share.
var fed struct {
	opts  *apiserver.Options
	admin *rest.Config
	client.Client
	kube    kubernetes.Interface
	dynamic dynamic.Interface
}

const patience = 60 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(serveAsChild())
	}
	code, err := runWithServer(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runWithServer(m *testing.M) (int, error) {
	ctrl.SetLogger(logr.Discard())
	rest.SetDefaultWarningHandler(rest.NoWarnings{}) // the server talks to itself, as in cmd/apiserver
	dir, err := os.MkdirTemp("", "flotilla-apiserver")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	if fed.opts, err = options(dir); err != nil {
		return 1, err
	}
	server, err := apiserver.New(ctx, fed.opts)
	if err != nil {
		return 1, err
	}
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	if err := connect(ctx); err != nil {
		return 1, err
	}
	code := m.Run()
	cancel()
	if err := <-done; err != nil {
		return 1, err
	}
	return code, leaks()
}

// options are those of a server for tests, on a free port.
func options(dir string) (*apiserver.Options, error) {
	port, err := ports.Free()
	if err != nil {
		return nil, err
	}
	opts := apiserver.NewOptions()
	opts.DataDir = filepath.Join(dir, "data")
	opts.BindAddress = net.IPv4(127, 0, 0, 1)
	opts.SecurePort = port
	opts.WriteKubeconfig = filepath.Join(dir, "admin.conf")
	opts.StatusWindow = 300 * time.Millisecond
	return opts, nil
}

func connect(ctx context.Context) error {
	if err := waitReady(ctx, fed.opts.WriteKubeconfig); err != nil {
		return err
	}
	var err error
	if fed.admin, err = adminOf(fed.opts.WriteKubeconfig); err != nil {
		return err
	}
	if fed.Client, err = client.New(fed.admin, client.Options{Scheme: scheme.Scheme}); err != nil {
		return err
	}
	if fed.kube, err = kubernetes.NewForConfig(fed.admin); err != nil {
		return err
	}
	fed.dynamic, err = dynamic.NewForConfig(fed.admin)
	return err
}

func adminOf(kubeconfig string) (*rest.Config, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	cfg.QPS = -1
	cfg.WarningHandler = rest.NoWarnings{}
	return cfg, nil
}

// waitReady asks /readyz with the kubeconfig a server writes.
func waitReady(ctx context.Context, kubeconfig string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	last := fmt.Errorf("%s is not there", kubeconfig)
	for {
		if cfg, err := adminOf(kubeconfig); err == nil {
			var kube kubernetes.Interface
			if kube, err = kubernetes.NewForConfig(cfg); err == nil {
				var answer []byte
				if answer, err = kube.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Raw(); err == nil {
					return nil
				}
				last = fmt.Errorf("%w: %s", err, answer)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API server does not get ready: %w", last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// as is a configuration of somebody with a client certificate of the
// federation's CA.
func as(t *testing.T, user string, groups ...string) *rest.Config {
	t.Helper()
	ca, err := pki.Load(filepath.Join(fed.opts.DataDir, "pki"), "ca")
	require.NoError(t, err)
	pair, err := pki.Sign(ca, pki.Leaf{CommonName: user, Organization: groups, Usage: x509.ExtKeyUsageClientAuth}, time.Now())
	require.NoError(t, err)
	cert, key, err := pair.PEM()
	require.NoError(t, err)
	cfg := rest.AnonymousClientConfig(fed.admin)
	cfg.CertData, cfg.KeyData = cert, key
	return cfg
}

func agentOf(t *testing.T, cluster string) *rest.Config {
	t.Helper()
	return as(t, names.AgentUserPrefix+cluster, names.AgentGroup)
}

func clientFor(t *testing.T, cfg *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(cfg, client.Options{Scheme: scheme.Scheme})
	require.NoError(t, err)
	return c
}

// rawClient sends requests to paths.
func rawClient(t *testing.T, cfg *rest.Config) rest.Interface {
	t.Helper()
	c, err := kubernetes.NewForConfig(cfg)
	require.NoError(t, err)
	return c.Discovery().RESTClient()
}

// newNamespace makes a namespace for one test.
func newNamespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "t-", Labels: map[string]string{names.SkipAutoPropagationLabel: "true"}}}
	require.NoError(t, fed.Create(t.Context(), ns))
	return ns.Name
}

// join registers a cluster and makes its execution namespace, as the cluster
// controller does.
func join(t *testing.T, name string) {
	t.Helper()
	c := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: clusterv1alpha1.ClusterSpec{SyncMode: clusterv1alpha1.Pull}}
	require.NoError(t, fed.Create(t.Context(), c))
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names.ExecutionNamespace(name)}}
	require.NoError(t, fed.Create(t.Context(), ns))
	eventually(t, func() bool {
		_, err := fed.dynamic.Resource(works).Namespace(ns.Name).List(t.Context(), metav1.ListOptions{})
		return err == nil
	}, "the cluster has a list of works")
	t.Cleanup(func() {
		ctx := context.Background()
		require.NoError(t, client.IgnoreNotFound(fed.Delete(ctx, c)))
		require.NoError(t, client.IgnoreNotFound(fed.Delete(ctx, ns)))
	})
}

// eventually asks in the test's own goroutine, where it may fail in between.
func eventually(t *testing.T, condition func() bool, what string, args ...any) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); {
		if time.Now().After(deadline) {
			require.FailNow(t, "it does not happen: "+fmt.Sprintf(what, args...))
		}
		<-time.After(20 * time.Millisecond)
	}
}

// update writes an object changed, however often it takes.
func update[T client.Object](t *testing.T, obj T, change func(T)) {
	t.Helper()
	eventually(t, func() bool {
		require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(obj), obj))
		change(obj)
		err := fed.Update(t.Context(), obj)
		if err != nil && !apierrors.IsConflict(err) {
			require.NoError(t, err)
		}
		return err == nil
	}, "update of %s", obj.GetName())
}
