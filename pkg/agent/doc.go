// Package agent is what runs for each member: it takes the member's works from the federation,
// applies them (package apply), remembers them (package inventory), reports what became of them
// (package status), says that the cluster is there and how it is (package heartbeat), and does its part
// in a mesh (package mesh).
//
// It needs connections to two API servers and accepts none. In Pull mode it is a process in the
// member; in Push mode the control plane hosts one per member. There is no state outside of an Agent, and any
// number of them fit into a process. Hosted agents do all that others do but for meshes (package mesh):
// what they would prove is about the network of the control plane.
//
// The federation is not believed blindly:
//   - The agent belongs to the federation it first met (the UID of its kube-system namespace). Another
//     one is refused until Options.AcceptFederationUID names it.
//   - A full list that would delete more than the inventory's guard lets go is held until a person
//     confirms: the Cluster's condition DeletionsHeld has the token, the annotation
//     ConfirmDeletionsAnnotation takes it. A token is good for what is held, once. Deletions that arrive
//     as events were asked for.
//   - What a full list lacks is gone when a second one, 5 s later, lacks it, too: with several API
//     servers, one that was just started or has lost its connection may be behind the others.
//   - So is everything that the first list after the cluster joined again does not name: a cluster
//     that leaves keeps its workloads, and may get them back.
//   - A work that could not be rendered keeps its last good manifest.
//   - Objects that another federation brought are not touched, be the cluster's name in it the same.
//
// Nor are labels and annotations: they travel with copies that people make. What is deleted is what was
// applied by this agent, by its record or by the object's managedFields.
//
// Without the federation the agent goes on: what was wanted last stays in force, across its own
// restart too if it has a state directory. Nothing but the end of its context ends Run, with one
// exception: another member that owns the cluster's name.
//
// Memory follows the manifests; live objects, nodes and pods pass by and leave a few numbers.
package agent
