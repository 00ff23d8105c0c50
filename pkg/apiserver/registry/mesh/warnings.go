package mesh

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	policyregistry "github.com/flotilla-io/flotilla/pkg/apiserver/registry/policy"
)

// warnings tells what of a Mesh has no effect, and what breaks something unless
// more is done than to write it here.
func warnings(spec *meshv1alpha1.MeshSpec) []string {
	path := field.NewPath("spec")
	affinity := path.Child("clusterAffinity")
	out := policyregistry.WarnAffinity(spec.ClusterAffinity, affinity)
	if spec.Trust.Adopt {
		out = append(out, fmt.Sprintf("%s: a CA that this Mesh did not make is replaced: istiod has to be restarted in that cluster, and calls within it can fail until its workloads have new certificates", path.Child("trust", "adopt")))
	}
	if spec.RemoteAccess.Secrets == meshv1alpha1.SecretsNone {
		out = append(out, fmt.Sprintf("%s: every istiod of the mesh has to run with PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER=false, in a version that works with that: 1.31.1 and before end with a panic", path.Child("remoteAccess", "secrets")))
	}
	// Only names say before any cluster is there who is not in the mesh.
	if spec.ClusterAffinity == nil {
		return out
	}
	selected, excluded := spec.ClusterAffinity.ClusterNames, spec.ClusterAffinity.ExcludeClusters
	named := func(name string, at *field.Path) {
		if name != "" && (len(selected) > 0 && !slices.Contains(selected, name) || slices.Contains(excluded, name)) {
			out = append(out, fmt.Sprintf("%s: has no effect, %s leaves cluster %s out of the mesh", at, affinity, name))
		}
	}
	for i := range spec.Networks {
		for j, name := range spec.Networks[i].ClusterNames {
			named(name, path.Child("networks").Index(i).Child("clusterNames").Index(j))
		}
	}
	for i := range spec.Gateway.Addresses {
		named(spec.Gateway.Addresses[i].ClusterName, path.Child("gateway", "addresses").Index(i).Child("clusterName"))
	}
	for i := range spec.RemoteAccess.Servers {
		named(spec.RemoteAccess.Servers[i].ClusterName, path.Child("remoteAccess", "servers").Index(i).Child("clusterName"))
	}
	return out
}
