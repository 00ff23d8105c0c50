package fedctl

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// memberSide is the part of leaving that is done in the member.
type memberSide struct {
	*leave
	cluster    *cluster
	federation string
	workloads  *workloads
}

var errOtherMember = errors.New("that is another member")

// openMember connects, and makes sure that it is the cluster that leaves.
func (l *leave) openMember(ctx context.Context, f *cluster, found *clusterv1alpha1.Cluster) (*memberSide, error) {
	member, err := l.member.connect(l.cli)
	if err != nil {
		return nil, err
	}
	id, err := member.id(ctx)
	if err != nil {
		return nil, err
	}
	if found != nil && found.Spec.ID != "" && found.Spec.ID != id {
		return nil, fmt.Errorf("--member-kubeconfig: %w: %s has UID %s, cluster %s has spec.id %s. Name the kubeconfig of %s",
			errOtherMember, member.config.Host, id, l.cluster, found.Spec.ID, l.cluster)
	}
	federation, err := f.id(ctx)
	if err != nil {
		return nil, err
	}
	return &memberSide{leave: l, cluster: member, federation: federation}, nil
}

// removeOurs removes what joining has put into the member.
func (m *memberSide) removeOurs(ctx context.Context) error {
	if m.mode == clusterv1alpha1.Push {
		n, err := accountsOf(m.leave.cluster, m.member.namespace, m.federation).remove(ctx, m.cluster)
		if err != nil {
			return err
		}
		if n > 0 {
			m.say("Removed the federation's accounts from the member")
		}
		return nil
	}
	helm, err := m.member.releases()
	if err != nil {
		return err
	}
	values, err := helm.values()
	if err != nil {
		return err
	}
	if name := clusterNameIn(values); values != nil && name != m.leave.cluster {
		return fmt.Errorf("helm release %s/%s is the agent of cluster %s, not of %s: it stays", m.member.namespace, agentRelease, name, m.leave.cluster)
	}
	removed, err := helm.remove()
	if err != nil {
		return err
	}
	if !removed {
		m.say("There is no Helm release %s in namespace %s of the member: if its agent was started in another way, stop it", agentRelease, m.member.namespace)
		return nil
	}
	if err := m.agentGone(ctx); err != nil {
		return err
	}
	// The agent made this one by itself.
	identity := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: m.member.namespace, Name: identitySecret}}
	if err := client.IgnoreNotFound(m.cluster.Delete(ctx, identity)); err != nil {
		return fmt.Errorf("secret %s/%s of the member: %w", m.member.namespace, identitySecret, err)
	}
	m.say("Removed the agent from the member; namespace %s stays", m.member.namespace)
	return nil
}

// agentGone waits until the agent's pods are gone: until then it repairs what is deleted.
func (m *memberSide) agentGone(ctx context.Context) error {
	ctx, cancel := within(ctx, m.timeout)
	defer cancel()
	return poll(ctx, "the agent's pods in namespace "+m.member.namespace+" of the member", func(ctx context.Context) (bool, string, error) {
		pods := &corev1.PodList{}
		if err := m.cluster.List(ctx, pods, client.InNamespace(m.member.namespace), agentLabels); err != nil {
			return notYet(err)
		}
		return len(pods.Items) == 0, fmt.Sprintf("%s left", plural(len(pods.Items), "pod")), nil
	})
}

// identitySecret is where the chart lets the agent keep its key.
const identitySecret = "flotilla-agent-identity"

// ignoreEnd takes an answer that ends without a newline.
func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
