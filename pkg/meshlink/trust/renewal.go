package trust

import (
	"fmt"
	"time"
)

// RenewAt is when a signing certificate is renewed: after two thirds of its life,
// and early enough that what it signed last ends before it does (istiod cuts the
// life of a workload's certificate to that of its signer). A life that is too
// short for that is halved.
func RenewAt(notBefore, notAfter time.Time, leafLifetime time.Duration) time.Time {
	life := notAfter.Sub(notBefore)
	at := notBefore.Add(life / 3 * 2)
	if last := notAfter.Add(-2 * leafLifetime); last.Before(at) {
		at = last
	}
	if half := notBefore.Add(life / 2); at.Before(half) {
		at = half
	}
	return at
}

// Decision is what to do about the intermediate of a cluster.
type Decision struct {
	// Issue is true when a new intermediate has to be made. The one before stays
	// valid beside it: what it signed is trusted until it ends.
	Issue bool
	// Reason for Issue, one CamelCase word.
	Reason string
	// At is when to look again, when nothing is issued.
	At time.Time
	// Warning says, if not empty, that the cluster has not taken the intermediate,
	// and what to do.
	Warning string
}

// Reasons of a Decision to issue.
const (
	// IssueFirst: the cluster has none.
	IssueFirst = "FirstIntermediate"
	// IssueRoot: the cluster has one under another root.
	IssueRoot = "RootChanged"
	// IssueRenewal: the one it has ends.
	IssueRenewal = "Renewal"
)

// takeTime is how long a cluster may take to have a new intermediate in effect
// before that is worth a warning: the kubelet brings changed Secrets to istiod's
// volume within a minute or two, once a slow member has it.
const takeTime = 10 * time.Minute

// Renew decides about a cluster's intermediate: issued is the newest one that was
// made for it (nil: none), signer the root it has to be under, and effect what the
// cluster last reported.
func Renew(issued *Intermediate, signer Fingerprint, effect *Effect, now time.Time, leafLifetime time.Duration) Decision {
	if issued == nil {
		return Decision{Issue: true, Reason: IssueFirst}
	}
	if issued.Root != signer {
		return Decision{Issue: true, Reason: IssueRoot}
	}
	cert := issued.Certificate
	at := RenewAt(cert.NotBefore, cert.NotAfter, leafLifetime)
	if !now.Before(at) {
		return Decision{Issue: true, Reason: IssueRenewal}
	}
	decision := Decision{At: at}
	made := madeAt(cert.NotBefore, cert.NotAfter)
	if effect != nil && effect.Intermediate != issued.Fingerprint() && now.Sub(made) > takeTime {
		decision.Warning = fmt.Sprintf("istiod signs with intermediate %s and has not taken %s, made on %s; look for \"Plug-in CA\" in istiod's log, or restart it",
			effect.Intermediate.Short(), issued.Fingerprint().Short(), made.UTC().Format(time.RFC3339))
	}
	return decision
}

// madeAt is when a certificate was made that was made here.
func madeAt(notBefore, notAfter time.Time) time.Time {
	return notBefore.Add(min(backdate, notAfter.Sub(notBefore)/(backdateShare+1)))
}
