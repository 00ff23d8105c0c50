package fedctl

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// clusterReady looks at a Cluster.
func clusterReady(f client.Reader, name string) func(context.Context) (bool, string, error) {
	return func(ctx context.Context) (bool, string, error) {
		cluster := &clusterv1alpha1.Cluster{}
		err := f.Get(ctx, client.ObjectKey{Name: name}, cluster)
		if apierrors.IsNotFound(err) {
			return false, "it has not registered yet", nil
		}
		if err != nil {
			return notYet(err)
		}
		ready := meta.FindStatusCondition(cluster.Status.Conditions, clusterv1alpha1.ClusterConditionReady)
		switch {
		case ready == nil:
			return false, "nothing is known of it yet", nil
		case ready.Status != metav1.ConditionTrue:
			return false, fmt.Sprintf("it is not Ready: %s: %s", ready.Reason, ready.Message), nil
		}
		return true, "", nil
	}
}

// agentLabels select the agent's pods, and its Deployment.
var agentLabels = client.MatchingLabels{"app.kubernetes.io/instance": agentRelease, "app.kubernetes.io/component": "agent"}

// agentLook looks at the agent in a member.
type agentLook struct {
	member    client.Reader
	namespace string
	log       func(ctx context.Context, pod string) string
}

func newAgentLook(member *cluster, namespace string) (*agentLook, error) {
	set, err := kubernetes.NewForConfig(member.config)
	if err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	return &agentLook{member: member, namespace: namespace, log: func(ctx context.Context, pod string) string {
		raw, err := set.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{TailLines: ptr.To(int64(50))}).DoRaw(ctx)
		if err != nil {
			return ""
		}
		return lastComplaint(string(raw))
	}}, nil
}

// ready is done when the newest agent has joined: it is ready when it has read its works.
func (a *agentLook) ready(ctx context.Context) (done bool, seen string, err error) {
	deployments := &appsv1.DeploymentList{}
	if err := a.member.List(ctx, deployments, client.InNamespace(a.namespace), agentLabels); err != nil {
		return notYet(err)
	}
	if len(deployments.Items) == 0 {
		return false, "there is no Deployment", nil
	}
	d := &deployments.Items[0]
	if d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas > 0 &&
		d.Status.AvailableReplicas >= d.Status.UpdatedReplicas && d.Status.Replicas == d.Status.UpdatedReplicas {
		return true, "", nil
	}
	return false, a.why(ctx, d.Name), nil
}

// why says what keeps the agent's newest pod.
func (a *agentLook) why(ctx context.Context, deployment string) string {
	pods := &corev1.PodList{}
	if err := a.member.List(ctx, pods, client.InNamespace(a.namespace), agentLabels); err != nil {
		return err.Error()
	}
	var newest *corev1.Pod
	for i := range pods.Items {
		if pod := &pods.Items[i]; newest == nil || newest.CreationTimestamp.Before(&pod.CreationTimestamp) {
			newest = pod
		}
	}
	if newest == nil {
		return fmt.Sprintf("Deployment %s has no pod", deployment)
	}
	for _, status := range newest.Status.ContainerStatuses {
		if waiting := status.State.Waiting; waiting != nil && waiting.Reason != "ContainerCreating" {
			said := strings.TrimSpace(waiting.Reason + ": " + waiting.Message)
			if last := a.log(ctx, newest.Name); last != "" {
				said += "; it said: " + last
			}
			return fmt.Sprintf("pod %s: %s", newest.Name, said)
		}
	}
	for _, condition := range newest.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return fmt.Sprintf("pod %s is not scheduled: %s", newest.Name, condition.Message)
		}
	}
	if said := a.log(ctx, newest.Name); said != "" {
		return fmt.Sprintf("pod %s says: %s", newest.Name, said)
	}
	return fmt.Sprintf("pod %s is %s and not ready yet", newest.Name, newest.Status.Phase)
}

// lastComplaint is the last error in a log of klog's: its err, or the line. Errors on standard error count.
func lastComplaint(log string) string {
	found := ""
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		_, quoted, hasErr := strings.Cut(line, `err="`)
		switch {
		case strings.HasPrefix(line, "Error: "):
			found = strings.TrimPrefix(line, "Error: ")
		case hasErr:
			found = line
			if prefix, err := strconv.QuotedPrefix(`"` + quoted); err == nil {
				if text, err := strconv.Unquote(prefix); err == nil {
					found = text
				}
			}
		}
	}
	return found
}
