package reader

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// delivered is a token that was issued some time before noon, for 24 h.
func delivered(name string, ago time.Duration, change ...func(*Token)) Token {
	t := Token{
		Secret: name, Hash: "hash-" + name, Created: noon.Add(-ago), Issued: noon.Add(-ago),
		Life: 24 * time.Hour, Asked: 24 * time.Hour, For: "us", Delivered: true,
	}
	for _, c := range change {
		c(&t)
	}
	return t
}

func TestDecide(t *testing.T) {
	undelivered := func(t *Token) { t.Delivered = false }
	reserved := func(t *Token) { *t = Token{Secret: t.Secret, Created: t.Created} }
	lives := func(granted time.Duration) func(*Token) { return func(t *Token) { t.Life = granted } }
	want := func(change ...func(*Wanted)) *Wanted {
		w := &Wanted{Life: 24 * time.Hour, For: "us"}
		for _, c := range change {
			c(w)
		}
		return w
	}
	uses := func(names ...string) func(*Wanted) {
		return func(w *Wanted) {
			for _, n := range names {
				w.InUse = append(w.InUse, "hash-"+n)
			}
		}
	}
	after := func(t time.Time) func(*Wanted) { return func(w *Wanted) { w.After = t } }
	cases := map[string]struct {
		reason string
		tokens []Token
		wanted *Wanted
		make   bool
		newest string
		end    []string
		at     time.Time
	}{
		"None":           {reason: "The first one.", wanted: want(), make: true},
		"Young":          {reason: "It is good until half of its life.", tokens: []Token{delivered("a", time.Hour)}, wanted: want(uses("a")), newest: "a", at: noon.Add(11 * time.Hour)},
		"HalfGone":       {reason: "Then comes another.", tokens: []Token{delivered("a", 12*time.Hour)}, wanted: want(uses("a")), newest: "a", make: true},
		"Shortened":      {reason: "What the API server granted counts.", tokens: []Token{delivered("a", 31*time.Minute, lives(time.Hour))}, wanted: want(uses("a")), newest: "a", make: true},
		"GrantedLonger":  {reason: "Asking again would not make it shorter.", tokens: []Token{delivered("a", time.Hour, lives(100*time.Hour))}, wanted: want(uses("a")), newest: "a", at: noon.Add(49 * time.Hour)},
		"TooLongNow":     {reason: "The mesh wants shorter lives than when it was made.", tokens: []Token{delivered("a", time.Hour, func(t *Token) { t.Asked = 48 * time.Hour; t.Life = 48 * time.Hour })}, wanted: want(uses("a")), newest: "a", make: true},
		"OtherServer":    {reason: "The token's Secret names a URL that is not right any more.", tokens: []Token{delivered("a", time.Hour)}, wanted: want(uses("a"), func(w *Wanted) { w.For = "others" }), newest: "a", make: true},
		"AskedAfter":     {reason: "Somebody knows it who is not to.", tokens: []Token{delivered("a", time.Hour)}, wanted: want(uses("a"), after(noon.Add(-time.Minute))), newest: "a", make: true},
		"AskedBefore":    {reason: "It seems newer than that, but our clock may be ahead of who asks.", tokens: []Token{delivered("a", time.Hour)}, wanted: want(uses("a"), after(noon.Add(-2*time.Hour))), newest: "a", make: true},
		"AskedAgain":     {reason: "It was made when an earlier time was asked for.", tokens: []Token{delivered("a", time.Hour, func(t *Token) { t.Renewed = noon.Add(-2 * time.Hour) })}, wanted: want(uses("a"), after(noon.Add(-90*time.Minute))), newest: "a", make: true},
		"AskedAndDone":   {reason: "Our clock is behind, but it was made when this was asked.", tokens: []Token{delivered("a", time.Hour, func(t *Token) { t.Renewed = noon.Add(time.Hour) })}, wanted: want(uses("a"), after(noon.Add(time.Hour))), newest: "a", at: noon.Add(11 * time.Hour)},
		"Replaced":       {reason: "Nobody uses the old one.", tokens: []Token{delivered("a", 13*time.Hour), delivered("b", time.Hour)}, wanted: want(uses("b")), newest: "b", end: []string{"a"}, at: noon.Add(11 * time.Hour)},
		"StillUsed":      {reason: "A reader does.", tokens: []Token{delivered("a", 13*time.Hour), delivered("b", time.Hour)}, wanted: want(uses("a", "b")), newest: "b", at: noon.Add(11 * time.Hour)},
		"NotSeenYet":     {reason: "The federation has not seen the newest, so what it says is about before.", tokens: []Token{delivered("a", 13*time.Hour), delivered("b", time.Hour)}, wanted: want(), newest: "b", at: noon.Add(11 * time.Hour)},
		"NotSeenYetUsed": {reason: "The same with the old one in use.", tokens: []Token{delivered("a", 13*time.Hour), delivered("b", time.Hour)}, wanted: want(uses("a")), newest: "b", at: noon.Add(11 * time.Hour)},
		"Expired":        {reason: "It has ended by our clock, but a reader uses it and may know better.", tokens: []Token{delivered("a", 25*time.Hour), delivered("b", time.Hour)}, wanted: want(uses("a", "b")), newest: "b", at: noon.Add(11 * time.Hour)},
		"ExpiredUnseen":  {reason: "Nor does age count before the newest is seen.", tokens: []Token{delivered("a", 25*time.Hour), delivered("b", time.Hour)}, wanted: want(), newest: "b", at: noon.Add(11 * time.Hour)},
		"AllExpired":     {reason: "Our clock may be ahead: a new one is made, and the old one stays.", tokens: []Token{delivered("a", 25*time.Hour)}, wanted: want(uses("a")), newest: "a", make: true},
		"ClockOfBefore":  {reason: "The agent before this one had a clock that was ahead. What was created later is newer.", tokens: []Token{delivered("a", 2*time.Hour, func(t *Token) { t.Issued = noon.Add(3 * time.Hour) }), delivered("b", time.Hour)}, wanted: want(uses("b")), newest: "b", end: []string{"a"}, at: noon.Add(11 * time.Hour)},
		"SameSecond":     {reason: "Created in the same second: the clock of the agent tells them apart.", tokens: []Token{delivered("a", time.Hour, func(t *Token) { t.Issued = t.Issued.Add(500 * time.Millisecond) }), delivered("b", time.Hour)}, wanted: want(uses("a")), newest: "a", end: []string{"b"}, at: noon.Add(11*time.Hour + 500*time.Millisecond)},
		"Undelivered":    {reason: "Made, but lost with the process that made it.", tokens: []Token{delivered("a", 13*time.Hour), delivered("b", time.Hour, undelivered)}, wanted: want(uses("a")), newest: "a", make: true, end: []string{"b"}},
		"UndeliveredOne": {reason: "There is none that anybody has.", tokens: []Token{delivered("b", time.Hour, undelivered)}, wanted: want(), make: true},
		"InDoubtUsed":    {reason: "It was delivered after all, though that was not noted.", tokens: []Token{delivered("a", 13*time.Hour), delivered("b", time.Hour, undelivered)}, wanted: want(uses("a", "b")), newest: "a", make: true},
		"Reserved":       {reason: "Another process may be making it.", tokens: []Token{delivered("a", time.Hour), delivered("b", time.Minute, reserved)}, wanted: want(uses("a")), newest: "a", at: noon.Add(11 * time.Hour)},
		"Abandoned":      {reason: "Nobody is.", tokens: []Token{delivered("a", time.Hour), delivered("b", 11*time.Minute, reserved)}, wanted: want(uses("a")), newest: "a", end: []string{"b"}, at: noon.Add(11 * time.Hour)},
		"NoneWanted":     {reason: "All go.", tokens: []Token{delivered("a", time.Hour), delivered("b", time.Minute, reserved)}, end: []string{"a", "b"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			plan := Decide(tc.tokens, tc.wanted, noon)
			newest := ""
			if plan.Newest != nil {
				newest = plan.Newest.Secret
			}
			assert.Equal(t, tc.make, plan.Make, "%s: %s", tc.reason, plan.Why)
			assert.Equal(t, tc.newest, newest, tc.reason)
			assert.Equal(t, tc.end, plan.End, tc.reason)
			if !tc.make && tc.wanted != nil {
				assert.Equal(t, tc.at, plan.At, tc.reason)
			}
		})
	}
}

// Whatever is there and whatever the clock says, no token that is used is ended, nor the
// newest, nor any before the newest is seen; then all others are.
func TestDecideIsSafe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tokens []Token
		var hashes []string
		for i := range rapid.IntRange(0, 6).Draw(t, "tokens") {
			ago := time.Duration(rapid.IntRange(0, 60).Draw(t, "hours ago")) * time.Hour
			token := delivered(fmt.Sprint(i), ago, func(token *Token) {
				token.Delivered = rapid.Bool().Draw(t, "delivered")
				if rapid.IntRange(0, 4).Draw(t, "reserved") == 0 {
					*token = Token{Secret: token.Secret, Created: token.Created}
				}
			})
			tokens = append(tokens, token)
			if token.Hash != "" && rapid.Bool().Draw(t, "used") {
				hashes = append(hashes, token.Hash)
			}
		}
		now := noon.Add(time.Duration(rapid.IntRange(-100, 100).Draw(t, "our clock")) * time.Hour)
		plan := Decide(tokens, &Wanted{Life: 24 * time.Hour, For: "us", InUse: hashes}, now)
		for _, token := range tokens {
			ended := slices.Contains(plan.End, token.Secret)
			switch {
			case token.Hash == "":
			case ended && slices.Contains(hashes, token.Hash):
				t.Fatalf("%+v is in use and ended", token)
			case ended && plan.Newest != nil && token.Hash == plan.Newest.Hash:
				t.Fatalf("%+v is the newest and ended", token)
			case ended && !plan.Seen:
				t.Fatalf("%+v is ended although the federation knows nothing newer", token)
			}
		}
		if plan.Newest == nil {
			return
		}
		later := Decide(tokens, &Wanted{Life: 24 * time.Hour, For: "us", InUse: []string{plan.Newest.Hash}}, noon.Add(100*time.Hour))
		if len(later.End) != len(tokens)-1 {
			t.Fatalf("%v are ended of %d", later.End, len(tokens))
		}
	})
}
