// Package plan says what to write next so that a Mesh becomes true: from a picture
// of what the federation knows, and the time.
//
// Make looks at the whole each time and remembers nothing, so it makes no
// difference whether the one who writes was restarted. All that has to survive is
// in objects:
//
//   - the stage of a change of the root, and the roots: Secret mesh-trust-<mesh>
//   - the intermediate of a cluster: its Work mesh.<mesh>.ca, from which it is read
//     back
//   - the tokens that peers may use: MeshMember.spec.reader.inUse
//   - which remote secrets were handed out: the Works mesh.<mesh>.peer.<peer>
//   - who was in the mesh: MeshMembers and Mesh.status
//
// # Order
//
// Writes are to be made one after the other; Write says what is left out after one that
// failed. What is taken back comes first, what something follows from comes before it:
//
//  1. the finalizer of the Mesh
//  2. the Secret with the roots
//  3. remote secrets that go
//  4. CAs
//  5. MeshMembers: among others the tokens in use, before they are handed out and
//     before those that are no longer in it are ended
//  6. readers, gateways, failover, remote secrets that come
//  7. readers, gateways and failover that go
//  8. what is left of clusters that have left, the MeshMember last
//
// and then the status. After any of them the next picture gives the rest.
//
// # Invariants
//
//   - Fail-closed: a remote secret comes when package link finds nothing missing
//     before it, and goes when link says so. What cannot be read or decided leaves
//     things as they are.
//   - Nothing is signed when the roots of a mesh were there once and are not now, or
//     are earlier ones.
//   - Nothing is taken from a cluster of which nothing is heard, and none is withdrawn
//     while most are lost.
//   - A CA is written into a cluster if package trust allows it, and only then.
//   - A picture that is as it should be gives no writes and the same status.
//
// Make calls crypto/rand for new keys; else everything is a pure function and may be
// called from any goroutine. Arguments are not changed.
package plan
