package bench

import (
	"context"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// profileSeconds is long enough for one phase of a run.
const profileSeconds = 6

// profile writes a processor profile of the control plane into the file that the
// environment variable BENCH_PROFILE begins the name of. What it returns waits for it.
func profile(ctx context.Context, t *testing.T, phase string) (wait func()) {
	t.Helper()
	prefix := os.Getenv("BENCH_PROFILE")
	if prefix == "" {
		return func() {}
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", shared.Kubeconfig(lab.Fed))
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(cfg)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		raw, err := client.Discovery().RESTClient().Get().AbsPath("/debug/pprof/profile").
			Param("seconds", strconv.Itoa(profileSeconds)).DoRaw(ctx)
		if err == nil {
			err = os.WriteFile(prefix+"-"+phase+".pprof", raw, 0o600)
		}
		done <- err
	}()
	return func() { require.NoError(t, <-done) }
}
