package probe

import (
	"fmt"
	"slices"
	"strings"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// lasting is how often in a row an address has to fail until that is said of a gateway that
// can be used.
const lasting = 3

// Combine says what is true of a gateway with several addresses, of those that were tried.
// False when none was. It fails when none passes, or less than half do. When some do not
// it says so: callers are sent to all of them.
func Combine(records []*Record) (Result, bool) {
	tried := slices.DeleteFunc(slices.Clone(records), func(r *Record) bool { return r.Tried.IsZero() })
	if len(tried) == 0 {
		return Result{}, false
	}
	slices.SortFunc(tried, func(a, b *Record) int { return strings.Compare(a.Address, b.Address) })
	var failing, passing, empty []Result
	lasts := false
	for _, r := range tried {
		switch {
		case !r.Result.Passed:
			failing = append(failing, r.Result)
			lasts = lasts || r.Failed >= lasting
		case r.Result.Reason == NoService:
			empty = append(empty, r.Result)
		default:
			passing = append(passing, r.Result)
		}
	}
	good := len(tried) - len(failing)
	var found Result
	switch {
	case good == 0 || 2*good < len(tried):
		found = prevailing(failing)
	case len(passing) > 0:
		found = passing[0]
	default:
		found = empty[0]
	}
	message, reason := found.Message, found.Reason
	if len(failing) > 0 && len(tried) > 1 {
		message = fmt.Sprintf("%d of %d addresses do not answer as they have to: %s", len(failing), len(tried), prevailing(failing).Message)
	}
	if found.Passed && lasts {
		reason = meshv1alpha1.ReasonSomeAddressesFail
	}
	return Result{Passed: found.Passed, Reason: reason, Message: message}, true
}
