package events

import (
	"context"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Recorder records what happened to an object.
type Recorder interface {
	// Event records that reason happened to the object about, in the words of
	// note. eventType is corev1.EventTypeNormal or corev1.EventTypeWarning.
	// It returns at once; ctx only carries the logger.
	Event(ctx context.Context, about corev1.ObjectReference, eventType, reason, note string)
}

// RefTo makes the reference that kubectl describe finds events by.
func RefTo(gvk schema.GroupVersionKind, obj metav1.Object) corev1.ObjectReference {
	apiVersion, kind := gvk.ToAPIVersionAndKind()
	return corev1.ObjectReference{
		APIVersion: apiVersion,
		Kind:       kind,
		Namespace:  obj.GetNamespace(),
		Name:       obj.GetName(),
		UID:        obj.GetUID(),
	}
}

// Func is a Recorder made of a function.
type Func func(ctx context.Context, about corev1.ObjectReference, eventType, reason, note string)

// Event calls f.
func (f Func) Event(ctx context.Context, about corev1.ObjectReference, eventType, reason, note string) {
	f(ctx, about, eventType, reason, note)
}

// Discard is a Recorder that forgets everything.
var Discard Recorder = Func(func(context.Context, corev1.ObjectReference, string, string, string) {})

// record is one event on its way.
type record struct {
	about     corev1.ObjectReference
	component string
	eventType string
	reason    string
	note      string
	at        metav1.Time
}

// identity is what makes two records the same event. The fields are length
// prefixed, so that no two different records run together.
func (r *record) identity() string {
	object := string(r.about.UID)
	if object == "" {
		object = r.about.APIVersion + "/" + r.about.Kind + "/" + r.about.Namespace + "/" + r.about.Name
	}
	var out []byte
	for _, part := range []string{object, r.component, r.eventType, r.reason, r.note} {
		out = strconv.AppendInt(out, int64(len(part)), 10)
		out = append(out, ':')
		out = append(out, part...)
	}
	return string(out)
}
