package validation

import (
	"fmt"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

// ValidateMeshMember checks a new MeshMember.
func ValidateMeshMember(member *meshv1alpha1.MeshMember) field.ErrorList {
	errs := apivalidation.ValidateObjectMeta(&member.ObjectMeta, true, apivalidation.NameIsDNSLabel, field.NewPath("metadata"))
	if _, ok := names.ClusterOf(member.Namespace); !ok && member.Namespace != "" {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "namespace"), member.Namespace,
			"must be the execution namespace of a cluster, "+names.ExecutionNamespace("<cluster>")))
	}
	return append(errs, validateMemberSpec(member, field.NewPath("spec"))...)
}

// ValidateMeshMemberUpdate checks a changed MeshMember.
func ValidateMeshMemberUpdate(member, _ *meshv1alpha1.MeshMember) field.ErrorList {
	return validateMemberSpec(member, field.NewPath("spec"))
}

func validateMemberSpec(member *meshv1alpha1.MeshMember, path *field.Path) field.ErrorList {
	spec := &member.Spec
	var errs field.ErrorList
	if spec.MeshID != member.Name {
		errs = append(errs, field.Invalid(path.Child("meshID"), spec.MeshID, fmt.Sprintf("must be the name of the object, %s", member.Name)))
	}
	cluster, _ := names.ClusterOf(member.Namespace)
	errs = append(errs, validateClusterName(spec.ClusterID, path.Child("clusterID"))...)
	if cluster != "" && spec.ClusterID != "" && spec.ClusterID != cluster {
		errs = append(errs, field.Invalid(path.Child("clusterID"), spec.ClusterID, fmt.Sprintf("must be %s, the cluster whose namespace this is", cluster)))
	}
	if spec.Network == "" {
		errs = append(errs, field.Required(path.Child("network"), "name the network of the cluster"))
	}
	seen := sets.New[string]()
	for i := range spec.Peers {
		peer, p := &spec.Peers[i], path.Child("peers").Index(i)
		errs = append(errs, validateClusterName(peer.Name, p.Child("name"))...)
		switch {
		case peer.Name != "" && peer.Name == cluster:
			errs = append(errs, field.Invalid(p.Child("name"), peer.Name, "is the cluster itself; istiod must have no remote secret for it"))
		case seen.Has(peer.Name):
			errs = append(errs, field.Duplicate(p.Child("name"), peer.Name))
		}
		seen.Insert(peer.Name)
	}
	return errs
}
