package cluster

import (
	"cmp"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	genericapiserver "k8s.io/apiserver/pkg/server"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/cluster/v1alpha1/validation"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
)

// Group builds the group's storage, and returns the store of clusters, too. The
// proxy reads the Secrets that a Cluster names with secret.
func Group(getter generic.RESTOptionsGetter, secret SecretGetter) (*genericapiserver.APIGroupInfo, *registry.Storage, error) {
	storage, err := registry.NewStorage(clusters(), getter)
	if err != nil {
		return nil, nil, err
	}
	return registry.GroupInfo(clusterv1alpha1.GroupName, registry.Versions{
		clusterv1alpha1.GroupVersion.Version: {
			"clusters":        storage.Store,
			"clusters/status": storage.Status,
			"clusters/proxy":  newProxy(fromStore(storage.Store), secret),
		},
	}), storage, nil
}

func of(obj runtime.Object) *clusterv1alpha1.Cluster { return obj.(*clusterv1alpha1.Cluster) }

func clusters() registry.Resource {
	return registry.Resource{
		Group:    clusterv1alpha1.Resource("clusters"),
		Singular: "cluster",
		New:      func() runtime.Object { return &clusterv1alpha1.Cluster{} },
		NewList:  func() runtime.Object { return &clusterv1alpha1.ClusterList{} },
		// Elsewhere, too, clusters are served by a server of their own.
		UnconditionalUpdate: true,
		OnCreate:            func(obj runtime.Object) { of(obj).Status = clusterv1alpha1.ClusterStatus{} },
		OnUpdate:            func(obj, old runtime.Object) { of(obj).Status = of(old).Status },
		OnStatus:            func(obj, old runtime.Object) { of(obj).Spec = of(old).Spec },
		SpecChanged: func(obj, old runtime.Object) bool {
			return !apiequality.Semantic.DeepEqual(of(obj).Spec, of(old).Spec)
		},
		Validate: func(obj runtime.Object) field.ErrorList { return validation.ValidateCluster(of(obj)) },
		ValidateUpdate: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidateClusterUpdate(of(obj), of(old))
		},
		ValidateStatus: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidateClusterStatusUpdate(of(obj), of(old))
		},
		Warnings: func(obj runtime.Object) []string {
			if len(of(obj).Spec.ResourceModels) == 0 {
				return nil
			}
			return []string{"spec.resourceModels is stored but has no effect in this version: replicas are divided by static weights"}
		},
		Columns: []registry.Column{
			registry.Text("Version", "Kubernetes version of the member.", func(obj runtime.Object) string {
				return of(obj).Status.KubernetesVersion
			}),
			registry.Text("Mode", "Push or Pull.", func(obj runtime.Object) string { return string(of(obj).Spec.SyncMode) }),
			registry.Text("Ready", "Whether the member is reachable and healthy.", func(obj runtime.Object) string {
				if c := meta.FindStatusCondition(of(obj).Status.Conditions, clusterv1alpha1.ClusterConditionReady); c != nil {
					return string(c.Status)
				}
				return "Unknown"
			}),
			registry.Age(),
			registry.Wide(registry.Text("Zone", "Zones of the member.", func(obj runtime.Object) string {
				return cmp.Or(strings.Join(of(obj).Spec.Zones, ","), of(obj).Spec.Zone)
			})),
			registry.Wide(registry.Text("Region", "Region of the member.", func(obj runtime.Object) string { return of(obj).Spec.Region })),
			registry.Wide(registry.Text("Provider", "Provider of the member.", func(obj runtime.Object) string { return of(obj).Spec.Provider })),
			registry.Wide(registry.Text("API-Endpoint", "Address of the member's API server.", func(obj runtime.Object) string {
				return cmp.Or(of(obj).Spec.APIEndpoint, "<none>")
			})),
		},
	}
}
