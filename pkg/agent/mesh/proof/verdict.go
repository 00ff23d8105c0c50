package proof

import (
	"fmt"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
)

// Verdict is what came out of a look.
type Verdict struct {
	// Passed is true when what was looked for is there.
	Passed bool
	// Reason is one CamelCase word; empty when there is nothing to say.
	Reason string
	// Message says what was seen instead, and what to do.
	Message string
}

func failed(reason, format string, args ...any) Verdict {
	return Verdict{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// namespace is that of istiod, as its pages name Secrets in it.
const namespace = meshv1alpha1.IstioNamespace + "/"

// OwnCluster is the CLUSTER_ID of the istiod itself; empty when it does not show it.
func OwnCluster(clusters []istiod.Cluster) string {
	for _, c := range clusters {
		if c.SecretName == "" {
			return c.ID
		}
	}
	return ""
}

// Synced says whether istiod knows the objects of a peer, and has them through the
// remote secret of that name. Settled is false while the secret has changed so lately
// that "synced" may still mean the one before.
func Synced(clusters []istiod.Cluster, peer, secretName string, settled bool) Verdict {
	for _, c := range clusters {
		if c.ID != peer || c.SecretName == "" {
			continue
		}
		switch {
		case c.SecretName != namespace+secretName:
			return foreign(c.SecretName, ", and istiod takes "+namespace+secretName)
		case c.SyncStatus == istiod.Synced && !settled:
			return Changed()
		case c.SyncStatus == istiod.Synced:
			return Verdict{Passed: true}
		case c.SyncStatus == "timeout":
			return failed("Timeout", "istiod could not read the cluster in time (its state is timeout): its API server is not reached from here, or does not accept the token, or the reader may not read what istiod wants; look for the cluster in istiod's log")
		default:
			return failed("NotSynced", "istiod has not read the cluster yet (its state is %s)", c.SyncStatus)
		}
	}
	return failed("NotKnown", "istiod does not know the cluster; it reads Secrets of %s with label istio/multiCluster=true, look into its log whether it refuses this one", meshv1alpha1.IstioNamespace)
}

// LetGo says whether istiod does not read a peer any more, for which there is no remote
// secret of that name. What it has read it goes on with, and so do its proxies, until it
// takes the peer out of its list.
func LetGo(clusters []istiod.Cluster, peer, secretName string) Verdict {
	for _, c := range clusters {
		switch {
		case c.ID != peer || c.SecretName == "":
		case c.SecretName != namespace+secretName:
			return foreign(c.SecretName, "")
		default:
			return failed("NotLetGo", "the remote secret is gone, and istiod still has the cluster (its state is %s); restart istiod if it stays so", c.SyncStatus)
		}
	}
	return Verdict{Passed: true}
}

func foreign(secret, after string) Verdict {
	return failed("ForeignSecret", "istiod reads the cluster through Secret %s, which no Mesh has made; delete it%s", secret, after)
}

// Changed is the Verdict about a remote secret that has changed since istiod was asked.
func Changed() Verdict {
	return failed("SecretChanged", "the remote secret was just changed; istiod is looked at once more")
}
