package v1alpha1

import corev1 "k8s.io/api/core/v1"

// Kinds of this group and the resources they are served at.
const (
	// ResourceKindMesh is the kind of Mesh.
	ResourceKindMesh = "Mesh"
	// ResourcePluralMesh is the resource of Mesh.
	ResourcePluralMesh = "meshes"
	// ResourceKindMeshMember is the kind of MeshMember.
	ResourceKindMeshMember = "MeshMember"
	// ResourcePluralMeshMember is the resource of MeshMember.
	ResourcePluralMeshMember = "meshmembers"
)

// IstioNamespace is the namespace of istiod in every member.
const IstioNamespace = "istio-system"

// MeshLabel names the Mesh on every object that belongs to one, in the federation
// and in members. What does not have it in a member was made by somebody else.
const MeshLabel = "mesh.flotilla.io/mesh"

// StubLabel is "true" on the stub of a Service, and on the Work that brings it: on
// the Service as a cluster gets it that calls it and has no share of it. As an
// annotation of a Service in the federation, "false" asks for no stubs of it.
const StubLabel = "mesh.flotilla.io/stub"

// ConditionLeft on a MeshMember is True when the agent has taken back what it has
// written into the cluster, and what Works of the mesh brought was deleted, but for the CA.
const ConditionLeft = "Left"

// WorkPrefix begins the names of the Works that belong to a mesh; what they bring
// follows.
func WorkPrefix(mesh string) string { return "mesh." + mesh + "." }

// WorkCA is what follows in the name of the Work with the CA, which a cluster keeps
// when it leaves.
const WorkCA = "ca"

// Conditions of a MeshMember. Each is False, with what is wrong and what to do, while
// something of its kind is not as wanted.
const (
	// ConditionObserved: istio-system can be read.
	ConditionObserved = "Observed"
	// ConditionNetworkLabelled: istio-system has the label of the network.
	ConditionNetworkLabelled = "NetworkLabelled"
	// ConditionNodesLocated: nodes without a locality have got that of the cluster.
	ConditionNodesLocated = "NodesLocated"
	// ConditionTokenDelivered: the federation has a token for peers.
	ConditionTokenDelivered = "TokenDelivered"
	// ConditionIstiodAnswers: istiod tells what it makes of the mesh.
	ConditionIstiodAnswers = "IstiodAnswers"
	// ConditionCASigns: what istiod signs leads to the roots that it tells to trust.
	ConditionCASigns = "CASigns"
	// ConditionRemoteSecretsOwn: nobody else has made remote secrets for peers.
	ConditionRemoteSecretsOwn = "RemoteSecretsOwn"
)

// MeshFinalizer is on every Mesh: its clusters are withdrawn from each other before
// it goes.
const MeshFinalizer = "mesh.flotilla.io/withdraw"

// The Secret in the federation's namespace karmada-system with the roots of a mesh
// and their keys.
const (
	// TrustSecretType is its type.
	TrustSecretType corev1.SecretType = "mesh.flotilla.io/trust"
)

// TrustSecretName is the name of the Secret with the roots of a mesh. It stays when
// the Mesh is deleted: clusters go on under that root.
func TrustSecretName(mesh string) string { return "mesh-trust-" + mesh }

// The Secret in the execution namespace of a cluster with the token of its reader.
const (
	// ReaderSecretType is its type.
	ReaderSecretType corev1.SecretType = "mesh.flotilla.io/reader-token"
	// ReaderTokenKey holds the token.
	ReaderTokenKey = "token"
	// ReaderCAKey holds the CA of the cluster's API server, PEM.
	ReaderCAKey = "ca.crt"
	// ReaderServerKey holds the URL of the cluster's API server for its peers.
	ReaderServerKey = "server"
	// ReaderExpiresKey holds when the token ends, RFC 3339.
	ReaderExpiresKey = "expires"
)

// ReaderSecretPrefix begins the names of these Secrets. Agents may write Secrets of
// that type with such a name, in their own namespace, and no others.
const ReaderSecretPrefix = "mesh-reader-"

// ReaderSecretName is the name of the Secret with the token of a mesh's reader.
func ReaderSecretName(mesh string) string { return ReaderSecretPrefix + mesh }

// DefaultNetwork is the network of a cluster that no network of the Mesh names.
func DefaultNetwork(cluster string) string { return "network-" + cluster }

// Network is the network that a cluster is in.
func (s *MeshSpec) Network(cluster string) string {
	for i := range s.Networks {
		for _, name := range s.Networks[i].ClusterNames {
			if name == cluster {
				return s.Networks[i].Name
			}
		}
	}
	return DefaultNetwork(cluster)
}
