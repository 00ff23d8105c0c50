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
	// doubtTimes and doubtFor are how often, and over how much time, an address that passed
	// has to close all that is known to be behind it, or to fail with it, and newFor is the
	// time when nothing has answered before: what is known is new then. Its pods may be about
	// to start, and the gateway has to learn of it.
	doubtTimes, doubtFor, newFor = 3, 10 * time.Second, time.Minute
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

	doubts int
	since  time.Time // of the first doubt
	again  bool
}

// Again makes a handshake due, however long ago the last one was.
func (r *Record) Again() { r.again = true }

// Due says whether to try a handshake again. Known are the names that have pods there.
func (r *Record) Due(known []string, now time.Time) bool {
	switch age := now.Sub(r.Tried); {
	case r.again, r.Tried.IsZero(), !r.Result.Passed, r.doubts > 0, age < 0:
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
	shut := got.Reason == NoService && len(known) > 0 && containsAll(got.Closed, known)
	if !shut && !got.unready() {
		r.doubts = 0
		return
	}
	if r.doubts++; r.doubts == 1 {
		r.since = now
	}
	patience := doubtFor
	if before.Reason == NoService {
		patience = newFor
	}
	over := r.doubts >= doubtTimes && now.Sub(r.since) >= patience
	switch {
	case untried: // what was seen is all that there is
	case !over && before.Passed:
		r.Result = before // pods come and go
	case shut:
		r.Result = Result{Reason: NothingBehind, Closed: got.Closed, Message: fmt.Sprintf(
			"%s closes connections to services that have pods in the cluster, %s among them; does the gateway run, and is it what is behind that address?", r.Address, known[0])}
	}
}

// unready tells whether names went wrong as they do while a workload starts or ends: the
// gateway was reached, and nobody behind it has shown or refused a certificate.
func (r *Result) unready() bool {
	return len(r.Failed) > 0 && (r.Reason == Unreachable || r.Reason == NoGateway)
}

// Reached takes in whether a connection was made.
func (r *Record) Reached(got Result, now time.Time) {
	defer r.count()
	if r.At = now; !got.Passed {
		r.Result, r.doubts = got, 0
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
