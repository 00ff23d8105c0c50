package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
	"github.com/flotilla-io/flotilla/pkg/meshlink/meshlinktest"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// world is a federation in which anything can happen at any time.
type world struct {
	*federation
	fail    func(format string, args ...any)
	foreign map[string]bool // clusters in which somebody has put a CA of his own
	former  []former
	roots   int64
}

// former is a member that was unjoined, and those that were there then.
type former struct {
	*meshlinktest.Member
	peers map[string]*meshlinktest.Member
}

var everyone = []string{"ap", "eu", "sa", "us"}

func newWorld(t *rapid.T) *world {
	w := &world{federation: newFederation(t, everyone...), fail: t.Fatalf, foreign: map[string]bool{}, roots: 1}
	w.failing = map[string]bool{}
	networks := drawNetworks(t)
	w.addMesh("mesh1", func(spec *meshv1alpha1.MeshSpec) {
		selecting("ap", "eu", "us")(spec)
		spec.Networks = networks
		spec.RemoteAccess.TokenTTL = &metav1.Duration{Duration: time.Hour}
		spec.Trust.WorkloadCertificateLifetime = &metav1.Duration{Duration: time.Hour}
	})
	w.onWrite = w.checkWrite
	return w
}

func drawNetworks(t *rapid.T) []meshv1alpha1.MeshNetwork {
	return rapid.SampledFrom([][]meshv1alpha1.MeshNetwork{
		nil,
		{{Name: "vpc", ClusterNames: []string{"ap", "eu"}}},
		{{Name: "vpc", ClusterNames: everyone}},
	}).Draw(t, "networks")
}

func (w *world) selected(name string) bool {
	c := w.fleet[name]
	chosen := w.meshes["mesh1"].Spec.ClusterAffinity.ClusterNames
	return c != nil && c.DeletionTimestamp == nil && (len(chosen) == 0 || slices.Contains(chosen, name))
}

func (w *world) lostFor(name string) time.Duration {
	c := w.fleet[name]
	if c == nil {
		return 0
	}
	ready := meta.FindStatusCondition(c.Status.Conditions, clusterv1alpha1.ClusterConditionReady)
	if ready.Status != metav1.ConditionUnknown {
		return 0
	}
	return w.now.Sub(ready.LastTransitionTime.Time)
}

// silence is what the cluster controller sees.
func (w *world) silence(name string) {
	status := metav1.ConditionTrue
	if w.cut[name] {
		status = metav1.ConditionUnknown
	}
	w.heard(name, status)
}

func (w *world) actions() map[string]func(*rapid.T) {
	pick := func(t *rapid.T) string { return rapid.SampledFrom(everyone).Draw(t, "cluster") }
	there := func(t *rapid.T) string {
		name := pick(t)
		if c := w.fleet[name]; c == nil || c.DeletionTimestamp != nil {
			t.Skip("it is not in the federation")
		}
		return name
	}
	return map[string]func(*rapid.T){
		"control": func(t *rapid.T) { w.control("mesh1", rapid.IntRange(-1, 6).Draw(t, "writes")) },
		"conflict": func(t *rapid.T) {
			for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom(everyone), rapid.ID).Draw(t, "failing") {
				w.failing[name] = true
			}
			w.control("mesh1", -1)
			clear(w.failing)
		},
		"apply":   func(t *rapid.T) { w.apply(pick(t)) },
		"reload":  func(t *rapid.T) { w.members[pick(t)].Reload(w.now) },
		"deliver": func(t *rapid.T) { w.deliver(pick(t), "mesh1") },
		"agent":   func(t *rapid.T) { w.agent(pick(t), "mesh1") },
		"catchUp": func(*rapid.T) { w.everybody(); w.everybody() },
		"minutes": func(t *rapid.T) { w.now = w.now.Add(time.Duration(rapid.IntRange(1, 20).Draw(t, "n")) * time.Minute) },
		"hours":   func(t *rapid.T) { w.now = w.now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "n")) * time.Hour) },
		"cut":     func(t *rapid.T) { name := there(t); w.cut[name] = !w.cut[name] },
		"silence": func(t *rapid.T) { w.silence(there(t)) },
		"rotate": func(*rapid.T) {
			w.roots++
			w.edit("mesh1", func(s *meshv1alpha1.MeshSpec) { s.Trust.RootGeneration = w.roots })
		},
		"away":     func(*rapid.T) { w.began = w.now },
		"restart":  func(t *rapid.T) { w.members[pick(t)].Restart(w.now) },
		"hang":     func(t *rapid.T) { m := w.members[pick(t)]; m.Hung = !m.Hung },
		"select":   func(t *rapid.T) { w.choose(pick(t), true) },
		"deselect": func(t *rapid.T) { w.choose(pick(t), false) },
		"unjoin":   func(t *rapid.T) { w.unjoin(there(t)) },
		"gone":     func(t *rapid.T) { w.goneFor(t, pick(t)) },
		"rejoin": func(t *rapid.T) {
			name := pick(t)
			if w.fleet[name] != nil {
				t.Skip("it is there")
			}
			w.join(name)
		},
		"networks": func(t *rapid.T) {
			networks := drawNetworks(t)
			w.edit("mesh1", func(s *meshv1alpha1.MeshSpec) { s.Networks = networks })
		},
		"placement": func(t *rapid.T) {
			w.placed = []link.Placed{{Namespace: "shop", Clusters: rapid.SliceOfDistinct(rapid.SampledFrom(everyone), rapid.ID).Draw(t, "placed")}}
			links := rapid.SampledFrom([]meshv1alpha1.MeshLinks{meshv1alpha1.LinksAll, meshv1alpha1.LinksPlacement}).Draw(t, "links")
			w.edit("mesh1", func(s *meshv1alpha1.MeshSpec) { s.Links = links })
		},
		"foreign": func(t *rapid.T) { w.putForeign(there(t)) },
		"address": func(t *rapid.T) { m := w.members[pick(t)]; m.NoAddress = !m.NoAddress },
		"":        func(*rapid.T) { w.check() },
	}
}

func (w *world) choose(name string, in bool) {
	w.edit("mesh1", func(s *meshv1alpha1.MeshSpec) {
		names := slices.DeleteFunc(slices.Clone(s.ClusterAffinity.ClusterNames), func(n string) bool { return n == name })
		if in {
			names = append(names, name)
		}
		slices.Sort(names)
		affinity := s.ClusterAffinity.DeepCopy()
		affinity.ClusterNames = names
		s.ClusterAffinity = affinity
	})
}

// unjoin begins the end of a Cluster.
func (w *world) unjoin(name string) {
	c := w.fleet[name].DeepCopy()
	c.DeletionTimestamp = &metav1.Time{Time: w.now}
	w.fleet[name] = c
}

// goneFor is the end of it: the namespace goes with all that is in it.
func (w *world) goneFor(t *rapid.T, name string) {
	if c := w.fleet[name]; c == nil || c.DeletionTimestamp == nil {
		t.Skip("it is not going")
	}
	delete(w.fleet, name)
	delete(w.cut, name)
	delete(w.delivered, name+"/mesh1")
	for key, obj := range w.objects {
		if obj.GetNamespace() == names.ExecutionNamespace(name) {
			delete(w.objects, key)
		}
	}
	// Another member comes under the name, if one does.
	w.replace(name)
	delete(w.foreign, name)
}

// replace has another member under a name.
func (w *world) replace(name string) {
	was := former{Member: w.members[name], peers: maps.Clone(w.members)}
	delete(was.peers, name)
	w.former = append(w.former, was)
	w.members[name] = newFederation(w.t, name).members[name]
	w.members[name].Incarnation = len(w.former)
}

// putForeign has somebody put a CA of his own into a cluster in which there is none
// yet; the agent sees it at once.
func (w *world) putForeign(name string) {
	m := w.members[name]
	if w.cut[name] || m.Has("Secret", meshv1alpha1.IstioNamespace, trust.CACertsSecret) || w.work(name, plan.WorkName("mesh1", plan.PartCA)) != nil {
		return
	}
	m.Put(foreignCA())
	w.foreign[name] = true
	w.deliver(name, "mesh1")
	w.agent(name, "mesh1")
}

// heal takes all faults back.
func (w *world) heal() {
	for _, name := range everyone {
		if c := w.fleet[name]; c != nil && c.DeletionTimestamp != nil {
			delete(w.fleet, name)
			w.replace(name)
			for key, obj := range w.objects {
				if obj.GetNamespace() == names.ExecutionNamespace(name) {
					delete(w.objects, key)
				}
			}
			delete(w.delivered, name+"/mesh1")
		}
		if w.fleet[name] == nil {
			w.join(name)
		}
		w.cut[name] = false
		w.heard(name, metav1.ConditionTrue)
		w.members[name].NoAddress, w.members[name].Hung = false, false
		if w.foreign[name] {
			w.members[name].Remove("Secret", meshv1alpha1.IstioNamespace, trust.CACertsSecret)
			w.members[name].Restart(w.now)
			w.foreign[name] = false
		}
		w.choose(name, true)
	}
	w.edit("mesh1", func(s *meshv1alpha1.MeshSpec) { s.Links = meshv1alpha1.LinksAll })
}

// obey has people do what conditions ask for.
func (w *world) obey() {
	for _, c := range w.meshes["mesh1"].Status.Clusters {
		trusted := meta.FindStatusCondition(c.Conditions, meshv1alpha1.ConditionTrusted)
		if trusted.Reason == "NotInEffect" && strings.Contains(trusted.Message, "restart deployment istiod") {
			w.members[c.Name].Restart(w.now)
		}
	}
}

// TestWhateverHappens: whatever comes late, is lost, restarted, cut off, put in by
// hand, joins or leaves, and between whichever two writes the controller ends, nothing
// is written that must not be; and once all works again the mesh becomes ready, with
// the root that was asked for, and nothing more is written.
func TestWhateverHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(w.actions())
		w.heal()
		done := func() bool {
			status := w.meshes["mesh1"].Status
			return w.ready("mesh1") && status.Trust.Stage == "Steady" && status.Trust.RootGeneration == w.roots
		}
		for range 100 * int(w.roots) {
			if done() {
				break
			}
			w.everybody()
			w.check()
			w.obey()
			w.now = w.now.Add(5 * time.Minute)
			for _, name := range everyone {
				w.heard(name, metav1.ConditionTrue)
			}
		}
		if !done() {
			t.Fatalf("it does not become ready:\n%s", w.explain())
		}
		if got := len(w.meshes["mesh1"].Status.Links); got != len(everyone)*(len(everyone)-1) {
			t.Fatalf("%d links", got)
		}
		w.checkFormer()
		w.settle()
		writes := fmt.Sprint(w.writes, w.status, slices.Sorted(maps.Keys(w.objects)))
		w.everybody()
		if now := fmt.Sprint(w.writes, w.status, slices.Sorted(maps.Keys(w.objects))); now != writes {
			t.Fatalf("a steady mesh is written")
		}
	})
}

// TestWhateverHappensCanFail: what is checked above is found when it is not so.
func TestWhateverHappensCanFail(t *testing.T) {
	cases := map[string]struct {
		reason string
		make   func(w *world)
		find   string
	}{
		"Order": {
			reason: "What follows from something is written before it.",
			make:   func(w *world) { w.reverse = true },
			find:   "stored is Steady",
		},
		"Tokens": {
			reason: "An agent does not care for tokens in use.",
			make:   func(w *world) { w.members["eu"].Hasty = true },
			find:   "was ended",
		},
		"Gateway": {
			reason: "An agent says that there is a label which is not there.",
			make:   func(w *world) { w.members["eu"].Unlabelled = true },
			find:   "before the networks are labelled",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var found []string
			w := &world{federation: newFederation(t, everyone...), foreign: map[string]bool{}}
			w.fail = func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
			w.onWrite = w.checkWrite
			w.addMesh("mesh1", func(spec *meshv1alpha1.MeshSpec) {
				spec.ClusterAffinity = &policyv1alpha1.ClusterAffinity{}
				spec.RemoteAccess.TokenTTL = &metav1.Duration{Duration: time.Hour}
			})
			tc.make(w)
			for i := range 40 {
				if i == 10 {
					w.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Trust.RootGeneration = 2 })
				}
				for _, name := range everyone { // out of step with each other
					w.everybody()
					w.check()
					w.now = w.now.Add(time.Minute)
					w.agent(name, "mesh1")
					w.check()
				}
			}
			if !slices.ContainsFunc(found, func(text string) bool { return strings.Contains(text, tc.find) }) {
				t.Errorf("%s Nothing with %q was found: %v", tc.reason, tc.find, found)
			}
		})
	}
}
