package apply

import (
	"fmt"
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

// federations are whom this agent works for. The zero value is about every federation.
type federations struct {
	current types.UID
	// former federations were replaced by the current one on a person's word: what they brought is ours.
	former []types.UID
}

// foreign is the federation of an object that another one brought; empty when none did. Objects that do
// not say are of an agent that did not write it down: their other marks count.
func (f federations) foreign(object metav1.Object) types.UID {
	uid := types.UID(object.GetAnnotations()[names.FederationAnnotation])
	if f.current == "" || uid == f.current || slices.Contains(f.former, uid) {
		return ""
	}
	return uid
}

// claim is who wants an object.
type claim struct {
	key         inventory.Key
	work        string
	namespace   string // the execution namespace
	federations federations
	overwrite   bool
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
	if foreign := c.federations.foreign(current); foreign != "" {
		switch {
		case c.key.GroupKind() == namespaceKind:
			return leave, ""
		case c.overwrite:
			return adopt, ""
		}
		return conflict, fmt.Sprintf("the federation with UID %s (work %s/%s)", foreign, namespace, work)
	}
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

// marked tells whether an object carries our label and a work's name.
func marked(object metav1.Object, work, namespace string, f federations) bool {
	return object.GetLabels()[names.ManagedLabel] == names.ManagedLabelValue &&
		object.GetAnnotations()[names.WorkNameAnnotation] == work &&
		object.GetAnnotations()[names.WorkNamespaceAnnotation] == namespace &&
		f.foreign(object) == ""
}

// appliedByUs tells whether it was us who applied an object. Its labels and annotations do not: they
// travel with copies that people make.
func appliedByUs(object metav1.Object) bool {
	return slices.ContainsFunc(object.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager == FieldManager && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == ""
	})
}

// deletable tells whether an object in the member is a work's to delete: it carries the marks, and it
// is the one that we remember to have applied or says itself that we did.
func deletable(object metav1.Object, work, namespace string, f federations, known types.UID) bool {
	return marked(object, work, namespace, f) && (appliedByUs(object) || known != "" && known == object.GetUID())
}

// Owner is an agent of one federation, for those who look at a member from outside.
type Owner struct {
	// Namespace is the agent's execution namespace.
	Namespace string
	// Federation it works for.
	Federation types.UID
}

// Brought tells whether such an agent has brought an object: it carries the marks, and its managedFields
// say so, too. Copies that people made are not, nor what controllers made of it.
func (o Owner) Brought(object metav1.Object) bool {
	return marked(object, object.GetAnnotations()[names.WorkNameAnnotation], o.Namespace, federations{current: o.Federation}) &&
		object.GetAnnotations()[names.WorkNameAnnotation] != "" &&
		appliedByUs(object) && metav1.GetControllerOf(object) == nil
}
