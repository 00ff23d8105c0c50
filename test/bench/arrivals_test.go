package bench

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fedscheme "github.com/flotilla-io/flotilla/api/scheme"
)

func connect(t *testing.T, where string) client.WithWatch {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", shared.Kubeconfig(where))
	require.NoError(t, err)
	cfg.QPS = -1
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: fedscheme.Scheme})
	require.NoError(t, err)
	return c
}

// sighting is a Deployment seen in a member.
type sighting struct {
	member string
	d      *appsv1.Deployment
	at     time.Time
}

// arrivals collects what the members see.
type arrivals struct {
	seen chan sighting
	// last[name][member] is when the wanted state was first there.
	last map[string]map[string]time.Time
}

// follow watches the Deployments of every member, what is there included.
func follow(ctx context.Context, t *testing.T) *arrivals {
	t.Helper()
	a := &arrivals{seen: make(chan sighting, 4096), last: map[string]map[string]time.Time{}}
	for _, m := range members {
		w, err := connect(t, m).Watch(ctx, &appsv1.DeploymentList{}, client.InNamespace(namespace), &client.ListOptions{Raw: &metav1.ListOptions{}})
		require.NoError(t, err)
		t.Cleanup(w.Stop)
		go func() {
			for e := range w.ResultChan() {
				if d, ok := e.Object.(*appsv1.Deployment); ok {
					select {
					case a.seen <- sighting{m, d, time.Now()}:
					case <-ctx.Done():
						return
					}
				}
			}
		}()
	}
	return a
}

// wait returns when n Deployments are as wanted in every member.
func (a *arrivals) wait(ctx context.Context, t *testing.T, n int, wanted func(*appsv1.Deployment) bool) {
	t.Helper()
	for complete := 0; complete < n; {
		select {
		case s := <-a.seen:
			if !wanted(s.d) {
				continue
			}
			if a.last[s.d.Name] == nil {
				a.last[s.d.Name] = map[string]time.Time{}
			}
			if _, again := a.last[s.d.Name][s.member]; again {
				continue
			}
			a.last[s.d.Name][s.member] = s.at
			if len(a.last[s.d.Name]) == len(members) {
				complete++
			}
		case <-ctx.Done():
			t.Fatalf("%d of %d Deployments are in all members: %v", complete, n, ctx.Err())
		}
	}
}

// latest is when each Deployment was in the last of the members.
func (a *arrivals) latest() map[string]time.Time {
	out := map[string]time.Time{}
	for name, byMember := range a.last {
		for _, at := range byMember {
			if at.After(out[name]) {
				out[name] = at
			}
		}
	}
	return out
}
