package trust

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// workload is a pod: a certificate and roots, both as of its last renewal.
type workload struct {
	signer Fingerprint
	roots  []Fingerprint
	ends   time.Time
}

// simCluster is a member with its istiod. What the federation hands out comes in
// late or not at all while it is cut off; istiod and workloads go on without.
type simCluster struct {
	name      string
	cut       bool
	given     *State  // what was handed out last; nil before the first
	secret    *Want   // what has arrived in the member
	stage     State   // of secret
	effect    *Effect // what istiod has loaded
	reported  *Effect // what the federation knows of that
	linked    bool    // peers know it, and it knows its peers
	workloads []workload
}

// renew is what a workload does before its certificate ends: it asks its istiod.
func (c *simCluster) renew(i int, now time.Time) {
	c.workloads[i] = workload{signer: c.effect.Signer, roots: slices.Clone(c.effect.Roots), ends: now.Add(LeafLifetime)}
}

// world has real certificates for every cluster under every root.
type world struct {
	now      time.Time
	state    State
	clusters []*simCluster
	roots    []*Authority
	begun    int
	leafs    map[string]leaf // by cluster and root
	verified map[string]error
}

const simWorkloads = 2

func newWorld(t testing.TB) *world {
	w := &world{now: epoch, leafs: map[string]leaf{}, verified: map[string]error{}}
	for i := range 3 {
		w.roots = append(w.roots, newRoot(t, int64(i)))
	}
	for _, name := range []string{"ap", "eu", "sa", "us"} {
		for _, root := range w.roots {
			// Valid for the whole test: when it really ends is in workload.
			w.leafs[name+string(root.Fingerprint())] = newLeaf(t, newSigner(t, root, name), epoch, IntermediateLifetime)
		}
	}
	return w
}

func (w *world) reset() {
	w.now, w.begun = epoch, 0
	w.state = NewState(w.roots[0].Fingerprint())
	w.clusters = nil
	for _, name := range []string{"ap", "eu", "sa", "us"} {
		w.clusters = append(w.clusters, &simCluster{name: name})
	}
}

// control is one round of the federation: it decides by what it knows, stores the
// state, and hands out what follows.
func (w *world) control(fatalf func(string, ...any), settle time.Duration) {
	var reports []Report
	for _, c := range w.clusters {
		reports = append(reports, Report{Cluster: c.name, Given: c.given != nil, Lost: c.cut, Effect: c.reported})
	}
	next, _ := Advance(w.state, reports, w.now, settle)
	stored, err := json.Marshal(next)
	if err != nil {
		fatalf("store the state: %v", err)
	}
	w.state = State{} // the federation may restart at any moment
	if err := json.Unmarshal(stored, &w.state); err != nil {
		fatalf("read the state: %v", err)
	}
	for _, c := range w.clusters {
		given := w.state
		c.given = &given
		if c.reported.has(w.state.Want()) {
			c.linked = true // it has what the others have: peers may call it
		}
	}
}

// arrive brings what was handed out into the member.
func (c *simCluster) arrive(fatalf func(string, ...any)) {
	if c.cut || c.given == nil {
		return
	}
	// For a cluster, the new root alone and the end of the change are the same.
	order := []Stage{TrustNew, TrustBoth, SignNew}
	was, is := max(slices.Index(order, c.stage.Stage), 0), max(slices.Index(order, c.given.Stage), 0)
	if c.secret != nil && was != is && (was+1)%3 != is {
		fatalf("cluster %s goes from %s to %s and skips a stage", c.name, c.stage.Stage, c.given.Stage)
	}
	want := c.given.Want()
	c.secret, c.stage = &want, *c.given
}

// load is istiod's reaction to a changed Secret.
func (c *simCluster) load(fatalf func(string, ...any), now time.Time) {
	if c.secret == nil {
		return
	}
	if c.effect != nil && !Loadable(c.effect.Roots, c.secret.Roots) {
		fatalf("istiod of %s has %v and refuses %v", c.name, c.effect.Roots, c.secret.Roots)
	}
	first := c.effect == nil
	c.effect = &Effect{Roots: c.secret.Roots, Signer: c.secret.Signer}
	if first {
		c.workloads = make([]workload, simWorkloads)
		for i := range c.workloads {
			c.renew(i, now)
		}
	}
}

// pass lets time go by. A workload renews at the latest when its certificate ends.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	for _, c := range w.clusters {
		for i := range c.workloads {
			for !w.now.Before(c.workloads[i].ends) {
				c.renew(i, c.workloads[i].ends.Add(-time.Second))
			}
		}
	}
}

// distrust finds two workloads of the mesh of which one does not trust the other.
func (w *world) distrust() error {
	for _, from := range w.clusters {
		for _, to := range w.clusters {
			if !from.linked || !to.linked {
				continue
			}
			for _, shows := range from.workloads {
				for _, checks := range to.workloads {
					if err := w.verify(from.name, shows, checks); err != nil {
						return fmt.Errorf("in stage %s, %s does not trust %s: %w", w.state.Stage, to.name, from.name, err)
					}
				}
			}
		}
	}
	return nil
}

func (w *world) verify(cluster string, shows, checks workload) error {
	key := fmt.Sprint(cluster, shows.signer, checks.roots)
	if err, ok := w.verified[key]; ok {
		return err
	}
	var roots []*x509.Certificate
	for _, root := range w.roots {
		if slices.Contains(checks.roots, root.Fingerprint()) {
			roots = append(roots, root.Certificate)
		}
	}
	err := trusted(w.leafs[cluster+string(shows.signer)], roots, epoch)
	w.verified[key] = err
	return err
}

func (w *world) actions(settle time.Duration) map[string]func(*rapid.T) {
	pick := func(t *rapid.T) *simCluster { return rapid.SampledFrom(w.clusters).Draw(t, "cluster") }
	return map[string]func(*rapid.T){
		"control": func(t *rapid.T) { w.control(t.Fatalf, settle) },
		"rotate": func(t *rapid.T) {
			if w.begun+1 >= len(w.roots) {
				t.Skip("there is no further root")
			}
			state, err := w.state.Begin(w.roots[w.begun+1].Fingerprint())
			if err != nil {
				t.Skip("a change is under way")
			}
			w.begun++
			w.state = state
		},
		"arrive": func(t *rapid.T) { pick(t).arrive(t.Fatalf) },
		"load":   func(t *rapid.T) { pick(t).load(t.Fatalf, w.now) },
		"report": func(t *rapid.T) {
			if c := pick(t); !c.cut && c.effect != nil {
				seen := *c.effect
				c.reported = &seen
			}
		},
		"catchUp": func(t *rapid.T) { // everything works for a while
			w.control(t.Fatalf, settle)
			for _, c := range w.clusters {
				c.arrive(t.Fatalf)
				c.load(t.Fatalf, w.now)
				if !c.cut && c.effect != nil {
					seen := *c.effect
					c.reported = &seen
				}
			}
			w.control(t.Fatalf, settle)
		},
		"cut": func(t *rapid.T) { c := pick(t); c.cut = !c.cut },
		"renew": func(t *rapid.T) {
			if c := pick(t); len(c.workloads) > 0 {
				c.renew(rapid.IntRange(0, simWorkloads-1).Draw(t, "workload"), w.now)
			}
		},
		"pass": func(t *rapid.T) { w.pass(time.Duration(rapid.IntRange(1, 30).Draw(t, "hours")) * time.Hour) },
		"leave": func(t *rapid.T) { // and come back, with an istiod that starts anew
			i := rapid.IntRange(0, len(w.clusters)-1).Draw(t, "cluster")
			w.clusters[i] = &simCluster{name: w.clusters[i].name}
		},
		"": func(t *rapid.T) {
			if err := w.distrust(); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// TestEveryInterleaving: whatever is slow, cut off, restarted, joins or leaves, the
// workloads of linked clusters trust each other, no cluster skips a stage, and no
// istiod is given what it refuses to load.
func TestEveryInterleaving(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(t *rapid.T) {
		w.reset()
		t.Repeat(w.actions(LeafLifetime))
	})
}

// TestInterleavingsCanFail: the test above finds it when the time is left out in
// which workloads renew.
func TestInterleavingsCanFail(t *testing.T) {
	w := newWorld(t)
	w.reset()
	fatalf := func(format string, args ...any) { t.Helper(); t.Fatalf(format, args...) }
	found := false
	for round := range 10 {
		if round == 2 {
			var err error
			if w.state, err = w.state.Begin(w.roots[1].Fingerprint()); err != nil {
				t.Fatal(err)
			}
		}
		w.control(fatalf, 0)
		for _, c := range w.clusters {
			c.arrive(fatalf)
			c.load(fatalf, w.now)
			c.reported = c.effect
			if c.name == "ap" {
				c.renew(0, w.now)
			}
		}
		found = found || w.distrust() != nil
	}
	if !found {
		t.Error("without waiting for workloads nothing was found to be wrong; the test cannot fail")
	}
}

// TestRotationEnds: when all clusters work a change of the root is through after
// two lifetimes of workload certificates.
func TestRotationEnds(t *testing.T) {
	w := newWorld(t)
	w.reset()
	fatalf := func(format string, args ...any) { t.Helper(); t.Fatalf(format, args...) }
	round := func() {
		w.control(fatalf, LeafLifetime)
		for _, c := range w.clusters {
			c.arrive(fatalf)
			c.load(fatalf, w.now)
			c.reported = c.effect
		}
		if err := w.distrust(); err != nil {
			t.Fatal(err)
		}
	}
	round()
	round()
	var err error
	if w.state, err = w.state.Begin(w.roots[1].Fingerprint()); err != nil {
		t.Fatal(err)
	}
	started := w.now
	for w.state.Stage != Steady {
		round()
		w.pass(time.Hour)
		if w.now.Sub(started) > 2*LeafLifetime+10*time.Hour {
			t.Fatalf("still in stage %s after %s", w.state.Stage, w.now.Sub(started))
		}
	}
	if w.state.Current != w.roots[1].Fingerprint() {
		t.Errorf("the root is %s", w.state.Current)
	}
}
