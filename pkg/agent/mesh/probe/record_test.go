package probe

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func shut(names ...string) Result { return Result{Passed: true, Reason: NoService, Closed: names} }

func TestRecord(t *testing.T) {
	known := []string{"a", "b"}
	pass, unreachable := Result{Passed: true, Name: "a"}, Result{Reason: Unreachable}
	unready, foreign := Result{Reason: NoGateway, Failed: known}, Result{Reason: WrongRoot, Failed: known}
	for name, tc := range map[string]struct {
		reason string
		known  []string
		every  time.Duration
		got    []Result
		passed bool
		want   string
	}{
		"Passes":           {reason: "All is well.", known: known, got: []Result{pass}, passed: true},
		"ClosedOnce":       {reason: "A pod was replaced.", known: known, every: 5 * time.Second, got: []Result{pass, shut(known...)}, passed: true},
		"ClosedTwice":      {reason: "Twice.", known: known, every: 5 * time.Second, got: []Result{pass, shut(known...), shut(known...)}, passed: true},
		"Closed":           {reason: "The gateway is gone, and a load balancer answers for it.", known: known, every: 5 * time.Second, got: []Result{pass, shut(known...), shut(known...), shut(known...)}, want: NothingBehind},
		"ClosedFast":       {reason: "Three times within a moment is once.", known: known, every: time.Second, got: []Result{pass, shut(known...), shut(known...), shut(known...)}, passed: true},
		"ClosedInBetween":  {reason: "It begins anew.", known: known, every: 5 * time.Second, got: []Result{pass, shut(known...), shut(known...), pass, shut(known...)}, passed: true},
		"ClosedAtFirst":    {reason: "Nobody has ever been there.", known: known, every: 30 * time.Second, got: []Result{shut(known...), shut(known...), shut(known...)}, want: NothingBehind},
		"NewService":       {reason: "The gateway may not know of it yet.", known: known, every: 5 * time.Second, got: []Result{shut("x"), shut(known...), shut(known...), shut(known...), shut(known...)}, passed: true, want: NoService},
		"NewUnready":       {reason: "Its pods may be about to start.", known: known, every: 5 * time.Second, got: []Result{shut("x"), unready, shut(known...), unready, unready}, passed: true, want: NoService},
		"NewNeverReady":    {reason: "That takes too long.", known: known, every: 15 * time.Second, got: []Result{shut("x"), unready, unready, unready, unready, unready}, want: NoGateway},
		"UnreadyOnce":      {reason: "The pod that answered is replaced.", known: known, every: 5 * time.Second, got: []Result{pass, unready}, passed: true},
		"Unready":          {reason: "It stays so.", known: known, every: 5 * time.Second, got: []Result{pass, unready, unready, unready}, want: NoGateway},
		"UnreadyAtFirst":   {reason: "It has never passed.", known: known, got: []Result{unready}, want: NoGateway},
		"UnreadyAfter":     {reason: "What failed has not passed since.", known: known, got: []Result{unreachable, unready}, want: NoGateway},
		"NewAndGone":       {reason: "No connection is no fault of a service.", known: known, got: []Result{shut("x"), unreachable}, want: Unreachable},
		"NewWrongRoot":     {reason: "Another root does not become right by waiting.", known: known, got: []Result{shut("x"), foreign}, want: WrongRoot},
		"ClosedAfterFault": {reason: "What failed has not passed since.", known: known, got: []Result{unreachable, shut(known...)}, want: NothingBehind},
		"NotAllTried":      {reason: "Another may be there.", known: known, every: 5 * time.Second, got: []Result{shut("a"), shut("a"), shut("a")}, passed: true, want: NoService},
		"NoneKnown":        {reason: "There was nobody to answer.", every: 5 * time.Second, got: []Result{pass, shut("x"), shut("x"), shut("x")}, passed: true, want: NoService},
	} {
		t.Run(name, func(t *testing.T) {
			r, now := &Record{Address: "192.0.2.1:15443"}, noon
			for _, got := range tc.got {
				r.Take(got, tc.known, now)
				now = now.Add(tc.every)
			}
			assert.Equal(t, tc.passed, r.Result.Passed, tc.reason)
			assert.Equal(t, tc.want, r.Result.Reason, tc.reason)
			if tc.want == NothingBehind {
				assert.Contains(t, r.Result.Message, "192.0.2.1:15443")
			}
		})
	}
}

func TestDue(t *testing.T) {
	r := &Record{}
	assert.True(t, r.Due(nil, noon), "never tried")
	r.Take(Result{Passed: true, Name: "a"}, nil, noon)
	assert.False(t, r.Due(nil, noon.Add(50*time.Second)), "workloads are left alone")
	assert.True(t, r.Due(nil, noon.Add(time.Minute)))
	r.Reached(Result{Passed: true}, noon.Add(20*time.Second))
	assert.False(t, r.Due(nil, noon.Add(50*time.Second)))
	r.Reached(Result{Reason: Unreachable}, noon.Add(30*time.Second))
	assert.False(t, r.Result.Passed, "what is not reached has not to wait for a handshake")
	assert.True(t, r.Due(nil, noon.Add(31*time.Second)))

	assert.Equal(t, 1, r.Failed)
	r.Take(Result{Reason: WrongRoot}, nil, noon)
	assert.Equal(t, 2, r.Failed, "in a row, whatever it was")

	r.Take(Result{Passed: true, Name: "a"}, nil, noon)
	assert.Zero(t, r.Failed)
	r.Again()
	assert.True(t, r.Due(nil, noon), "with another certificate")
	r.Take(Result{Passed: true, Name: "a"}, nil, noon)
	assert.False(t, r.Due(nil, noon))

	r.Take(shut("a"), nil, noon)
	assert.False(t, r.Due([]string{"a"}, noon.Add(5*time.Second)))
	assert.True(t, r.Due([]string{"a", "b"}, noon.Add(time.Second)), "a service has come")
	assert.True(t, r.Due(nil, noon.Add(10*time.Second)))
}

func TestCombine(t *testing.T) {
	record := func(i int, result Result) *Record {
		address := fmt.Sprintf("192.0.2.%d:15443", i)
		if !result.Passed || result.Reason != "" {
			result.Message = address + ": words"
		}
		r := &Record{Address: address, Result: result, Tried: noon}
		if !result.Passed {
			r.Failed = len(result.Failed)
			r.Result.Failed = nil
		}
		return r
	}
	lasts := Result{Reason: Unreachable, Failed: make([]string, lasting)}
	good, bad, foreign, empty := Result{Passed: true}, Result{Reason: Unreachable}, Result{Reason: WrongRoot}, Result{Passed: true, Reason: NoService}
	for name, tc := range map[string]struct {
		reason  string
		results []Result
		want    Result
	}{
		"One":        {reason: "Good.", results: []Result{good}, want: Result{Passed: true}},
		"OneBad":     {reason: "It is the only one.", results: []Result{bad}, want: Result{Reason: Unreachable, Message: "192.0.2.0:15443: words"}},
		"OneOfThree": {reason: "A node is drained: the link goes on.", results: []Result{good, bad, good}, want: Result{Passed: true, Message: "1 of 3 addresses do not answer as they have to: 192.0.2.1:15443: words"}},
		"Lasting":    {reason: "Some calls go there, so it is said.", results: []Result{good, lasts, good}, want: Result{Passed: true, Reason: "SomeAddressesFail", Message: "1 of 3 addresses do not answer as they have to: 192.0.2.1:15443: words"}},
		"LastingToo": {reason: "Of one that has no service yet, too.", results: []Result{lasts, empty}, want: Result{Passed: true, Reason: "SomeAddressesFail", Message: "1 of 2 addresses do not answer as they have to: 192.0.2.0:15443: words"}},
		"Half":       {reason: "Half is not less than half.", results: []Result{bad, good}, want: Result{Passed: true, Message: "1 of 2 addresses do not answer as they have to: 192.0.2.0:15443: words"}},
		"Most":       {reason: "Most calls would be lost.", results: []Result{bad, good, bad}, want: Result{Reason: Unreachable, Message: "2 of 3 addresses do not answer as they have to: 192.0.2.0:15443: words"}},
		"All":        {reason: "What most say.", results: []Result{bad, foreign, foreign}, want: Result{Reason: WrongRoot, Message: "3 of 3 addresses do not answer as they have to: 192.0.2.1:15443: words"}},
		"Empty":      {reason: "Nothing to shake hands with.", results: []Result{empty}, want: Result{Passed: true, Reason: NoService, Message: "192.0.2.0:15443: words"}},
		"EmptyOne":   {reason: "A handshake is what is looked for.", results: []Result{empty, good}, want: Result{Passed: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var records []*Record
			for i, result := range tc.results {
				records = append(records, record(i, result))
			}
			records = append(records, &Record{Address: "192.0.2.0:1"}) // its turn has not come
			got, ok := Combine(records)
			assert.True(t, ok)
			assert.Equal(t, tc.want, got, tc.reason)
		})
	}
	_, ok := Combine([]*Record{{}})
	assert.False(t, ok, "nothing is said of what was not tried")
}

func TestOrder(t *testing.T) {
	c := Choice{
		From: "eu", To: "us", Lucky: "l", Failed: []string{"bad"},
		Known:   []Candidate{{"bad", true}, {"tcp", false}, {"http", true}},
		Guessed: []Candidate{{"http", true}, {"l", true}, {"own", true}, {"owntcp", false}},
	}
	names, known := Order(&c)
	assert.Equal(t, []string{"l", "http", "own", "tcp", "owntcp", "bad"}, names)
	assert.ElementsMatch(t, []string{"bad", "tcp", "http"}, known)
}

func TestOrderIsBoundedAndMovesOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		many := func(what string) (all []Candidate) {
			for i := range rapid.IntRange(0, 30).Draw(t, what) {
				all = append(all, Candidate{Name: fmt.Sprint(what, i), HTTP: rapid.Bool().Draw(t, "http")})
			}
			return all
		}
		c := Choice{From: "eu", To: "us", Known: many("known"), Guessed: many("guess")}
		had := map[string]bool{}
		for c.Turn = range 40 {
			names, known := Order(&c)
			require.LessOrEqual(t, len(names), maxNames)
			require.True(t, containsAll(names, known), "all that are known are tried")
			for _, name := range names {
				require.False(t, len(names) > 1 && names[0] == names[1], "none twice")
				had[name] = true
			}
		}
		for _, x := range c.Guessed {
			if x.HTTP || len(c.Guessed) <= maxNames-min(len(c.Known), maxKnown) {
				require.True(t, had[x.Name], "%s has its turn", x.Name)
			}
		}
	})
}

func TestClustersDoNotAllTryTheSame(t *testing.T) {
	c := Choice{To: "us"}
	for i := range 10 {
		c.Known = append(c.Known, Candidate{Name: fmt.Sprintf("outbound_.80_._.s%d.default.svc.cluster.local", i), HTTP: true})
	}
	first := map[string]int{}
	for i := range 50 {
		c.From = fmt.Sprintf("cluster%d", i)
		names, _ := Order(&c)
		first[names[0]]++
		again, _ := Order(&c)
		assert.Equal(t, names, again)
	}
	for name, count := range first {
		assert.Less(t, count, 25, name)
	}
	assert.Greater(t, len(first), 4)
}
