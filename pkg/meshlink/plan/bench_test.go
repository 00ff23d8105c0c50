package plan_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
)

// BenchmarkSteady is a look at a mesh of as many clusters as there may be, at which
// nothing is to be done.
func BenchmarkSteady(b *testing.B) {
	f := newFederation(b)
	for i := range 100 {
		f.join(fmt.Sprintf("c%03d", i))
	}
	f.addMesh("mesh1", nil)
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	f.settle()
	picture := f.picture("mesh1")
	text, err := json.Marshal(f.meshes["mesh1"].Status)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p, err := plan.Make(picture, f.now)
		if err != nil || len(p.Writes) > 0 {
			b.Fatalf("%d writes: %v", len(p.Writes), err)
		}
	}
	b.ReportMetric(float64(len(text)), "status-bytes")
}
