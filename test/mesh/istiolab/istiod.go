package istiolab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

const (
	// Namespace is where Istio lives in a member.
	Namespace = "istio-system"

	// readyTimeout is for a loaded machine; an idle one needs 3 s.
	readyTimeout = 90 * time.Second
	stopTimeout  = 20 * time.Second
	poll         = 50 * time.Millisecond
	// startLog is how much of the log of an istiod is told that does not start, in lines.
	startLog = 20
)

// Options are what an istiod is started with.
type Options struct {
	// Cluster is the member's name.
	Cluster string
	// ClusterID is CLUSTER_ID; the name of the member if empty.
	ClusterID string
	// Kubeconfig is the file of the member's administrator.
	Kubeconfig string
	// Dir is istiod's own directory; made if absent.
	Dir string
	// Env are further settings, as NAME=value; they win over the usual ones.
	Env []string
	// Pod is what istiod takes for the name of its pod; istiod-<Cluster> if empty.
	Pod string
	// Address is where pods of the cluster reach it, of those that this machine has. It
	// is behind Service istiod then, with an EndpointSlice. If empty it listens on
	// loopback only.
	Address string
	// Further says that there is another istiod in the cluster, which outside of it is
	// the one behind the Service's address.
	Further bool
}

// Istiod is a control plane of Istio beside a member.
type Istiod struct {
	Options

	client kubernetes.Interface
	mount  *mount

	cmd *exec.Cmd
	// ended is closed when the process is gone; end is its exit error then.
	ended chan struct{}

	mu    sync.Mutex
	ports ports
	ready bool
	end   error
}

// Binary is the path of istiod.
func Binary() string { return lab.Binary(filepath.Join("mesh", "pilot-discovery")) }

// Available says what is missing to run an istiod, if anything is.
func Available() error {
	if _, err := os.Stat(Binary()); err != nil {
		return fmt.Errorf("%w; run make istiod", err)
	}
	return nil
}

// Start starts an istiod and returns when it says that it is ready. The member
// has to be prepared. Whatever Start returns, Stop has to be called if the
// Istiod is not nil.
func Start(ctx context.Context, options Options) (*Istiod, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	if options.ClusterID == "" {
		options.ClusterID = options.Cluster
	}
	if options.Pod == "" {
		options.Pod = "istiod-" + options.Cluster
	}
	config, err := clientcmd.BuildConfigFromFlags("", options.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("istiod of %s: %w", options.Cluster, err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("istiod of %s: %w", options.Cluster, err)
	}
	i := &Istiod{Options: options, client: client}
	return i, i.Restart(ctx)
}

// SetClusterID changes CLUSTER_ID for the next start.
func (i *Istiod) SetClusterID(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ClusterID = id
}

func (i *Istiod) clusterID() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.ClusterID
}

// Restart starts istiod, again if it runs, and returns when it is ready.
func (i *Istiod) Restart(ctx context.Context) error {
	if err := i.Stop(); err != nil {
		return err
	}
	err := i.start(ctx)
	if err != nil {
		// The log goes with the directory of a test.
		err = fmt.Errorf("istiod of %s: %w\n%s", i.Cluster, err, i.LogTail(startLog))
	}
	return err
}

func (i *Istiod) start(ctx context.Context) error {
	if err := os.MkdirAll(i.Dir, 0o755); err != nil {
		return err
	}
	mount, err := mountSecret(ctx, i.client, Namespace, caSecret, i.caDir())
	if err != nil {
		return err
	}
	i.mount = mount
	ports, err := freePorts()
	if err != nil {
		return err
	}
	i.mu.Lock()
	i.ports = ports
	i.mu.Unlock()
	log, err := os.OpenFile(i.LogFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	i.cmd = exec.Command(Binary(), i.args(ports)...)
	i.cmd.Dir, i.cmd.Env, i.cmd.Stdout, i.cmd.Stderr = i.Dir, i.env(), log, log
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = log.Close() }()
		if err := lab.StartBound(i.cmd); err != nil {
			started <- err
			return
		}
		started <- nil
		err := i.cmd.Wait()
		i.mu.Lock()
		defer i.mu.Unlock()
		i.end = err
	}()
	if err := <-started; err != nil {
		return err
	}
	i.ended = ended
	if err := i.awaitReady(ctx); err != nil {
		return err
	}
	if err := i.publish(ctx, true); err != nil || i.Further {
		return err
	}
	return i.announce(ctx, ports)
}

// listens is where istiod listens since it was started last.
func (i *Istiod) listens() ports {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.ports
}

func (i *Istiod) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("is not ready after %s", readyTimeout))
	defer cancel()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		if _, err := i.page(ctx, "/ready"); err == nil {
			return nil
		}
		select {
		case <-i.ended:
			return fmt.Errorf("has ended: %w", i.exit())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

func (i *Istiod) exit() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.end == nil {
		return errors.New("exit status 0")
	}
	return i.end
}

// Stop ends istiod as a kubelet does, which first takes it from behind its Service, and
// waits until it has ended. One that does not run is stopped already.
func (i *Istiod) Stop() error { return errors.Join(i.Withdraw(), i.signal(syscall.SIGTERM)) }

// Kill ends istiod at once, and waits until it has ended. It stays behind its Service
// until somebody notices: Withdraw.
func (i *Istiod) Kill() error { return i.signal(syscall.SIGKILL) }

func (i *Istiod) signal(signal syscall.Signal) error {
	if i.mount != nil {
		i.mount.unmount()
		i.mount = nil
	}
	if i.ended == nil {
		return nil
	}
	defer func() { i.ended = nil }()
	if err := i.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("istiod of %s: %w", i.Cluster, err)
	}
	select {
	case <-i.ended:
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("istiod of %s does not end %s after %s", i.Cluster, stopTimeout, signal), i.cmd.Process.Kill())
	}
}

// PID is istiod's process id while it runs.
func (i *Istiod) PID() int { return i.cmd.Process.Pid }

// LogFile is where istiod logs.
func (i *Istiod) LogFile() string { return filepath.Join(i.Dir, "istiod.log") }

func (i *Istiod) caDir() string { return filepath.Join(i.Dir, "cacerts") }

// args and env are those of docs/design: what differs from an installation is
// what needs pods (webhooks that would be called, elections among replicas).
func (i *Istiod) args(p ports) []string {
	at := func(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
	secure, monitoring := at(p.secureGRPC), at(p.monitoring)
	if i.Address != "" {
		secure, monitoring = ":"+strconv.Itoa(p.secureGRPC), ":"+strconv.Itoa(p.monitoring)
	}
	return []string{
		"discovery", "--kubeconfig", i.Kubeconfig,
		"--httpAddr", at(p.http), "--monitoringAddr", monitoring,
		"--grpcAddr", at(p.grpc), "--secureGRPCAddr", secure,
		"--httpsAddr", at(p.https), "--ctrlz_port", "0",
	}
}

func (i *Istiod) env() []string {
	return slices.Concat([]string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + i.Dir,
		"CLUSTER_ID=" + i.clusterID(),
		"POD_NAMESPACE=" + Namespace,
		"POD_NAME=" + i.Pod,
		"ROOT_CA_DIR=" + i.caDir(),
		"ENABLE_LEADER_ELECTION=false",
		"INJECT_ENABLED=false",
		"VALIDATION_WEBHOOK_CONFIG_NAME=",
		"INJECTION_WEBHOOK_CONFIG_NAME=",
		"PILOT_ENABLE_IP_AUTOALLOCATE=false",
		"PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER=false",
		"PILOT_REMOTE_CLUSTER_TIMEOUT=5s",
		"ISTIOD_CUSTOM_HOST=localhost",
	}, i.Env)
}

// page reads a page of istiod's HTTP server. From loopback all of them are
// open; elsewhere a token is asked for.
func (i *Istiod) page(ctx context.Context, path string) ([]byte, error) {
	return i.get(ctx, i.listens().http, path)
}

func (i *Istiod) get(ctx context.Context, port int, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+strconv.Itoa(port)+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s of istiod of %s: %w", path, i.Cluster, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s of istiod of %s: %s: %s", path, i.Cluster, response.Status, body)
	}
	return body, nil
}

var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// LogTail is the end of istiod's log, and what is wrong with its mount.
func (i *Istiod) LogTail(lines int) string {
	mounted := "cacerts is not mounted"
	if i.mount != nil {
		mounted = fmt.Sprintf("mount of cacerts: %v", i.mount.err())
	}
	data, err := os.ReadFile(i.LogFile())
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return fmt.Sprintf("--- the end of the log of istiod of %s (%s)\n%s", i.Cluster, mounted, strings.Join(all[max(0, len(all)-lines):], "\n"))
}

// Ended tells whether istiod has ended by itself.
func (i *Istiod) Ended() bool {
	select {
	case <-i.ended:
		return true
	default:
		return false
	}
}
