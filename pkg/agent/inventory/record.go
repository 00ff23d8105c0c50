package inventory

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Key names an object in the member, whatever version it is read or written in.
type Key struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// GroupKind is the kind of the object.
func (k Key) GroupKind() schema.GroupKind {
	return schema.GroupKind{Group: k.Group, Kind: k.Kind}
}

// String is the form used in messages: "Deployment.apps default/hello", "Namespace prod".
func (k Key) String() string {
	if k.Namespace == "" {
		return k.GroupKind().String() + " " + k.Name
	}
	return k.GroupKind().String() + " " + k.Namespace + "/" + k.Name
}

// Compare orders keys by kind, namespace and name.
func (k Key) Compare(other Key) int {
	for _, pair := range [][2]string{
		{k.Group, other.Group}, {k.Kind, other.Kind}, {k.Namespace, other.Namespace}, {k.Name, other.Name},
	} {
		switch {
		case pair[0] < pair[1]:
			return -1
		case pair[0] > pair[1]:
			return 1
		}
	}
	return 0
}

// Object is an object that a work has put, or is about to put, into the member.
type Object struct {
	Key `json:",inline"`
	// Version is the API version the manifest is written in.
	Version string `json:"version"`
	// UID of the object in the member, once known.
	UID types.UID `json:"uid,omitempty"`
	// Hash of the manifest that the member accepted last; empty before the first apply.
	Hash string `json:"hash,omitempty"`
	// Accepted is the fingerprint of the values the member holds for that manifest, where they are
	// not the manifest's own (canonical forms, values set by admission). Empty when they are equal.
	Accepted string `json:"accepted,omitempty"`
	// Unmanaged objects were there before us and are not ours to change or delete (namespaces).
	Unmanaged bool `json:"unmanaged,omitempty"`
}

// GroupVersionKind of the manifest.
func (o Object) GroupVersionKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: o.Group, Version: o.Version, Kind: o.Kind}
}

// Record is one work: what is wanted in the member and what may be there because of it.
type Record struct {
	// Name of the work in the execution namespace.
	Name string `json:"work"`
	// UID of the Work object these manifests come from.
	UID types.UID `json:"uid,omitempty"`
	// Manifests as they are sent to the member, in the work's order.
	Manifests []json.RawMessage `json:"manifests,omitempty"`
	// Objects of this work that may exist in the member: the i-th belongs to the i-th manifest, the
	// rest to earlier manifests and is not yet gone.
	Objects []Object `json:"objects,omitempty"`
	// Suspended works are neither applied nor pruned.
	Suspended bool `json:"suspended,omitempty"`
	// Preserve leaves the objects in the member when the work goes.
	Preserve bool `json:"preserve,omitempty"`
	// Incomplete works have manifests that could not be read: nothing of theirs is pruned.
	Incomplete bool `json:"incomplete,omitempty"`
	// Held works wait for a person: the federation wanted to delete too much at once. They stay as they
	// are, and stay held however the numbers change.
	Held bool `json:"held,omitempty"`
	// Removed works are gone in the federation and their removal here is agreed; the record stays
	// until their objects are gone too.
	Removed bool `json:"removed,omitempty"`
}

// Prunes tells whether objects that the work does not name any more go.
func (r *Record) Prunes() bool { return r.Removed || !r.Suspended && !r.Incomplete }

// Object returns the entry of a key, or nil.
func (r *Record) Object(key Key) *Object {
	for i := range r.Objects {
		if r.Objects[i].Key == key {
			return &r.Objects[i]
		}
	}
	return nil
}
