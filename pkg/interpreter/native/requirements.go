package native

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/component-helpers/resource"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// requirements tells what one replica of a workload asks of the cluster that
// takes it, read from spec.template.
func requirements(obj *unstructured.Unstructured) (*workv1alpha2.ReplicaRequirements, error) {
	var podSpec corev1.PodSpec
	if raw := child(child(spec(obj), "template"), "spec"); raw != nil {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &podSpec); err != nil {
			return nil, fmt.Errorf("spec.template.spec: %w: %w", ErrMalformed, err)
		}
	}
	req := &workv1alpha2.ReplicaRequirements{
		NodeClaim:         nodeClaim(&podSpec),
		Namespace:         obj.GetNamespace(),
		PriorityClassName: podSpec.PriorityClassName,
	}
	if requests := podRequests(&podSpec); len(requests) > 0 {
		req.ResourceRequest = requests
	}
	return req, nil
}

// podRequests is what the scheduler of a member will reckon for one pod: the
// larger of the containers together and of each init container on its own,
// sidecars included in both, plus the overhead, or the request of the pod as a
// whole where it states one. A container with a limit and no request requests
// its limit, as API servers default it.
func podRequests(podSpec *corev1.PodSpec) corev1.ResourceList {
	requestLimits(podSpec.InitContainers)
	requestLimits(podSpec.Containers)
	return resource.PodRequests(&corev1.Pod{Spec: *podSpec}, resource.PodResourcesOptions{})
}

func requestLimits(containers []corev1.Container) {
	for i := range containers {
		resources := &containers[i].Resources
		for name, limit := range resources.Limits {
			if _, requested := resources.Requests[name]; requested {
				continue
			}
			if resources.Requests == nil {
				resources.Requests = corev1.ResourceList{}
			}
			resources.Requests[name] = limit
		}
	}
}

// nodeClaim is what a pod asks of its node, nil if any will do.
func nodeClaim(podSpec *corev1.PodSpec) *workv1alpha2.NodeClaim {
	claim := &workv1alpha2.NodeClaim{
		NodeSelector: podSpec.NodeSelector,
		Tolerations:  podSpec.Tolerations,
	}
	if affinity := podSpec.Affinity; affinity != nil && affinity.NodeAffinity != nil {
		claim.HardNodeAffinity = affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	if claim.HardNodeAffinity == nil && len(claim.NodeSelector) == 0 && len(claim.Tolerations) == 0 {
		return nil
	}
	return claim
}
