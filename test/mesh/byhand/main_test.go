package byhand

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
			if t.Failed() {
				t.Log(istiod.LogTail(60))
			}
			if err := istiod.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	m.istiod = istiod
}

// eventually looks until there is no error, and fails with the last one. It
// logs how long that took.
func eventually(t *testing.T, what string, look func() error) {
	t.Helper()
	begin := time.Now()
	if err := await(t.Context(), look); err != nil {
		t.Fatalf("not after %s: %s: %v", time.Since(begin), what, err)
	}
	t.Logf("%8s %s", time.Since(begin).Round(time.Millisecond), what)
}

// await looks until there is no error, and returns the last one if that takes
// longer than the lab's patience.
func await(ctx context.Context, look func() error) error {
	ctx, cancel := context.WithTimeout(ctx, lab.Patience)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := look()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return err
		}
	}
}

// count is how often istiod has logged something.
func (m *member) count(t *testing.T, what string) int {
	t.Helper()
	log, err := os.ReadFile(m.istiod.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(log), what)
}
