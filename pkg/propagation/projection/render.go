package projection

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/interpreter"
)

// WorkRendered is the condition of a computed Work that could not be computed:
// False, with the rule that failed. It is absent when all is well.
const WorkRendered = "Rendered"

// ErrTemplateMissing is the reason a Work has no manifest when its template is
// gone but its binding is not, yet.
var ErrTemplateMissing = errors.New("template not found")

// inputs are all that a Work is computed from, taken under the lock. None of
// them is modified afterwards.
type inputs struct {
	cluster   string
	object    *clusterv1alpha1.Cluster
	workName  string
	key       TemplateKey
	resource  string
	binding   workv1alpha2.Binding
	template  *template
	share     share
	overrides overrides
	version   string
	report    *workv1alpha2.AggregatedStatusItem
}

// frame is a Work without what it brings.
func frame(in inputs) *workv1alpha1.Work {
	work := &workv1alpha1.Work{
		TypeMeta: metav1.TypeMeta{APIVersion: workv1alpha1.GroupVersion.String(), Kind: workv1alpha1.ResourceKindWork},
		ObjectMeta: metav1.ObjectMeta{
			Name:            in.workName,
			Namespace:       names.ExecutionNamespace(in.cluster),
			ResourceVersion: in.version,
			UID:             workUID(in),
		},
	}
	if b := in.binding; b != nil {
		work.CreationTimestamp = b.GetCreationTimestamp()
		work.Labels = workLabels(b, in.share.stub)
		work.Annotations = map[string]string{"resourcebinding.karmada.io/name": b.GetName()}
		if b.GetNamespace() != "" {
			work.Annotations["resourcebinding.karmada.io/namespace"] = b.GetNamespace()
		}
		work.Spec.PreserveResourcesOnDeletion = b.GetSpec().PreserveResourcesOnDeletion
	} else if in.template != nil {
		work.CreationTimestamp = metav1.NewTime(time.Unix(in.template.created, 0))
		if in.template.stays {
			preserve := true
			work.Spec.PreserveResourcesOnDeletion = &preserve
		}
	}
	return work
}

// workLabels are those of the Works of a binding.
func workLabels(b workv1alpha2.Binding, stub bool) map[string]string {
	label, id := permanentID(b)
	switch {
	case id != "" && stub:
		return map[string]string{label: id, meshv1alpha1.StubLabel: "true"}
	case id != "":
		return map[string]string{label: id}
	case stub:
		return map[string]string{meshv1alpha1.StubLabel: "true"}
	default:
		return nil
	}
}

func permanentID(b workv1alpha2.Binding) (label, id string) {
	label = names.ResourceBindingPermanentIDLabel
	if b.GetNamespace() == "" {
		label = names.ClusterResourceBindingPermanentIDLabel
	}
	return label, b.GetLabels()[label]
}

// render computes a Work. It never fails: what cannot be rendered becomes a
// Work without manifests that says why.
func render(in inputs, kinds Interpreter) *workv1alpha1.Work {
	work := frame(in)
	if in.share.suspended {
		suspended := true
		work.Spec.SuspendDispatching = &suspended
	}
	raw, err := manifest(in, kinds)
	if err != nil {
		work.Status.Conditions = append(work.Status.Conditions, metav1.Condition{
			Type: WorkRendered, Status: metav1.ConditionFalse, Reason: "RenderFailed", Message: err.Error(),
			LastTransitionTime: work.CreationTimestamp,
		})
	} else {
		work.Spec.Workload.Manifests = []workv1alpha1.Manifest{{RawExtension: runtime.RawExtension{Raw: raw}}}
	}
	reportedStatus(work, in)
	return work
}

// workUID is derived, so it is the same on every replica and across restarts,
// and another one when the template is another one.
func workUID(in inputs) types.UID {
	origin := ""
	switch {
	case in.binding != nil:
		origin = string(in.binding.GetUID())
	case in.template != nil:
		origin = string(in.template.uid)
	}
	return types.UID(uuid.NewSHA1(uuid.NameSpaceOID, []byte(origin+"/"+in.cluster)).String())
}

func manifest(in inputs, kinds Interpreter) ([]byte, error) {
	if in.template == nil {
		return nil, fmt.Errorf("%s %s: %w", in.key.Kind, join(in.key.Namespace, in.key.Name), ErrTemplateMissing)
	}
	if in.template.err != nil {
		return nil, in.template.err
	}
	obj := &unstructured.Unstructured{}
	if err := json.Unmarshal(in.template.manifest, &obj.Object); err != nil {
		return nil, fmt.Errorf("%s %s: %w", in.key.Kind, join(in.key.Namespace, in.key.Name), err)
	}
	if in.share.stub {
		withoutOverwrite(obj)
	}
	managedLabels, managedAnnotations := sortedKeys(obj.GetLabels()), sortedKeys(obj.GetAnnotations())
	if in.share.replicas >= 0 {
		err := interpreter.ReviseCompletions(obj, in.binding.GetSpec().Clusters, in.cluster)
		if err == nil {
			err = kinds.ReviseReplicas(obj, in.share.replicas)
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s in cluster %s: set replicas to %d: %w", in.key.Kind, join(in.key.Namespace, in.key.Name), in.cluster, in.share.replicas, err)
		}
	}
	applied, err := in.overrides.apply(obj, in.object)
	if err != nil {
		return nil, err
	}

	if in.share.stub {
		if err := makeStub(obj); err != nil {
			return nil, fmt.Errorf("%s %s in cluster %s: %w", in.key.Kind, join(in.key.Namespace, in.key.Name), in.cluster, err)
		}
	}

	labels := withDefault(obj.GetLabels())
	labels[names.ManagedLabel] = names.ManagedLabelValue
	obj.SetLabels(labels)
	annotations := withDefault(obj.GetAnnotations())
	maps.Copy(annotations, applied)
	annotations[names.WorkNameAnnotation] = in.workName
	annotations[names.WorkNamespaceAnnotation] = names.ExecutionNamespace(in.cluster)
	annotations[names.TemplateUIDAnnotation] = string(in.template.uid)
	if in.template.generation > 0 {
		annotations[names.TemplateGenerationAnnotation] = strconv.FormatInt(in.template.generation, 10)
	}
	annotations[names.ManagedLabelsAnnotation] = strings.Join(managedLabels, ",")
	annotations[names.ManagedAnnotationsAnnotation] = strings.Join(managedAnnotations, ",")
	if in.binding != nil && !in.share.stub && in.binding.GetSpec().ConflictResolution == policyv1alpha1.ConflictOverwrite {
		if _, set := annotations[names.ConflictResolutionAnnotation]; !set {
			annotations[names.ConflictResolutionAnnotation] = "overwrite"
		}
	}
	obj.SetAnnotations(annotations)
	return json.Marshal(obj.Object)
}

// reportedStatus fills the status a cluster reported, as folded in the binding;
// of namespaces and stubs as it is kept here.
func reportedStatus(work *workv1alpha1.Work, in inputs) {
	item := in.report
	ref := workv1alpha2.ObjectReference{APIVersion: "v1", Kind: in.key.Kind, Name: in.key.Name}
	if in.binding != nil {
		ref = in.binding.GetSpec().Resource
		if !in.share.stub {
			item = aggregatedItem(in.binding, in.cluster)
		}
	}
	if item == nil {
		return
	}
	condition := metav1.Condition{
		Type: workv1alpha1.WorkApplied, Status: metav1.ConditionTrue, Reason: workv1alpha1.AppliedSuccessfulReason,
		Message: "Manifest has been applied", LastTransitionTime: work.CreationTimestamp,
	}
	if !item.Applied {
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, workv1alpha1.AppliedFailedReason, item.AppliedMessage
	}
	work.Status.Conditions = append(work.Status.Conditions, condition)
	version := ref.APIVersion[strings.Index(ref.APIVersion, "/")+1:]
	work.Status.ManifestStatuses = []workv1alpha1.ManifestStatus{{
		Identifier: workv1alpha1.ResourceIdentifier{
			Group: in.key.Group, Version: version, Kind: ref.Kind, Resource: in.resource, Namespace: ref.Namespace, Name: ref.Name,
		},
		Status: item.Status,
		Health: workv1alpha1.ResourceHealth(item.Health),
	}}
}

func join(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

func withDefault(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
