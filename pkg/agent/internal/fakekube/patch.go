package fakekube

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (s *Server) patch(t target, r *http.Request, body []byte) (map[string]any, error) {
	switch r.Header.Get("Content-Type") {
	case string(types.JSONPatchType):
		return s.jsonPatch(t, body)
	case string(types.MergePatchType):
		return s.mergePatch(t, body)
	}
	return s.apply(t, r, body)
}

// mergePatch knows maps and values, and removes nothing.
func (s *Server) mergePatch(t target, body []byte) (map[string]any, error) {
	old, err := s.read(t)
	if err != nil {
		return nil, err
	}
	change := map[string]any{}
	if err := utiljson.Unmarshal(body, &change); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	next := (&unstructured.Unstructured{Object: old}).DeepCopy().Object
	merge(next, change)
	s.put(t.resource, next, "MODIFIED")
	return next, nil
}

// apply is server-side apply without schemas: lists are atomic, maps are merged.
func (s *Server) apply(t target, r *http.Request, body []byte) (map[string]any, error) {
	manager, force := r.URL.Query().Get("fieldManager"), r.URL.Query().Get("force") == "true"
	manifest := map[string]any{}
	if err := utiljson.Unmarshal(body, &manifest); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	o := s.objects[t.key()]
	if err := meant(t, o, manifest); err != nil {
		return nil, err
	}
	kind := "MODIFIED"
	var next map[string]any
	if o == nil {
		if err := s.needNamespace(t); err != nil {
			return nil, err
		}
		kind, next = "ADDED", map[string]any{}
		o = &stored{applied: map[string]map[string]any{}}
	} else {
		next = (&unstructured.Unstructured{Object: o.object}).DeepCopy().Object
		if who, path := s.conflicts(o, manager, manifest); who != "" && !force {
			return nil, apierrors.NewApplyConflict([]metav1.StatusCause{{Type: metav1.CauseTypeFieldManagerConflict, Field: path, Message: "conflict with " + strconv.Quote(who)}},
				fmt.Sprintf("Apply failed with 1 conflict: conflict with %q: %s", who, path))
		}
		drop(next, o.applied[manager], manifest, func(path []string) bool {
			for other, applied := range o.applied {
				if other != manager && owns(applied, path) {
					return true
				}
			}
			return false
		})
	}
	before := (&unstructured.Unstructured{Object: next}).DeepCopy().Object
	merge(next, manifest)
	fill(t.resource, next)
	if s.Mutate != nil {
		s.Mutate(t.resource, &unstructured.Unstructured{Object: next})
	}
	own(next, manager, manifest)
	if o.object != nil && reflect.DeepEqual(o.object, next) {
		o.applied[manager] = manifest
		return next, nil // nothing changed, nothing is written
	}
	u := &unstructured.Unstructured{Object: next}
	if !reflect.DeepEqual(before["spec"], next["spec"]) {
		u.SetGeneration(u.GetGeneration() + 1)
	}
	s.put(t.resource, next, kind)
	s.objects[t.key()].applied[manager] = manifest
	return next, nil
}

// meant takes the UID out of a manifest and refuses the manifest if it is not for this object.
func meant(t target, o *stored, manifest map[string]any) error {
	uid := (&unstructured.Unstructured{Object: manifest}).GetUID()
	unstructured.RemoveNestedField(manifest, "metadata", "uid")
	switch {
	case uid == "":
		return nil
	case o == nil:
		return apierrors.NewConflict(t.resource.GroupResource(), t.name, errors.New("uid mismatch"))
	case uid != (&unstructured.Unstructured{Object: o.object}).GetUID():
		return apierrors.NewInvalid(t.resource.GroupVersion().WithKind(t.resource.Kind).GroupKind(), t.name, field.ErrorList{
			field.Invalid(field.NewPath("metadata", "uid"), uid, "field is immutable"),
		})
	}
	return nil
}

// fill sets what the API server defaults.
func fill(resource Resource, object map[string]any) {
	if resource.Kind != "Deployment" {
		return
	}
	spec, _ := object["spec"].(map[string]any)
	if spec == nil {
		spec = map[string]any{}
		object["spec"] = spec
	}
	if spec["replicas"] == nil {
		spec["replicas"] = int64(1)
	}
}

func (s *Server) conflicts(o *stored, manager string, manifest map[string]any) (string, string) {
	for other, applied := range o.applied {
		if other == manager {
			continue
		}
		if path := differs(applied, manifest, ""); path != "" {
			return other, path
		}
	}
	for _, entry := range (&unstructured.Unstructured{Object: o.object}).GetManagedFields() {
		if entry.Operation == metav1.ManagedFieldsOperationUpdate && entry.Manager != manager {
			if path := differs(o.object, manifest, ""); path != "" {
				return entry.Manager, path
			}
		}
	}
	return "", ""
}

// differs finds a leaf that both say and say differently.
func differs(a, b map[string]any, path string) string {
	for name, value := range b {
		other, ok := a[name]
		if !ok {
			continue
		}
		x, xok := other.(map[string]any)
		y, yok := value.(map[string]any)
		if xok && yok {
			if found := differs(x, y, path+"."+name); found != "" {
				return found
			}
		} else if !reflect.DeepEqual(other, value) {
			return path + "." + name
		}
	}
	return ""
}

func owns(applied map[string]any, path []string) bool {
	_, found, err := unstructured.NestedFieldNoCopy(applied, path...)
	return found && err == nil
}

// drop removes leaves that were applied before and are not any more, unless kept.
func drop(object, before, now map[string]any, kept func([]string) bool, path ...string) {
	for name, value := range before {
		at := append(slices.Clone(path), name)
		was, isMap := value.(map[string]any)
		next, still := now[name]
		if isMap {
			child, _ := object[name].(map[string]any)
			nextMap, _ := next.(map[string]any)
			if child != nil {
				drop(child, was, nextMap, kept, at...)
				if len(child) == 0 && !still {
					delete(object, name)
				}
			}
			continue
		}
		if !still && !kept(at) {
			delete(object, name)
		}
	}
}

func merge(object, manifest map[string]any) {
	for name, value := range manifest {
		from, ok := value.(map[string]any)
		if !ok {
			object[name] = value
			continue
		}
		into, _ := object[name].(map[string]any)
		if into == nil {
			into = map[string]any{}
			object[name] = into
		}
		merge(into, from)
	}
}

func own(object map[string]any, manager string, manifest map[string]any) {
	u := &unstructured.Unstructured{Object: object}
	fields, err := json.Marshal(paths(manifest))
	if err != nil {
		panic(err)
	}
	entries := slices.DeleteFunc(u.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == manager && e.Operation == metav1.ManagedFieldsOperationApply
	})
	u.SetManagedFields(append(entries, metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationApply, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(string(fields)),
	}))
}

func paths(manifest map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range manifest {
		if child, ok := value.(map[string]any); ok {
			out["f:"+name] = paths(child)
		} else {
			out["f:"+name] = map[string]any{}
		}
	}
	return out
}

var errPatch = errors.New("the patch does not fit")

// jsonPatch knows test and remove.
func (s *Server) jsonPatch(t target, body []byte) (map[string]any, error) {
	old, err := s.read(t)
	if err != nil {
		return nil, err
	}
	var operations []struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	if err := json.Unmarshal(body, &operations); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	next := (&unstructured.Unstructured{Object: old}).DeepCopy().Object
	for _, operation := range operations {
		parts := strings.Split(strings.TrimPrefix(operation.Path, "/"), "/")
		for i := range parts {
			parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(parts[i])
		}
		parent, err := walk(next, parts[:len(parts)-1])
		if err != nil {
			return nil, apierrors.NewInvalid(t.resource.GroupVersion().WithKind(t.resource.Kind).GroupKind(), t.name, nil)
		}
		last := parts[len(parts)-1]
		switch p := parent.(type) {
		case map[string]any:
			if operation.Op == "test" && !reflect.DeepEqual(p[last], operation.Value) {
				return nil, apierrors.NewInvalid(t.resource.GroupVersion().WithKind(t.resource.Kind).GroupKind(), t.name, nil)
			}
			if operation.Op == "remove" {
				delete(p, last)
			}
		case []any:
			i, err := strconv.Atoi(last)
			if err != nil || i >= len(p) {
				return nil, apierrors.NewBadRequest(errPatch.Error())
			}
			holder, _ := walk(next, parts[:len(parts)-2])
			holder.(map[string]any)[parts[len(parts)-2]] = slices.Delete(slices.Clone(p), i, i+1)
		}
	}
	s.put(t.resource, next, "MODIFIED")
	return next, nil
}

func walk(at any, parts []string) (any, error) {
	for _, part := range parts {
		m, ok := at.(map[string]any)
		if !ok || m[part] == nil {
			return nil, errPatch
		}
		at = m[part]
	}
	return at, nil
}
