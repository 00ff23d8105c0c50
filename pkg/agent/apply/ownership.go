package apply

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

// FieldManager owns the fields we apply.
const FieldManager = "flotilla-agent"

// decision is what may be done with an object that a work wants.
type decision int

const (
	// create: there is none.
	create decision = iota
	// update: it is ours.
	update
	// adopt: it is not ours, and the work says to take it.
	adopt
	// leave: a namespace that was there before us; it serves as it is.
	leave
	// conflict: it is someone else's.
	conflict
)

// claim is who wants an object.
type claim struct {
	key       inventory.Key
	work      string
	namespace string // the execution namespace
	overwrite bool
	// uid the object had when it was last applied; empty when it never was.
	uid types.UID
	// stands tells whether another work of ours still wants the object.
	stands func(work string) bool
}

// decide tells whether the object that is there may be written, and whose it is when not.
func decide(c claim, current metav1.Object) (decision, string) {
	if current == nil {
		return create, ""
	}
	work := current.GetAnnotations()[names.WorkNameAnnotation]
	namespace := current.GetAnnotations()[names.WorkNamespaceAnnotation]
	labelled := current.GetLabels()[names.ManagedLabel] == names.ManagedLabelValue
	known := c.uid != "" && c.uid == current.GetUID()
	switch {
	case namespace == c.namespace && work == c.work:
		return update, "" // even when someone took the label off
	case namespace == c.namespace && work != "":
		if c.stands(work) {
			return conflict, "work " + namespace + "/" + work
		}
		return update, "" // it moved from that work to this one
	case known, labelled && (namespace == "" || work == ""):
		return update, ""
	case c.key.GroupKind() == namespaceKind:
		return leave, ""
	case c.overwrite:
		return adopt, ""
	case labelled:
		return conflict, "work " + namespace + "/" + work + " of another federation"
	default:
		return conflict, managers(current)
	}
}

// managers names who wrote an object, most telling first.
func managers(object metav1.Object) string {
	var found []string
	for _, entry := range object.GetManagedFields() {
		if entry.Subresource != "" || entry.Manager == FieldManager || slices.Contains(found, entry.Manager) {
			continue
		}
		found = append(found, entry.Manager)
	}
	switch {
	case len(found) == 0:
		return "an unknown owner"
	case len(found) > 3:
		found = append(found[:3], "others")
	}
	return strings.Join(found, ", ")
}

// deletable tells whether an object in the member is a work's to delete.
func deletable(object metav1.Object, work, namespace string) bool {
	return object.GetLabels()[names.ManagedLabel] == names.ManagedLabelValue &&
		object.GetAnnotations()[names.WorkNameAnnotation] == work &&
		object.GetAnnotations()[names.WorkNamespaceAnnotation] == namespace
}
