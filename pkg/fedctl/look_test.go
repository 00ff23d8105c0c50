package fedctl

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

func agentMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: memberNamespace, Name: name, Labels: agentLabels, CreationTimestamp: metav1.NewTime(start)}
}

func TestWhyTheAgentIsNotThere(t *testing.T) {
	waiting := func(reason, message string) corev1.PodStatus {
		return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}}
	}
	old := &corev1.Pod{ObjectMeta: agentMeta("old"), Status: waiting("OldTrouble", "of before")}
	old.CreationTimestamp = metav1.NewTime(start.Add(-time.Hour))
	const log = "I0102 something\nE0102 03:04:05.000000 1 run.go:1] \"No valid identity\" err=\"the bootstrap token is refused: put it into \\\"f\\\"\" cluster=\"eu\"\nI0102 else\n"
	for name, c := range map[string]struct {
		pod  *corev1.PodStatus
		log  string
		want string
	}{
		"no pod":        {want: "Deployment flotilla-agent has no pod"},
		"image":         {pod: &[]corev1.PodStatus{waiting("ErrImagePull", "no such image")}[0], want: "pod new: ErrImagePull: no such image"},
		"crash":         {pod: &[]corev1.PodStatus{waiting("CrashLoopBackOff", "")}[0], log: "Error: flags are wrong\n", want: "pod new: CrashLoopBackOff:; it said: flags are wrong"},
		"token":         {pod: &corev1.PodStatus{Phase: corev1.PodRunning}, log: log, want: `pod new says: the bootstrap token is refused: put it into "f"`},
		"unschedulable": {pod: &corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/1 nodes"}}}, want: "pod new is not scheduled: 0/1 nodes"},
		"starting":      {pod: &corev1.PodStatus{Phase: corev1.PodPending}, want: "pod new is Pending and not ready yet"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			objects := []client.Object{&appsv1.Deployment{ObjectMeta: agentMeta("flotilla-agent")}}
			if c.pod != nil {
				objects = append(objects, old, &corev1.Pod{ObjectMeta: agentMeta("new"), Status: *c.pod})
			}
			look := &agentLook{member: d.newClient(objects...), namespace: memberNamespace, log: func(context.Context, string) string { return lastComplaint(c.log) }}
			done, seen, err := look.ready(t.Context())
			require.NoError(t, err)
			require.False(t, done)
			require.Equal(t, c.want, seen)
		})
	}
}

func TestOnlyTheNewestAgentCounts(t *testing.T) {
	for name, c := range map[string]struct {
		status appsv1.DeploymentStatus
		want   bool
	}{
		"ready":             {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1}, true},
		"of before":         {appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1}, false},
		"the old one still": {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 2, UpdatedReplicas: 1, AvailableReplicas: 1}, false},
		"not ready":         {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 1, UpdatedReplicas: 1}, false},
		"none yet":          {appsv1.DeploymentStatus{ObservedGeneration: 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			deployment := &appsv1.Deployment{ObjectMeta: agentMeta("flotilla-agent"), Status: c.status}
			deployment.Generation = 2
			look := &agentLook{member: d.newClient(deployment), namespace: memberNamespace}
			done, _, err := look.ready(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.want, done)
		})
	}
}

func TestWhyAClusterIsNotReady(t *testing.T) {
	silent := newCluster("eu", "", clusterv1alpha1.Pull)
	silent.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: "ClusterNotReachable", Message: "no answer"}}
	fresh := newCluster("ap", "", clusterv1alpha1.Pull)
	fresh.Status.Conditions = nil
	d := newDesk(t, silent, fresh, newCluster("us", "", clusterv1alpha1.Pull))
	for name, want := range map[string]string{
		"eu": "it is not Ready: ClusterNotReachable: no answer", "ap": "nothing is known of it yet", "none": "it has not registered yet", "us": "",
	} {
		done, seen, err := clusterReady(d.federation, name)(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, seen)
		require.Equal(t, want == "", done)
	}
}
