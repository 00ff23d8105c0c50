package external

import (
	"os"
	"testing"

	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

var shared *meshlab.Lab

func TestMain(m *testing.M) {
	os.Exit(meshlab.Main(m, func(l *meshlab.Lab) { shared = l }, "--members=eu,ap"))
}
