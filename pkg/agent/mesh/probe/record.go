package probe

import (
	"fmt"
	"slices"
	"time"
)

const (
	// passedFor is how long a full handshake is good for, and emptyFor is how long it is
	// that nothing was there to shake hands with.
	passedFor, emptyFor = time.Minute, 10 * time.Second
	// closedTimes and closedFor are how often, and over how much time, an address has to
	// close all that is known to be behind it.
	closedTimes, closedFor = 3, 10 * time.Second
)

// Record is what is remembered of attempts at one address. With nothing but the address
// it is of one that was not tried yet.
type Record struct {
	// Address is what is tried, as it is called in messages.
	Address string
	// Result is what it comes to; Tried says whether there is one.
	Result Result
	// At is when it was connected to last, and Tried when a handshake was tried last.
	At, Tried time.Time
	// Failed is how often in a row it has.
	Failed int

	closed int
	since  time.Time
	again  bool
}

// Again makes a handshake due, however long ago the last one was.
func (r *Record) Again() { r.again = true }

// Due says whether to try a handshake again. Known are the names that have pods there.
func (r *Record) Due(known []string, now time.Time) bool {
	switch age := now.Sub(r.Tried); {
	case r.again, r.Tried.IsZero(), !r.Result.Passed, r.closed > 0, age < 0:
		return true
	case r.Result.Reason == NoService:
		return age >= emptyFor || !containsAll(r.Result.Closed, known)
	default:
		return age >= passedFor
	}
}

// Take takes in what a handshake has shown.
func (r *Record) Take(got Result, known []string, now time.Time) {
	defer r.count()
	before := r.Result
	untried := r.Tried.IsZero()
	r.At, r.Tried, r.Result, r.again = now, now, got, false
	if got.Reason != NoService || len(known) == 0 || !containsAll(got.Closed, known) {
		r.closed = 0
		return
	}
	if r.closed++; r.closed == 1 {
		r.since = now
	}
	switch {
	case r.closed >= closedTimes && now.Sub(r.since) >= closedFor, !untried && !before.Passed:
		r.Result = Result{Reason: NothingBehind, Closed: got.Closed, Message: fmt.Sprintf(
			"%s closes connections to services that have pods in the cluster, %s among them; does the gateway run, and is it what is behind that address?", r.Address, known[0])}
	case !untried:
		r.Result = before // pods come and go
	}
}

// Reached takes in whether a connection was made.
func (r *Record) Reached(got Result, now time.Time) {
	defer r.count()
	if r.At = now; !got.Passed {
		r.Result, r.closed = got, 0
		if r.Tried.IsZero() {
			r.Tried = now
		}
	}
}

func (r *Record) count() {
	if r.Failed++; r.Result.Passed {
		r.Failed = 0
	}
}

func containsAll(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}
