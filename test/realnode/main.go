//go:build linux

package realnode

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// cniPlugins is where Debian's containernetworking-plugins has them.
const cniPlugins = "/usr/lib/cni"

// Main is what TestMain of a package that uses real nodes has to call: a box is
// the test's own binary. It runs the tests unless it is called for a box.
func Main(run func() int) int {
	var err error
	switch os.Getenv(roleEnv) {
	case roleBox:
		err = inside()
	case roleDNS:
		err = serveDNS()
	default:
		return run()
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// Missing says what real nodes lack on this machine.
func Missing() error {
	if os.Geteuid() != 0 {
		return errors.New("real nodes need root")
	}
	var missing []error
	for _, file := range []string{filepath.Join(cniPlugins, "bridge"), filepath.Join(cniPlugins, "host-local"), filepath.Join(cniPlugins, "loopback")} {
		if _, err := os.Stat(file); err != nil {
			missing = append(missing, fmt.Errorf("%w: install Debian's containernetworking-plugins", err))
		}
	}
	for command, of := range map[string]string{"ip": "iproute2", "nft": "nftables"} {
		if _, err := exec.LookPath(command); err != nil && absent("/usr/sbin/"+command) {
			missing = append(missing, fmt.Errorf("%w: install Debian's %s", err, of))
		}
	}
	for _, name := range []string{
		"playground", "kubectl", "node/containerd", "node/containerd-shim-runc-v2", "node/ctr", "node/runc",
		"node/kubelet", "node/kube-proxy", "node/pause", "node/hello",
	} {
		if _, err := os.Stat(lab.Binary(name)); err != nil {
			missing = append(missing, fmt.Errorf("%w: run make build node-binaries", err))
		}
	}
	return errors.Join(missing...)
}

func absent(file string) bool {
	_, err := os.Stat(file)
	return errors.Is(err, fs.ErrNotExist)
}

// Require skips a test where real nodes cannot run. Where CI is true, they have to.
func Require(t testing.TB) {
	t.Helper()
	err := Missing()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("no real nodes, and CI=true: %v", err)
	}
	t.Skipf("no real nodes: %v", err)
}
