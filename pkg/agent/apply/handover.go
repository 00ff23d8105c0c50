package apply

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
	"github.com/flotilla-io/flotilla/pkg/agent/kinds"
)

// replicasManager holds the replicas of retained objects between us and whoever scales them.
// Server-side apply removes a field that its only owner no longer sends, and the default of
// spec.replicas is 1: before we stop sending the field it gets another owner.
const replicasManager = "flotilla-agent-retained"

// releaseReplicas takes spec.replicas out of a manifest, after handing the field over if we still own it.
func (a *applier) releaseReplicas(ctx context.Context, resource kinds.Resource, key inventory.Key, content map[string]any, fields []metav1.ManagedFieldsEntry) error {
	if ownsReplicas(fields) {
		live, err := a.member.get(ctx, resource, key)
		if err != nil {
			return err
		}
		replicas, found, err := unstructured.NestedInt64(live.Object, "spec", "replicas")
		if err != nil {
			return err
		}
		if found {
			held, err := marshal(map[string]any{
				"apiVersion": content["apiVersion"],
				"kind":       content["kind"],
				"metadata":   map[string]any{"name": key.Name, "namespace": key.Namespace},
				"spec":       map[string]any{"replicas": replicas},
			})
			if err != nil {
				return err
			}
			if _, err := a.member.apply(ctx, resource, key, replicasManager, held, true); err != nil {
				return err
			}
		}
	}
	delete(content["spec"].(map[string]any), "replicas")
	return nil
}

// ownsReplicas tells whether our own apply is an owner of spec.replicas.
func ownsReplicas(fields []metav1.ManagedFieldsEntry) bool {
	for _, entry := range fields {
		if entry.Manager != FieldManager || entry.Operation != metav1.ManagedFieldsOperationApply || entry.FieldsV1 == nil {
			continue
		}
		var owned struct {
			Spec map[string]json.RawMessage `json:"f:spec"`
		}
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned) == nil && owned.Spec["f:replicas"] != nil {
			return true
		}
	}
	return false
}

// marks are our labels and annotations on objects in members.
var markedAnnotations = []string{
	names.WorkNameAnnotation, names.WorkNamespaceAnnotation, names.FederationAnnotation,
	names.TemplateUIDAnnotation, names.TemplateGenerationAnnotation,
	names.ManagedLabelsAnnotation, names.ManagedAnnotationsAnnotation,
	names.AppliedOverridesAnnotation, names.AppliedClusterOverridesAnnotation,
	names.ConflictResolutionAnnotation,
}

// release takes our marks and our field ownership off an object, which stays as it is and belongs to
// nobody then.
func (a *applier) release(ctx context.Context, resource kinds.Resource, key inventory.Key, current *metav1.PartialObjectMetadata) error {
	operations := []jsonPatch{
		{Op: "test", Path: "/metadata/uid", Value: current.UID},
		{Op: "test", Path: "/metadata/resourceVersion", Value: current.ResourceVersion},
		{Op: "remove", Path: "/metadata/labels/" + escapePointer(names.ManagedLabel)},
	}
	for _, name := range markedAnnotations {
		if _, set := current.Annotations[name]; set {
			operations = append(operations, jsonPatch{Op: "remove", Path: "/metadata/annotations/" + escapePointer(name)})
		}
	}
	// From the end, so that the indices of what is still to go hold.
	for i := len(current.ManagedFields) - 1; i >= 0; i-- {
		if manager := current.ManagedFields[i].Manager; manager == FieldManager || manager == replicasManager {
			operations = append(operations, jsonPatch{Op: "remove", Path: "/metadata/managedFields/" + strconv.Itoa(i)})
		}
	}
	err := a.member.patch(ctx, resource, key, operations)
	if apierrors.IsInvalid(err) {
		// A failed test is "invalid": the object changed under us. The next try looks again.
		return apierrors.NewConflict(resource.GroupResource(), key.Name, err)
	}
	return err
}

func escapePointer(part string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
}
