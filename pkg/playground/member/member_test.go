package member

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/flotilla-io/flotilla/test/ports"
)

const (
	memberEnv = "FLOTILLA_TEST_MEMBER_DIR"
	patience  = 2 * time.Minute
)

// TestMain lets the test binary be a member: what Run sets in a process
// cannot be undone for the next test.
func TestMain(m *testing.M) {
	if dir := os.Getenv(memberEnv); dir != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		port, _ := strconv.Atoi(os.Getenv(memberEnv + "_PORT"))
		c := testConfig(dir)
		c.Port = port
		if err := Run(ctx, c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func testConfig(dir string) Config {
	return Config{
		Name: "eu", Nodes: 2, Port: 21001, PodCIDR: "10.7.0.0/16",
		Dir: dir, Kubeconfig: filepath.Join(dir, "kubeconfig"), ReadyFile: filepath.Join(dir, "ready"),
	}
}

// running is a member in a process of its own.
type running struct {
	cmd  *exec.Cmd
	done chan error
}

func startMember(t *testing.T, dir string, port int) *running {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), memberEnv+"="+dir, fmt.Sprintf("%s_PORT=%d", memberEnv, port))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	r := &running{cmd: cmd, done: make(chan error, 1)}
	go func() { r.done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if t.Failed() {
			logTail(t, log.Name())
		}
	})
	ready := testConfig(dir).ReadyFile
	require.Eventually(t, func() bool {
		data, err := os.ReadFile(ready)
		return err == nil && strings.TrimSpace(string(data)) == strconv.Itoa(cmd.Process.Pid)
	}, patience, 20*time.Millisecond, "the member is ready")
	return r
}

func logTail(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	var lines []string
	for scanner := bufio.NewScanner(f); scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	t.Log(strings.Join(lines[max(0, len(lines)-40):], "\n"))
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(patience):
		require.Fail(t, "the member does not end")
		return nil
	}
}

func unusedPort(t *testing.T) int {
	t.Helper()
	port, err := ports.Free()
	require.NoError(t, err)
	return port
}

// runningPods returns how many pods run and are ready.
func runningPods(ctx context.Context, t *testing.T, client kubernetes.Interface) int {
	t.Helper()
	pods, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=hello"})
	if err != nil {
		return -1
	}
	n := 0
	for i := range pods.Items {
		pod := &pods.Items[i]
		for _, c := range pod.Status.Conditions {
			if pod.Status.Phase == corev1.PodRunning && c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				n++
			}
		}
	}
	return n
}

// requirePodAddresses checks that pods have addresses of the member's own range,
// each another one.
func requirePodAddresses(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	pods, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=hello"})
	require.NoError(t, err)
	seen := map[string]bool{}
	for i := range pods.Items {
		ip := pods.Items[i].Status.PodIP
		require.True(t, strings.HasPrefix(ip, "10.7."), "%q", ip)
		require.False(t, seen[ip], "%s is there twice", ip)
		seen[ip] = true
	}
}

// TestMember runs a member, deploys, kills the member, and finds all again.
func TestMember(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	// Longer than the name of a unix socket may be.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	ctx := t.Context()
	port := unusedPort(t)

	first := startMember(t, dir, port)
	config, err := clientcmd.BuildConfigFromFlags("", testConfig(dir).Kubeconfig)
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, nodes.Items, 2)

	three := int32(3)
	labels := map[string]string{"app": "hello"}
	_, err = client.AppsV1().Deployments("default").Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "hello"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &three,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "nothing-is-pulled"}}},
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return runningPods(ctx, t, client) == 3 }, patience, 50*time.Millisecond, "pods run")
	requirePodAddresses(t, client)

	require.NoError(t, first.cmd.Process.Kill())
	require.Error(t, first.wait(t))

	second := startMember(t, dir, port)
	require.Equal(t, 3, runningPods(ctx, t, client), "nothing is lost, and the old kubeconfig works")
	// A patch: the controllers have just started, and write the Deployment, too.
	_, err = client.AppsV1().Deployments("default").Patch(ctx, "hello", types.MergePatchType, []byte(`{"spec":{"replicas":4}}`), metav1.PatchOptions{}, "scale")
	require.NoError(t, err)
	began := time.Now()
	require.Eventually(t, func() bool { return runningPods(ctx, t, client) == 4 }, patience, 50*time.Millisecond, "new pods run")
	requirePodAddresses(t, client)
	require.Less(t, time.Since(began), 30*time.Second, "nodes are managed without waiting for the lease of the process before")

	require.NoError(t, second.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, second.wait(t), "a stop that was asked for is no failure")
	require.NoFileExists(t, testConfig(dir).ReadyFile)
}
