package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// A paged list of client-go may outlive the reflector that asked for it by one request.
		goleak.IgnoreAnyFunction("k8s.io/client-go/tools/pager.(*ListPager).ListWithAlloc"),
		goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"),
	)
}

var (
	works = fakekube.Resource{
		GroupVersionResource: schema.GroupVersionResource{Group: "work.karmada.io", Version: "v1alpha1", Resource: "works"},
		Kind:                 "Work", Namespaced: true,
	}
	clusters = fakekube.Resource{
		GroupVersionResource: schema.GroupVersionResource{Group: "cluster.karmada.io", Version: "v1alpha1", Resource: "clusters"},
		Kind:                 "Cluster",
	}
	reports = fakekube.Resource{
		GroupVersionResource: schema.GroupVersionResource{Group: "agent.flotilla.io", Version: "v1alpha1", Resource: "statusreports"},
		Kind:                 "StatusReport", Namespaced: true,
	}
	leases = fakekube.Resource{
		GroupVersionResource: schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"},
		Kind:                 "Lease", Namespaced: true,
	}
)

const (
	es       = "karmada-es-eu"
	patience = 20 * time.Second
)

// env is a federation and a member, and an agent between them that can be stopped and started.
type env struct {
	t           *testing.T
	fed, member *fakekube.Server
	opts        Options

	agent *Agent // the last that was started
	stop  func() error
	// beforeRun is called between the making of an agent and its run. It may be nil.
	beforeRun func()

	mu   sync.Mutex
	seen map[string]agentv1alpha1.WorkObservation
	sent int // observations received
}

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{t: t, seen: map[string]agentv1alpha1.WorkObservation{}}
	e.member = fakekube.New("member-1")
	t.Cleanup(e.member.Close)
	e.federate("federation-1")
	e.opts = Options{
		ClusterName: "eu", StateDir: t.TempDir(), Heartbeat: time.Second, secondLook: 100 * time.Millisecond, Region: "europe",
		Federation: e.fed.Config(), Member: e.member.Config(),
	}
	e.namespace("default")
	return e
}

// federate puts a new federation in place.
func (e *env) federate(uid string) {
	e.fed = fakekube.New(uid, works, clusters, reports, leases)
	e.fed.Restart(1)
	e.t.Cleanup(e.fed.Close)
	e.fed.OnCreate = func(resource fakekube.Resource, u *unstructured.Unstructured) *unstructured.Unstructured {
		if resource != reports {
			return nil
		}
		report := &agentv1alpha1.StatusReport{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, report); err != nil {
			panic(err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, observation := range report.Spec.Works {
			e.seen[observation.Name] = observation
			e.sent++
		}
		return u
	}
	e.opts.Federation = e.fed.Config()
}

// start runs an agent until the test ends or halt is called.
func (e *env) start() {
	e.t.Helper()
	a, err := New(e.opts)
	require.NoError(e.t, err)
	e.agent = a
	if e.beforeRun != nil {
		e.beforeRun()
	}
	logger := ktesting.NewLogger(e.t, ktesting.NewConfig(ktesting.Verbosity(1), ktesting.BufferLogs(true)))
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logger))
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	var once sync.Once
	e.stop = func() (err error) {
		once.Do(func() { cancel(); err = <-done })
		return err
	}
	e.t.Cleanup(func() { _ = e.stop() })
}

func (e *env) halt() {
	e.t.Helper()
	require.NoError(e.t, e.stop())
}

func (e *env) eventually(what string, condition func() bool) {
	e.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			e.t.Fatalf("not within %v: %s", patience, what)
		case <-tick.C:
		}
	}
}

// namespace creates one in the member that is nobody's.
func (e *env) namespace(name string) {
	e.member.Put(fakekube.Namespaces, "kubectl", map[string]any{"metadata": map[string]any{"name": name}})
}

type object = map[string]any

func deployment(name string, replicas int) object {
	return object{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": object{"name": name, "namespace": "default"},
		"spec":     object{"replicas": int64(replicas), "template": object{"spec": object{"containers": []any{object{"name": "c", "image": "app:1"}}}}},
	}
}

func configMap(name, value string) object {
	return object{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": object{"name": name, "namespace": "default"},
		"data":     object{"key": value},
	}
}

func label(o object, key, value string) object {
	o["metadata"].(object)["labels"] = object{key: value}
	return o
}

func annotate(o object, key, value string) object {
	o["metadata"].(object)["annotations"] = object{key: value}
	return o
}

// work puts a work into the federation.
func (e *env) work(name string, spec object, manifests ...object) {
	list := []any{}
	for _, manifest := range manifests {
		list = append(list, manifest)
	}
	if spec == nil {
		spec = object{}
	}
	spec["workload"] = object{"manifests": list}
	e.fed.Put(works, "", object{"metadata": object{"name": name, "namespace": es}, "spec": spec})
}

func (e *env) unwork(name string) { e.fed.Remove(works, es, name) }

func (e *env) report(name string) agentv1alpha1.WorkObservation {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen[name]
}

func (e *env) forgetReports() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = map[string]agentv1alpha1.WorkObservation{}
}

func (e *env) applied(name string) {
	e.t.Helper()
	e.eventually("work "+name+" reported as applied", func() bool { return e.report(name).Applied })
}

func (e *env) cluster() *clusterv1alpha1.Cluster {
	u := e.fed.Get(clusters, "", "eu")
	if u == nil {
		return nil
	}
	out := &clusterv1alpha1.Cluster{}
	raw, err := json.Marshal(u)
	require.NoError(e.t, err)
	require.NoError(e.t, json.Unmarshal(raw, out))
	return out
}

func (e *env) condition(kind string) *metav1.Condition {
	c := e.cluster()
	if c == nil {
		return nil
	}
	for i := range c.Status.Conditions {
		if c.Status.Conditions[i].Type == kind {
			return &c.Status.Conditions[i]
		}
	}
	return nil
}

// confirmDeletions does what the condition says.
func (e *env) confirmDeletions() {
	e.t.Helper()
	c := e.condition(names.ConditionDeletionsHeld)
	require.NotNil(e.t, c)
	_, token, _ := strings.Cut(c.Message, ConfirmDeletionsAnnotation+"=")
	e.fed.Edit(clusters, "", "eu", func(u *unstructured.Unstructured) {
		u.SetAnnotations(map[string]string{ConfirmDeletionsAnnotation: token})
	})
}

func (e *env) deployment(name string) *unstructured.Unstructured {
	return e.member.Get(fakekube.Deployments, "default", name)
}

func (e *env) replicas(name string) int64 {
	u := e.deployment(name)
	if u == nil {
		return -1
	}
	n, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
	return n
}

// many puts n works with a ConfigMap each, cm-0, cm-1, ...
func (e *env) many(n int) {
	for i := range n {
		e.work(fmt.Sprintf("cm-%d", i), nil, configMap(fmt.Sprintf("cm-%d", i), "v"))
	}
}

func (e *env) configMaps() int {
	n := 0
	for _, u := range e.member.List(fakekube.ConfigMaps) {
		if u.GetLabels()[names.ManagedLabel] == names.ManagedLabelValue {
			n++
		}
	}
	return n
}
