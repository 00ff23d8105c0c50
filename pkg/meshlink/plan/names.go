package plan

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

// Parts of what a cluster gets, each a Work.
const (
	// PartCA is the Secret istio-system/cacerts.
	PartCA = meshv1alpha1.WorkCA
	// PartReader is the account that peers read the cluster as.
	PartReader = "reader"
	// PartGateway is the gateway to other networks.
	PartGateway = "gateway"
	// PartFailover is the DestinationRule for failover between regions.
	PartFailover = "failover"

	peerPrefix = "peer."
)

// PartPeer is the remote secret for a peer.
func PartPeer(peer string) string { return peerPrefix + peer }

// WorkName is the name of the Work with a part.
func WorkName(mesh, part string) string { return meshv1alpha1.WorkPrefix(mesh) + part }

// partOf is the reverse of WorkName; empty when it is no such name.
func partOf(mesh, work string) string {
	part, _ := strings.CutPrefix(work, WorkName(mesh, ""))
	if part == work {
		return ""
	}
	return part
}

// peerOf is the reverse of PartPeer; empty when the part is another.
func peerOf(part string) string {
	peer, ok := strings.CutPrefix(part, peerPrefix)
	if !ok {
		return ""
	}
	return peer
}

// metadata of an object of a mesh in the execution namespace of a cluster.
func metadata(mesh, cluster, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: names.ExecutionNamespace(cluster), Name: name,
		Labels: map[string]string{meshv1alpha1.MeshLabel: mesh},
	}
}
