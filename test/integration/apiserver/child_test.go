package apiserver

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/flotilla-io/flotilla/pkg/apiserver"
)

// childEnv has the flags, one per line, when the test binary is to be a server.
const childEnv = "FLOTILLA_TEST_APISERVER"

// serveAsChild does what cmd/apiserver does.
func serveAsChild() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	opts := apiserver.NewOptions()
	flags := pflag.NewFlagSet("apiserver", pflag.ContinueOnError)
	opts.AddFlags(flags)
	err := flags.Parse(strings.Split(os.Getenv(childEnv), "\n"))
	if err == nil {
		var server *apiserver.Server
		if server, err = apiserver.New(ctx, opts); err == nil {
			err = server.Run(ctx)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "apiserver:", err)
		return 1
	}
	return 0
}

// child is a server in a process of its own.
type child struct {
	cmd    *exec.Cmd
	output *bytes.Buffer
	done   chan struct{}
	admin  *rest.Config
}

// spawn starts a server with flags; it may end at once.
func spawn(t *testing.T, flags ...string) *child {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	c := &child{cmd: exec.Command(self), output: &bytes.Buffer{}, done: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(flags, "\n"))
	c.cmd.Stdout, c.cmd.Stderr = c.output, c.output
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, c.cmd.Start())
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait() // the state of the process says how it ended
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		<-c.done
	})
	return c
}

// serve starts a server in dir and waits until it is ready.
func serve(t *testing.T, dir string, port int, flags ...string) *child {
	t.Helper()
	conf := dir + "/admin.conf"
	c := spawn(t, append([]string{"--data-dir=" + dir + "/data", "--bind-address=127.0.0.1", fmt.Sprint("--secure-port=", port), "--write-kubeconfig=" + conf}, flags...)...)
	ready := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { ready <- waitReady(ctx, conf) }()
	select {
	case err := <-ready:
		if err != nil {
			require.FailNow(t, err.Error(), c.tail())
		}
	case <-c.done:
		require.FailNow(t, "the server ended", c.tail())
	}
	var err error
	c.admin, err = adminOf(conf)
	require.NoError(t, err)
	return c
}

// tail is the end of what a server that ended, or is about to, has said.
func (c *child) tail() string {
	_ = c.cmd.Process.Kill()
	<-c.done
	out := c.output.String()
	return out[max(0, len(out)-4000):]
}

// failed waits for a server that cannot run, and returns what it says.
func (c *child) failed(t *testing.T) string {
	t.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		require.FailNow(t, "it does not end", c.tail())
	}
	require.NotZero(t, c.cmd.ProcessState.ExitCode(), "%s", c.output)
	return c.output.String()
}

// stop ends a server and returns how long that took.
func (c *child) stop(t *testing.T, signal os.Signal) time.Duration {
	t.Helper()
	began := time.Now()
	require.NoError(t, c.cmd.Process.Signal(signal))
	select {
	case <-c.done:
	case <-time.After(30 * time.Second):
		require.FailNow(t, "it does not end", c.tail())
	}
	if signal != os.Kill && !c.cmd.ProcessState.Success() {
		require.FailNow(t, c.cmd.ProcessState.String(), c.tail())
	}
	return time.Since(began)
}
