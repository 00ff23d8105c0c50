package trust

import "fmt"

// Found is what a cluster has as its Secret "cacerts" at the moment.
type Found struct {
	// Exists is false when there is no such Secret.
	Exists bool
	// Mesh is the value of the Mesh's label on it; empty when the Secret was not
	// made by a Mesh.
	Mesh string
	// Roots of its root-cert.pem.
	Roots []Fingerprint
	// Unknown says that it was made by a Mesh of this name, and under roots that
	// this Mesh has never had: in another federation, or in an earlier life of this
	// one.
	Unknown bool
	// Trusted says that nobody's Mesh has made it, and that it is under a root that this
	// Mesh was told to trust (mode External).
	Trusted bool
}

// Verdict says whether a CA may be written into a cluster.
type Verdict struct {
	// Write is true when it may.
	Write bool
	// Join is true when the cluster may be in the mesh: with the CA that is written, or
	// with its own.
	Join bool
	// Reason is one CamelCase word.
	Reason string
	// Message says, when it may not, whose the Secret is and what to do.
	Message string
}

// Reasons of a Verdict.
const (
	// CAAbsent: there is none yet.
	CAAbsent = "Absent"
	// CAOurs: it is this Mesh's.
	CAOurs = "Ours"
	// CAAdopted: it was somebody else's, who gave it up.
	CAAdopted = "Adopted"
	// CATheirs: it is somebody else's, under the root of this Mesh.
	CATheirs = "OwnCA"
	// CAForeign: it is somebody else's.
	CAForeign = "ForeignCA"
	// CAOtherMesh: it is another Mesh's.
	CAOtherMesh = "OtherMesh"
	// CAUnknownRoots: it is that of a Mesh of the same name with other roots.
	CAUnknownRoots = "UnknownRoots"
	// CAUnknown: the cluster has not reported what it has.
	CAUnknown = "NotReported"
)

// Judge says whether the CA of a mesh may be written into a cluster with what was
// found there; nil when the cluster has not reported. What the Mesh did not make
// is overwritten only with adopt, and what another Mesh made never is. A name is not
// enough to be the same Mesh: the roots have to be known.
func Judge(mesh, cluster string, found *Found, adopt bool) Verdict {
	switch {
	case found == nil:
		return Verdict{Reason: CAUnknown, Message: fmt.Sprintf("cluster %s has not reported whether there is a Secret istio-system/%s; nothing is written over it unseen: look whether its agent runs and knows this Mesh", cluster, CACertsSecret)}
	case !found.Exists:
		return Verdict{Write: true, Join: true, Reason: CAAbsent}
	case found.Mesh == mesh && !found.Unknown:
		return Verdict{Write: true, Join: true, Reason: CAOurs}
	case found.Mesh == mesh && adopt:
		return Verdict{Write: true, Join: true, Reason: CAAdopted}
	case found.Mesh == mesh:
		return Verdict{Reason: CAUnknownRoots, Message: fmt.Sprintf("cluster %s has a Secret istio-system/%s that a Mesh %s has made with %s, which this Mesh has never had: it is that of another federation, or the roots of this one were restored from an older backup. Restore the newer roots; or delete the Secret, or set spec.trust.adopt: true, and it is replaced; istiod there then has to be restarted", cluster, CACertsSecret, mesh, Names(found.Roots))}
	case found.Mesh != "":
		return Verdict{Reason: CAOtherMesh, Message: fmt.Sprintf("the Secret istio-system/%s of cluster %s is that of Mesh %s; take the cluster out of one of the two Meshes", CACertsSecret, cluster, found.Mesh)}
	case adopt:
		return Verdict{Write: true, Join: true, Reason: CAAdopted}
	case found.Trusted:
		return Verdict{Join: true, Reason: CATheirs, Message: fmt.Sprintf("cluster %s has a Secret istio-system/%s that this Mesh did not make, with %s; whoever made it renews it, and changes its root", cluster, CACertsSecret, Names(found.Roots))}
	default:
		return Verdict{Reason: CAForeign, Message: fmt.Sprintf("cluster %s has a Secret istio-system/%s with %s that this Mesh did not make. Either trust it: spec.trust.mode External with that root. Or delete it, or set spec.trust.adopt: true, and it is replaced; istiod there then has to be restarted, and calls within the cluster can fail until its workloads have new certificates", cluster, CACertsSecret, Names(found.Roots))}
	}
}
