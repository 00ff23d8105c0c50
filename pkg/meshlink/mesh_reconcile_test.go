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
		Forget:  func(mesh string) { b.forgot = append(b.forgot, mesh) },
		Remains: func(context.Context, string) (bool, error) { return false, nil },
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
	all := []string{"Update mesh1", member, "Create karmada-es-eu/mesh.mesh1.reader"}
	cases := map[string]struct {
		reason string
		change func(b *bench)
		done   []string
		after  time.Duration // at most
		fails  error
		says   bool // in the status
	}{
		"All":      {reason: "In the order of the plan, the status last.", done: append(all[:3:3], "status")},
		"Conflict": {reason: "Somebody else was first; nothing is said of it.", change: func(b *bench) { b.fail[member] = conflict }, done: append(all[:2:2], "status"), after: retryConflict},
		"Refused":  {reason: "None comes after one that failed for a cluster, and the status says so.", change: func(b *bench) { b.fail[member] = refused }, done: append(all[:2:2], "status"), after: maxRetry, says: true},
		"ForAll":   {reason: "Nothing comes after what is for the mesh.", change: func(b *bench) { b.fail[all[0]] = refused }, done: append(all[:1:1], "status"), fails: refused, says: true},
		"Others": {reason: "What cannot be written for one cluster is no reason not to write for another.", change: func(b *bench) {
			b.fail["Create karmada-es-ap/mesh1"] = refused
			b.picture = func(p *plan.Picture) error {
				p.Clusters = append(p.Clusters, &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "ap", Finalizers: []string{names.ClusterFinalizer}}})
				return nil
			}
		}, done: []string{all[0], "Create karmada-es-ap/mesh1", all[1], all[2], "status"}, after: maxRetry, says: true},
		"NotYet": {reason: "Caches are filled soon.", change: func(b *bench) { b.picture = func(*plan.Picture) error { return errNotYet } }, after: retryBehind},
		"Unread": {reason: "What cannot be read is tried again.", change: func(b *bench) { b.picture = func(*plan.Picture) error { return refused } }, done: []string{"status"}, fails: refused, says: true},
		"None":   {reason: "It is no more.", change: func(b *bench) { b.mesh = nil }},
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
			case tc.says:
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

// TestTimesSurviveFailures: what is to happen to other clusters at a time happens.
func TestTimesSurviveFailures(t *testing.T) {
	b := newBench()
	lost := noon.Add(-4*time.Minute - 50*time.Second)
	b.fail["Create karmada-es-eu/mesh1"] = errors.New("no room")
	b.picture = func(p *plan.Picture) error {
		p.Clusters = append(p.Clusters, &clusterv1alpha1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Name: "ap", Finalizers: []string{names.ClusterFinalizer}},
			Status: clusterv1alpha1.ClusterStatus{Conditions: []metav1.Condition{{
				Type: clusterv1alpha1.ClusterConditionReady, Status: metav1.ConditionUnknown, LastTransitionTime: metav1.NewTime(lost),
			}}},
		})
		return nil
	}
	for range 10 {
		result, err := b.Reconcile(t.Context(), requestFor("mesh1"))
		if err != nil || result.RequeueAfter == 0 || result.RequeueAfter > 11*time.Second {
			t.Fatalf("again after %s: %v", result.RequeueAfter, err)
		}
		b.journal = journal{}
	}
}

// TestPauses: what does not come right is tried ever more slowly.
func TestPauses(t *testing.T) {
	b := newBench()
	b.picture = func(*plan.Picture) error { return errNotYet }
	var last time.Duration
	for range 20 {
		result, err := b.Reconcile(t.Context(), requestFor("mesh1"))
		if err != nil || result.RequeueAfter < last || result.RequeueAfter > maxBehind {
			t.Fatalf("again after %s, and %s before: %v", result.RequeueAfter, last, err)
		}
		last = result.RequeueAfter
	}
	if last != maxBehind {
		t.Errorf("in the end after %s", last)
	}
	b.picture = func(*plan.Picture) error { return nil }
	if _, err := b.Reconcile(t.Context(), requestFor("mesh1")); err != nil {
		t.Fatal(err)
	}
	if len(b.pauses.last) != 0 {
		t.Error("and begins anew when it has come right")
	}
}

// TestLargeStatus: that of a large mesh is not written more than once a second.
func TestLargeStatus(t *testing.T) {
	b := newBench()
	statuses := func() int {
		n := 0
		for _, what := range b.done {
			if what == "status" {
				n++
			}
		}
		return n
	}
	next := &plan.Plan{Status: meshv1alpha1.MeshStatus{Clusters: make([]meshv1alpha1.MeshCluster, largeMesh+1)}}
	for generation := range int64(5) {
		next.Status.ObservedGeneration = generation + 1
		wait, err := b.writeStatus(t.Context(), b.mesh, next)
		if err != nil || (wait > 0) != (generation > 0) || wait > statusPause {
			t.Errorf("wait %s: %v", wait, err)
		}
	}
	if statuses() != 1 {
		t.Errorf("%d statuses", statuses())
	}
	next.Status.Clusters = next.Status.Clusters[:largeMesh]
	if wait, err := b.writeStatus(t.Context(), b.mesh, next); wait != 0 || err != nil || statuses() != 2 {
		t.Errorf("a smaller one waits %s: %v", wait, err)
	}
}
