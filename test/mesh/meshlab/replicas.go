package meshlab

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/grpc"

	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
)

// replicas are istiods of a member beside the first.
type replicas struct {
	mu   sync.Mutex
	list []*istiolab.Istiod
	// turn counts connections to istiods.
	turn int
}

// Istiods are all of a member, Istiod first.
func (m *Member) Istiods() []*istiolab.Istiod {
	m.replicas.mu.Lock()
	defer m.replicas.mu.Unlock()
	if m.Istiod == nil {
		return nil
	}
	return append([]*istiolab.Istiod{m.Istiod}, m.replicas.list...)
}

// AddIstiod starts a further istiod of a member, behind the same Service. The first one
// has to have an address, too, so that pods of the member find both.
// Settings are NAME=value, after the usual ones.
func (m *Member) AddIstiod(ctx context.Context, address string, settings ...string) (*istiolab.Istiod, error) {
	pod := fmt.Sprintf("istiod-%s-%d", m.Name, len(m.Istiods()))
	istiod, err := istiolab.Start(ctx, istiolab.Options{
		Cluster: m.Name, Kubeconfig: m.Istiod.Kubeconfig, Dir: m.Istiod.Dir + "-" + pod, Env: slices.Concat(multiroot, settings),
		Pod: pod, Address: address, Further: true,
	})
	if istiod != nil {
		m.replicas.mu.Lock()
		defer m.replicas.mu.Unlock()
		m.replicas.list = append(m.replicas.list, istiod)
	}
	return istiod, err
}

// Dial connects to one of the member's istiods as a pod of a ServiceAccount does: to
// another one each time, as by way of a Service, of those that are ready.
func (m *Member) Dial(ctx context.Context, namespace, serviceAccount string) (*grpc.ClientConn, error) {
	ready := slices.DeleteFunc(m.Istiods(), func(i *istiolab.Istiod) bool { return !i.Ready() })
	if len(ready) == 0 {
		return nil, fmt.Errorf("no istiod of %s is ready", m.Name)
	}
	m.replicas.mu.Lock()
	m.replicas.turn++
	turn := m.replicas.turn
	m.replicas.mu.Unlock()
	return ready[turn%len(ready)].Dial(ctx, namespace, serviceAccount)
}
