package apply

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

// object is all that is remembered of one object in the member.
type object struct {
	key inventory.Key
	// claims are the works that want the object, in the order in which they came. The first has it.
	claims []string
	// desired is the manifest of the first claim; nil when nobody wants the object.
	desired *Desired
	// suspended repeats the first claim's suspension.
	suspended bool
	// removal is pending when nobody wants the object any more.
	removal *removeRequest

	// hash, accepted, uid and unmanaged are what the inventory keeps, see inventory.Object.
	hash      string
	accepted  string
	uid       types.UID
	unmanaged bool

	// live is the object as last seen; nil when it is not there or was not seen yet.
	live *view
	// recheck asks for a look at an unmanaged object.
	recheck bool
	// verdict on the last attempt; nil before the first.
	verdict *verdict
	// failures in a row.
	failures int
	// missing counts the refreshes of the member's kinds when the object's kind was first found missing; 0 if
	// it was not.
	missing uint64
	repairs repairs
}

// view is what is kept of a live object after it was compared and reflected.
type view struct {
	uid             types.UID
	resourceVersion string
	terminating     bool
	// ours: it carries our label and the name of the work that wants it.
	ours bool
	// inSync: it holds what the manifest says, or what the member makes of it.
	inSync bool
	// print is its Fingerprint where it does not hold what the manifest says.
	print  string
	status *runtime.RawExtension
	health string
}

// newerThan tells whether v was written after other. Versions that cannot be compared are taken in
// the order in which they are seen.
func (v *view) newerThan(other *view) bool {
	return other == nil || v.uid != other.uid || compareVersions(v.resourceVersion, other.resourceVersion) >= 0
}

func compareVersions(a, b string) int {
	order, err := resourceversion.CompareResourceVersion(a, b)
	if err != nil {
		return 0
	}
	return order
}

// verdict is what became of the last attempt to apply.
type verdict struct {
	hash    string
	failure *ObjectError // nil when it was applied
}

func (v *verdict) err() error {
	if v == nil || v.failure == nil {
		return nil
	}
	return v.failure
}

func (o *object) failed() bool { return o.verdict != nil && o.verdict.failure != nil }

// settled tells whether the wanted manifest was tried.
func (o *object) settled() bool {
	return o.desired != nil && (o.hash == o.desired.Hash || o.verdict != nil && o.verdict.hash == o.desired.Hash)
}

func (o *object) idle() bool {
	return len(o.claims) == 0 && o.removal == nil
}

func (o *object) unclaim(work string) {
	o.claims = slices.DeleteFunc(o.claims, func(c string) bool { return c == work })
}

// action is what a worker does about an object.
type action int

const (
	actNothing action = iota
	actApply
	// actRepair is an apply of a manifest that the member had accepted before.
	actRepair
	actRemove
)

// next decides what to do. watched tells whether the watch of the object's kind has seen everything,
// so that an object that was not seen is not there.
func (o *object) next(watched bool) action {
	switch {
	case o.desired == nil && o.removal != nil:
		return actRemove
	case o.desired == nil, o.suspended:
		return actNothing
	case o.hash != o.desired.Hash, o.failed():
		return actApply
	case o.unmanaged:
		if o.recheck {
			return actApply
		}
		return actNothing
	case o.live == nil && watched:
		return actRepair
	case o.live == nil, o.live.terminating, o.live.inSync:
		return actNothing
	default:
		return actRepair
	}
}

// repairs slows down the repair of an object that someone keeps changing back.
type repairs struct {
	count int
	last  time.Time
}

const (
	// repairsAtOnce are free before repairs are spaced out.
	repairsAtOnce = 5
	// repairsForgotten is how long an object has to stay as it is for its repairs to be forgotten.
	repairsForgotten = 3 * time.Minute
	maxRepairDelay   = time.Minute
)

// wait is how long to wait before the next repair.
func (r *repairs) wait(now time.Time) time.Duration {
	if r.count < repairsAtOnce || now.Sub(r.last) > repairsForgotten {
		return 0
	}
	delay := maxRepairDelay
	if shift := r.count - repairsAtOnce; shift < 6 {
		delay = time.Second << shift
	}
	return max(0, r.last.Add(delay).Sub(now))
}

func (r *repairs) done(now time.Time) {
	if now.Sub(r.last) > repairsForgotten {
		r.count = 0
	}
	r.count++
	r.last = now
}
