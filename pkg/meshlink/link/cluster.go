package link

import (
	"time"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// CAState says what a cluster has of the trust of the mesh.
type CAState int

const (
	// CAUnknown means that nothing was reported.
	CAUnknown CAState = iota
	// CAWrong means that workloads of the cluster and of its peers do not trust
	// each other.
	CAWrong
	// CAChanging means that they do, but the wanted CA is not in effect yet.
	CAChanging
	// CAInEffect means that the wanted CA is in effect.
	CAInEffect
)

// Cluster is what is known of one cluster of a mesh.
type Cluster struct {
	// Name of the cluster; the CLUSTER_ID that its istiod must have, too.
	Name string
	// Network that it is in.
	Network string
	// Lost is since when nothing is heard of it; nil while it is heard of.
	Lost *time.Time
	// Heard is since when something is heard of it; zero for long ago. What was
	// missing before that gets the hold time anew.
	Heard time.Time
	// Leaving is true once it is no longer wanted in the mesh.
	Leaving bool
	// Claim says, if not empty, why this Mesh cannot have the cluster, and what to
	// do; ClaimReason is that in one CamelCase word, NotOurs if empty.
	Claim, ClaimReason string
	// Status is what its agent reported last; nil when it never did.
	Status *meshv1alpha1.MeshMemberStatus
	// CA says how what the agent reported compares with what is wanted.
	CA CAState
	// CAMessage says, if CA is not CAInEffect, what is in the way.
	CAMessage string
	// IstiodMessage says, if not empty, why its istiod does not answer, or one of several
	// does not; Silent is since when that is so.
	IstiodMessage string
	Silent        time.Time
	// NetworkMessage says, if not empty, why its network is not labelled.
	NetworkMessage string
	// VersionMessage says, if not empty, why its istiod is too old.
	VersionMessage string
	// GatewayMessage says, if not empty, why the objects of its gateway could not
	// be made.
	GatewayMessage string
	// GatewayOrigin says what makes the gateway's Service.
	GatewayOrigin string
	// Addresses of its gateway.
	Addresses []meshv1alpha1.GatewayAddress
	// TokenExpires is when the token ends with which it is read; nil when there is
	// none.
	TokenExpires *time.Time
	// TokenMessage says, if there is no token, what is in the way.
	TokenMessage string
}

// looked says whether its agent has looked at istio-system: parts of what it reports come
// one after another, and what it has not looked at is not missing.
func (c *Cluster) looked() bool { return c.Status != nil && c.Status.CACerts != nil }

// Pair is what is known of one ordered pair of clusters.
type Pair struct {
	// From calls To.
	From, To *Cluster
	// Written is true while From is to have the remote secret for To.
	Written bool
	// SecretHash is the hash of the kubeconfig that From is to have, or would get.
	SecretHash string
	// SecretMessage says, if not empty, why From could not take it.
	SecretMessage string
	// InUse are hashes of earlier ones whose token is still valid.
	InUse []string
	// Ready says that the link was ready when it was last looked at.
	Ready bool
	// Disrupted says that most clusters of the mesh are lost at once: then it is
	// rather the federation that is, and nothing is withdrawn for that.
	Disrupted bool
}

// heard is since when both are heard of.
func (p *Pair) heard() time.Time {
	if p.From.Heard.After(p.To.Heard) {
		return p.From.Heard
	}
	return p.To.Heard
}

// flat says whether pods of both reach each other directly.
func (p *Pair) flat() bool { return p.From.Network == p.To.Network }

// seen is what From's agent reported of To; nil when it did not.
func (p *Pair) seen() *meshv1alpha1.MemberPeerStatus {
	if p.From.Status == nil {
		return nil
	}
	for i := range p.From.Status.Peers {
		if p.From.Status.Peers[i].Name == p.To.Name {
			return &p.From.Status.Peers[i]
		}
	}
	return nil
}

// proof of a step that From's agent reported; nil when it did not try.
func (p *Pair) proof(step meshv1alpha1.LinkStep) *meshv1alpha1.Proof {
	seen := p.seen()
	if seen == nil {
		return nil
	}
	for i := range seen.Proofs {
		if seen.Proofs[i].Step == step {
			return &seen.Proofs[i]
		}
	}
	return nil
}
