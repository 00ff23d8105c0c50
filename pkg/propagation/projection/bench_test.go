package projection

import (
	"fmt"
	"runtime"
	"testing"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func federationOf(clusters int) (*Projection, *workv1alpha2.ResourceBinding) {
	p := newProjection()
	b := divided("hello")
	for i := range clusters {
		name := fmt.Sprintf("member-%03d", i)
		p.SetCluster(cluster(name))
		b.Spec.Clusters = append(b.Spec.Clusters, on(name, 2))
	}
	p.SetTemplate(deployment("hello", int64(2*clusters), "v0"))
	p.SetBinding(b)
	return p, b
}

// BenchmarkTemplateChange is what an update of a template costs before anybody
// reads: one look at each pair, no manifest.
func BenchmarkTemplateChange(b *testing.B) {
	for _, clusters := range []int{3, 30, 300} {
		b.Run(fmt.Sprint(clusters), func(b *testing.B) {
			p, _ := federationOf(clusters)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				d := deployment("hello", 3, "v1")
				d.SetGeneration(int64(i + 2))
				p.SetTemplate(d)
			}
		})
	}
}

// BenchmarkRead is the rendering of one Work.
func BenchmarkRead(b *testing.B) {
	p, binding := federationOf(3)
	name := p.bindings[KeyOf(binding)].workName
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := p.Get("member-000", name); !ok {
			b.Fatal("no work")
		}
	}
}

// maxPairBytes is what one more cluster may cost for every template it gets.
const maxPairBytes = 300

// TestMemoryPerPair holds the promise that nothing per cluster is a copy of a
// manifest.
func TestMemoryPerPair(t *testing.T) {
	const templates, clusters = 200, 50
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	p := newProjection()
	for i := range clusters {
		p.SetCluster(cluster(fmt.Sprintf("member-%03d", i)))
	}
	bindings := make([]*workv1alpha2.ResourceBinding, templates)
	for i := range templates {
		p.SetTemplate(deployment(number(i), clusters, "v1"))
		bindings[i] = divided(number(i))
		for c := range clusters {
			bindings[i].Spec.Clusters = append(bindings[i].Spec.Clusters, on(fmt.Sprintf("member-%03d", c), 1))
		}
	}
	before := heap()
	for _, b := range bindings {
		p.SetBinding(b)
	}
	perPair := (heap() - before) / (templates * clusters)
	t.Logf("%d bytes per pair", perPair)
	if perPair > maxPairBytes {
		t.Errorf("%d bytes per (template, cluster), want at most %d", perPair, maxPairBytes)
	}
	runtime.KeepAlive(p)
	runtime.KeepAlive(bindings)
}
