package apiserver

import (
	"maps"

	"k8s.io/apimachinery/pkg/runtime/schema"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
)

// groupPriorities order the API groups in discovery, which decides whose
// "deployments" kubectl means. A group version that is missing here vanishes
// from discovery, so a test compares the map with what is served. The numbers
// are those of kube-apiserver, whose full map is not exported.
func groupPriorities() map[schema.GroupVersion]controlplaneapiserver.APIServicePriority {
	all := controlplaneapiserver.DefaultGenericAPIServicePriorities()
	maps.Copy(all, map[schema.GroupVersion]controlplaneapiserver.APIServicePriority{
		{Group: "apps", Version: "v1"}:              {Group: 17800, Version: 15},
		{Group: "autoscaling", Version: "v1"}:       {Group: 17500, Version: 15},
		{Group: "autoscaling", Version: "v2"}:       {Group: 17500, Version: 30},
		{Group: "batch", Version: "v1"}:             {Group: 17400, Version: 15},
		{Group: "networking.k8s.io", Version: "v1"}: {Group: 17200, Version: 15},
		{Group: "policy", Version: "v1"}:            {Group: 17100, Version: 15},
		{Group: "storage.k8s.io", Version: "v1"}:    {Group: 16800, Version: 15},
		{Group: "scheduling.k8s.io", Version: "v1"}: {Group: 16600, Version: 15},
		{Group: "node.k8s.io", Version: "v1"}:       {Group: 16300, Version: 15},
		{Group: "resource.k8s.io", Version: "v1"}:   {Group: 16200, Version: 21},

		{Group: "policy.karmada.io", Version: "v1alpha1"}:  {Group: 15700, Version: 15},
		{Group: "work.karmada.io", Version: "v1alpha2"}:    {Group: 15600, Version: 20},
		{Group: "work.karmada.io", Version: "v1alpha1"}:    {Group: 15600, Version: 10},
		{Group: "cluster.karmada.io", Version: "v1alpha1"}: {Group: 15500, Version: 15},
		{Group: "agent.flotilla.io", Version: "v1alpha1"}:  {Group: 15400, Version: 15},
		{Group: "mesh.flotilla.io", Version: "v1alpha1"}:   {Group: 15300, Version: 15},
	})
	return all
}
