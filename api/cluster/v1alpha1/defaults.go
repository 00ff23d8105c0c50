package v1alpha1

import "k8s.io/apimachinery/pkg/runtime"

// RegisterDefaults registers the defaulting functions of this version.
func RegisterDefaults(scheme *runtime.Scheme) error {
	scheme.AddTypeDefaultingFunc(&Cluster{}, func(obj any) { SetDefaults_Cluster(obj.(*Cluster)) })
	scheme.AddTypeDefaultingFunc(&ClusterList{}, func(obj any) {
		list := obj.(*ClusterList)
		for i := range list.Items {
			SetDefaults_Cluster(&list.Items[i])
		}
	})
	return nil
}

// SetDefaults_Cluster fills what the caller left out: zones from the deprecated
// zone. It changes nothing that was given.
func SetDefaults_Cluster(cluster *Cluster) {
	if len(cluster.Spec.Zones) == 0 && cluster.Spec.Zone != "" {
		cluster.Spec.Zones = []string{cluster.Spec.Zone}
	}
}
