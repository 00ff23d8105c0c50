package plan

import (
	"bytes"
	"encoding/json"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
)

// newWork brings objects into a cluster.
func newWork(mesh, cluster, part string, objects ...runtime.Object) (*workv1alpha1.Work, error) {
	work := &workv1alpha1.Work{ObjectMeta: metadata(mesh, cluster, WorkName(mesh, part))}
	for _, object := range objects {
		raw, err := encode(object)
		if err != nil {
			return nil, fmt.Errorf("work %s/%s: %w", work.Namespace, work.Name, err)
		}
		work.Spec.Workload.Manifests = append(work.Spec.Workload.Manifests, workv1alpha1.Manifest{RawExtension: runtime.RawExtension{Raw: raw}})
	}
	return work, nil
}

// encode writes an object as a manifest. The same object gives the same bytes: keys
// are in order.
func encode(object runtime.Object) ([]byte, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	content := map[string]any{}
	if err := json.Unmarshal(text, &content); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	delete(content, "status")
	return json.Marshal(content)
}

// sameWork says whether a stored Work is as it is to be, in what is ours: labels and
// annotations of others, and whether it is suspended, are not.
func sameWork(stored, wanted *workv1alpha1.Work) bool {
	return stored.Labels[meshv1alpha1.MeshLabel] == wanted.Labels[meshv1alpha1.MeshLabel] &&
		stored.Annotations[names.ConflictResolutionAnnotation] == wanted.Annotations[names.ConflictResolutionAnnotation] &&
		apiequality.Semantic.DeepEqual(stored.Spec.PreserveResourcesOnDeletion, wanted.Spec.PreserveResourcesOnDeletion) &&
		sameManifests(stored.Spec.Workload.Manifests, wanted.Spec.Workload.Manifests)
}

// updated is a stored Work as it is to be.
func updated(stored, wanted *workv1alpha1.Work) *workv1alpha1.Work {
	work := stored.DeepCopy()
	metav1.SetMetaDataLabel(&work.ObjectMeta, meshv1alpha1.MeshLabel, wanted.Labels[meshv1alpha1.MeshLabel])
	delete(work.Annotations, names.ConflictResolutionAnnotation)
	if resolution := wanted.Annotations[names.ConflictResolutionAnnotation]; resolution != "" {
		metav1.SetMetaDataAnnotation(&work.ObjectMeta, names.ConflictResolutionAnnotation, resolution)
	}
	work.Spec.PreserveResourcesOnDeletion = wanted.Spec.PreserveResourcesOnDeletion
	work.Spec.Workload = wanted.Spec.Workload
	return work
}

// sameManifests compares what manifests say, not how it is spelled.
func sameManifests(a, b []workv1alpha1.Manifest) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if bytes.Equal(a[i].Raw, b[i].Raw) {
			continue
		}
		var x, y any
		if json.Unmarshal(a[i].Raw, &x) != nil || json.Unmarshal(b[i].Raw, &y) != nil || !apiequality.Semantic.DeepEqual(x, y) {
			return false
		}
	}
	return true
}
