package meshlink

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
)

// patience is how long a cache is waited for. One that has not caught up by then
// never will: the Works of a cluster that leaves the federation are no longer served.
const patience = 5 * time.Second

// journal has the writes that caches have not shown yet. A plan from a picture without
// them could give a token up that was handed out a moment ago.
type journal struct {
	entries map[string]entry
}

// entry is what was written of an object since a cache showed it.
type entry struct {
	mesh string // that it was written for
	verb plan.Verb
	uid  types.UID
	// was are the versions of the object before updates.
	was []string
	at  time.Time
}

func nameOf(obj client.Object) string {
	if obj.GetNamespace() == "" {
		return obj.GetName()
	}
	return obj.GetNamespace() + "/" + obj.GetName()
}

func keyOf(obj client.Object) string { return fmt.Sprintf("%T %s", obj, nameOf(obj)) }

// note takes down a write that was made for a Mesh. Secrets are read live, and left
// out.
func (j *journal) note(mesh string, w plan.Write, now time.Time) {
	switch w.Object.(type) {
	case *meshv1alpha1.Mesh, *meshv1alpha1.MeshMember, *workv1alpha1.Work:
	default:
		return
	}
	if j.entries == nil {
		j.entries = map[string]entry{}
	}
	key := keyOf(w.Object)
	e := entry{mesh: mesh, verb: w.Verb, uid: w.Object.GetUID(), at: now}
	if w.Verb == plan.Update {
		e.was = append(j.entries[key].was, w.Was.GetResourceVersion())
	}
	j.entries[key] = e
}

// forget drops what was written for a Mesh that is no more.
func (j *journal) forget(mesh string) {
	maps.DeleteFunc(j.entries, func(_ string, e entry) bool { return e.mesh == mesh })
}

// ahead says whether a picture lacks writes that were made.
func (j *journal) ahead(picture *plan.Picture, now time.Time) bool {
	if len(j.entries) == 0 {
		return false
	}
	there := map[string]client.Object{}
	add := func(obj client.Object) { there[keyOf(obj)] = obj }
	for _, mesh := range picture.Meshes {
		add(mesh)
	}
	for _, member := range picture.Members {
		add(member)
	}
	for _, work := range picture.Works {
		add(work)
	}
	ahead := false
	for key, e := range j.entries {
		switch {
		case e.mesh != picture.Mesh.Name:
		case e.shows(there[key]) || now.Sub(e.at) > patience:
			delete(j.entries, key)
		default:
			ahead = true
		}
	}
	return ahead
}

// shows says whether a cache that has an object, or none, has seen the write.
func (e entry) shows(obj client.Object) bool {
	gone := obj == nil || obj.GetUID() != e.uid
	switch e.verb {
	case plan.Create:
		return !gone
	case plan.Update:
		return gone || !slices.Contains(e.was, obj.GetResourceVersion())
	default:
		return gone
	}
}
