package meshlab

import (
	"context"
	"errors"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/test/mesh/traffic"
)

// inMesh is what injection writes on a pod that has a sidecar.
const inMesh = "security.istio.io/tlsMode=istio"

// serve answers for the running pods that are in the mesh.
func (p *plane) serve(ctx context.Context) error {
	pods, err := p.member.Core.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: inMesh})
	if err != nil {
		return err
	}
	var failed error
	running := map[string]bool{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Status.Phase != corev1.PodRunning || pod.Status.PodIP == "" || pod.DeletionTimestamp != nil {
			continue
		}
		for _, address := range listens(pod) {
			key := string(pod.UID) + "/" + address
			running[key] = true
			if p.servers[key] != nil {
				continue
			}
			identity, err := p.identity(ctx, pod.Namespace, pod.Spec.ServiceAccountName)
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			server, err := traffic.Serve(p.member.Name+"/"+pod.Name, identity, p.addresses, p.network, address)
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			p.servers[key] = server
		}
	}
	for key := range p.servers {
		if !running[key] {
			p.closeServer(key)
		}
	}
	return failed
}

func (p *plane) closeServer(key string) {
	_ = p.servers[key].Close()
	delete(p.servers, key)
}

// listens are the addresses of a pod, host:port.
func listens(pod *corev1.Pod) (addresses []string) {
	for i := range pod.Spec.Containers {
		for _, port := range pod.Spec.Containers[i].Ports {
			addresses = append(addresses, net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(port.ContainerPort))))
		}
	}
	return addresses
}
