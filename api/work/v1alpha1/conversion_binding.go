package v1alpha1

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// RemainderAnnotation carries, in v1alpha1 only, the fields that v1alpha1 does
// not have, as JSON. Without it a client that reads a binding as v1alpha1 and
// writes it back would wipe out placement, failover and all the rest. It is made
// when a binding is converted down and taken off when it is converted up, so it
// is never stored.
const RemainderAnnotation = "work.flotilla.io/v1alpha2-fields"

// remainder is the content of RemainderAnnotation: a v1alpha2 binding in which
// everything that v1alpha1 can say is left out.
type remainder struct {
	Spec   workv1alpha2.ResourceBindingSpec   `json:"spec,omitzero"`
	Status workv1alpha2.ResourceBindingStatus `json:"status,omitzero"`
}

// down fills a v1alpha1 binding from a v1alpha2 one. meta is already copied and
// may have a new annotations map put into it.
func down(meta *metav1.ObjectMeta, inSpec *workv1alpha2.ResourceBindingSpec, inStatus *workv1alpha2.ResourceBindingStatus, spec *ResourceBindingSpec, status *ResourceBindingStatus) error {
	rest := remainder{Spec: *inSpec, Status: *inStatus}

	from := &inSpec.Resource
	spec.Resource = ObjectReference{
		APIVersion: from.APIVersion, Kind: from.Kind, Namespace: from.Namespace, Name: from.Name,
		ResourceVersion: from.ResourceVersion,
		Replicas:        inSpec.Replicas,
	}
	rest.Spec.Resource = workv1alpha2.ObjectReference{UID: from.UID}
	rest.Spec.Replicas = 0
	if r := inSpec.ReplicaRequirements; r != nil && r.ResourceRequest != nil {
		spec.Resource.ReplicaResourceRequirements = r.ResourceRequest
		others := *r
		others.ResourceRequest = nil
		rest.Spec.ReplicaRequirements = nil
		if !reflect.ValueOf(others).IsZero() {
			rest.Spec.ReplicaRequirements = &others
		}
	}

	spec.Clusters, rest.Spec.Clusters = nil, nil
	for i := range inSpec.Clusters {
		c := &inSpec.Clusters[i]
		spec.Clusters = append(spec.Clusters, TargetCluster{Name: c.Name, Replicas: c.Replicas})
		if c.Components != nil {
			rest.Spec.Clusters = append(rest.Spec.Clusters, workv1alpha2.TargetCluster{Name: c.Name, Components: c.Components})
		}
	}

	status.Conditions, rest.Status.Conditions = inStatus.Conditions, nil
	status.AggregatedStatus, rest.Status.AggregatedStatus = nil, nil
	for i := range inStatus.AggregatedStatus {
		s := &inStatus.AggregatedStatus[i]
		status.AggregatedStatus = append(status.AggregatedStatus, AggregatedStatusItem{
			ClusterName: s.ClusterName, Status: s.Status, Applied: s.Applied, AppliedMessage: s.AppliedMessage,
		})
		if s.Health != "" {
			rest.Status.AggregatedStatus = append(rest.Status.AggregatedStatus,
				workv1alpha2.AggregatedStatusItem{ClusterName: s.ClusterName, Health: s.Health})
		}
	}
	return putRemainder(meta, &rest)
}

// up fills a v1alpha2 binding from a v1alpha1 one and its remainder. Where both
// speak, v1alpha1 wins: its client may have changed it. meta is already copied
// and may have a new annotations map put into it.
func up(meta *metav1.ObjectMeta, inSpec *ResourceBindingSpec, inStatus *ResourceBindingStatus, spec *workv1alpha2.ResourceBindingSpec, status *workv1alpha2.ResourceBindingStatus) error {
	rest, err := takeRemainder(meta)
	if err != nil {
		return err
	}
	*spec, *status = rest.Spec, rest.Status

	from := &inSpec.Resource
	spec.Resource = workv1alpha2.ObjectReference{
		APIVersion: from.APIVersion, Kind: from.Kind, Namespace: from.Namespace, Name: from.Name,
		UID: rest.Spec.Resource.UID, ResourceVersion: from.ResourceVersion,
	}
	spec.Replicas = from.Replicas
	if r := spec.ReplicaRequirements; r != nil {
		r.ResourceRequest = nil
	}
	if from.ReplicaResourceRequirements != nil {
		if spec.ReplicaRequirements == nil {
			spec.ReplicaRequirements = &workv1alpha2.ReplicaRequirements{}
		}
		spec.ReplicaRequirements.ResourceRequest = from.ReplicaResourceRequirements
	}

	components := map[string][]workv1alpha2.TargetComponent{}
	for _, c := range rest.Spec.Clusters {
		components[c.Name] = c.Components
	}
	spec.Clusters = nil
	for _, c := range inSpec.Clusters {
		spec.Clusters = append(spec.Clusters, workv1alpha2.TargetCluster{
			Name: c.Name, Replicas: c.Replicas, Components: components[c.Name],
		})
	}

	health := map[string]workv1alpha2.ResourceHealth{}
	for _, s := range rest.Status.AggregatedStatus {
		health[s.ClusterName] = s.Health
	}
	status.Conditions, status.AggregatedStatus = inStatus.Conditions, nil
	for _, s := range inStatus.AggregatedStatus {
		status.AggregatedStatus = append(status.AggregatedStatus, workv1alpha2.AggregatedStatusItem{
			ClusterName: s.ClusterName, Status: s.Status, Applied: s.Applied, AppliedMessage: s.AppliedMessage,
			Health: health[s.ClusterName],
		})
	}
	// Defaulting ran on v1alpha1, which has none of these fields.
	workv1alpha2.SetDefaults_ResourceBindingSpec(spec)
	return nil
}

func putRemainder(meta *metav1.ObjectMeta, rest *remainder) error {
	meta.Annotations = without(meta.Annotations, RemainderAnnotation)
	if reflect.ValueOf(*rest).IsZero() {
		return nil
	}
	data, err := json.Marshal(rest)
	if err != nil {
		return fmt.Errorf("binding %s: cannot carry its v1alpha2 fields in annotation %s; read it as v1alpha2: %w",
			objectKey(meta), RemainderAnnotation, err)
	}
	annotations := maps.Clone(meta.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[RemainderAnnotation] = string(data)
	meta.Annotations = annotations
	return nil
}

func takeRemainder(meta *metav1.ObjectMeta) (remainder, error) {
	var rest remainder
	data, ok := meta.Annotations[RemainderAnnotation]
	if !ok {
		return rest, nil
	}
	if err := json.Unmarshal([]byte(data), &rest); err != nil {
		return rest, fmt.Errorf("binding %s: annotation %s is not what the server wrote; leave it as it was read, or use v1alpha2: %w",
			objectKey(meta), RemainderAnnotation, err)
	}
	meta.Annotations = without(meta.Annotations, RemainderAnnotation)
	return rest, nil
}

// without is the map without the key; the argument is not changed.
func without(annotations map[string]string, key string) map[string]string {
	if _, ok := annotations[key]; !ok {
		return annotations
	}
	if len(annotations) == 1 {
		return nil
	}
	rest := maps.Clone(annotations)
	delete(rest, key)
	return rest
}

func objectKey(meta *metav1.ObjectMeta) string {
	if meta.Namespace == "" {
		return meta.Name
	}
	return meta.Namespace + "/" + meta.Name
}
