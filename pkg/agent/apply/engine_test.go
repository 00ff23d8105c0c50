package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
	"github.com/flotilla-io/flotilla/pkg/agent/kinds"
	"github.com/flotilla-io/flotilla/pkg/interpreter"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// A paged list of client-go may outlive the reflector that asked for it by one request.
		goleak.IgnoreAnyFunction("k8s.io/client-go/tools/pager.(*ListPager).ListWithAlloc"),
		goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"),
	)
}

// bench is an engine before a member in memory, and what it saved and reported.
type bench struct {
	t      testing.TB
	member *fakekube.Server
	engine *Engine

	mu      sync.Mutex
	saved   map[string]*inventory.Record
	reports map[string]Observation
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t, member: fakekube.New("member"), saved: map[string]*inventory.Record{}, reports: map[string]Observation{}}
	t.Cleanup(b.member.Close)
	b.member.Put(fakekube.Namespaces, "", map[string]any{"metadata": map[string]any{"name": "n"}})
	return b
}

// start makes an engine that begins with what was saved.
func (b *bench) start() (stop func()) {
	config := b.member.Config()
	client, err := rest.HTTPClientFor(config)
	require.NoError(b.t, err)
	member, err := NewMember(config, client)
	require.NoError(b.t, err)
	core := rest.CopyConfig(config)
	core.GroupVersion, core.APIPath = &schema.GroupVersion{Version: "v1"}, "/api"
	core.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	discovery, err := rest.RESTClientForConfigAndClient(core, client)
	require.NoError(b.t, err)
	served := kinds.New(kinds.Options{Fetch: kinds.Fetch(discovery), MinInterval: 50 * time.Millisecond})
	b.engine = NewEngine(Options{
		Cluster: "eu", Namespace: "es", Member: member, Kinds: served, Interpreter: interpreter.New(), Backoff: 20 * time.Millisecond,
		Report: func(o Observation) { b.mu.Lock(); defer b.mu.Unlock(); b.reports[o.Work] = o },
		Save:   func(r *inventory.Record) error { b.mu.Lock(); defer b.mu.Unlock(); b.saved[r.Name] = r; return nil },
		Drop:   func(name string) error { b.mu.Lock(); defer b.mu.Unlock(); delete(b.saved, name); return nil },
	})
	var records []*inventory.Record
	for _, r := range b.saved {
		records = append(records, r)
	}
	b.engine.Restore(records)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { served.Run(ctx) })
	group.Go(func() { b.engine.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); group.Wait(); client.CloseIdleConnections() })
	b.t.Cleanup(stop)
	return stop
}

func (b *bench) eventually(what string, condition func() bool) {
	b.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			b.t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

func (b *bench) report(work string) Observation {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reports[work]
}

func (b *bench) record(work string) *inventory.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.saved[work]
}

func (b *bench) applied(work string) {
	b.t.Helper()
	b.eventually(work+" is applied", func() bool { return b.report(work).Applied })
}

func cm(namespace, name, value string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":%q,"name":%q},"data":{"k":%q}}`, namespace, name, value)
}

func (b *bench) set(name string, manifests ...string) {
	work := newWork(manifests...)
	work.Name = name
	b.engine.Set(ReadWork(work))
}

func (b *bench) get(name string) *unstructured.Unstructured {
	return b.member.Get(fakekube.ConfigMaps, "n", name)
}

func TestManifestsOfAWorkComeAndGo(t *testing.T) {
	b := newBench(t)
	b.start()
	b.set("w", cm("n", "a", "1"), cm("n", "b", "1"))
	b.applied("w")
	b.set("w", cm("n", "a", "1"))
	b.eventually("what is no longer named goes", func() bool { return b.get("b") == nil })
	require.NotNil(t, b.get("a"))
	b.eventually("and is forgotten", func() bool { r := b.record("w"); return r != nil && len(r.Objects) == 1 })
	b.set("v", cm("n", "a", "2"))
	b.engine.Remove("w")
	b.eventually("an object moves to the work that still wants it", func() bool {
		return b.get("a").GetAnnotations()[names.WorkNameAnnotation] == "v"
	})
	b.eventually("the removed work is forgotten", func() bool { return b.record("w") == nil })
	b.engine.Remove("v")
	b.eventually("and goes with that", func() bool { return b.get("a") == nil })
}

func TestOnlyWhatIsOursIsDeleted(t *testing.T) {
	b := newBench(t)
	stop := b.start()
	b.set("w", cm("n", "mine", "1"), cm("n", "taken", "1"), cm("n", "anew", "1"))
	b.applied("w")
	b.eventually("written down", func() bool { r := b.record("w"); return r != nil && r.Objects[2].Hash != "" })
	stop()
	b.member.Edit(fakekube.ConfigMaps, "n", "taken", func(u *unstructured.Unstructured) {
		u.SetAnnotations(map[string]string{names.WorkNameAnnotation: "w", names.WorkNamespaceAnnotation: "other-federation"})
	})
	b.member.Remove(fakekube.ConfigMaps, "n", "anew")
	b.member.Put(fakekube.ConfigMaps, "helm", map[string]any{"metadata": map[string]any{"namespace": "n", "name": "anew"}})
	b.saved["w"].Manifests, b.saved["w"].Removed = nil, true
	b.start()
	b.eventually("the removal is over", func() bool { return b.record("w") == nil })
	require.Nil(t, b.get("mine"))
	require.NotNil(t, b.get("taken"), "its marks are another's")
	require.NotNil(t, b.get("anew"), "it has no marks")
}

func TestAgreedRemovalSurvivesARestart(t *testing.T) {
	b := newBench(t)
	b.member.Hook = func(r *http.Request) error {
		if r.Method == http.MethodDelete {
			return apierrors.NewInternalError(fmt.Errorf("not now"))
		}
		return nil
	}
	stop := b.start()
	b.set("w", cm("n", "a", "1"))
	b.applied("w")
	b.engine.Remove("w")
	b.eventually("it is written down", func() bool { r := b.record("w"); return r != nil && r.Removed })
	there, held := b.engine.Remaining("w")
	require.Equal(t, []string{"w"}, there, "something of it may be in the member")
	require.False(t, held, "nobody is waited for")
	stop()
	require.NotNil(t, b.get("a"))
	b.member.Hook = nil
	b.start()
	b.eventually("it is carried out", func() bool { return b.get("a") == nil && b.record("w") == nil })
	there, _ = b.engine.Remaining("w")
	require.Empty(t, there)
}

func TestFieldsDroppedWhileAwayAreRemoved(t *testing.T) {
	b := newBench(t)
	stop := b.start()
	b.set("w", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"n","name":"a"},"data":{"k":"1","old":"x"}}`)
	b.applied("w")
	b.eventually("written down", func() bool { r := b.record("w"); return r != nil && r.Objects[0].Hash != "" })
	stop()
	// The agent took the new manifest in and died before it applied it.
	work := newWork(cm("n", "a", "1"))
	next, _ := ReadWork(work)
	next.Objects[0] = b.saved["w"].Objects[0]
	b.saved["w"] = next
	b.start()
	b.eventually("a field that is only missing is no drift, but it has to go", func() bool {
		_, found, _ := unstructured.NestedString(b.get("a").Object, "data", "old")
		return !found
	})
}

func TestObjectsWaitForTheirNamespace(t *testing.T) {
	b := newBench(t)
	b.start()
	b.set("in", cm("later", "a", "1"))
	b.eventually("the missing namespace is reported", func() bool { return b.report("in").Reason == ReasonNamespaceMissing })
	b.set("ns", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"later"}}`)
	b.applied("in")

	b.member.Requests()
	records := inventory.Plan{}
	for name, manifest := range map[string]string{"x": cm("both", "x", "1"), "y": `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"both"}}`} {
		work := newWork(manifest)
		work.Name = name
		record, _ := ReadWork(work)
		records.Set = append(records.Set, record)
	}
	b.engine.Sync(records, nil)
	b.applied("x")
	patches := 0
	for _, r := range b.member.Requests() {
		if strings.HasPrefix(r, "PATCH") && strings.Contains(r, "/both") {
			patches++
		}
	}
	require.Equal(t, 2, patches, "together they are applied in order, nothing is tried twice")
}

func TestOrphansThatAreClaimedStay(t *testing.T) {
	b := newBench(t)
	b.start()
	b.set("w", cm("n", "a", "1"))
	b.applied("w")
	orphan := inventory.Object{Key: inventory.Key{Kind: "ConfigMap", Namespace: "n", Name: "a"}, Version: "v1"}
	require.True(t, b.engine.Claimed(orphan.Key))
	b.engine.RemoveOrphan(orphan, "w")
	b.set("mark", cm("n", "mark", "1"))
	b.applied("mark")
	require.NotNil(t, b.get("a"))
	b.engine.Remove("w")
	b.eventually("it goes with its work", func() bool { return b.get("a") == nil })
}

func TestPauseTouchesNothing(t *testing.T) {
	b := newBench(t)
	b.start()
	b.set("w", cm("n", "a", "1"))
	b.applied("w")
	b.engine.Pause()
	b.member.Requests()
	b.set("v", cm("n", "b", "1"))
	b.engine.Remove("w")
	b.member.Edit(fakekube.ConfigMaps, "n", "a", func(u *unstructured.Unstructured) { u.Object["data"] = map[string]any{"k": "drift"} })
	b.eventually("the queue is empty", func() bool { return b.engine.queue.Len() == 0 })
	for _, r := range b.member.Requests() {
		require.False(t, strings.HasPrefix(r, "PATCH") || strings.HasPrefix(r, "DELETE"), r)
	}
	b.engine.Resume()
	b.applied("v")
	b.eventually("what was wanted meanwhile is done", func() bool { return b.get("a") == nil })
}

func TestSeveralManifestsAreReportedTogether(t *testing.T) {
	b := newBench(t)
	b.start()
	b.set("w", cm("n", "a", "1"), `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"}}`, `{"kind":"Bad"}`)
	b.eventually("the first failure is the message", func() bool { return b.report("w").Reason == ReasonBadManifest })
	b.set("w", cm("n", "a", "1"), `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"}}`)
	b.eventually("of those that are left", func() bool { return b.report("w").Reason == ReasonUnknownKind })
	b.set("w", cm("n", "a", "1"))
	b.applied("w")
}

func liveDeployment(t testing.TB) *unstructured.Unstructured {
	live := &unstructured.Unstructured{}
	require.NoError(t, json.Unmarshal([]byte(benchDeployment), &live.Object))
	live.SetUID("u")
	live.SetResourceVersion("7")
	live.Object["status"] = map[string]any{"replicas": int64(3), "readyReplicas": int64(3), "observedGeneration": int64(1)}
	return live
}

// BenchmarkNoOpEvent is what a change costs that means nothing: another resourceVersion.
func BenchmarkNoOpEvent(b *testing.B) {
	bench := newBench(b)
	bench.start()()
	e := bench.engine
	work := newWork(benchDeployment)
	e.Set(ReadWork(work))
	kind := schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	key := keyOf(kind, "shop", "web")
	o := e.objects[key]
	o.hash, o.verdict = o.desired.Hash, &verdict{hash: o.desired.Hash}
	live := liveDeployment(b)
	live.SetAnnotations(map[string]string{names.WorkNameAnnotation: "w", names.WorkNamespaceAnnotation: "es", "resourcetemplate.karmada.io/uid": "c3b1"})
	e.observe(kind, live)
	require.True(b, o.live != nil && o.live.inSync)
	b.ReportAllocs()
	for b.Loop() {
		e.observe(kind, live)
	}
}
