package events

import (
	"crypto/sha256"
	"encoding/hex"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxNote is the longest note, in bytes, that events.k8s.io/v1 accepts; core/v1
// takes longer ones, which that version could then not show.
const maxNote = 1024

// maxObjectName leaves room for the hash in the 253 bytes of an object's name.
const maxObjectName = 253 - 1 - 16

// shortened cuts a note that is too long, at a character's boundary.
func shortened(note string) string {
	if len(note) <= maxNote {
		return note
	}
	const mark = "..."
	cut := maxNote - len(mark)
	for cut > 0 && !utf8.RuneStart(note[cut]) {
		cut--
	}
	return note[:cut] + mark
}

// render makes the Event. The same record always has the same name and
// namespace.
func (w *Writer) render(r record) *corev1.Event {
	namespace := r.about.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return &corev1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: namespace, Name: r.name()},
		InvolvedObject:      r.about,
		Type:                r.eventType,
		Reason:              r.reason,
		Message:             r.note,
		Source:              corev1.EventSource{Component: r.component},
		FirstTimestamp:      r.at,
		LastTimestamp:       r.at,
		Count:               1,
		ReportingController: r.component,
		ReportingInstance:   w.instance,
	}
}

func (r *record) name() string {
	sum := sha256.Sum256([]byte(r.identity()))
	name := r.about.Name
	if len(name) > maxObjectName {
		name = name[:maxObjectName]
	}
	return nameSafe(name) + "." + hex.EncodeToString(sum[:8])
}

// nameSafe replaces what an Event's name must not hold. Names of RBAC objects may
// have a colon, for one; the identity is in the hash, so nothing is lost.
func nameSafe(s string) string {
	out := []byte(s)
	for i, c := range out {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case c >= 'A' && c <= 'Z':
			out[i] = c - 'A' + 'a'
		case c == '-' && i > 0 && out[i-1] != '.' && i < len(out)-1:
		case c == '.' && i > 0 && i < len(out)-1 && out[i-1] != '.' && out[i-1] != '-':
		default:
			out[i] = 'x'
		}
	}
	if len(out) == 0 {
		return "x"
	}
	return string(out)
}
