package registry

import (
	"net/url"

	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// addParameters teaches a scheme to read the kinds that are made of query
// parameters. The path of a proxy request is among them: the server puts what
// follows the subresource there, over anything the caller has written.
func addParameters(scheme *runtime.Scheme) error {
	return scheme.AddConversionFunc((*url.Values)(nil), (*clusterv1alpha1.ClusterProxyOptions)(nil), func(in, out any, _ conversion.Scope) error {
		out.(*clusterv1alpha1.ClusterProxyOptions).Path = in.(*url.Values).Get("path")
		return nil
	})
}
