package plan

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
)

// Picture is all that a plan follows from.
type Picture struct {
	// Mesh that the plan is for.
	Mesh *meshv1alpha1.Mesh
	// Meshes are all there are: a cluster is in one only.
	Meshes []*meshv1alpha1.Mesh
	// Clusters are all of the federation.
	Clusters []*clusterv1alpha1.Cluster
	// Members are the MeshMembers of all Meshes.
	Members []*meshv1alpha1.MeshMember
	// Works are those with the Mesh's label.
	Works []*workv1alpha1.Work
	// Trust is the Secret with the roots, nil when there is none.
	Trust *corev1.Secret
	// External is the Secret of trust mode External, nil when there is none.
	External *corev1.Secret
	// Tokens are what MeshMember.status.token names, by cluster.
	Tokens map[string]Token
	// Placed is where propagated workloads are. Used when links are by placement.
	Placed []link.Placed
	// Held are pairs that were asked for until a while ago, HeldUntil when the first
	// of them is not any more.
	Held      []link.Ordered
	HeldUntil time.Time
	// Began is since when the federation looks at Meshes without a break; zero for long
	// ago. What had no chance to be put right before gets the hold time anew.
	Began time.Time
}

// Token is the token of a cluster's reader. It is secret.
type Token struct {
	*remotesecret.Token
	// Problem says, when there is none, what is in the way.
	Problem string
	// Again is when the next one is taken in that is there already; zero for none.
	Again time.Time
}

// Verb is what is done to an object.
type Verb string

// The verbs.
const (
	Create Verb = "Create"
	// Update is on the condition that the object is still what the plan was made
	// from.
	Update Verb = "Update"
	// Delete is no error when there is nothing to delete.
	Delete Verb = "Delete"
)

// Write is one write.
type Write struct {
	Verb Verb
	// Object as it is to be; of a Delete, what is to go.
	Object client.Object
	// Was is the object as it is, of an Update.
	Was client.Object
	// Cluster that it is for; empty when it is for the mesh. When it fails none after
	// it is to be made for that cluster; when it is for the mesh, none at all.
	Cluster string
	// Needs are other clusters, without whose writes this one is not to be made.
	Needs []string
	// Last lets go of the Mesh. It needs all others.
	Last bool
}

// Blocked says that a write is not to be made, because one before it has failed for
// one of these clusters.
func (w *Write) Blocked(without map[string]bool) bool {
	return w.Cluster != "" && without[w.Cluster] || w.Last && len(without) > 0 ||
		slices.ContainsFunc(w.Needs, func(name string) bool { return without[name] })
}

// Event is something that people want to see on the Mesh.
type Event struct {
	// Warning says that somebody has to do something.
	Warning bool
	Reason  string
	Note    string
}

// Plan is what is to be done.
type Plan struct {
	// Writes in the order in which they are to be made. See Write.Cluster for what
	// follows from one that fails.
	Writes []Write
	// Status of the Mesh after that.
	Status meshv1alpha1.MeshStatus
	// Gone says that the Mesh is let go of with these writes: it has no status
	// any more.
	Gone bool
	// Events that happened with that status.
	Events []Event
	// Again is when to look again if nothing else happens; zero for never.
	Again time.Time

	// worthless are clusters that were unjoined, each with those of which it knows a
	// token that is to be worthless.
	worthless map[string][]string
	// unjoined is since when they were given nothing more, at the latest.
	unjoined time.Time
}
