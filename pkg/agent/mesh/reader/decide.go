package reader

import (
	"cmp"
	"slices"
	"time"

	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
)

// reservation is how long a Secret may be without a token.
const reservation = 10 * time.Minute

// Token is what is remembered of a token.
type Token struct {
	// Secret that it is bound to.
	Secret string
	// Created is when that was made.
	Created time.Time
	// Hash of the token; empty when none was made of it, or that is not known.
	Hash string
	// Issued is when it was made, by our clock.
	Issued time.Time
	// Life is what the API server has granted, and Asked what was asked for.
	Life, Asked time.Duration
	// Ends is the end by the clock of the API server.
	Ends time.Time
	// For tells what it can be used for: ServiceAccount, server and CA.
	For string
	// Renewed is the time after which it was asked for: that of Wanted.After then.
	Renewed time.Time
	// Delivered is true once the federation has it.
	Delivered bool
}

// end is when the token ends by the clock of the agent that made it, which may differ from
// the API server's, and from that of the next agent, by more than a token lives. So it says
// when to make another one, and not that this one is of no use any more.
func (t *Token) end() time.Time { return t.Issued.Add(t.Life) }

// Wanted is what is to be there.
type Wanted struct {
	// Life of a token.
	Life time.Duration
	// For is what a token has to be for.
	For string
	// After asks for a token made after that time; zero for any.
	After time.Time
	// InUse are the hashes of tokens that must not be ended.
	InUse []string
}

// Plan is what to do.
type Plan struct {
	// Newest is the newest token that the federation has; nil for none.
	Newest *Token
	// Make is true when a new token is to be made; Why says what for.
	Make bool
	Why  string
	// At is when to make the next one, if nothing else changes.
	At time.Time
	// End are the Secrets to delete.
	End []string
	// Seen is true when the federation has taken the newest in.
	Seen bool
}

// Decide says what to do about the tokens that are there. Without wanted all of them are
// to be ended.
func Decide(tokens []Token, wanted *Wanted, now time.Time) Plan {
	if wanted == nil {
		var plan Plan
		for i := range tokens {
			plan.End = append(plan.End, tokens[i].Secret)
		}
		return plan
	}
	plan := Plan{Newest: newest(tokens)}
	plan.Seen = plan.Newest != nil && slices.Contains(wanted.InUse, plan.Newest.Hash)
	for i := range tokens {
		t := &tokens[i]
		abandoned := t.Hash == "" && now.Sub(t.Created) >= reservation
		unused := t.Hash != "" && plan.Seen && t.Hash != plan.Newest.Hash && !slices.Contains(wanted.InUse, t.Hash)
		if abandoned || unused {
			plan.End = append(plan.End, t.Secret)
		}
	}
	plan.Why, plan.At = due(plan.Newest, wanted, now)
	plan.Make = plan.Why != ""
	return plan
}

// newest is the token that was delivered last. What counts is the clock of the API server,
// because the agent before this one may have had another.
func newest(tokens []Token) *Token {
	var found *Token
	for i := range tokens {
		t := &tokens[i]
		if t.Hash == "" || !t.Delivered {
			continue
		}
		if found == nil || cmp.Or(t.Created.Compare(found.Created), t.Issued.Compare(found.Issued)) > 0 {
			found = t
		}
	}
	if found == nil {
		return nil
	}
	copied := *found
	return &copied
}

// due says why a new token is to be made now; if none is, when.
func due(t *Token, wanted *Wanted, now time.Time) (why string, at time.Time) {
	switch {
	case t == nil:
		return "there is none", now
	case t.For != wanted.For:
		return "the ServiceAccount, or the URL or CA of the API server, is another", now
	case t.Renewed.Before(wanted.After):
		// Whether it was made after that cannot be told from our clock. One that was, and
		// not because of that, is made again once.
		return "who no longer is to read the cluster knows the last one", now
	}
	life := wanted.Life
	if t.Asked == wanted.Life {
		// The API server has the last word about how long a token lives. Asking again
		// would not change it.
		life = max(life, t.Life)
	}
	mint, at := remotesecret.Mint(t.Issued, t.end(), life, now)
	if mint {
		return "the last one is old", now
	}
	return "", at
}
