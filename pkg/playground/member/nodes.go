package member

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/version"
)

const (
	fakeNodeAnnotation = "kwok.x-k8s.io/node"
	fakeNodeValue      = "fake"
)

// node renders simulated node number i of a member. Its region and zone are
// the member's, so that spreading rules have something to go by.
func node(member string, i int) *corev1.Node {
	name := fmt.Sprintf("%s-node-%d", member, i)
	room := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("32"),
		corev1.ResourceMemory:           resource.MustParse("256Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		corev1.ResourcePods:             resource.MustParse("110"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{fakeNodeAnnotation: fakeNodeValue},
			Labels: map[string]string{
				corev1.LabelHostname:       name,
				corev1.LabelOSStable:       "linux",
				corev1.LabelArchStable:     "amd64",
				corev1.LabelTopologyRegion: member,
				corev1.LabelTopologyZone:   fmt.Sprintf("%s-%c", member, 'a'+rune((i-1)%3)),
				"type":                     "kwok",
			},
		},
		Status: corev1.NodeStatus{
			Allocatable: room,
			Capacity:    room,
			NodeInfo: corev1.NodeSystemInfo{
				Architecture:    "amd64",
				OperatingSystem: "linux",
				KubeletVersion:  version.Get().GitVersion,
			},
		},
	}
}

// ensureNodes makes nodes 1 to n exist and removes simulated ones beyond
// them, so that a restart with another number means that number.
func ensureNodes(ctx context.Context, client kubernetes.Interface, member string, n int) error {
	want := map[string]bool{}
	for i := 1; i <= n; i++ {
		desired := node(member, i)
		want[desired.Name] = true
		_, err := client.CoreV1().Nodes().Create(ctx, desired, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("node %s of member %s: %w", desired.Name, member, err)
		}
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "type=kwok"})
	if err != nil {
		return fmt.Errorf("nodes of member %s: %w", member, err)
	}
	for i := range nodes.Items {
		name := nodes.Items[i].Name
		if want[name] || nodes.Items[i].Annotations[fakeNodeAnnotation] != fakeNodeValue {
			continue
		}
		if err := client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("surplus node %s of member %s: %w", name, member, err)
		}
	}
	return nil
}

// nodesReady tells whether n simulated nodes are ready.
func nodesReady(ctx context.Context, client kubernetes.Interface, n int) (bool, error) {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "type=kwok"})
	if err != nil {
		return false, err
	}
	ready := 0
	for i := range nodes.Items {
		for _, condition := range nodes.Items[i].Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				ready++
			}
		}
	}
	return ready >= n, nil
}
