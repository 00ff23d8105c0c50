package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

const lookAgain = 200 * time.Millisecond

// keep starts a member's istiod again when it ends, as a Deployment does.
func (t *try) keep(ctx context.Context, m *meshlab.Member) {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	var failed error
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if failed == nil && !m.Istiod.Ended() {
			continue
		}
		t.say("istiod of %s has ended: it is started again", m.Name)
		began := time.Now()
		if failed = os.RemoveAll(t.pidFile(m.Name)); failed == nil {
			failed = m.Istiod.Restart(ctx)
		}
		if failed == nil {
			failed = t.started(m, began)
		}
		if failed != nil && ctx.Err() == nil {
			t.say("%v", failed)
		}
	}
}

// sidecar is what injection writes on a pod that gets a sidecar.
const sidecar = `{"spec":{"template":{"metadata":{"labels":{"security.istio.io/tlsMode":"istio"}}}}}`

// whatNext is what to type, once all is ready.
func (t *try) whatNext(resumed bool) string {
	ready := fmt.Sprintf("Ready in %.1fs. In another terminal, the mesh:", time.Since(t.begin).Seconds())
	if resumed {
		ready = fmt.Sprintf("Ready in %.1fs, with what was applied before. If that was not much, in another terminal:", time.Since(t.begin).Seconds())
	}
	kubectl := fmt.Sprintf("  %s --kubeconfig=%s ", tool("kubectl"), t.path("fed-config"))
	return strings.Join([]string{
		"",
		ready,
		"",
		kubectl + "apply -f docs/tutorial/mesh.yaml",
		kubectl + "get meshes",
		fmt.Sprintf("  %s --kubeconfig=%s mesh status mesh1", tool("fedctl"), t.path("fed-config")),
		"",
		"Each istiod has made a CA of its own when it was started, as in an installation. When the",
		"status asks to restart istiod, because the mesh's CA is there: end it, and it is started again.",
		"",
		fmt.Sprintf("  kill $(cat %s)", t.path("istiod-*.pid")),
		"",
		"Something to call. The label is what injection gives to pods with a sidecar:",
		"",
		kubectl + "apply -f docs/tutorial/hello.yaml -f docs/tutorial/policy.yaml",
		kubectl + "patch deployment hello --patch='" + sidecar + "'",
		"",
		fmt.Sprintf("From then on this terminal tells every %.0f s who answers calls from %s.", tellInterval.Seconds(), names[0]),
		fmt.Sprintf("Logs are in %s and %s. Ctrl-C stops everything and", t.path("logs"), t.path("istiod-*/istiod.log")),
		fmt.Sprintf("keeps the data; the next start resumes with it, make playground-clean DIR=%s removes it.", t.dir),
		"", "",
	}, "\n")
}
