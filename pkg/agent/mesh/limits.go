package mesh

import (
	"unicode/utf8"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// limit keeps a report within what the federation takes: it would refuse all of it for
// one message that is too long.
func limit(status *meshv1alpha1.MeshMemberStatus) {
	for i := range status.Conditions {
		status.Conditions[i].Message = clip(status.Conditions[i].Message, meshv1alpha1.MaxMessage)
	}
	status.Regions = first(status.Regions, meshv1alpha1.MaxRegions)
	if istiod := status.Istiod; istiod != nil {
		status.Istiod = &meshv1alpha1.MemberIstiod{
			Version:   clip(istiod.Version, meshv1alpha1.MaxVersion),
			ClusterID: clip(istiod.ClusterID, meshv1alpha1.MaxVersion),
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
			Message:   clip(gateway.Message, meshv1alpha1.MaxMessage),
		}
	}
	status.Peers = first(status.Peers, meshv1alpha1.MaxPeers)
	for i := range status.Peers {
		for j := range status.Peers[i].Proofs {
			proof := &status.Peers[i].Proofs[j]
			proof.Message = clip(proof.Message, meshv1alpha1.MaxMessage)
		}
	}
}

const ellipsis = "…"

// clip shortens a text to a number of bytes, and shows it.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most - len(ellipsis)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}

// first are the first of some items.
func first[T any](items []T, most int) []T {
	return items[:min(len(items), most)]
}
