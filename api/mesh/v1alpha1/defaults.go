package v1alpha1

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

// Defaults of a Mesh.
const (
	// DefaultTrustDomain is istiod's own default.
	DefaultTrustDomain = "cluster.local"
	// DefaultGatewayPort is where istiod looks for a gateway unless told otherwise.
	DefaultGatewayPort int32 = 15443
	// DefaultTokenTTL is how long a token of a reader is valid.
	DefaultTokenTTL = 24 * time.Hour
	// DefaultIntermediateLifetime is how long an intermediate is valid.
	DefaultIntermediateLifetime = 365 * 24 * time.Hour
	// DefaultWorkloadCertificateLifetime is Istio's own default.
	DefaultWorkloadCertificateLifetime = 24 * time.Hour
	// DefaultWithdrawAfter is how long a cluster may be lost before it is
	// withdrawn.
	DefaultWithdrawAfter = 5 * time.Minute
)

// RegisterDefaults registers the defaulting functions of this version.
func RegisterDefaults(scheme *runtime.Scheme) error {
	scheme.AddTypeDefaultingFunc(&Mesh{}, func(obj any) { SetDefaults_Mesh(obj.(*Mesh)) })
	scheme.AddTypeDefaultingFunc(&MeshList{}, func(obj any) {
		list := obj.(*MeshList)
		for i := range list.Items {
			SetDefaults_Mesh(&list.Items[i])
		}
	})
	return nil
}

// SetDefaults_Mesh fills what the caller left out. It changes nothing that was
// given.
func SetDefaults_Mesh(mesh *Mesh) {
	spec := &mesh.Spec
	set(&spec.Topology, MultiPrimary)
	set(&spec.Trust.Mode, TrustManaged)
	set(&spec.Trust.TrustDomain, DefaultTrustDomain)
	set(&spec.Trust.RootGeneration, 1)
	duration(&spec.Trust.IntermediateLifetime, DefaultIntermediateLifetime)
	duration(&spec.Trust.WorkloadCertificateLifetime, DefaultWorkloadCertificateLifetime)
	set(&spec.Gateway.Mode, GatewayService)
	set(&spec.Gateway.ServiceType, corev1.ServiceTypeLoadBalancer)
	set(&spec.Gateway.Port, DefaultGatewayPort)
	if spec.Gateway.Replicas == nil {
		spec.Gateway.Replicas = ptr.To[int32](1)
	}
	duration(&spec.RemoteAccess.TokenTTL, DefaultTokenTTL)
	set(&spec.RemoteAccess.Secrets, SecretsRead)
	set(&spec.Links, LinksAll)
	duration(&spec.WithdrawAfter, DefaultWithdrawAfter)
}

func set[T comparable](field *T, value T) {
	var none T
	if *field == none {
		*field = value
	}
}

func duration(field **metav1.Duration, value time.Duration) {
	if *field == nil {
		*field = &metav1.Duration{Duration: value}
	}
}
