package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

const (
	// ReasonTooMany is the reason of the condition DeletionsHeld.
	ReasonTooMany = "TooManyDeletions"
	// ConfirmDeletionsAnnotation on the Cluster, with the token of the condition, lets them go.
	ConfirmDeletionsAnnotation = "agent.flotilla.io/confirm-deletions"
)

// held is one deletion that waits: of a work that is gone, of objects that a work no longer names, or
// of an orphan.
type held struct {
	record *inventory.Record // the work as it is wanted now
	bad    []error
	keys   []inventory.Key
}

// hold is all that waits. The zero value holds nothing.
type hold struct {
	gone     []string
	goneKeys map[string][]inventory.Key
	changed  map[string]held
	orphans  map[inventory.Key]orphan
	// nonce makes the token of this hold another one than that of all before it. Empty until something
	// is held.
	nonce string
}

// orphan is an object with our marks that no work knows.
type orphan struct {
	inventory.Object
	work string
	made time.Time
}

// take moves what would delete out of a plan.
func (h *hold) take(plan *inventory.Plan, bad map[string][]error) {
	h.gone, plan.Gone = plan.Gone, nil
	h.goneKeys = plan.Drops
	h.changed = map[string]held{}
	plan.Set = slices.DeleteFunc(plan.Set, func(record *inventory.Record) bool {
		keys := plan.Drops[record.Name]
		if len(keys) == 0 {
			return false
		}
		h.changed[record.Name] = held{record: record, bad: bad[record.Name], keys: keys}
		return true
	})
}

// settle drops what waits of one work and tells whether anything did.
func (h *hold) settle(name string) bool {
	_, changed := h.changed[name]
	delete(h.changed, name)
	before := len(h.gone)
	h.gone = slices.DeleteFunc(h.gone, func(n string) bool { return n == name })
	return changed || len(h.gone) != before
}

// keys are the objects that would go, sorted.
func (h *hold) keys() []inventory.Key {
	var out []inventory.Key
	for _, name := range h.gone {
		out = append(out, h.goneKeys[name]...)
	}
	for _, c := range h.changed {
		out = append(out, c.keys...)
	}
	for key := range h.orphans {
		out = append(out, key)
	}
	slices.SortFunc(out, inventory.Key.Compare)
	return slices.Compact(out)
}

func (h *hold) count() int { return len(h.keys()) }

// condition says what is held and how to let it go; empty when nothing is.
func (h *hold) condition(cluster string) metav1.Condition {
	keys := h.keys()
	if len(keys) == 0 {
		return metav1.Condition{}
	}
	sample := strings.Join(inventory.Sample(keys, 5), ", ")
	if len(keys) > 5 {
		sample += ", ..."
	}
	return metav1.Condition{
		Status: metav1.ConditionTrue,
		Reason: ReasonTooMany,
		Message: fmt.Sprintf("The federation no longer lists what brought %d objects into cluster %s (%s). Nothing was deleted. If they are to go: kubectl annotate cluster %s --overwrite %s=%s",
			len(keys), cluster, sample, cluster, ConfirmDeletionsAnnotation, inventory.Token(h.nonce, keys)),
	}
}

// heldCondition is the condition DeletionsHeld.
func (i *intake) heldCondition(cluster string) metav1.Condition {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hold.condition(cluster)
}

// seal gives what is held a nonce, and takes it away when nothing is held any more. It is called under
// the lock after each change of the hold. The nonce outlives the process, so that a token that was read
// before a restart holds; one that was used never does again.
func (i *intake) seal() {
	switch empty := i.hold.count() == 0; {
	case empty && i.hold.nonce != "":
		i.setNonce("")
	case !empty && i.hold.nonce == "":
		i.setNonce(inventory.Nonce())
	}
}

func (i *intake) setNonce(nonce string) {
	i.hold.nonce = nonce
	if i.remember != nil {
		i.remember(nonce)
	}
}

// holding tells whether anything waits.
func (i *intake) holding() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hold.count() > 0
}

// heldOrphans are the works, with a prefix, that brought orphans which wait.
func (i *intake) heldOrphans(prefix string) (works []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, o := range i.hold.orphans {
		if strings.HasPrefix(o.work, prefix) {
			works = append(works, o.work)
		}
	}
	return works
}

// confirm lets go what waits if the token is the one for exactly that.
func (i *intake) confirm(token string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	keys := i.hold.keys()
	if token == "" || len(keys) == 0 || token != inventory.Token(i.hold.nonce, keys) {
		return false
	}
	i.setNonce("") // before anything is done: this token is used
	for _, name := range i.hold.gone {
		i.engine.Remove(name)
		i.end(name)
	}
	for _, c := range i.hold.changed {
		i.engine.Set(c.record, c.bad)
	}
	for _, o := range i.hold.orphans {
		i.engine.RemoveOrphan(o.Object, o.work)
	}
	i.hold = hold{}
	return true
}
