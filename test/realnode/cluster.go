//go:build linux

package realnode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/realnode/image"
)

const (
	// startTimeout is for a loaded machine; an idle one needs 10 s.
	startTimeout  = 3 * time.Minute
	importTimeout = 2 * time.Minute
	look          = 100 * time.Millisecond
	reportLines   = 15

	nodeInterface = "eth0"
	firstHost     = 11
)

// Cluster is a cluster with one node.
type Cluster struct {
	// Name is a DNS label.
	Name string
	// Address is that of the node: node ports and the host's network are here.
	Address string
	// Client is the administrator's.
	Client kubernetes.Interface

	node *node
	box  *box
}

// Start starts a cluster and returns when its node is ready.
func (l *Lab) Start(ctx context.Context, name string) (*Cluster, error) {
	c, err := l.add(name)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", name, err)
	}
	if err := c.await(ctx); err != nil {
		return nil, fmt.Errorf("cluster %s: %w\n%s", name, err, c.report())
	}
	return c, nil
}

// add starts the box of a new cluster.
func (l *Lab) add(name string) (*Cluster, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	host := firstHost + len(l.clusters)
	n := &node{
		Cluster: name, Name: name + "-node",
		Dir: filepath.Join(l.dir, name), Bin: filepath.Dir(lab.Binary("playground")),
		Interface: nodeInterface, Address: l.bridge.address(host), Gateway: l.bridge.gateway(),
		Cgroup: "/" + own() + "-" + name,
	}
	if err := n.writeFiles(); err != nil {
		return nil, err
	}
	if err := image.Write(n.path("pause.tar"), sandboxImage, n.binary("node", "pause")); err != nil {
		return nil, err
	}
	if err := makeCgroup(n.Cgroup); err != nil {
		return nil, err
	}
	b, err := newBox(n.path("logs", "box.log"))
	if err != nil {
		return nil, err
	}
	c := &Cluster{Name: name, Address: n.Address, node: n, box: b}
	l.clusters = append(l.clusters, c)
	if err := l.bridge.connect(host, b.pid()); err != nil {
		return nil, err
	}
	return c, b.be(n)
}

// await waits for the API, imports the image of sandboxes, and waits for the node.
func (c *Cluster) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %s", startTimeout))
	defer cancel()
	if err := c.until(ctx, func() bool { return !absent(c.node.socket()) }); err != nil {
		return fmt.Errorf("containerd: %w", err)
	}
	if err := c.Import(ctx, c.node.path("pause.tar")); err != nil {
		return err
	}
	if err := c.until(ctx, func() bool { return !absent(c.node.readyFile()) }); err != nil {
		return fmt.Errorf("control plane: %w", err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return err
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	c.Client = client
	if err := c.until(ctx, func() bool { return c.ready(ctx) }); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	return c.makeStorageClass(ctx)
}

func (c *Cluster) ready(ctx context.Context) bool {
	n, err := c.Client.CoreV1().Nodes().Get(ctx, c.node.Name, metav1.GetOptions{})
	if err != nil {
		return false // it is asked again
	}
	for _, condition := range n.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// until polls until the condition holds, the box has ended or ctx does.
func (c *Cluster) until(ctx context.Context, holds func() bool) error {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-c.box.ended:
			return fmt.Errorf("the node has ended: %w", errors.Join(c.box.err))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Kubeconfig is the path of the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return c.node.admin() }

// Import makes the images of OCI archives known to the node.
func (c *Cluster) Import(ctx context.Context, archives ...string) error {
	ctx, cancel := context.WithTimeout(ctx, importTimeout)
	defer cancel()
	for _, archive := range archives {
		if err := c.ctr(ctx, "images", "import", archive); err != nil {
			return err
		}
	}
	return nil
}

// Tag gives an image of the node another name.
func (c *Cluster) Tag(ctx context.Context, name, other string) error {
	return c.ctr(ctx, "images", "tag", "--force", name, other)
}

// Kill kills the main process of a container with SIGKILL. The id is that of the
// pod's status, with or without "containerd://".
func (c *Cluster) Kill(ctx context.Context, containerID string) error {
	return c.ctr(ctx, "tasks", "kill", "--signal=SIGKILL", strings.TrimPrefix(containerID, "containerd://"))
}

func (c *Cluster) ctr(ctx context.Context, args ...string) error {
	all := append([]string{"--address=" + c.node.socket(), "--namespace=k8s.io"}, args...)
	out, err := exec.CommandContext(ctx, c.node.binary("node", "ctr"), all...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ctr %s in cluster %s: %w: %s", strings.Join(args, " "), c.Name, err, out)
	}
	return nil
}

func (c *Cluster) report() string {
	var report strings.Builder
	for _, name := range []string{"box", "containerd", "control-plane", "kubelet", "kube-proxy", "dns"} {
		data, err := os.ReadFile(c.node.path("logs", name+".log"))
		if err != nil {
			continue // it was never started
		}
		lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
		fmt.Fprintf(&report, "--- %s of %s\n%s\n", name, c.Name, strings.Join(lines[max(0, len(lines)-reportLines):], "\n"))
	}
	return report.String()
}
