package validation

import (
	"fmt"
	"time"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

const (
	// maxIntermediateLifetime is that of the roots that the federation makes.
	maxIntermediateLifetime = 10 * 365 * 24 * time.Hour
	// maxLeafLifetime bounds how long a change of the root waits at each step.
	maxLeafLifetime = 90 * 24 * time.Hour
)

func validateTrust(trust *meshv1alpha1.MeshTrust, path *field.Path) field.ErrorList {
	errs := oneOf(trust.Mode, path.Child("mode"), meshv1alpha1.TrustManaged, meshv1alpha1.TrustExternal)
	// What SPIFFE allows as a trust domain, short of underscores, which are no
	// part of host names.
	for _, msg := range validation.IsDNS1123Subdomain(trust.TrustDomain) {
		errs = append(errs, field.Invalid(path.Child("trustDomain"), trust.TrustDomain, msg))
	}
	ref := path.Child("secretRef")
	switch {
	case trust.Mode == meshv1alpha1.TrustExternal && trust.SecretRef == nil:
		errs = append(errs, field.Required(ref, "mode External takes the CA from a Secret; name it"))
	case trust.Mode == meshv1alpha1.TrustManaged && trust.SecretRef != nil:
		errs = append(errs, field.Forbidden(ref, "mode Managed makes the CA itself; write mode External, or remove secretRef"))
	case trust.SecretRef != nil:
		for _, msg := range apivalidation.ValidateNamespaceName(trust.SecretRef.Namespace, false) {
			errs = append(errs, field.Invalid(ref.Child("namespace"), trust.SecretRef.Namespace, msg))
		}
		for _, msg := range apivalidation.NameIsDNSSubdomain(trust.SecretRef.Name, false) {
			errs = append(errs, field.Invalid(ref.Child("name"), trust.SecretRef.Name, msg))
		}
	}
	if trust.RootGeneration < 1 {
		errs = append(errs, field.Invalid(path.Child("rootGeneration"), trust.RootGeneration, "the first root is 1"))
	}
	errs = append(errs, atMost(trust.IntermediateLifetime, maxIntermediateLifetime, "that is how long a root lives", path.Child("intermediateLifetime"))...)
	leaf := trust.WorkloadCertificateLifetime
	long := atMost(leaf, maxLeafLifetime, "each step of a change of the root waits that long", path.Child("workloadCertificateLifetime"))
	errs = append(errs, long...)
	if leaf != nil && leaf.Duration <= 0 {
		errs = append(errs, field.Invalid(path.Child("workloadCertificateLifetime"), leaf.Duration.String(), "must be more than 0"))
		leaf = nil
	}
	if leaf != nil && len(long) == 0 {
		errs = append(errs, atLeast(trust.IntermediateLifetime, 4*leaf.Duration,
			"what it signs lives for workloadCertificateLifetime, and it is renewed in time for that", path.Child("intermediateLifetime"))...)
	}
	return errs
}

// validateRootGeneration looks at what was asked for before, and at what is there: a
// Mesh that was deleted and made again, or had its root from a Secret, has a root of
// a higher number than was asked for.
func validateRootGeneration(mesh, old *meshv1alpha1.Mesh, path *field.Path) field.ErrorList {
	wanted, was, there := mesh.Spec.Trust.RootGeneration, old.Spec.Trust.RootGeneration, int64(0)
	if old.Status.Trust != nil {
		there = old.Status.Trust.RootGeneration
	}
	next := max(was, there) + 1
	managed := mesh.Spec.Trust.Mode == meshv1alpha1.TrustManaged && old.Spec.Trust.Mode == meshv1alpha1.TrustExternal
	var why string
	switch {
	case wanted < was:
		why = fmt.Sprintf("was %d and cannot go back, because older roots are forgotten; write %d for another new root", was, next)
	case wanted > was && mesh.Spec.Trust.Mode == meshv1alpha1.TrustExternal:
		return field.ErrorList{field.Forbidden(path, "the root comes from a Secret (mode External); put the new one there")}
	case wanted > next:
		why = fmt.Sprintf("was %d; roots are changed one after another, write %d", max(was, there), next)
	case managed && there > 0 && wanted <= there:
		why = fmt.Sprintf("has to be %d with the change from mode External to Managed, which makes another root; with %d the one from the Secret would stay in force (status.trust.rootGeneration is %d)", next, wanted, there)
	case wanted > was && wanted <= there:
		why = fmt.Sprintf("was %d, and the mesh has root %d already (status.trust.rootGeneration), so nothing would change; write %d for another root", was, there, next)
	default:
		return nil
	}
	return field.ErrorList{field.Invalid(path, wanted, why)}
}
