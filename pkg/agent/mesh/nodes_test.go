package mesh

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	testingclock "k8s.io/utils/clock/testing"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
	"github.com/flotilla-io/flotilla/pkg/meshlink/gateway/address"
)

// place is a member, and a worker for it whose tasks the test runs.
type place struct {
	t      *testing.T
	kube   *fakekube.Server
	clock  *testingclock.FakeClock
	worker *worker
	object *meshv1alpha1.MeshMember
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, kube: fakekube.New("member"), clock: testingclock.NewFakeClock(time.Now())}
	t.Cleanup(p.kube.Close)
	config := p.kube.Config()
	config.QPS = -1
	client, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	m, err := newMember(config, client)
	require.NoError(t, err)
	reader, err := metadata.NewForConfigAndClient(config, client)
	require.NoError(t, err)
	p.object = &meshv1alpha1.MeshMember{ObjectMeta: metav1.ObjectMeta{Name: "mesh1"}}
	p.worker = &worker{agent: &Agent{Options: Options{Cluster: "eu", Clock: p.clock, Metadata: reader}, member: m}, name: "mesh1", object: p.object, changed: make(chan struct{}, 1)}
	p.worker.agent.members = map[string]*worker{"mesh1": p.worker}
	for i := range p.worker.wakes {
		p.worker.wakes[i] = make(chan struct{}, 1)
	}
	p.worker.nodes = newNodesTask(p.worker)
	t.Cleanup(p.worker.nodes.close)
	return p
}

// node makes a node, and the time such that it is of some age if that is not negative.
func (p *place) node(name string, age time.Duration, labels, spec map[string]any) {
	node := map[string]any{"metadata": map[string]any{"name": name, "labels": map[string]any{"a": "label"}}}
	if labels != nil {
		node["metadata"].(map[string]any)["labels"] = labels
	}
	if spec != nil {
		node["spec"] = spec
	}
	p.kube.Put(fakekube.Nodes, "", node)
	if age >= 0 { // by the clock of the server
		created := p.kube.Get(fakekube.Nodes, "", name).GetCreationTimestamp()
		p.clock.SetTime(created.Add(age))
	}
}

func (p *place) look(after time.Duration) (*nodesSeen, outcome) {
	p.t.Helper()
	p.clock.Step(after)
	out := p.worker.nodes.look(p.t.Context(), p.object)
	return p.worker.view().nodes, out
}

func (p *place) region(node string) string {
	return p.kube.Get(fakekube.Nodes, "", node).GetLabels()[corev1.LabelTopologyRegion]
}

func (p *place) count(part string) (count int) {
	for _, r := range p.kube.Requests() {
		if strings.Contains(r, part) {
			count++
		}
	}
	return count
}

var europe = &meshv1alpha1.MemberLocality{Region: "europe", Zone: "a"}

// Nodes whose cloud says where they are, or is about to, are left to it.
func TestNodesOfClouds(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		labels map[string]any
		spec   map[string]any
		want   string
	}{
		"Bare":          {reason: "Nobody else says it.", want: "europe"},
		"Located":       {reason: "Somebody has said it.", labels: map[string]any{corev1.LabelTopologyRegion: "elsewhere"}, want: "elsewhere"},
		"Cloud":         {reason: "The cloud says it later.", spec: map[string]any{"providerID": "aws:///eu-west-1a/i-0"}},
		"Uninitialized": {reason: "The cloud has not even seen it.", spec: map[string]any{"taints": []any{map[string]any{"key": uninitialized, "value": "true", "effect": "NoSchedule"}}}},
		"OldLabels":     {reason: "Older clouds say it otherwise.", labels: map[string]any{corev1.LabelFailureDomainBetaRegion: "x"}},
		"Kind":          {reason: "An ID, but no cloud.", spec: map[string]any{"providerID": "kind://docker/kind/kind-worker"}, want: "europe"},
		"CopiedMark":    {reason: "Another node's manifest was copied; the region is that of a user.", labels: map[string]any{localityLabel: "x", corev1.LabelTopologyRegion: "elsewhere"}, want: "elsewhere"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.object.Spec.Locality = europe
			p.node("n", time.Second, tc.labels, tc.spec)
			before := p.kube.Get(fakekube.Nodes, "", "n").GetLabels()
			for range 3 {
				seen, out := p.look(time.Second)
				require.Equal(t, trouble{}, seen.located)
				require.False(t, out.missing)
			}
			assert.Equal(t, tc.want, p.region("n"), tc.reason)

			p.object.Spec.Leaving = true
			seen, _ := p.look(time.Second)
			assert.True(t, seen.left)
			assert.Equal(t, before, p.kube.Get(fakekube.Nodes, "", "n").GetLabels(), "as it was before")
		})
	}
}

func TestNodesThatTheirCloudForgets(t *testing.T) {
	p := newPlace(t)
	p.object.Spec.Locality = europe
	p.node("n", time.Hour, nil, map[string]any{"providerID": "vsphere://1"})
	require.Eventually(t, func() bool {
		seen, _ := p.look(time.Second)
		return seen.located.reason == "LeftToCloud"
	}, 20*time.Second, time.Millisecond)
	seen, _ := p.look(time.Second)
	assert.Contains(t, seen.located.message, "1 nodes of cluster eu")
	assert.Empty(t, p.region("n"))
	before := p.count("GET /api/v1/nodes/n")
	for range 100 {
		p.look(15 * time.Second)
	}
	assert.LessOrEqual(t, p.count("GET /api/v1/nodes/n"), before+1)
}

// A node that has come to a cloud since keeps the region: what the cloud says may be the
// same, which the API server does not note.
func TestLeavingANodeOfACloud(t *testing.T) {
	p := newPlace(t)
	p.object.Spec.Locality = europe
	p.node("n", time.Second, nil, nil)
	p.look(0)
	require.Equal(t, "europe", p.region("n"))
	p.kube.Edit(fakekube.Nodes, "", "n", func(u *unstructured.Unstructured) {
		require.NoError(t, unstructured.SetNestedField(u.Object, "aws:///i-0", "spec", "providerID"))
	})
	p.object.Spec.Leaving = true
	seen, _ := p.look(time.Second)
	assert.True(t, seen.left)
	assert.Equal(t, map[string]string{"a": "label", corev1.LabelTopologyRegion: "europe", corev1.LabelTopologyZone: "a"}, p.kube.Get(fakekube.Nodes, "", "n").GetLabels())
}

// At rest nodes are watched, and not listed.
func TestNodesAtRest(t *testing.T) {
	p := newPlace(t)
	p.object.Spec.Locality = europe
	for i := range 3 {
		p.node(fmt.Sprint("n", i), time.Second, nil, nil)
	}
	// The watch has seen that all have a region.
	synced := func() bool { nodes, synced := p.worker.nodes.bare.all(); return synced && len(nodes) == 0 }
	p.look(0)
	require.Eventually(t, synced, 20*time.Second, time.Millisecond)
	p.look(time.Minute)
	before := p.count("/api/v1/nodes")
	for range 20 {
		p.look(15 * time.Second)
	}
	assert.LessOrEqual(t, p.count("/api/v1/nodes")-before, 8, "five minutes")
	p.node("late", -1, nil, nil)
	select {
	case <-p.worker.wakes[0]:
	case <-time.After(20 * time.Second):
		t.Fatal("a node that comes wakes the task")
	}
	require.Eventually(t, func() bool { p.look(time.Second); return p.region("late") == "europe" }, 20*time.Second, time.Millisecond)

	p.object.Spec.Locality = nil
	seen, _ := p.look(time.Second)
	assert.True(t, seen.left)
	assert.Empty(t, p.region("late"))
	before = p.count("/api/v1/nodes")
	p.worker.nodes.regionsUntil = p.clock.Now().Add(time.Hour)
	for range 19 {
		p.look(15 * time.Second)
	}
	assert.LessOrEqual(t, p.count("/api/v1/nodes")-before, 1, "nothing is wanted of nodes")
}

// A label that somebody takes away is not written again and again.
func TestNodesThatLoseTheirLabel(t *testing.T) {
	p := newPlace(t)
	p.object.Spec.Locality = europe
	p.kube.Mutate = func(r fakekube.Resource, u *unstructured.Unstructured) {
		if r.Kind == "Node" {
			u.SetLabels(nil)
		}
	}
	p.node("n", time.Second, nil, nil)
	for range 100 {
		p.look(time.Second)
	}
	assert.LessOrEqual(t, p.count("PATCH /api/v1/nodes/n"), 3)
}

// Addresses of nodes: those that the Service selects, as soon as they come, change and go.
func TestNodesOfAGateway(t *testing.T) {
	p := newPlace(t)
	var lists atomic.Int32
	p.kube.Hook = func(r *http.Request) error {
		if r.URL.Path == "/api/v1/nodes" && r.URL.Query().Get("watch") == "" {
			lists.Add(1)
		}
		return nil
	}
	node := func(name string, labels map[string]any, addresses ...any) {
		p.kube.Put(fakekube.Nodes, "", map[string]any{"metadata": map[string]any{"name": name, "labels": labels}, "status": map[string]any{"addresses": addresses}})
	}
	external := func(ip string) any { return map[string]any{"type": "ExternalIP", "address": ip} }
	internal := map[string]any{"type": "InternalIP", "address": "10.0.0.1"}
	yes, no := map[string]any{"edge": "yes"}, map[string]any{"edge": "no"}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{address.NodeSelector: `{"edge":"yes"}`}}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 15443, NodePort: 30000}},
	}}
	var gateway gatewayNodes
	t.Cleanup(gateway.close)
	read := func() (ips []string) {
		nodes, err := gateway.read(t.Context(), p.worker, service)
		require.NoError(t, err)
		addresses, _ := address.Of(service, nodes, 15443)
		for _, a := range addresses {
			require.EqualValues(t, 30000, a.Port)
			ips = append(ips, a.Address)
		}
		return ips
	}
	wake := p.worker.wakes[clusterTaskAt]
	// told waits until the task is told to look, and sees that.
	told := func(reason string, want ...string) {
		t.Helper()
		select {
		case <-wake:
		case <-time.After(patience):
			require.Fail(t, "nobody was told to look", reason)
		}
		require.Equal(t, want, read(), reason)
	}
	node("other", no, external("192.0.2.9"))
	require.Empty(t, read(), "it is not selected")
	told("the first list is there")
	listed := lists.Load()
	require.NotZero(t, listed)
	node("edge", yes, internal, external("192.0.2.1"))
	told("a node comes", "192.0.2.1")
	node("edge", yes, internal, external("192.0.2.2"))
	told("its address changes", "192.0.2.2")
	node("other", yes, external("192.0.2.9"))
	told("another is selected", "192.0.2.2", "192.0.2.9")
	node("edge", yes, internal)
	told("it has an address for the cluster only", "192.0.2.9")
	p.kube.Remove(fakekube.Nodes, "", "other")
	told("a node goes")
	node("edge", yes, internal, map[string]any{"type": "Hostname", "address": "edge"})
	node("edge", yes, external("192.0.2.3"))
	told("what does not matter is not told", "192.0.2.3")
	require.Equal(t, listed, lists.Load(), "nodes are not listed again")

	node("other", no, external("192.0.2.9"))
	service.Annotations[address.NodeSelector] = "{}"
	require.Equal(t, []string{"192.0.2.3", "192.0.2.9"}, read(), "another selection is read at once")
	service.Spec.ExternalIPs = []string{"198.51.100.1"}
	require.Equal(t, []string{"198.51.100.1"}, read(), "nodes are not looked at")
	require.Nil(t, gateway.watch, "nor watched")
	service.Spec.ExternalIPs = nil
	service.Annotations[address.NodeSelector] = "["
	require.Empty(t, read())
}

// An agent that may not read nodes says so.
func TestNodesOfAGatewayThatAreNotTold(t *testing.T) {
	p := newPlace(t)
	p.kube.Hook = func(r *http.Request) error {
		if r.URL.Path == "/api/v1/nodes" {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "", errors.New("no"))
		}
		return nil
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{address.NodeSelector: "{}"}}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort}}
	var gateway gatewayNodes
	t.Cleanup(gateway.close)
	for range 3 {
		_, err := gateway.read(t.Context(), p.worker, service)
		require.True(t, apierrors.IsForbidden(err), err)
	}
}
