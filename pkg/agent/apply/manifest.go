package apply

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

// ErrManifest marks a manifest that names no object.
var ErrManifest = errors.New("manifest names no object")

// overwrite is the conflict resolution that takes objects over.
const overwrite = "overwrite"

// ReadWork turns a Work into a record: its manifests in the form in which they are sent, and the
// objects they name. Manifests that name no object are left out and returned as errors.
//
// The federation's bookkeeping is dropped from manifests (UIDs and owners mean nothing in another
// cluster, and an owner that does not exist there would get the object collected), ours is added.
func ReadWork(work *workv1alpha1.Work) (*inventory.Record, []error) {
	record := &inventory.Record{
		Name:      work.Name,
		UID:       work.UID,
		Suspended: work.Spec.SuspendDispatching != nil && *work.Spec.SuspendDispatching,
		Preserve:  work.Spec.PreserveResourcesOnDeletion != nil && *work.Spec.PreserveResourcesOnDeletion,
	}
	var bad []error
	for i, manifest := range work.Spec.Workload.Manifests {
		content := map[string]any{}
		if err := utiljson.Unmarshal(manifest.Raw, &content); err != nil {
			bad = append(bad, fmt.Errorf("manifest %d of work %s/%s: %w: %w", i, work.Namespace, work.Name, ErrManifest, err))
			continue
		}
		object, err := identify(content)
		if err != nil {
			bad = append(bad, fmt.Errorf("manifest %d of work %s/%s: %w", i, work.Namespace, work.Name, err))
			continue
		}
		stamp(content, work)
		raw, err := json.Marshal(content)
		if err != nil {
			bad = append(bad, fmt.Errorf("manifest %d of work %s/%s: %w", i, work.Namespace, work.Name, err))
			continue
		}
		if record.Object(object.Key) != nil {
			bad = append(bad, fmt.Errorf("manifest %d of work %s/%s: names %s a second time: %w", i, work.Namespace, work.Name, object.Key, ErrManifest))
			continue
		}
		record.Manifests = append(record.Manifests, raw)
		record.Objects = append(record.Objects, object)
	}
	record.Incomplete = len(bad) > 0
	return record, bad
}

func identify(content map[string]any) (inventory.Object, error) {
	apiVersion, _ := content["apiVersion"].(string)
	kind, _ := content["kind"].(string)
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil || apiVersion == "" || kind == "" {
		return inventory.Object{}, fmt.Errorf("%w: it needs apiVersion and kind, has %q and %q", ErrManifest, apiVersion, kind)
	}
	meta, _ := content["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	namespace, _ := meta["namespace"].(string)
	if name == "" {
		return inventory.Object{}, fmt.Errorf("%w: %s has no metadata.name", ErrManifest, kind)
	}
	return inventory.Object{
		Key:     inventory.Key{Group: gv.Group, Kind: kind, Namespace: namespace, Name: name},
		Version: gv.Version,
	}, nil
}

// foreign are the fields of metadata that only the API server that set them understands.
var foreign = []string{
	"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
	"deletionGracePeriodSeconds", "managedFields", "selfLink", "ownerReferences", "generateName",
}

func stamp(content map[string]any, work *workv1alpha1.Work) {
	meta := content["metadata"].(map[string]any)
	for _, field := range foreign {
		delete(meta, field)
	}
	delete(content, "status")
	labels := child(meta, "labels")
	labels[names.ManagedLabel] = names.ManagedLabelValue
	annotations := child(meta, "annotations")
	delete(annotations, names.FederationAnnotation)
	annotations[names.WorkNameAnnotation] = work.Name
	annotations[names.WorkNamespaceAnnotation] = work.Namespace
	if _, set := annotations[names.ConflictResolutionAnnotation]; !set && work.Annotations[names.ConflictResolutionAnnotation] != "" {
		annotations[names.ConflictResolutionAnnotation] = work.Annotations[names.ConflictResolutionAnnotation]
	}
	if content["kind"] == "Job" && content["apiVersion"] == "batch/v1" {
		// A Job that goes by itself when it is done would be taken for a deleted one, and run again.
		if spec, ok := content["spec"].(map[string]any); ok {
			delete(spec, "ttlSecondsAfterFinished")
		}
	}
	if content["kind"] == "Secret" && content["apiVersion"] == "v1" {
		foldStringData(content)
	}
}

// sign says in a manifest which federation brings it. It is not part of the work, nor of what live
// objects are compared with: a change of the federation is no drift.
func sign(content map[string]any, federation types.UID) {
	annotations := child(child(content, "metadata"), "annotations")
	delete(annotations, names.FederationAnnotation) // came with a copy, if at all
	if federation != "" {
		annotations[names.FederationAnnotation] = string(federation)
	}
}

// foldStringData writes a Secret's stringData as data: it is never read back, so drift in it could
// not be seen.
func foldStringData(content map[string]any) {
	plain, ok := content["stringData"].(map[string]any)
	if !ok {
		return
	}
	data := child(content, "data")
	for key, value := range plain {
		if text, ok := value.(string); ok {
			data[key] = base64.StdEncoding.EncodeToString([]byte(text))
		}
	}
	delete(content, "stringData")
}

func child(parent map[string]any, key string) map[string]any {
	if m, ok := parent[key].(map[string]any); ok {
		return m
	}
	m := map[string]any{}
	parent[key] = m
	return m
}

// Desired is one manifest, ready to be sent.
type Desired struct {
	inventory.Key
	// Version of the API the manifest is written in.
	Version string
	// Work that wants the object.
	Work string
	// Raw is the manifest as JSON. It is shared and not changed.
	Raw json.RawMessage
	// Hash of Raw.
	Hash string
}

// NewDesired describes the i-th manifest of a record.
func NewDesired(work string, object inventory.Object, raw json.RawMessage) *Desired {
	sum := sha256.Sum256(raw)
	return &Desired{Key: object.Key, Version: object.Version, Work: work, Raw: raw, Hash: hex.EncodeToString(sum[:16])}
}

// GroupVersionKind of the manifest.
func (d *Desired) GroupVersionKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: d.Group, Version: d.Version, Kind: d.Kind}
}

// content parses the manifest. Retained replicas are left out, see retainsReplicas.
func (d *Desired) content() (map[string]any, error) {
	content := map[string]any{}
	if err := utiljson.Unmarshal(d.Raw, &content); err != nil {
		return nil, fmt.Errorf("%s: %w", d.Key, err)
	}
	return content, nil
}

// expected is what the live object is compared with.
func (d *Desired) expected() (map[string]any, error) {
	content, err := d.content()
	if err == nil && retainsReplicas(content) {
		delete(content["spec"].(map[string]any), "replicas")
	}
	return content, err
}

// retainsReplicas tells whether the replicas of the live object are the member's own affair (an
// autoscaler's, say): they are sent when the object is created and never again.
func retainsReplicas(content map[string]any) bool {
	meta, _ := content["metadata"].(map[string]any)
	labels, _ := meta["labels"].(map[string]any)
	if labels[names.RetainReplicasLabel] != names.RetainReplicasValue {
		return false
	}
	spec, _ := content["spec"].(map[string]any)
	_, has := spec["replicas"]
	return has
}

func overwrites(content map[string]any) bool {
	meta, _ := content["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	return annotations[names.ConflictResolutionAnnotation] == overwrite
}
