package remotesecret

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const ttl = 24 * time.Hour

func generation(i int, expires time.Time) Generation {
	return Generation{Token: fmt.Sprintf("t%d", i), Secret: fmt.Sprintf("s%d", i), Expires: expires}
}

func TestRotate(t *testing.T) {
	g1, g2, g3 := generation(1, epoch.Add(ttl/4)), generation(2, epoch.Add(ttl/2)), generation(3, epoch.Add(ttl))
	both := State{Generations: []Generation{g1, g2}}
	known := func(cluster, secret string, synced bool) ReaderReport {
		return ReaderReport{Cluster: cluster, Known: true, Secret: secret, Synced: synced}
	}
	cases := map[string]struct {
		reason  string
		state   State
		newest  Generation
		readers []ReaderReport
		now     time.Time
		inUse   []string
		waiting []string
		warning bool
	}{
		"First":      {reason: "There is one.", newest: g1, now: epoch, inUse: []string{"t1"}},
		"Same":       {reason: "Nothing new.", state: State{Generations: []Generation{g1}}, newest: g1, readers: []ReaderReport{known("eu", "s1", true)}, now: epoch, inUse: []string{"t1"}},
		"New":        {reason: "Nobody has the new one yet.", state: State{Generations: []Generation{g1}}, newest: g2, readers: []ReaderReport{known("us", "s1", true), known("eu", "s1", true)}, now: epoch, inUse: []string{"t1", "t2"}, waiting: []string{"eu", "us"}},
		"OneTook":    {reason: "us still uses the old one.", state: both, newest: g2, readers: []ReaderReport{known("us", "s1", true), known("eu", "s2", true)}, now: epoch, inUse: []string{"t1", "t2"}, waiting: []string{"us"}},
		"NotSynced":  {reason: "The new one is there, but istiod goes on with the old one until it works.", state: both, newest: g2, readers: []ReaderReport{known("eu", "s2", false)}, now: epoch, inUse: []string{"t1", "t2"}, waiting: []string{"eu"}},
		"AllTook":    {reason: "The old one can be ended.", state: both, newest: g2, readers: []ReaderReport{known("us", "s2", true), known("eu", "s2", true)}, now: epoch, inUse: []string{"t2"}},
		"Lost":       {reason: "us may use any token it was ever given.", state: both, newest: g2, readers: []ReaderReport{{Cluster: "us", Secret: "s2", Synced: true}, known("eu", "s2", true)}, now: epoch, inUse: []string{"t1", "t2"}, waiting: []string{"us"}},
		"LostEnds":   {reason: "The token has ended by itself.", state: both, newest: g2, readers: []ReaderReport{{Cluster: "us"}}, now: epoch.Add(ttl / 4), inUse: []string{"t2"}, waiting: []string{"us"}},
		"NoSecret":   {reason: "A cluster that has no remote secret uses no token.", state: both, newest: g2, readers: []ReaderReport{known("us", "", false)}, now: epoch, inUse: []string{"t2"}},
		"Unknown":    {reason: "Whatever that secret was made of.", state: both, newest: g3, readers: []ReaderReport{known("us", "s0", true)}, now: epoch, inUse: []string{"t1", "t2", "t3"}, waiting: []string{"us"}},
		"Middle":     {reason: "The oldest is used by nobody any more.", state: both, newest: g3, readers: []ReaderReport{known("us", "s2", true), known("eu", "s3", true)}, now: epoch, inUse: []string{"t2", "t3"}, waiting: []string{"us"}},
		"Ended":      {reason: "The agent makes no new one.", state: State{Generations: []Generation{g1}}, newest: g1, readers: []ReaderReport{known("eu", "s1", true)}, now: epoch.Add(ttl), inUse: []string{"t1"}, warning: true},
		"NewAddress": {reason: "The same token for another server: another kubeconfig.", state: State{Generations: []Generation{{Token: "t2", Secret: "s0", Expires: g2.Expires}}}, newest: g2, readers: []ReaderReport{known("eu", "s0", true)}, now: epoch, inUse: []string{"t2"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(tc.state.Generations)
			state, plan := Rotate(tc.state, tc.newest, tc.readers, tc.now)
			if diff := cmp.Diff(tc.inUse, plan.InUse); diff != "" {
				t.Errorf("%s In use (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.waiting, plan.Waiting); diff != "" {
				t.Errorf("%s Waiting (-want +got):\n%s", tc.reason, diff)
			}
			if (plan.Warning != "") != tc.warning {
				t.Errorf("%s Warning: %q", tc.reason, plan.Warning)
			}
			if got := state.Generations[len(state.Generations)-1]; got != tc.newest {
				t.Errorf("%s The newest is %v", tc.reason, got)
			}
			if diff := cmp.Diff(before, tc.state.Generations); diff != "" {
				t.Errorf("the given state was changed:\n%s", diff)
			}
		})
	}
}

func TestMint(t *testing.T) {
	cases := map[string]struct {
		reason          string
		issued, expires time.Time
		ttl             time.Duration
		now             time.Time
		want            bool
	}{
		"None":     {reason: "There is no token.", ttl: ttl, now: epoch, want: true},
		"Young":    {reason: "Half of its life is not over.", issued: epoch, expires: epoch.Add(ttl), ttl: ttl, now: epoch.Add(ttl/2 - time.Second)},
		"Half":     {reason: "It is.", issued: epoch, expires: epoch.Add(ttl), ttl: ttl, now: epoch.Add(ttl / 2), want: true},
		"Cut":      {reason: "The API server gave an hour only: half of that counts.", issued: epoch, expires: epoch.Add(time.Hour), ttl: ttl, now: epoch.Add(30 * time.Minute), want: true},
		"TooLong":  {reason: "Shorter tokens are wanted now.", issued: epoch, expires: epoch.Add(ttl), ttl: time.Hour, now: epoch.Add(time.Minute), want: true},
		"Extended": {reason: "Some API servers give a little more than was asked for.", issued: epoch, expires: epoch.Add(time.Hour + 7*time.Second), ttl: time.Hour, now: epoch.Add(time.Second)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, at := Mint(tc.issued, tc.expires, tc.ttl, tc.now)
			if got != tc.want {
				t.Errorf("%s Got %v", tc.reason, got)
			}
			if !got && !at.After(tc.now) {
				t.Errorf("%s The next time is %s, which is not after now", tc.reason, at)
			}
		})
	}
}

func TestCheckVersion(t *testing.T) {
	for text, ok := range map[string]bool{
		"1.31.0": true, "1.31.1": true, "1.32.0-rc.1": true, "2.0.0": true, "1.31.1-distroless": true,
		"1.30.0": false, "1.30.3": false, "1.29.5": false,
		"unknown": true, "": true, // a build of one's own
	} {
		if got := CheckVersion(text); (got == "") != ok {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// simReader is a cluster that reads the peer: its istiod makes before it breaks.
type simReader struct {
	cut     bool
	wanted  int // generation that it is to have
	secret  int // generation that has arrived
	using   int // generation that istiod is connected with
	report  ReaderReport
	present bool
}

// TestTokensOverlap: whatever readers are slow or cut off, no token is ended that
// an istiod still uses; and when all work, in the end only the newest is left.
func TestTokensOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := epoch
		state := State{}
		tokens := []Generation{generation(0, now.Add(ttl))}
		issued := now
		ended := map[int]bool{}
		readers := []*simReader{{}, {}}
		for i, r := range readers {
			r.report = ReaderReport{Cluster: fmt.Sprint(i)}
		}
		var plan Plan
		control := func() {
			var reports []ReaderReport
			for _, r := range readers {
				report := r.report
				report.Known = report.Known && !r.cut
				reports = append(reports, report)
				r.wanted = len(tokens) - 1
			}
			state, plan = Rotate(state, tokens[len(tokens)-1], reports, now)
		}
		agent := func() { // of the peer
			if mint, _ := Mint(issued, tokens[len(tokens)-1].Expires, ttl, now); mint {
				tokens = append(tokens, generation(len(tokens), now.Add(ttl)))
				issued = now
			}
			for i := range tokens[:len(tokens)-1] {
				if !slices.Contains(plan.InUse, tokens[i].Token) {
					ended[i] = true
				}
			}
		}
		works := func(i int) bool { return !ended[i] && now.Before(tokens[i].Expires) }
		arrive := func(r *simReader) {
			if !r.cut {
				r.secret, r.present = r.wanted, true
			}
		}
		load := func(r *simReader) {
			if r.present && works(r.secret) {
				r.using = r.secret
			}
		}
		tell := func(r *simReader) {
			if !r.cut && r.present {
				r.report.Known, r.report.Secret, r.report.Synced = true, tokens[r.secret].Secret, r.using == r.secret
			}
		}
		control()
		for _, r := range readers {
			arrive(r)
			load(r)
			tell(r)
		}
		pick := func(t *rapid.T) *simReader { return rapid.SampledFrom(readers).Draw(t, "reader") }
		t.Repeat(map[string]func(*rapid.T){
			"control": func(*rapid.T) { control() },
			"agent":   func(*rapid.T) { agent() },
			"renew": func(*rapid.T) { // half a life later there is a new token, and readers get it
				now = now.Add(ttl / 2)
				agent()
				control()
				for _, r := range readers {
					arrive(r)
				}
			},
			"arrive": func(t *rapid.T) { arrive(pick(t)) },
			"load":   func(t *rapid.T) { load(pick(t)) },
			"tell": func(*rapid.T) { // and something follows from it
				for _, r := range readers {
					tell(r)
				}
				control()
				agent()
			},
			"cut":  func(t *rapid.T) { r := pick(t); r.cut = !r.cut },
			"pass": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 5).Draw(t, "hours")) * time.Hour) },
			"": func(t *rapid.T) {
				for i, r := range readers {
					if ended[r.using] && now.Before(tokens[r.using].Expires) {
						t.Fatalf("token %d was ended, and reader %d uses it", r.using, i)
					}
				}
			},
		})
		for range 3 { // now all work
			agent()
			control()
			for _, r := range readers {
				r.cut = false
				arrive(r)
				load(r)
				tell(r)
			}
		}
		control()
		if want := []string{tokens[len(tokens)-1].Token}; !slices.Equal(plan.InUse, want) || len(plan.Waiting) > 0 {
			t.Fatalf("in the end %v are in use and %v wait; want %v and nobody", plan.InUse, plan.Waiting, want)
		}
	})
}
