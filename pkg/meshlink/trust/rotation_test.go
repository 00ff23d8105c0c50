package trust

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	fpOld   Fingerprint = "sha256:old"
	fpNew   Fingerprint = "sha256:new"
	fpOther Fingerprint = "sha256:other"
)

func effect(signer Fingerprint, roots ...Fingerprint) *Effect {
	return &Effect{Roots: roots, Signer: signer}
}

func report(cluster string, e *Effect) Report {
	return Report{Cluster: cluster, Given: true, Effect: e}
}

func TestAdvance(t *testing.T) {
	at := func(d time.Duration) *time.Time { then := epoch.Add(d); return &then }
	state := func(stage Stage, settling *time.Time) State {
		return State{Generation: 2, Stage: stage, Current: fpOld, Next: fpNew, Settling: settling}
	}
	steady := State{Generation: 2, Stage: Steady, Current: fpNew, Former: []Fingerprint{fpOld}}
	both, signNew, newAlone := effect(fpOld, fpOld, fpNew), effect(fpNew, fpOld, fpNew), effect(fpNew, fpNew)
	all := func(e *Effect) []Report { return []Report{report("ap", e), report("eu", e)} }
	cases := map[string]struct {
		reason  string
		state   State
		reports []Report
		want    State
		holding []string
		until   *time.Time
	}{
		"Steady":        {reason: "Nothing is to be done.", state: steady, reports: all(newAlone), want: steady},
		"SteadyBehind":  {reason: "A cluster without its CA is no business of a change of the root.", state: steady, reports: []Report{report("eu", nil)}, want: steady},
		"BothSettles":   {reason: "Workloads have not got the roots yet.", state: state(TrustBoth, nil), reports: all(both), want: state(TrustBoth, at(0)), until: at(LeafLifetime)},
		"BothSettling":  {reason: "Some of them still have not.", state: state(TrustBoth, at(time.Minute-LeafLifetime)), reports: all(both), want: state(TrustBoth, at(time.Minute-LeafLifetime)), until: at(time.Minute)},
		"BothSettled":   {reason: "Every workload trusts the new root.", state: state(TrustBoth, at(-LeafLifetime)), reports: all(both), want: state(SignNew, nil)},
		"BothHeld":      {reason: "ap does not trust the new root.", state: state(TrustBoth, nil), reports: []Report{report("ap", effect(fpOld, fpOld)), report("eu", both)}, want: state(TrustBoth, nil), holding: []string{"ap RootsNotInEffect"}},
		"ClockAhead":    {reason: "A clock that was ahead does not hold it.", state: state(TrustBoth, at(time.Hour)), reports: all(both), want: state(TrustBoth, at(0)), until: at(LeafLifetime)},
		"FellBack":      {reason: "What was in effect is not any more: time begins anew.", state: state(TrustBoth, at(-LeafLifetime)), reports: []Report{report("ap", effect(fpOld, fpOld)), report("eu", both)}, want: state(TrustBoth, nil), holding: []string{"ap RootsNotInEffect"}},
		"Silent":        {reason: "An istiod that restarts does not begin the day anew.", state: state(TrustBoth, at(-time.Hour)), reports: []Report{{Cluster: "ap", Given: true}, report("eu", both)}, want: state(TrustBoth, at(-time.Hour)), holding: []string{"ap NotReported"}},
		"SilentLong":    {reason: "Nobody knows what ap trusts.", state: state(TrustBoth, at(-LeafLifetime)), reports: []Report{{Cluster: "ap", Given: true}, report("eu", both)}, want: state(TrustBoth, at(-LeafLifetime)), holding: []string{"ap NotReported"}},
		"CutOff":        {reason: "It cannot be known what ap trusts.", state: state(TrustBoth, nil), reports: []Report{{Cluster: "ap", Given: true, Lost: true, Effect: effect(fpOld, fpOld)}, report("eu", both)}, want: state(TrustBoth, nil), holding: []string{"ap ClusterLost"}},
		"CutOffAfter":   {reason: "What was in effect in ap stays so without us.", state: state(TrustBoth, at(-LeafLifetime)), reports: []Report{{Cluster: "ap", Given: true, Lost: true, Effect: both}, report("eu", both)}, want: state(SignNew, nil)},
		"NotGiven":      {reason: "ap is not in the mesh yet and gets the next stage.", state: state(TrustBoth, at(-LeafLifetime)), reports: []Report{{Cluster: "ap"}, report("eu", both)}, want: state(SignNew, nil)},
		"SilentRestart": {reason: "ap was given a CA, and nothing is known of it.", state: state(TrustBoth, nil), reports: []Report{report("ap", nil), report("eu", both)}, want: state(TrustBoth, nil), holding: []string{"ap NotReported"}},
		"Unloadable":    {reason: "istiod refuses roots that have nothing in common.", state: state(TrustBoth, nil), reports: []Report{report("ap", effect(fpOther, fpOther))}, want: state(TrustBoth, nil), holding: []string{"ap RootsNotLoadable"}},
		"OtherOrder":    {reason: "The same roots in other bytes are a reload that is refused without ISTIO_MULTIROOT_MESH.", state: state(TrustBoth, nil), reports: []Report{report("ap", effect(fpOld, fpNew, fpOld))}, want: state(TrustBoth, nil), holding: []string{"ap RootsNotInEffect"}},
		"SignerBehind":  {reason: "ap still signs under the old root.", state: state(SignNew, nil), reports: []Report{report("eu", signNew), report("ap", both)}, want: state(SignNew, nil), holding: []string{"ap SignerNotInEffect"}},
		"SignSettled":   {reason: "No certificate under the old root is left.", state: state(SignNew, at(-LeafLifetime)), reports: all(signNew), want: state(TrustNew, nil)},
		"NewHeld":       {reason: "ap could not load a third root yet.", state: state(TrustNew, nil), reports: []Report{report("ap", signNew), report("eu", newAlone)}, want: state(TrustNew, nil), holding: []string{"ap RootsNotInEffect"}},
		"Through":       {reason: "The old root is forgotten.", state: state(TrustNew, nil), reports: all(newAlone), want: steady},
		"AllBehind":     {reason: "They are named in order.", state: state(TrustBoth, nil), reports: []Report{report("us", nil), report("ap", nil)}, want: state(TrustBoth, nil), holding: []string{"ap NotReported", "us NotReported"}},
		"StageNotYours": {reason: "A cluster ahead of the stage is as wrong as one behind.", state: state(TrustBoth, nil), reports: all(newAlone), want: state(TrustBoth, nil), holding: []string{"ap RootsNotInEffect", "eu RootsNotInEffect"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, barrier := Advance(tc.state, tc.reports, epoch, LeafLifetime)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s State (-want +got):\n%s", tc.reason, diff)
			}
			var holding []string
			for _, h := range barrier.Holding {
				holding = append(holding, h.Cluster+" "+string(h.Reason))
				if !strings.Contains(barrier.Message(), "cluster "+h.Cluster) {
					t.Errorf("the message does not name %s: %s", h.Cluster, barrier.Message())
				}
			}
			if diff := cmp.Diff(tc.holding, holding); diff != "" {
				t.Errorf("%s Holding (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.until, barrier.Until); diff != "" {
				t.Errorf("%s Until (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestWayOut: whoever reads why a change does not go on has to learn what to do.
func TestWayOut(t *testing.T) {
	state := State{Stage: TrustBoth, Current: fpOld, Next: fpNew}
	cases := map[string]struct {
		report Report
		want   []string
	}{
		"Lost":       {report: Report{Cluster: "ap", Given: true, Lost: true}, want: []string{"step 1 of 3", "bring it back", "spec.clusterAffinity"}},
		"Roots":      {report: report("ap", effect(fpOld, fpOld)), want: []string{"ISTIO_MULTIROOT_MESH=true"}},
		"Unloadable": {report: report("ap", effect(fpOther, fpOther)), want: []string{"restart istiod"}},
		"Signer":     {report: report("ap", effect(fpNew, fpOld, fpNew)), want: []string{"istiod's log"}},
		"Replica":    {report: Report{Cluster: "ap", Given: true, Effect: effect(fpOld, fpOld), Trouble: "istiod-b is behind"}, want: []string{"istiod-b is behind"}},
		"NoAnswer":   {report: Report{Cluster: "ap", Given: true, Trouble: "istiod-b does not answer"}, want: []string{"istiod-b does not answer"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, barrier := Advance(state, []Report{tc.report}, epoch, LeafLifetime)
			for _, want := range append(tc.want, "cluster ap", "trust each other") {
				if !strings.Contains(barrier.Message(), want) {
					t.Errorf("no %q in: %s", want, barrier.Message())
				}
			}
		})
	}
}

func TestBegin(t *testing.T) {
	state := NewState(fpOld)
	same, err := state.Begin(fpOld)
	if err != nil || !cmp.Equal(same, state) {
		t.Errorf("the root there is already: %+v, error %v", same, err)
	}
	begun, err := state.Begin(fpNew)
	if err != nil {
		t.Fatal(err)
	}
	if begun.Stage != TrustBoth || begun.Generation != 2 {
		t.Errorf("got %+v", begun)
	}
	if _, err := begun.Begin(fpOther); !errors.Is(err, ErrRotating) {
		t.Errorf("two changes at a time, error %v", err)
	}
}

// TestStages: each stage can be loaded by an istiod that has the one before, and
// differs from it in one thing only.
func TestStages(t *testing.T) {
	state, err := NewState(fpOld).Begin(fpNew)
	if err != nil {
		t.Fatal(err)
	}
	before := NewState(fpOld).Want()
	for range 3 {
		want := state.Want()
		if !Loadable(before.Roots, want.Roots) {
			t.Errorf("%s: %v cannot be loaded after %v", state.Stage, want.Roots, before.Roots)
		}
		roots, signer := !slices.Equal(before.Roots, want.Roots), before.Signer != want.Signer
		if roots == signer {
			t.Errorf("%s: roots change: %v, signer changes: %v; want exactly one", state.Stage, roots, signer)
		}
		if !slices.Contains(want.Roots, want.Signer) {
			t.Errorf("%s: the signer is not trusted", state.Stage)
		}
		before, state = want, state.next()
	}
	if diff := cmp.Diff(State{Generation: 2, Stage: Steady, Current: fpNew, Former: []Fingerprint{fpOld}}, state); diff != "" {
		t.Errorf("after three stages (-want +got):\n%s", diff)
	}
}

// TestAccepts: a link stays while a cluster goes from one stage to the next, and
// is made with no other CA.
func TestAccepts(t *testing.T) {
	stages := []*Effect{effect(fpOld, fpOld), effect(fpOld, fpOld, fpNew), effect(fpNew, fpOld, fpNew), effect(fpNew, fpNew)}
	for i, stage := range []Stage{Steady, TrustBoth, SignNew, TrustNew} {
		state := State{Stage: stage, Current: fpOld, Next: fpNew}
		for j, e := range stages {
			if got, want := state.Accepts(e), j == i || j == i-1; got != want {
				t.Errorf("in stage %s, %+v is accepted: %v, want %v", stage, e, got, want)
			}
		}
		if state.Accepts(nil) {
			t.Errorf("in stage %s, nothing is accepted", stage)
		}
	}
}

func TestRenew(t *testing.T) {
	root := newRoot(t, 1)
	issued := newSigner(t, root, "eu")
	due := RenewAt(issued.Certificate.NotBefore, issued.Certificate.NotAfter, LeafLifetime)
	taken := &Effect{Signer: root.Fingerprint(), Intermediate: issued.Fingerprint()}
	cases := map[string]struct {
		reason  string
		issued  *Intermediate
		signer  Fingerprint
		effect  *Effect
		now     time.Time
		issue   string
		warning bool
	}{
		"First":     {reason: "There is none.", signer: root.Fingerprint(), now: epoch, issue: IssueFirst},
		"Keep":      {reason: "It has long to live.", issued: issued, signer: root.Fingerprint(), effect: taken, now: epoch.Add(time.Hour)},
		"OtherRoot": {reason: "Another root signs now.", issued: issued, signer: fpNew, effect: taken, now: epoch, issue: IssueRoot},
		"NotYet":    {reason: "A second before it is due.", issued: issued, signer: root.Fingerprint(), effect: taken, now: due.Add(-time.Second)},
		"Due":       {reason: "It is time.", issued: issued, signer: root.Fingerprint(), effect: taken, now: due, issue: IssueRenewal},
		"NotTaken":  {reason: "istiod logs what it does not load, and nobody reads it.", issued: issued, signer: root.Fingerprint(), effect: &Effect{Intermediate: fpOther}, now: epoch.Add(time.Hour), warning: true},
		"JustMade":  {reason: "The kubelet takes a minute or two.", issued: issued, signer: root.Fingerprint(), effect: &Effect{Intermediate: fpOther}, now: epoch.Add(time.Minute)},
		"NoReport":  {reason: "Nothing is known, so nothing is claimed.", issued: issued, signer: root.Fingerprint(), now: epoch.Add(time.Hour)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := Renew(tc.issued, tc.signer, tc.effect, tc.now, LeafLifetime)
			if got.Issue != (tc.issue != "") || got.Reason != tc.issue || (got.Warning != "") != tc.warning {
				t.Errorf("%s Got %+v", tc.reason, got)
			}
			if !got.Issue && !got.At.After(tc.now) {
				t.Errorf("%s It would be looked at again at %s, which is not after now", tc.reason, got.At)
			}
		})
	}
}

func TestRenewAt(t *testing.T) {
	cases := map[string]struct {
		reason string
		life   time.Duration
		want   time.Duration
	}{
		"Year":  {reason: "Two thirds.", life: 360 * 24 * time.Hour, want: 240 * 24 * time.Hour},
		"Days":  {reason: "What it signs must end before it does, twice over.", life: 5 * 24 * time.Hour, want: 3 * 24 * time.Hour},
		"Short": {reason: "Never before half its life, or it would be renewed all the time.", life: 2 * time.Hour, want: time.Hour},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := RenewAt(epoch, epoch.Add(tc.life), LeafLifetime).Sub(epoch); got != tc.want {
				t.Errorf("%s Got %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

// TestNewIntermediatesAreNotDue: whatever lifetimes are asked for, one that was just
// made is kept for a while, or it would be made anew at each look.
func TestNewIntermediatesAreNotDue(t *testing.T) {
	root := newRoot(t, 1)
	for _, life := range []time.Duration{8 * time.Second, 40 * time.Second, 30 * time.Minute, time.Hour, 3 * time.Hour, 4 * time.Hour, 96 * time.Hour, IntermediateLifetime} {
		leaf := life / 4 // as short as validation allows
		issued, err := NewIntermediate(root, testMesh, "eu", epoch, life)
		if err != nil {
			t.Fatal(err)
		}
		if made := madeAt(issued.Certificate.NotBefore, issued.Certificate.NotAfter); made.Sub(epoch).Abs() > time.Second {
			t.Errorf("%s: it counts as made at %s, want %s", life, made, epoch)
		}
		got := Renew(issued, root.Fingerprint(), nil, epoch.Add(life/4), leaf)
		if got.Issue {
			t.Errorf("%s: a quarter of its life after it was made there is another one", life)
		}
		if last := issued.Certificate.NotAfter.Add(-leaf); !got.Issue && got.At.After(last) {
			t.Errorf("%s: it is renewed at %s, when what it signs would not live to its end", life, got.At)
		}
	}
}

// TestRenewalOverlaps: what the old intermediate signed last is trusted until it
// ends, and so is what the new one signs.
func TestRenewalOverlaps(t *testing.T) {
	root := newRoot(t, 1)
	roots, err := ParseCertificates(Bundle(root.Certificate))
	if err != nil {
		t.Fatal(err)
	}
	older := newSigner(t, root, "eu")
	now := RenewAt(older.Certificate.NotBefore, older.Certificate.NotAfter, LeafLifetime)
	newer, err := NewIntermediate(root, testMesh, "eu", now, IntermediateLifetime)
	if err != nil {
		t.Fatal(err)
	}
	last, first := newLeaf(t, older, now, LeafLifetime), newLeaf(t, newer, now, LeafLifetime)
	for _, at := range []time.Duration{0, LeafLifetime / 2, LeafLifetime - time.Second} {
		if err := trusted(last, roots, now.Add(at)); err != nil {
			t.Errorf("under the old intermediate, after %s: %v", at, err)
		}
		if err := trusted(first, roots, now.Add(at)); err != nil {
			t.Errorf("under the new intermediate, after %s: %v", at, err)
		}
	}
}
