package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
	"github.com/flotilla-io/flotilla/pkg/agent/kinds"
)

// Server-side apply merges lists by key. Someone who edits the key of an item of ours (a port of a
// Service, the name of a container) makes it two items for the API server: ours, missing, and theirs.
// Applying again gives both, or is refused because both together are invalid. To take the edit back,
// the ownership of what lies in such a list goes to us first; the next apply, which does not say it,
// removes it.
//
// That is done to what people did with their tools. What controllers add to lists stays, unless the
// object cannot be repaired otherwise.

// sendRequest is one manifest on its way.
type sendRequest struct {
	resource kinds.Resource
	key      inventory.Key
	content  map[string]any // of manifest
	manifest []byte
	force    bool
}

// send applies a manifest; if items of others are left in its lists or in its way, it reclaims these
// and applies once more.
func (a *applier) send(ctx context.Context, r sendRequest) (*unstructured.Unstructured, error) {
	live, err := a.member.apply(ctx, r.resource, r.key, FieldManager, r.manifest, r.force)
	if otherObject(err) {
		return nil, apierrors.NewConflict(r.resource.GroupResource(), r.key.Name, err)
	}
	if !r.force || err != nil && !apierrors.IsInvalid(err) {
		return live, err
	}
	everyone := err != nil
	current := live
	if everyone {
		var lookErr error
		if current, lookErr = a.member.get(ctx, r.resource, r.key); lookErr != nil {
			return nil, err // the refusal says more
		}
	}
	entries, changed := reclaim(current.GetManagedFields(), strayLists(r.content, current.Object, everyone), everyone)
	if !changed {
		return live, err
	}
	patch := []jsonPatch{
		{Op: "test", Path: "/metadata/uid", Value: current.GetUID()},
		{Op: "test", Path: "/metadata/resourceVersion", Value: current.GetResourceVersion()},
		{Op: "replace", Path: "/metadata/managedFields", Value: entries},
	}
	if patchErr := a.member.patch(ctx, r.resource, r.key, patch); patchErr != nil {
		if apierrors.IsInvalid(patchErr) {
			patchErr = apierrors.NewConflict(r.resource.GroupResource(), r.key.Name, patchErr)
		}
		return nil, fmt.Errorf("take over list items: %w", patchErr)
	}
	return a.member.apply(ctx, r.resource, r.key, FieldManager, r.manifest, r.force)
}

// otherObject tells whether a manifest that is for one UID met an object of another one, which is
// refused like every change of a UID.
func otherObject(err error) bool {
	var status apierrors.APIStatus
	return apierrors.IsInvalid(err) && errors.As(err, &status) &&
		hasCause(status.Status(), func(cause metav1.StatusCause) bool { return cause.Field == "metadata.uid" })
}

// strayLists finds the outermost lists of desired that hold more items in live, themselves or within.
// With any, every list that differs counts. Lists of metadata (finalizers) are shared on purpose.
func strayLists(desired, live map[string]any, anyDifference bool) [][]string {
	var out [][]string
	var walk func(path []string, want, have any)
	walk = func(path []string, want, have any) {
		switch w := want.(type) {
		case map[string]any:
			h, _ := have.(map[string]any)
			for _, key := range sortedKeys(w) {
				if len(path) > 0 || key != "metadata" {
					walk(append(slices.Clone(path), key), w[key], h[key])
				}
			}
		case []any:
			if longer(want, have) || anyDifference && !Subset(want, have) {
				out = append(out, path)
			}
		}
	}
	walk(nil, desired, live)
	return out
}

// longer tells whether a list in live holds more items than in desired, at any depth.
func longer(desired, live any) bool {
	switch want := desired.(type) {
	case map[string]any:
		have, _ := live.(map[string]any)
		for key, value := range want {
			if longer(value, have[key]) {
				return true
			}
		}
	case []any:
		have, _ := live.([]any)
		if len(have) > len(want) {
			return true
		}
		for i := range have {
			if longer(want[i], have[i]) {
				return true
			}
		}
	}
	return false
}

// personal tells whether a field manager is a tool in a person's hand.
func personal(manager string) bool {
	for _, prefix := range []string{"kubectl", "before-first-apply", "k9s", "Lens", "Mozilla", "dashboard"} {
		if strings.HasPrefix(manager, prefix) {
			return true
		}
	}
	return false
}

// reclaim moves the ownership of everything under the lists to our own apply. Of other managers only
// personal ones lose it, unless everyone does. Entries that cannot be read stay as they are.
func reclaim(entries []metav1.ManagedFieldsEntry, lists [][]string, everyone bool) ([]metav1.ManagedFieldsEntry, bool) {
	ours := -1
	trees := make([]map[string]any, len(entries))
	for i, entry := range entries {
		if entry.FieldsV1 != nil && json.Unmarshal(entry.FieldsV1.GetRawBytes(), &trees[i]) != nil {
			trees[i] = nil
		}
		if entry.Manager == FieldManager && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == "" {
			ours = i
		}
	}
	if ours < 0 || trees[ours] == nil {
		return entries, false
	}
	changed := false
	for i, entry := range entries {
		own := entry.Manager == FieldManager || entry.Manager == replicasManager
		if i == ours || trees[i] == nil || entry.Subresource != "" || !own && !everyone && !personal(entry.Manager) {
			continue
		}
		for _, list := range lists {
			if taken := cut(trees[i], list); taken != nil {
				graft(trees[ours], list, taken)
				changed = true
			}
		}
	}
	if !changed {
		return entries, false
	}
	var out []metav1.ManagedFieldsEntry
	for i, entry := range entries {
		if trees[i] != nil {
			if len(trees[i]) == 0 {
				continue
			}
			raw, err := json.Marshal(trees[i])
			if err != nil {
				return entries, false
			}
			entry.FieldsV1 = metav1.NewFieldsV1(string(raw))
		}
		out = append(out, entry)
	}
	return out, true
}

// cut takes the subtree at a path of field names out of a tree, with what becomes empty above it.
func cut(tree map[string]any, path []string) any {
	name := "f:" + path[0]
	child, ok := tree[name]
	if !ok {
		return nil
	}
	if len(path) == 1 {
		delete(tree, name)
		return child
	}
	below, ok := child.(map[string]any)
	if !ok {
		return nil
	}
	taken := cut(below, path[1:])
	if len(below) == 0 {
		delete(tree, name)
	}
	return taken
}

// graft puts a subtree into a tree, joining it with what is there.
func graft(tree map[string]any, path []string, subtree any) {
	name := "f:" + path[0]
	if len(path) == 1 {
		tree[name] = join(tree[name], subtree)
		return
	}
	below, ok := tree[name].(map[string]any)
	if !ok {
		below = map[string]any{}
		tree[name] = below
	}
	graft(below, path[1:], subtree)
}

func join(a, b any) any {
	x, xok := a.(map[string]any)
	y, yok := b.(map[string]any)
	switch {
	case !xok:
		return b
	case !yok:
		return a
	}
	for key, value := range y {
		x[key] = join(x[key], value)
	}
	return x
}
