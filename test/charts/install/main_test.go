//go:build linux

package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/flotilla-io/flotilla/test/realnode"
)

// hostName is the cluster that the federation is installed into.
const hostName = "host"

var members = []string{"ap", "eu", "us"}

// world is what all tests of the package share: clusters with nothing but images.
var world struct {
	*realnode.Lab
	host     *realnode.Cluster
	clusters map[string]*realnode.Cluster
}

func TestMain(m *testing.M) {
	os.Exit(realnode.Main(func() int { return run(m) }))
}

// run leaves it to the tests to skip, with a message, where there are no real nodes.
func run(m *testing.M) int {
	if realnode.Missing() != nil {
		return m.Run()
	}
	code := 1
	err := begin(context.Background())
	if err == nil {
		code = m.Run()
	}
	if world.Lab != nil {
		err = errors.Join(err, world.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
