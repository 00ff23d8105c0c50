package registration

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

var shared *lab.Lab

// In push mode no agents run beside the members, so they are free once they have left.
func TestMain(m *testing.M) {
	os.Exit(lab.Main(&freed{m}, func(l *lab.Lab) { shared = l }, "--mode=push", "--members=eu,ap"))
}

// freed runs the tests with members that have left the federation.
type freed struct{ *testing.M }

func (f *freed) Run() int {
	for _, member := range []string{"eu", "ap"} {
		cmd := exec.Command(lab.Binary("fedctl"), "--kubeconfig="+shared.Kubeconfig(lab.Fed), "unjoin", member)
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "fedctl unjoin %s: %v\n%s", member, err, out)
			return 1
		}
	}
	return f.M.Run()
}
