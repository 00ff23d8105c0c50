// Package mesh does the part of one cluster in a mesh: what the MeshMembers in the
// cluster's execution namespace ask for, and tells in their status what it has seen.
//
// For each MeshMember five tasks run beside each other, so that an istiod that hangs, or a
// gateway that does not answer, holds up nothing else:
//
//   - cluster: labels istio-system with its network, and looks at the Secret cacerts, at
//     remote secrets and at the gateway's Service. Where that is of type NodePort it
//     follows the nodes at which the gateway is reached.
//   - token: makes tokens for peers, delivers them, and ends them (package reader).
//   - istiod: asks istiod what it has in effect (packages istiod and proof).
//   - probes: tries to reach the gateways of peers (package probe).
//   - nodes: gives nodes a locality that have none.
//
// Each looks, and does what is missing, whatever happened before: every second while
// something is missing, less often when nothing changes for a while, every 15 s when all
// is well, and at once when the MeshMember changes. What they have seen is put together
// into a status (report), which is written only when it differs from what is there.
//
// Invariants:
//
//   - What cannot be seen at the moment is as it was, also over a restart: as the agent
//     before has reported it. But for what istiod would have to say: while it does not
//     answer, nothing is proven.
//   - What somebody else has written is not changed: server-side apply, without force, as
//     the field manager flotilla-mesh. Leaving takes back what this manager owns and
//     nothing else; that a cluster has left is said when what Works of the mesh brought was
//     deleted, too, but for the CA. The label mesh.flotilla.io/locality finds the nodes again.
//   - With two MeshMembers, when a cluster goes from one Mesh to another, label and
//     localities are those of the oldest that does not leave.
//   - A MeshMember that vanishes without spec.leaving takes nothing back.
//   - A MeshMember of a federation that was restored from a backup is looked at anew: what
//     was seen was about later ones, of which that federation knows nothing.
//   - Without a MeshMember there is one watch, and no connection to istiod.
//
// The reader's own tokens go into one Secret of the federation and are not kept. What
// istiod is asked with is a token for istiod alone, and a certificate, in memory.
//
// Concurrency: Run owns everything; it ends when all tasks have ended.
package mesh
