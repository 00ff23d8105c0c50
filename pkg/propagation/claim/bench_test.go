package claim

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

// BenchmarkMatch shows that a lookup costs the same whatever the number of
// policies that have nothing to do with the template.
func BenchmarkMatch(b *testing.B) {
	for _, unrelated := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprint(unrelated), func(b *testing.B) {
			var x Index
			for i := range unrelated {
				name := fmt.Sprintf("p-%d", i)
				switch i % 3 {
				case 0: // same kind and namespace, another name
					x.Upsert(newPP("default", name, selecting(deployments(named(name)))))
				case 1: // same kind and namespace, another label
					x.Upsert(newPP("default", name, selecting(deployments(labelled(map[string]string{"app": name})))))
				case 2: // another namespace
					x.Upsert(newPP(name, name, selecting(deployments())))
				}
			}
			x.Upsert(newCPP("all", selecting(deployments())))
			t := Template{GroupKind: deploymentKind, Namespace: "default", Name: "web", Labels: labels.Set{"app": "web", "tier": "front"}}
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := x.Match(t, nil); !ok {
					b.Fatal("no match")
				}
			}
		})
	}
}
