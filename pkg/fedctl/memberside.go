package fedctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	release "helm.sh/helm/v4/pkg/release/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

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
	helm, err := m.helm(&m.member)
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
	found, err := helm.last()
	if err != nil {
		return err
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
	left := leftBy(found)
	for _, key := range left.identities { // the agent made it by itself
		identity := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
		if err := client.IgnoreNotFound(m.cluster.Delete(ctx, identity)); err != nil {
			return fmt.Errorf("secret %s of the member: %w", key, err)
		}
	}
	for _, claim := range left.claims {
		m.say("PersistentVolumeClaim %s/%s stays, with what the agent knew: delete it unless the member comes back to this federation", m.member.namespace, claim)
	}
	m.say("Removed the agent from the member; namespace %s stays", m.member.namespace)
	return nil
}

var errAgentUnknown = errors.New("the agent was not installed with Helm, so it cannot be stopped from here")

// checkAgent makes sure that nothing brings back what is deleted: an agent repairs drift also when nobody knows
// it any more.
func (m *memberSide) checkAgent() error {
	if m.mode == clusterv1alpha1.Push || m.agentStopped {
		return nil
	}
	helm, err := m.helm(&m.member)
	if err != nil {
		return err
	}
	found, err := helm.last()
	if err != nil {
		return err
	}
	if found == nil {
		return fmt.Errorf("%w: there is no release %s in namespace %s of the member. It would bring back what is deleted: name its --namespace, or stop it and add --agent-stopped",
			errAgentUnknown, agentRelease, m.member.namespace)
	}
	return nil
}

// remains are what a release leaves behind.
type remains struct {
	identities []types.NamespacedName
	claims     []string
}

var identityArg = regexp.MustCompile(`--identity-secret=([a-z0-9.-]+)/([a-z0-9.-]+)`)

// leftBy finds out from what was installed, whose names values decide.
func leftBy(installed *release.Release) remains {
	var out remains
	for _, match := range identityArg.FindAllStringSubmatch(installed.Manifest, -1) {
		out.identities = append(out.identities, types.NamespacedName{Namespace: match[1], Name: match[2]})
	}
	for _, document := range strings.Split(installed.Manifest, "\n---\n") {
		claim := &metav1.PartialObjectMetadata{}
		if err := yaml.Unmarshal([]byte(document), claim); err == nil && claim.Kind == "PersistentVolumeClaim" {
			out.claims = append(out.claims, claim.Name)
		}
	}
	return out
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

// ignoreEnd takes an answer that ends without a newline.
func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
