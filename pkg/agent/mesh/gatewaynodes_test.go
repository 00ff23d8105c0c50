package mesh

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
	"github.com/flotilla-io/flotilla/pkg/meshlink/gateway/address"
)

// manyNodes answers for nodes as an API server does: with all at once out of its memory, or
// else with as many as the limit says, of a list that expires once.
type manyNodes struct {
	nodes []corev1.Node

	mu      sync.Mutex
	most    int // in one answer
	expired bool
}

func (s *manyNodes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	w.Header().Set("Content-Type", "application/json")
	if query.Get("watch") != "" {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from, _ := strconv.Atoi(query.Get("continue"))
	limit, _ := strconv.Atoi(query.Get("limit"))
	if from > 0 && !s.expired {
		s.expired = true
		w.WriteHeader(http.StatusGone)
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusGone, Reason: metav1.StatusReasonExpired})
		return
	}
	list := corev1.NodeList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NodeList"}, ListMeta: metav1.ListMeta{ResourceVersion: "7"}}
	to := len(s.nodes)
	if query.Get("resourceVersion") == "" && limit > 0 && from+limit < to {
		to = from + limit
		list.Continue = strconv.Itoa(to)
	}
	list.Items = s.nodes[from:to]
	s.most = max(s.most, len(list.Items))
	_ = json.NewEncoder(w).Encode(list)
}

// Of many nodes the watch reads a page at a time, and misses none.
func TestManyNodesOfAGateway(t *testing.T) {
	api := &manyNodes{}
	for i := range 3*page + 1 {
		api.nodes = append(api.nodes, corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n%03d", i), Labels: map[string]string{"a": "label"}, Annotations: map[string]string{"not": "kept"}},
			Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeExternalIP, Address: fmt.Sprintf("192.0.2.%d", i%250)}, {Type: corev1.NodeInternalIP, Address: "10.0.0.1"}}},
		})
	}
	server := httptest.NewServer(api)
	defer server.Close()
	config := &rest.Config{Host: server.URL, QPS: -1}
	client, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	defer client.CloseIdleConnections()
	m, err := newMember(config, client)
	require.NoError(t, err)
	watch := &nodeWatch[corev1.Node]{ring: func() {}, keep: reachable}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch.start(ctx, "nodes", "", m.nodeSource())
	defer watch.close()
	var nodes []corev1.Node
	require.Eventually(t, func() (synced bool) {
		nodes, synced = watch.all()
		return synced
	}, patience, time.Millisecond)
	require.Len(t, nodes, len(api.nodes))
	assert.Equal(t, corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n300", Labels: map[string]string{"a": "label"}},
		Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeExternalIP, Address: "192.0.2.50"}}},
	}, nodes[300])
	api.mu.Lock()
	defer api.mu.Unlock()
	assert.True(t, api.expired, "the list was begun anew")
	assert.Equal(t, page, api.most, "nodes in one answer")
}

// While the watch has no list yet nodes are not read at every look.
func TestNodesOfAGatewayBeforeTheWatch(t *testing.T) {
	p := newPlace(t)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{address.NodeSelector: "{}"}}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort}}
	gateway := gatewayNodes{watch: &nodeWatch[corev1.Node]{keep: reachable}}
	read := func() (names []string) {
		nodes, err := gateway.read(t.Context(), p.worker, service)
		require.NoError(t, err)
		for i := range nodes {
			names = append(names, nodes[i].Name)
		}
		return names
	}
	put := func(name string) {
		p.kube.Put(fakekube.Nodes, "", map[string]any{"metadata": map[string]any{"name": name}, "status": map[string]any{"addresses": []any{map[string]any{"type": "ExternalIP", "address": "192.0.2.1"}}}})
	}
	put("a")
	require.Equal(t, []string{"a"}, read())
	put("b")
	for range 10 {
		p.clock.Step(listedFor / 20)
		require.Equal(t, []string{"a"}, read())
	}
	require.Equal(t, 1, p.count("GET /api/v1/nodes"))
	p.clock.Step(listedFor)
	require.Equal(t, []string{"a", "b"}, read())
	gateway.close()
	assert.Empty(t, gateway.listed, "another selection has others")
	assert.Zero(t, gateway.until)
}
