package meshlink

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
)

// left is a bench of a Mesh that is gone and has left a MeshMember and a remote secret.
type left struct {
	*bench
	clock  *testclock.FakePassiveClock
	absent func() (bool, error)
	asked  int
}

func newLeft() *left {
	l := &left{bench: newBench(), clock: testclock.NewFakePassiveClock(noon), absent: func() (bool, error) { return true, nil }}
	l.mesh, l.Clock = nil, l.clock
	l.Remains = func(context.Context, string) (bool, error) { return true, nil }
	l.Absent = func(context.Context, string) (bool, error) { l.asked++; return l.absent() }
	l.bench.picture = func(p *plan.Picture) error {
		p.Meshes = nil
		p.Members = []*meshv1alpha1.MeshMember{{ObjectMeta: metav1.ObjectMeta{Namespace: names.ExecutionNamespace("eu"), Name: "mesh1", UID: "1", Labels: map[string]string{meshv1alpha1.MeshLabel: "mesh1"}}}}
		peer := workOf("1", "1")
		peer.Name, peer.Labels = "mesh.mesh1.peer.ap", map[string]string{meshv1alpha1.MeshLabel: "mesh1"}
		p.Works = []*workv1alpha1.Work{peer}
		return nil
	}
	return l
}

// TestSweep: what a Mesh has left is taken away when it is known to be gone, and not before.
func TestSweep(t *testing.T) {
	broken := errors.New("no connection")
	withdrawn := "Delete karmada-es-eu/mesh.mesh1.peer.ap"
	cases := map[string]struct {
		reason string
		change func(l *left)
		fails  error
		sweeps bool
		after  time.Duration // at most
	}{
		"Gone":    {reason: "Peers are withdrawn first.", sweeps: true, after: sweepAgain},
		"NotYet":  {reason: "Works are read soon.", change: func(l *left) { l.Remains = func(context.Context, string) (bool, error) { return false, errNotYet } }, after: maxBehind},
		"Behind":  {reason: "The cache has yet to show the Mesh.", change: func(l *left) { l.absent = func() (bool, error) { return false, nil } }, after: maxBehind},
		"Unknown": {reason: "What cannot be read is not known to be gone.", change: func(l *left) { l.absent = func() (bool, error) { return false, broken } }, fails: broken},
		"Unread":  {reason: "Without a picture nothing is done.", change: func(l *left) { l.bench.picture = func(*plan.Picture) error { return broken } }, fails: broken},
		"Anew": {reason: "One of that name is there again, and nothing is asked.", change: func(l *left) {
			l.mesh = newBench().mesh
			l.bench.picture = newBench().picture
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l := newLeft()
			result, err := l.Reconcile(t.Context(), requestFor("mesh1"))
			if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > sweepAfter || len(l.done) > 0 || l.asked > 0 {
				t.Fatalf("at first: again after %s, done %v, asked %d times: %v", result.RequeueAfter, l.done, l.asked, err)
			}
			l.clock.SetTime(noon.Add(sweepAfter))
			if tc.change != nil {
				tc.change(l)
			}
			result, err = l.Reconcile(t.Context(), requestFor("mesh1"))
			if !errors.Is(err, tc.fails) || (err != nil) != (tc.fails != nil) {
				t.Errorf("%s Error: %v", tc.reason, err)
			}
			if swept := len(l.done) > 0 && l.done[0] == withdrawn; swept != tc.sweeps || !tc.sweeps && l.mesh == nil && len(l.done) > 0 {
				t.Errorf("%s Done: %v", tc.reason, l.done)
			}
			if tc.after != 0 && (result.RequeueAfter == 0 || result.RequeueAfter > tc.after) {
				t.Errorf("%s Again after %s", tc.reason, result.RequeueAfter)
			}
			if slices.Contains(l.done, "status") && l.mesh == nil {
				t.Error("a Mesh that is gone has no status")
			}
			if l.mesh != nil && (l.asked > 0 || slices.ContainsFunc(l.done, func(what string) bool { return strings.HasPrefix(what, "Delete") })) {
				t.Errorf("%s Done: %v", tc.reason, l.done)
			}
			if len(l.forgot) > 0 {
				t.Error("it is forgotten before it is through")
			}
		})
	}
}

// TestSweepEnds: when nothing remains the Mesh is forgotten, and one that comes and goes
// again has its time anew.
func TestSweepEnds(t *testing.T) {
	l := newLeft()
	look := func() {
		t.Helper()
		if _, err := l.Reconcile(t.Context(), requestFor("mesh1")); err != nil {
			t.Fatal(err)
		}
	}
	look()
	there := newBench().mesh
	l.mesh = there
	look()
	l.mesh, l.done = nil, nil
	l.clock.SetTime(noon.Add(sweepAfter))
	look()
	if len(l.done) > 0 {
		t.Errorf("it is swept at once after it was there: %v", l.done)
	}
	l.Remains = func(context.Context, string) (bool, error) { return false, nil }
	look()
	if len(l.forgot) != 1 || len(l.vanished) != 0 {
		t.Errorf("it is not forgotten: %v, %v", l.forgot, l.vanished)
	}
}

// TestRemains: what is left of a Mesh is found in caches, and Works are not read for it
// when nobody follows them.
func TestRemains(t *testing.T) {
	member := func(namespace, name string) *meshv1alpha1.MeshMember {
		return &meshv1alpha1.MeshMember{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	}
	ours, other := workOf("1", "1"), workOf("2", "1")
	other.Name = "hello"
	cases := map[string]struct {
		reason   string
		members  []*meshv1alpha1.MeshMember
		works    []*workv1alpha1.Work
		followed bool
		want     bool
	}{
		"Nothing":  {reason: "All has gone.", followed: true},
		"Member":   {reason: "Its cluster has yet to leave.", members: []*meshv1alpha1.MeshMember{member("karmada-es-eu", "mesh1")}, want: true},
		"Others":   {reason: "They are of another Mesh, or of no cluster.", members: []*meshv1alpha1.MeshMember{member("karmada-es-eu", "mesh2"), member("default", "mesh1")}, works: []*workv1alpha1.Work{other}, followed: true},
		"Work":     {reason: "It has no MeshMember any more.", works: []*workv1alpha1.Work{ours}, followed: true, want: true},
		"Unfollow": {reason: "Nobody follows Works, so there are none.", works: []*workv1alpha1.Work{ours}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in := &inputs{
				Members:  func(context.Context) ([]*meshv1alpha1.MeshMember, error) { return tc.members, nil },
				Followed: func() bool { return tc.followed },
				Works: func(context.Context, string) ([]*workv1alpha1.Work, error) {
					if !tc.followed {
						t.Error("Works are read, which has them followed")
					}
					return tc.works, nil
				},
			}
			if got, err := in.Remains(t.Context(), "mesh1"); err != nil || got != tc.want {
				t.Errorf("%s Remains: %v, %v", tc.reason, got, err)
			}
		})
	}
}

// answers is a server that answers each read alike.
type answers struct {
	client.Reader
	err error
}

func (a answers) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return a.err
}

// TestAbsent: only the answer of a server that serves Meshes says that there is none.
func TestAbsent(t *testing.T) {
	meshes := schema.GroupResource{Group: "mesh.flotilla.io", Resource: "meshes"}
	for name, tc := range map[string]struct {
		err    error
		absent bool
		fails  bool
	}{
		"There":     {},
		"NotThere":  {err: apierrors.NewNotFound(meshes, "mesh1"), absent: true},
		"NotServed": {err: apierrors.NewGenericServerResponse(http.StatusNotFound, "get", meshes, "mesh1", "404 page not found", 0, true), fails: true},
		"Nameless":  {err: apierrors.NewGenericServerResponse(http.StatusNotFound, "get", schema.GroupResource{}, "", "", 0, false), fails: true},
		"Away":      {err: apierrors.NewServiceUnavailable("away"), fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := absent(t.Context(), answers{err: tc.err}, "mesh1")
			if got != tc.absent || (err != nil) != tc.fails {
				t.Errorf("absent %v: %v", got, err)
			}
		})
	}
}
