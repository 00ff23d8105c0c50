package registry

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	fedscheme "github.com/flotilla-io/flotilla/api/scheme"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

var (
	// Scheme knows the federation's groups in all served versions and the
	// internal one.
	Scheme = runtime.NewScheme()
	// Codecs encodes and decodes what Scheme knows.
	Codecs = serializer.NewCodecFactory(Scheme)
	// ParameterCodec decodes query parameters.
	ParameterCodec = runtime.NewParameterCodec(Scheme)
)

func init() {
	utilruntime.Must(fedscheme.AddToScheme(Scheme))
	internal := func(group string, types ...runtime.Object) {
		Scheme.AddKnownTypes(schema.GroupVersion{Group: group, Version: runtime.APIVersionInternal}, types...)
	}
	internal(clusterv1alpha1.GroupName, &clusterv1alpha1.Cluster{}, &clusterv1alpha1.ClusterList{}, &clusterv1alpha1.ClusterProxyOptions{})
	internal(meshv1alpha1.GroupName,
		&meshv1alpha1.Mesh{}, &meshv1alpha1.MeshList{},
		&meshv1alpha1.MeshMember{}, &meshv1alpha1.MeshMemberList{},
	)
	internal(policyv1alpha1.GroupName,
		&policyv1alpha1.PropagationPolicy{}, &policyv1alpha1.PropagationPolicyList{},
		&policyv1alpha1.ClusterPropagationPolicy{}, &policyv1alpha1.ClusterPropagationPolicyList{},
		&policyv1alpha1.OverridePolicy{}, &policyv1alpha1.OverridePolicyList{},
		&policyv1alpha1.ClusterOverridePolicy{}, &policyv1alpha1.ClusterOverridePolicyList{},
		&policyv1alpha1.FederatedResourceQuota{}, &policyv1alpha1.FederatedResourceQuotaList{},
		&policyv1alpha1.ClusterTaintPolicy{}, &policyv1alpha1.ClusterTaintPolicyList{},
	)
	internal(workv1alpha2.GroupName,
		&workv1alpha1.Work{}, &workv1alpha1.WorkList{},
		&workv1alpha2.ResourceBinding{}, &workv1alpha2.ResourceBindingList{},
		&workv1alpha2.ClusterResourceBinding{}, &workv1alpha2.ClusterResourceBindingList{},
	)
	internal(agentv1alpha1.GroupName, &agentv1alpha1.StatusReport{}, &agentv1alpha1.StatusReportList{})

	utilruntime.Must(Scheme.SetVersionPriority(clusterv1alpha1.GroupVersion))
	utilruntime.Must(Scheme.SetVersionPriority(meshv1alpha1.GroupVersion))
	utilruntime.Must(Scheme.SetVersionPriority(policyv1alpha1.GroupVersion))
	utilruntime.Must(Scheme.SetVersionPriority(workv1alpha2.GroupVersion, workv1alpha1.GroupVersion))
	utilruntime.Must(Scheme.SetVersionPriority(agentv1alpha1.GroupVersion))

	utilruntime.Must(addParameters(Scheme))

	v1 := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(Scheme, v1)
	Scheme.AddUnversionedTypes(v1, &metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
}

// StorageCodec encodes for etcd: each kind in the version it is stored in.
func StorageCodec() runtime.Codec {
	return Codecs.LegacyCodec(clusterv1alpha1.GroupVersion, meshv1alpha1.GroupVersion, policyv1alpha1.GroupVersion, workv1alpha2.GroupVersion, workv1alpha1.GroupVersion)
}
