package link

import (
	"slices"
	"time"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// both looks at one cluster and then at the other; the worse counts.
func both(p *Pair, find func(c *Cluster) finding) finding {
	from, to := find(p.From), find(p.To)
	if to.weight > from.weight {
		return to
	}
	return from
}

// member: both are this Mesh's, have reported, and have the right istiod.
func member(p *Pair, now time.Time) finding {
	return both(p, func(c *Cluster) finding {
		found := isMember(c)
		if c.Lost == nil && c.Status != nil && (c.Status.Istiod == nil || c.Status.Istiod.ClusterID == "") && p.restarts(c, now) {
			return finding{weight: brief, since: c.Silent}
		}
		return found
	})
}

// restarts says whether an istiod has not answered for so short a time that it may just
// be started again. Proxies have what they need meanwhile.
func (p *Pair) restarts(c *Cluster, now time.Time) bool {
	return p.Ready && p.Written && !c.Silent.IsZero() && justNow(c.Silent, now)
}

// MissingMember says what of step Member is missing in the cluster itself; empty when
// nothing is.
func (c *Cluster) MissingMember() (reason, message string) {
	found := isMember(c)
	return found.reason, found.message
}

func isMember(c *Cluster) finding {
	switch {
	case c.Claim != "":
		return missing(wrong, orElse(c.ClaimReason, "NotOurs"), "%s", c.Claim)
	case c.Status == nil:
		return missing(pending, "NotReported", "the agent of cluster %s has not reported about this Mesh; look whether it runs and is of a version that knows Meshes", c.Name)
	case c.Status.Istiod == nil:
		if c.IstiodMessage != "" {
			return missing(pending, "NoIstiod", "cluster %s: %s", c.Name, c.IstiodMessage)
		}
		return missing(pending, "NoIstiod", "no istiod answers in istio-system of cluster %s; install Istio there, or look why it does not run", c.Name)
	case c.Status.Istiod.ClusterID != "" && c.Status.Istiod.ClusterID != c.Name:
		return missing(wrong, "WrongClusterID", "istiod of cluster %s has CLUSTER_ID %s; peers know the cluster as %s. Set values.global.multiCluster.clusterName to %s there", c.Name, c.Status.Istiod.ClusterID, c.Name, c.Name)
	case c.Status.Istiod.ClusterID == "":
		if c.IstiodMessage != "" {
			return missing(pending, "ClusterIDUnknown", "cluster %s: %s", c.Name, c.IstiodMessage)
		}
		return missing(pending, "ClusterIDUnknown", "istiod of cluster %s has not told its CLUSTER_ID; it must be %s", c.Name, c.Name)
	case c.VersionMessage != "":
		return missing(pending, "IstiodTooOld", "cluster %s: %s", c.Name, c.VersionMessage)
	case c.Lost != nil:
		return missing(pending, "ClusterLost", "nothing is heard of cluster %s, which counts as lost since %s; what it has stays as it is", c.Name, c.Lost.UTC().Format(time.RFC3339))
	default:
		return ok
	}
}

// ca: both have the wanted CA. While that changes a link goes on.
func ca(p *Pair, now time.Time) finding {
	return both(p, func(c *Cluster) finding {
		switch c.CA {
		case CAInEffect:
			return ok
		case CAWrong:
			return missing(wrong, "CANotInEffect", "cluster %s: %s", c.Name, c.CAMessage)
		case CAChanging:
			if p.Written {
				return ok // they trust each other at every step
			}
			return missing(pending, "CAChanging", "cluster %s: %s", c.Name, c.CAMessage)
		default:
			if p.restarts(c, now) {
				return finding{weight: brief, since: c.Silent}
			}
			return missing(pending, "CAUnknown", "it is not known which CA cluster %s has in effect: %s", c.Name, c.CAMessage)
		}
	})
}

// network: istio-system of both has the label; without it Istio takes all
// networks for one.
func network(p *Pair, _ time.Time) finding {
	return both(p, func(c *Cluster) finding {
		switch {
		case c.Status == nil || c.Status.Network == "" && !c.looked():
			return missing(pending, "NotReported", "the label of istio-system in cluster %s is not known: its agent has not looked yet, or cannot; see its conditions in the Mesh, and its log", c.Name)
		case c.Status.Network != c.Network && c.NetworkMessage != "":
			return missing(wrong, "WrongNetwork", "cluster %s: %s", c.Name, c.NetworkMessage)
		case c.Status.Network != c.Network:
			return missing(wrong, "WrongNetwork", "namespace istio-system of cluster %s has the label topology.istio.io/network=%q and must have %q; did somebody change it?", c.Name, c.Status.Network, c.Network)
		default:
			return ok
		}
	})
}

// gateway: To has the objects of its gateway.
func gateway(p *Pair, _ time.Time) finding { return hasGateway(p.To) }

// MissingGateway says what of the steps Gateway and Address is missing in the
// cluster; empty when nothing is.
func (c *Cluster) MissingGateway() (reason, message string) {
	found := hasGateway(c)
	if found.weight == passed {
		found = hasAddress(c)
	}
	return found.reason, found.message
}

func hasGateway(to *Cluster) finding {
	switch {
	case to.GatewayMessage != "" && (!to.looked() || to.Status.Gateway != nil && len(to.Addresses) > 0):
		// One that works, or may work, is not given up for an object that was refused.
		return missing(pending, "GatewayNotMade", "cluster %s: %s", to.Name, to.GatewayMessage)
	case to.GatewayMessage != "":
		return missing(wrong, "GatewayNotMade", "cluster %s: %s", to.Name, to.GatewayMessage)
	case to.Status != nil && to.Status.Gateway != nil:
		return ok
	case !to.looked():
		return missing(pending, "NotReported", "it is not known whether cluster %s has its gateway: its agent has not looked yet, or cannot; see its conditions in the Mesh, and its log", to.Name)
	default:
		return missing(wrong, "NoGateway", "the gateway's Service is not in istio-system of cluster %s; %s", to.Name, orElse(to.GatewayOrigin, "it comes with a Work"))
	}
}

// address: the gateway has one.
func address(p *Pair, _ time.Time) finding { return hasAddress(p.To) }

func hasAddress(to *Cluster) finding {
	switch {
	case len(to.Addresses) > 0:
		return ok
	case to.Status == nil || to.Status.Gateway == nil:
		return missing(pending, "NotReported", "the addresses of the gateway of cluster %s are not known", to.Name)
	default:
		return missing(wrong, "NoAddress", "the gateway of cluster %s has no address: %s", to.Name, to.Status.Gateway.Message)
	}
}

// probe: From has reached the gateway, under the root of the mesh.
func probe(p *Pair, now time.Time) finding {
	proof := p.proof(meshv1alpha1.StepProbe)
	switch {
	case proof == nil:
		return missing(pending, "NotProbed", "cluster %s has not tried yet to reach the gateway of cluster %s", p.From.Name, p.To.Name)
	case proof.Passed:
		return ok
	case p.Ready && p.Written && justNow(since(proof), now):
		return finding{weight: brief, since: since(proof)}
	default:
		return failingSince(since(proof), orElse(proof.Reason, "ProbeFailed"), "cluster %s does not reach the gateway of cluster %s: %s", p.From.Name, p.To.Name, proof.Message)
	}
}

// token: To can be read.
func token(p *Pair, now time.Time) finding {
	switch to := p.To; {
	case to.TokenExpires == nil:
		return missing(pending, "NoToken", "there is no token for cluster %s: %s", to.Name, to.TokenMessage)
	case now.Before(*to.TokenExpires):
		return ok
	default:
		return failingSince(*to.TokenExpires, "TokenEnded", "the token for cluster %s has ended on %s; look whether its agent runs and may create serviceaccounts/token in istio-system", to.Name, to.TokenExpires.UTC().Format(time.RFC3339))
	}
}

// secret: From has the remote secret.
func secret(p *Pair, _ time.Time) finding {
	seen := p.seen()
	switch {
	case p.SecretMessage != "":
		return missing(pending, "SecretNotApplied", "cluster %s cannot take its remote secret for cluster %s: %s", p.From.Name, p.To.Name, p.SecretMessage)
	case !p.Written, seen == nil, seen.SecretHash == "":
		return missing(pending, "SecretNotThere", "cluster %s has not got its remote secret for cluster %s yet", p.From.Name, p.To.Name)
	case seen.SecretHash != p.SecretHash && p.Ready && slices.Contains(p.InUse, seen.SecretHash):
		return ok // it works with the one before until it has the new one
	case seen.SecretHash != p.SecretHash:
		return missing(pending, "SecretOutdated", "cluster %s still has an earlier remote secret for cluster %s", p.From.Name, p.To.Name)
	default:
		return ok
	}
}

// tried is a step that From's agent proves.
func tried(step meshv1alpha1.LinkStep) func(*Pair, time.Time) finding {
	return func(p *Pair, now time.Time) finding {
		proof := p.proof(step)
		switch {
		case proof == nil:
			return missing(pending, "NotTried", "cluster %s has not looked yet", p.From.Name)
		case !proof.Passed && p.Ready && justNow(since(proof), now):
			return finding{weight: brief, since: since(proof)}
		case !proof.Passed:
			return missing(pending, orElse(proof.Reason, "NotProven"), "cluster %s, about cluster %s: %s", p.From.Name, p.To.Name, proof.Message)
		default:
			return ok
		}
	}
}

// justNow says whether something is so for less than grace, by the clock of a member. One
// that is ahead by more than that is not believed: it would be "just now" for as long.
func justNow(since, now time.Time) bool {
	age := now.Sub(since)
	return age < grace && age > -grace
}

// since when a proof fails. An agent that does not say gets no hold time.
func since(proof *meshv1alpha1.Proof) time.Time {
	if proof.Since == nil {
		return time.Time{}
	}
	return proof.Since.Time
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
