package cluster

import (
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

// Reasons of the condition Ready that this package sets.
const (
	// ReasonAgentSilent: the agent's lease has run out.
	ReasonAgentSilent = "AgentSilent"
	// ReasonCredentialsUnusable: a Push member cannot be reached with what
	// spec.secretRef holds.
	ReasonCredentialsUnusable = "CredentialsUnusable"
)

// pulse remembers when each cluster's lease was last seen renewed.
type pulse struct {
	mu    sync.Mutex
	beats map[string]beat
}

type beat struct {
	renewed time.Time // by the agent's clock; only compared for equality
	seen    time.Time // by ours
}

// observe takes note of a lease. It tells whether this is a renewal.
func (p *pulse) observe(cluster string, renewed, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last, ok := p.beats[cluster]; ok && last.renewed.Equal(renewed) {
		return false
	}
	if p.beats == nil {
		p.beats = map[string]beat{}
	}
	p.beats[cluster] = beat{renewed: renewed, seen: now}
	return true
}

// since gives when the cluster was last heard of. The first question about an
// unknown cluster starts its period.
func (p *pulse) since(cluster string, now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b, ok := p.beats[cluster]; ok {
		return b.seen
	}
	if p.beats == nil {
		p.beats = map[string]beat{}
	}
	p.beats[cluster] = beat{seen: now}
	return now
}

func (p *pulse) forget(cluster string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.beats, cluster)
}

// silent is the condition of a cluster that has not been heard of for the grace
// period.
func silent(c *clusterv1alpha1.Cluster, grace time.Duration) metav1.Condition {
	wayOut := fmt.Sprintf("start its agent with --cluster-name %s, or look into that agent's log", c.Name)
	if c.Spec.SyncMode == clusterv1alpha1.Push {
		wayOut = "look into the log of controller-manager, which hosts its agent"
	}
	return metav1.Condition{
		Type: clusterv1alpha1.ClusterConditionReady, Status: metav1.ConditionUnknown, Reason: ReasonAgentSilent,
		Message: fmt.Sprintf("Lease %s/%s has not been renewed for %s; %s", names.ClusterNamespace, c.Name, grace, wayOut),
	}
}

// taintsFor gives the taints a cluster should have. Taints that others have put
// on it stay, and so does the time of those that stay.
func taintsFor(c *clusterv1alpha1.Cluster, now time.Time) []corev1.Taint {
	wanted := ""
	switch ready := meta.FindStatusCondition(c.Status.Conditions, clusterv1alpha1.ClusterConditionReady); {
	case ready == nil:
		return c.Spec.Taints // nothing is known yet
	case ready.Status == metav1.ConditionFalse:
		wanted = names.TaintClusterNotReady
	case ready.Status == metav1.ConditionUnknown:
		wanted = names.TaintClusterUnreachable
	}
	out := slices.DeleteFunc(slices.Clone(c.Spec.Taints), func(t corev1.Taint) bool {
		return ours(t) && t.Key != wanted
	})
	if wanted != "" && !slices.ContainsFunc(out, ours) {
		out = append(out, corev1.Taint{Key: wanted, Effect: corev1.TaintEffectNoSchedule, TimeAdded: &metav1.Time{Time: now}})
	}
	return out
}

func ours(t corev1.Taint) bool {
	return t.Effect == corev1.TaintEffectNoSchedule &&
		(t.Key == names.TaintClusterNotReady || t.Key == names.TaintClusterUnreachable)
}
