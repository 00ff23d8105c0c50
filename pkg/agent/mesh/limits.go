package mesh

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"

	clustervalidation "github.com/flotilla-io/flotilla/api/cluster/v1alpha1/validation"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// limit keeps a report within what the federation takes: it would refuse all of it for
// one message that is too long.
func limit(status *meshv1alpha1.MeshMemberStatus) {
	for i := range status.Conditions {
		status.Conditions[i].Message = meshv1alpha1.Clip(status.Conditions[i].Message, meshv1alpha1.MaxMessage)
	}
	status.Regions = first(status.Regions, meshv1alpha1.MaxRegions)
	if istiod := status.Istiod; istiod != nil {
		status.Istiod = &meshv1alpha1.MemberIstiod{
			Version:   meshv1alpha1.Clip(istiod.Version, meshv1alpha1.MaxVersion),
			ClusterID: meshv1alpha1.Clip(istiod.ClusterID, meshv1alpha1.MaxVersion),
		}
	}
	if ca := status.CA; ca != nil {
		limited := *ca
		limited.Roots = first(ca.Roots, meshv1alpha1.MaxRoots)
		status.CA = &limited
	}
	if cacerts := status.CACerts; cacerts != nil {
		limited := *cacerts
		limited.Roots = first(cacerts.Roots, meshv1alpha1.MaxRoots)
		status.CACerts = &limited
	}
	if gateway := status.Gateway; gateway != nil {
		status.Gateway = &meshv1alpha1.MemberGatewayStatus{
			Addresses: first(gateway.Addresses, meshv1alpha1.MaxGatewayAddresses),
			Message:   meshv1alpha1.Clip(gateway.Message, meshv1alpha1.MaxMessage),
		}
	}
	// Somebody may have put more into a remote secret than a cluster's name.
	status.Peers = slices.DeleteFunc(status.Peers, func(p meshv1alpha1.MemberPeerStatus) bool {
		return len(p.Name) > clustervalidation.MaxNameLength || len(validation.IsDNS1123Label(p.Name)) > 0
	})
	status.Peers = first(status.Peers, meshv1alpha1.MaxPeers)
	for i := range status.Peers {
		for j := range status.Peers[i].Proofs {
			proof := &status.Peers[i].Proofs[j]
			proof.Message = meshv1alpha1.Clip(proof.Message, meshv1alpha1.MaxMessage)
		}
	}
}

// first are the first of some items.
func first[T any](items []T, most int) []T {
	return items[:min(len(items), most)]
}
