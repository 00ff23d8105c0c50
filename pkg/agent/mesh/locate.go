package mesh

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// localityLabel is on nodes whose locality was written here, so that it is found
// again. Its value tells localities apart.
const localityLabel = "mesh.flotilla.io/locality"

// uninitialized is the taint of a node until its cloud has said where it is.
const uninitialized = "node.cloudprovider.kubernetes.io/uninitialized"

// localSchemes begin the provider IDs of distributions that give nodes an ID, and no
// region.
var localSchemes = []string{"kind://", "k3s://", "rke2://", "kwok://"}

// mark is the value of the label for a locality.
func mark(l *meshv1alpha1.MemberLocality) string {
	sum := sha256.Sum256([]byte(l.Region + "/" + l.Zone))
	return hex.EncodeToString(sum[:8])
}

// ofCloud tells whether somebody else says, or is about to say, where a node is. A label
// that contradicts him would keep drivers for volumes from registering, and one that does
// not would be taken from him later.
func ofCloud(node *corev1.Node) bool {
	if slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == uninitialized }) {
		return true
	}
	if _, ok := node.Labels[corev1.LabelFailureDomainBetaRegion]; ok {
		return true
	}
	local := slices.ContainsFunc(localSchemes, func(s string) bool { return strings.HasPrefix(node.Spec.ProviderID, s) })
	return node.Spec.ProviderID != "" && !local
}

// locate are the labels that a node is to have from here. False when it is to be left
// alone. Without want what was written is taken back.
func locate(node *corev1.Node, want *meshv1alpha1.MemberLocality) (map[string]string, bool) {
	_, marked := node.Labels[localityLabel]
	ours := marked && slices.ContainsFunc(node.ManagedFields, managed)
	region, located := node.Labels[corev1.LabelTopologyRegion]
	switch {
	case marked && !ours:
		return nil, false // somebody has copied the mark
	case located && !ours:
		return nil, false
	case ofCloud(node) && !ours:
		return nil, false
	case ofCloud(node):
		// It was none when it was labelled. What the cloud says now may be the same, of
		// which the API server does not keep a note; so it stays, and only the mark goes.
		labels := map[string]string{}
		if located {
			labels[corev1.LabelTopologyRegion] = region
		}
		if zone, ok := node.Labels[corev1.LabelTopologyZone]; ok {
			labels[corev1.LabelTopologyZone] = zone
		}
		return labels, true
	case want == nil:
		return nil, ours
	}
	labels := map[string]string{localityLabel: mark(want), corev1.LabelTopologyRegion: want.Region}
	if want.Zone != "" {
		labels[corev1.LabelTopologyZone] = want.Zone
	}
	return labels, true
}
