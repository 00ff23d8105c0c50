package mesh

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
)

// playground is what the tests of this package share.
var playground *lab.Lab

func TestMain(m *testing.M) {
	if err := istiolab.Available(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(lab.Main(m, func(l *lab.Lab) { playground = l }))
}

// startIstiod starts the istiod of a member, which is stopped when the test
// ends. The end of its log is shown if the test has failed.
func (m *member) startIstiod(ctx context.Context, t *testing.T, env ...string) {
	t.Helper()
	istiod, err := istiolab.Start(ctx, istiolab.Options{
		Cluster: m.name, Kubeconfig: playground.Kubeconfig(m.name),
		Dir: filepath.Join(t.TempDir(), "istiod-"+m.name), Env: env,
	})
	if istiod != nil {
		t.Cleanup(func() {
			if err := istiod.Stop(); err != nil {
				t.Error(err)
			}
			if t.Failed() {
				t.Log(istiod.LogTail(25))
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	m.istiod = istiod
}

// eventually looks until there is no error, and fails with the last one. It
// returns how long that took.
func eventually(t *testing.T, what string, look func() error) time.Duration {
	t.Helper()
	begin := time.Now()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := look()
		took := time.Since(begin)
		if err == nil {
			t.Logf("%8s %s", took.Round(time.Millisecond), what)
			return took
		}
		if took > lab.Patience {
			t.Fatalf("not after %s: %s: %v", took, what, err)
		}
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}
