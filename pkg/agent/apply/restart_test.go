package apply

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

func generation(name string, generation int) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"n","name":%q,"annotations":{%q:"t",%q:"%d"}},"data":{"k":"%d"}}`,
		name, names.TemplateUIDAnnotation, names.TemplateGenerationAnnotation, generation, generation)
}

func (b *bench) value(name string) string {
	v, _, _ := unstructured.NestedString(b.get(name).Object, "data", "k")
	return v
}

func TestAnOldInventoryRollsNothingBack(t *testing.T) {
	b := newBench(t)
	stop := b.start()
	b.set("w", generation("a", 1))
	b.applied("w")
	b.eventually("written down", func() bool { r := b.record("w"); return r != nil && r.Objects[0].Hash != "" })
	old := b.record("w")
	b.set("w", generation("a", 2))
	b.eventually("the next generation", func() bool { return b.value("a") == "2" })
	stop()
	b.saved["w"] = old // the newer record did not reach the disk
	b.saved["mark"], _ = ReadWork(newWork(cm("n", "mark", "1")))
	b.saved["mark"].Name = "mark"

	b.start()
	b.applied("mark")
	b.eventually("its turn came", func() bool { return b.engine.queue.Len() == 0 })
	require.Equal(t, "2", b.value("a"))
	b.member.Edit(fakekube.ConfigMaps, "n", "mark", func(u *unstructured.Unstructured) { u.Object["data"] = map[string]any{"k": "drift"} })
	b.eventually("other drift is repaired", func() bool { return b.value("mark") == "1" })
	require.Equal(t, "2", b.value("a"))

	// The federation says which one it is: here, the older.
	work := newWork(generation("a", 1))
	record, _ := ReadWork(work)
	b.engine.Sync(inventory.Plan{Same: []string{record.Name, "mark"}}, nil)
	b.eventually("what the federation wants", func() bool { return b.value("a") == "1" })
}

func TestAKindThatSeemsToBeGoneOnce(t *testing.T) {
	widgets := fakekube.Resource{
		GroupVersionResource: schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}, Kind: "Widget", Namespaced: true,
	}
	b := newBench(t)
	b.member.Serve(widgets)
	stop := b.start()
	b.set("w", `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"namespace":"n","name":"w"}}`)
	b.applied("w")
	b.eventually("written down", func() bool { r := b.record("w"); return r != nil && r.Objects[0].UID != "" })
	stop()
	b.saved["w"].Manifests, b.saved["w"].Removed = nil, true

	var asked atomic.Int32
	b.member.Withhold = func(r fakekube.Resource) bool { return r == widgets && asked.Add(1) == 1 }
	b.start()
	b.eventually("the removal is over", func() bool { return b.record("w") == nil })
	require.Nil(t, b.member.Get(widgets, "n", "w"), "it was there all along")
}

func TestAKindThatIsGone(t *testing.T) {
	b := newBench(t)
	b.saved["w"] = &inventory.Record{Name: "w", Removed: true, Objects: []inventory.Object{
		{Key: inventory.Key{Group: "example.com", Kind: "Widget", Namespace: "n", Name: "w"}, Version: "v1", UID: "u"},
	}}
	b.start()
	b.eventually("its objects went with it", func() bool { return b.record("w") == nil })
}

// Someone deletes an object of ours and makes one of their own, and the next manifest comes before the
// watch has told.
func TestAnObjectThatWasReplacedIsNotOverwritten(t *testing.T) {
	b := newBench(t)
	b.start()
	b.set("w", cm("n", "a", "1"))
	b.applied("w")
	b.eventually("the watch has shown it", func() bool {
		b.engine.mu.Lock()
		defer b.engine.mu.Unlock()
		o := b.engine.objects[inventory.Key{Kind: "ConfigMap", Namespace: "n", Name: "a"}]
		return o.live != nil && o.live.ours
	})
	var once atomic.Bool
	b.member.Hook = func(r *http.Request) error {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/a") && once.CompareAndSwap(false, true) {
			b.member.Remove(fakekube.ConfigMaps, "n", "a")
			b.member.Put(fakekube.ConfigMaps, "helm", map[string]any{"metadata": map[string]any{"namespace": "n", "name": "a"}, "data": map[string]any{"k": "theirs"}})
		}
		return nil
	}
	b.set("w", cm("n", "a", "2"))
	b.eventually("it is looked at", func() bool { return b.report("w").Reason == ReasonConflict })
	require.Contains(t, b.report("w").Message, "helm")
	require.Equal(t, "theirs", b.value("a"))
}

func TestKeptWorksAreReportedAnew(t *testing.T) {
	b := newBench(t)
	b.start()
	b.set("w", cm("n", "a", "1"))
	b.applied("w")
	for name, keep := range map[string]func(string){"hold": b.engine.Hold, "keep": b.engine.Keep} {
		keep("w")
		require.True(t, b.report("w").Gone, "%s: what is reported next is news", name)
		b.engine.Sync(inventory.Plan{Same: []string{"w"}}, nil)
		b.applied("w")
	}
}
