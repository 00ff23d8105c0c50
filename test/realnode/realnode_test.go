//go:build linux

package realnode

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/realnode/image"
)

const (
	helloImage = "localhost/flotilla-realnode/hello:1"
	nodePort   = 30080
	patience   = time.Minute
)

func TestMain(m *testing.M) { os.Exit(Main(m.Run)) }

// helloManifest has a claim, too: its volume is the kubelet's to mount.
var helloManifest = strings.NewReplacer("IMAGE", helloImage, "PORT", fmt.Sprint(nodePort)).Replace(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: hello}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: Pod
metadata: {name: hello, labels: {app: hello}}
spec:
  securityContext: {runAsNonRoot: true, runAsUser: 65532, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: main
    image: IMAGE
    env: [{name: GREETING, value: good day}]
    readinessProbe: {httpGet: {path: /, port: 5000}, periodSeconds: 1}
    securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: hello}}]
---
apiVersion: v1
kind: Service
metadata: {name: hello}
spec:
  type: NodePort
  selector: {app: hello}
  ports: [{port: 80, targetPort: 5000, nodePort: PORT}]
`)

// get returns the body of an answer with status 200.
func get(address string) (string, error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	reply, err := client.Get(address)
	if err != nil {
		return "", err
	}
	defer func() { _ = reply.Body.Close() }()
	body, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", address, reply.Status, body)
	}
	return string(body), err
}

// TestClusters starts two clusters side by side and sees that pods run, that
// Services work for pods, this machine and the other cluster, and that nothing is
// left afterwards.
func TestClusters(t *testing.T) {
	if testing.Short() {
		t.Skip("starts control planes and nodes")
	}
	Require(t)
	l, err := New()
	require.NoError(t, err)
	closed := false
	t.Cleanup(func() {
		if !closed {
			require.NoError(t, l.Close())
		}
	})
	archive := filepath.Join(t.TempDir(), "hello.tar")
	require.NoError(t, image.Write(archive, helloImage, lab.Binary("node/hello")))

	clusters, errs := make([]*Cluster, 2), make([]error, 2)
	var started sync.WaitGroup
	for i, name := range []string{"east", "west"} {
		started.Go(func() { clusters[i], errs[i] = l.Start(t.Context(), name) })
	}
	started.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	s := lab.New(t.TempDir()).Session(t)
	for _, c := range clusters {
		require.NoError(t, c.Import(t.Context(), archive))
		require.NoError(t, c.AddVolume(t.Context(), "data", "1Gi"))
		s.Apply(c.Kubeconfig(), helloManifest)
	}
	for i, c := range clusters {
		t.Run(c.Name, func(t *testing.T) { looks(t, l, c, clusters[1-i]) })
	}
	if t.Failed() {
		t.Log(l.Report())
	}

	t.Run("nothing is left", func(t *testing.T) {
		node := clusters[0].node
		require.NoError(t, l.Close())
		closed = true
		require.NoDirExists(t, node.Dir)
		interfaces, err := filepath.Glob("/sys/class/net/" + l.bridge.name + "*")
		require.NoError(t, err)
		require.Empty(t, interfaces)
		roots, err := hierarchies()
		require.NoError(t, err)
		for _, root := range roots {
			require.NoDirExists(t, filepath.Join(root, node.Cgroup))
		}
		for _, pid := range processes(t) {
			command, err := os.ReadFile(filepath.Join(pid, "cmdline"))
			require.False(t, err == nil && strings.Contains(string(command), node.Dir), "%s: %s", pid, command)
		}
	})
}

func processes(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	return list
}

func looks(t *testing.T, l *Lab, c, other *Cluster) {
	s := lab.New(t.TempDir()).Session(t)
	outside := func(of *Cluster) string { return fmt.Sprintf("http://%s:%d/", of.Address, nodePort) }
	fromPod := func(address string) string { return outside(c) + "ask?url=" + url.QueryEscape(address) }
	for what, address := range map[string]string{
		"the node port":                             outside(c),
		"a pod by its Service's name":               fromPod("http://hello.default.svc.cluster.local/"),
		"a pod by its Service's short name":         fromPod("http://hello.default/"),
		"a pod by a node port of the other cluster": fromPod(outside(other)),
	} {
		s.Within(patience, what+" answers", func() (string, bool) {
			body, err := get(address)
			if err != nil {
				return err.Error() + "\n" + l.Report(), false
			}
			return body, body == "good day from hello\n"
		})
	}
	pod, err := c.Client.CoreV1().Pods("default").Get(t.Context(), "hello", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, corev1.PodRunning, pod.Status.Phase)
	require.Equal(t, c.Name+"-node", pod.Spec.NodeName)

	// A container that dies is started again, in the same pod.
	require.NoError(t, c.Kill(t.Context(), pod.Status.ContainerStatuses[0].ContainerID))
	s.Within(patience, "the container runs again", func() (string, bool) {
		again, err := c.Client.CoreV1().Pods("default").Get(t.Context(), "hello", metav1.GetOptions{})
		if err != nil {
			return err.Error(), false
		}
		status := again.Status.ContainerStatuses[0]
		return fmt.Sprintf("%+v", status), again.UID == pod.UID && status.RestartCount == 1 && status.Ready
	})
}
