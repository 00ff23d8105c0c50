package meshlink

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
)

// bench is a Reconciler of a Mesh of one cluster, over a store of nothing but a Mesh.
type bench struct {
	*Reconciler
	mesh    *meshv1alpha1.Mesh
	done    []string
	fail    map[string]error // by what is done
	forgot  []string
	events  []string
	picture func(*plan.Picture) error
}

func newBench() *bench {
	b := &bench{fail: map[string]error{}, picture: func(*plan.Picture) error { return nil }}
	b.mesh = &meshv1alpha1.Mesh{ObjectMeta: metav1.ObjectMeta{Name: "mesh1", Generation: 1, ResourceVersion: "1"}}
	b.Reconciler = &Reconciler{
		Mesh: func(context.Context, string) (*meshv1alpha1.Mesh, error) { return b.mesh, nil },
		Picture: func(_ context.Context, mesh *meshv1alpha1.Mesh) (*plan.Picture, error) {
			eu := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu", Finalizers: []string{names.ClusterFinalizer}}}
			p := &plan.Picture{Mesh: mesh, Meshes: []*meshv1alpha1.Mesh{mesh}, Clusters: []*clusterv1alpha1.Cluster{eu}}
			return p, b.picture(p)
		},
		Write: func(_ context.Context, w plan.Write) (client.Object, error) {
			what := string(w.Verb) + " " + nameOf(w.Object)
			b.done = append(b.done, what)
			return w.Object, b.fail[what]
		},
		WriteStatus: func(_ context.Context, mesh *meshv1alpha1.Mesh, status meshv1alpha1.MeshStatus) (*meshv1alpha1.Mesh, error) {
			b.done = append(b.done, "status")
			next := mesh.DeepCopy()
			next.Status, next.ResourceVersion = status, mesh.ResourceVersion+"1"
			b.mesh = next
			return next, nil
		},
		Forget: func(mesh string) { b.forgot = append(b.forgot, mesh) },
		Recorder: events.Func(func(_ context.Context, about corev1.ObjectReference, kind, reason, _ string) {
			b.events = append(b.events, about.Kind+" "+kind+" "+reason)
		}),
		Clock: testclock.NewFakePassiveClock(noon),
	}
	return b
}

func TestReconcile(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "meshmembers"}, "mesh1", errors.New("it was changed"))
	refused := errors.New("no room")
	const member = "Create karmada-es-eu/mesh1"
	all := []string{"Update mesh1", "Create karmada-system/mesh-trust-mesh1", member, "Create karmada-es-eu/mesh.mesh1.reader"}
	cases := map[string]struct {
		reason string
		change func(b *bench)
		done   []string
		after  time.Duration // at most
		fails  error
	}{
		"All":      {reason: "In the order of the plan, the status last.", done: append(all[:4:4], "status")},
		"Conflict": {reason: "Somebody else was first; nothing is said.", change: func(b *bench) { b.fail[member] = conflict }, done: all[:3], after: retryConflict},
		"Refused":  {reason: "None comes after one that failed, and the status says so.", change: func(b *bench) { b.fail[member] = refused }, done: append(all[:3:3], "status"), fails: refused},
		"NotYet":   {reason: "Caches are filled soon.", change: func(b *bench) { b.picture = func(*plan.Picture) error { return errNotYet } }, after: retryBehind},
		"Unread":   {reason: "What cannot be read is tried again.", change: func(b *bench) { b.picture = func(*plan.Picture) error { return refused } }, done: []string{"status"}, fails: refused},
		"None":     {reason: "It is no more.", change: func(b *bench) { b.mesh = nil }},
		"Behind": {reason: "A cache lacks what was written.", change: func(b *bench) {
			b.journal.note("mesh1", plan.Write{Verb: plan.Create, Object: workOf("a", "1")}, noon)
		}, after: retryBehind},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench()
			if tc.change != nil {
				tc.change(b)
			}
			result, err := b.Reconcile(t.Context(), requestFor("mesh1"))
			if !errors.Is(err, tc.fails) || (err != nil) != (tc.fails != nil) {
				t.Errorf("%s Error: %v", tc.reason, err)
			}
			if strings.Join(b.done, ", ") != strings.Join(tc.done, ", ") {
				t.Errorf("%s Done: %v", tc.reason, b.done)
			}
			if tc.after != 0 && (result.RequeueAfter == 0 || result.RequeueAfter > tc.after) {
				t.Errorf("%s Again after %s", tc.reason, result.RequeueAfter)
			}
			switch {
			case b.mesh == nil:
				if len(b.forgot) != 1 {
					t.Error("it is not forgotten")
				}
			case tc.fails != nil:
				ready := meta.FindStatusCondition(b.mesh.Status.Conditions, meshv1alpha1.ConditionReady)
				if ready == nil || ready.Reason != reasonWriteFailed || !strings.Contains(ready.Message, "no room") {
					t.Errorf("condition: %+v", ready)
				}
			}
		})
	}
}

// TestFailureIsSaidOnce: a write that fails again and again costs one status.
func TestFailureIsSaidOnce(t *testing.T) {
	b := newBench()
	b.picture = func(*plan.Picture) error { return errors.New("no room") }
	for range 3 {
		b.journal = journal{}
		if _, err := b.Reconcile(t.Context(), requestFor("mesh1")); err == nil {
			t.Fatal("no error")
		}
	}
	if len(b.done) != 1 {
		t.Errorf("done: %v", b.done)
	}
}

// TestTokensAreWaitedFor: nothing tells when a Secret comes.
func TestTokensAreWaitedFor(t *testing.T) {
	b := newBench()
	b.picture = func(p *plan.Picture) error {
		p.Tokens = map[string]plan.Token{"eu": {Problem: "it is not there"}}
		return nil
	}
	result, err := b.Reconcile(t.Context(), requestFor("mesh1"))
	if err != nil || result.RequeueAfter == 0 || result.RequeueAfter > retryToken {
		t.Errorf("again after %s: %v", result.RequeueAfter, err)
	}
}
