package validation

import (
	"regexp"
	"slices"
	"time"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

const (
	maxReason = 128
	maxHost   = 253
	// lastTokenYear is long after the end of any token that Kubernetes makes, and
	// before the end of time as it is stored.
	lastTokenYear = 2200
)

var (
	// reasonForm is that of reasons of conditions, which these become.
	reasonForm = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`)
	hashForm   = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

	tried = []meshv1alpha1.LinkStep{meshv1alpha1.StepProbe, meshv1alpha1.StepSynced, meshv1alpha1.StepGatewayKnown, meshv1alpha1.StepEndpoints}
)

// ValidateMeshMemberStatusUpdate checks a changed status. An agent writes it, of which
// not too much is believed: parts of it become parts of the Mesh and of what peers get,
// so what could not be stored there is refused here.
func ValidateMeshMemberStatusUpdate(member, _ *meshv1alpha1.MeshMember) field.ErrorList {
	status, path := &member.Status, field.NewPath("status")
	errs := tooMany(status.Conditions, meshv1alpha1.MaxConditions, path.Child("conditions"))
	errs = append(errs, metav1validation.ValidateConditions(status.Conditions, path.Child("conditions"))...)
	for i := range status.Conditions {
		errs = append(errs, tooLong(status.Conditions[i].Message, meshv1alpha1.MaxMessage, path.Child("conditions").Index(i).Child("message"))...)
	}
	errs = append(errs, tooLong(status.Network, validation.LabelValueMaxLength, path.Child("network"))...)
	errs = append(errs, tooMany(status.Regions, meshv1alpha1.MaxRegions, path.Child("regions"))...)
	for i, region := range status.Regions {
		errs = append(errs, tooLong(region, validation.LabelValueMaxLength, path.Child("regions").Index(i))...)
	}
	if istiod := status.Istiod; istiod != nil {
		errs = append(errs, tooLong(istiod.Version, meshv1alpha1.MaxVersion, path.Child("istiod", "version"))...)
		errs = append(errs, tooLong(istiod.ClusterID, meshv1alpha1.MaxVersion, path.Child("istiod", "clusterID"))...)
	}
	if ca := status.CA; ca != nil {
		p := path.Child("ca")
		errs = append(errs, validateRoots(ca.Roots, p.Child("roots"))...)
		errs = append(errs, validateHash(ca.Signer, p.Child("signer"))...)
		errs = append(errs, validateHash(ca.Intermediate, p.Child("intermediate"))...)
	}
	if cacerts := status.CACerts; cacerts != nil {
		errs = append(errs, validateRoots(cacerts.Roots, path.Child("caCerts", "roots"))...)
		errs = append(errs, tooLong(cacerts.Mesh, validation.LabelValueMaxLength, path.Child("caCerts", "mesh"))...)
	}
	if token := status.Token; token != nil {
		errs = append(errs, validateToken(token, path.Child("token"))...)
	}
	errs = append(errs, validateGatewayReport(status.Gateway, path.Child("gateway"))...)
	return append(errs, validatePeers(status.Peers, path.Child("peers"))...)
}

func validateToken(token *meshv1alpha1.MemberToken, path *field.Path) field.ErrorList {
	errs := validateHash(token.Hash, path.Child("hash"))
	if token.Hash == "" {
		errs = append(errs, field.Required(path.Child("hash"), "write the hash of the token"))
	}
	if token.Expires.UTC().Year() >= lastTokenYear {
		errs = append(errs, field.Invalid(path.Child("expires"), token.Expires.Format(time.RFC3339), "no token is valid for so long"))
	}
	return errs
}

func validateGatewayReport(gateway *meshv1alpha1.MemberGatewayStatus, path *field.Path) field.ErrorList {
	if gateway == nil {
		return nil
	}
	errs := tooLong(gateway.Message, meshv1alpha1.MaxMessage, path.Child("message"))
	errs = append(errs, tooMany(gateway.Addresses, meshv1alpha1.MaxGatewayAddresses, path.Child("addresses"))...)
	for i := range gateway.Addresses {
		address, p := &gateway.Addresses[i], path.Child("addresses").Index(i)
		if address.Address == "" {
			errs = append(errs, field.Required(p.Child("address"), "write an IP or a host name"))
		}
		errs = append(errs, tooLong(address.Address, maxHost, p.Child("address"))...)
		for _, msg := range validation.IsValidPortNum(int(address.Port)) {
			errs = append(errs, field.Invalid(p.Child("port"), address.Port, msg))
		}
	}
	return errs
}

func validatePeers(peers []meshv1alpha1.MemberPeerStatus, path *field.Path) field.ErrorList {
	errs, names := tooMany(peers, meshv1alpha1.MaxPeers, path), sets.New[string]()
	if len(errs) > 0 {
		return errs
	}
	for i := range peers {
		peer, p := &peers[i], path.Index(i)
		errs = append(errs, validateClusterName(peer.Name, p.Child("name"))...)
		if names.Has(peer.Name) {
			errs = append(errs, field.Duplicate(p.Child("name"), peer.Name))
		}
		names.Insert(peer.Name)
		errs = append(errs, validateHash(peer.SecretHash, p.Child("secretHash"))...)
		errs = append(errs, validateProofs(peer.Proofs, p.Child("proofs"))...)
	}
	return errs
}

// validateProofs allows each step once, which bounds how many there are.
func validateProofs(proofs []meshv1alpha1.Proof, path *field.Path) field.ErrorList {
	errs, steps := tooMany(proofs, len(tried), path), sets.New[meshv1alpha1.LinkStep]()
	if len(errs) > 0 {
		return errs
	}
	for i := range proofs {
		proof, p := &proofs[i], path.Index(i)
		switch {
		case !slices.Contains(tried, proof.Step):
			errs = append(errs, field.NotSupported(p.Child("step"), proof.Step, tried))
		case steps.Has(proof.Step):
			errs = append(errs, field.Duplicate(p.Child("step"), proof.Step))
		}
		steps.Insert(proof.Step)
		errs = append(errs, tooLong(proof.Reason, maxReason, p.Child("reason"))...)
		if proof.Reason != "" && !reasonForm.MatchString(proof.Reason) {
			errs = append(errs, field.Invalid(p.Child("reason"), proof.Reason, "must be one CamelCase word, as reasons of conditions are"))
		}
		errs = append(errs, tooLong(proof.Message, meshv1alpha1.MaxMessage, p.Child("message"))...)
	}
	return errs
}

func validateRoots(roots []string, path *field.Path) field.ErrorList {
	errs := tooMany(roots, meshv1alpha1.MaxRoots, path)
	for i, root := range roots {
		errs = append(errs, validateHash(root, path.Index(i))...)
	}
	return errs
}

// validateHash allows none.
func validateHash(hash string, path *field.Path) field.ErrorList {
	if hash == "" || hashForm.MatchString(hash) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, hash[:min(len(hash), maxReason)], "must be sha256: and 64 hexadecimal digits, in small letters")}
}

func tooLong(text string, most int, path *field.Path) field.ErrorList {
	if len(text) <= most {
		return nil
	}
	return field.ErrorList{field.TooLong(path, "", most)}
}

func tooMany[T any](items []T, most int, path *field.Path) field.ErrorList {
	if len(items) <= most {
		return nil
	}
	return field.ErrorList{field.TooMany(path, len(items), most)}
}
