// Package scheme has one Scheme that knows every kind the federation serves:
// the built-in ones of Kubernetes and those of the federation's own groups.
//
// Scheme is for clients. It is complete when the package is initialised and is
// only read afterwards, so it is safe for concurrent use; whoever needs more
// kinds builds a scheme of their own with AddToScheme.
package scheme

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

var (
	// Scheme knows the kinds of Kubernetes and of the federation.
	Scheme = runtime.NewScheme()
	// Codecs encodes and decodes what Scheme knows.
	Codecs = serializer.NewCodecFactory(Scheme)
)

func init() {
	utilruntime.Must(clientgoscheme.AddToScheme(Scheme))
	utilruntime.Must(AddToScheme(Scheme))
}

// AddToScheme adds the federation's own groups to a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	builder := runtime.NewSchemeBuilder(
		clusterv1alpha1.AddToScheme,
		meshv1alpha1.AddToScheme,
		policyv1alpha1.AddToScheme,
		workv1alpha1.AddToScheme,
		workv1alpha2.AddToScheme,
		agentv1alpha1.AddToScheme,
	)
	return builder.AddToScheme(scheme)
}
