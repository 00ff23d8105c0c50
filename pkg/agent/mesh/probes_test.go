package mesh

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	testingclock "k8s.io/utils/clock/testing"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakeistiod"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/probe"
)

// probing is a probeTask of cluster eu, and gateways of cluster us for it.
type probing struct {
	t     *testing.T
	clock *testingclock.FakeClock
	ca    *fakeistiod.CA
	task  *probeTask
	spec  meshv1alpha1.MeshMemberSpec
}

func newProbing(t *testing.T) *probing {
	t.Helper()
	p := &probing{t: t, clock: testingclock.NewFakeClock(time.Now())}
	var err error
	p.ca, err = fakeistiod.NewCA("root")
	require.NoError(t, err)
	w := &worker{agent: &Agent{Options: Options{Cluster: "eu", Clock: p.clock}}, object: &meshv1alpha1.MeshMember{}, changed: make(chan struct{}, 1)}
	w.istiod = newIstiodTask(w)
	w.probes = newProbeTask(w)
	p.task = w.probes
	p.task.own = ownServices{domain: "cluster.local", until: p.clock.Now().Add(1000 * time.Hour)}
	p.identity(p.ca)
	p.known("a")
	return p
}

func (p *probing) identity(ca *fakeistiod.CA) {
	cert, err := ca.Workload()
	require.NoError(p.t, err)
	i := p.task.worker.istiod
	i.who, i.until = &probe.Identity{Certificate: cert, Roots: ca.Pool()}, p.clock.Now().Add(1000*time.Hour)
}

func (p *probing) known(services ...string) {
	var names []string
	for _, s := range services {
		names = append(names, "outbound_.80_._."+s+".default.svc.cluster.local")
	}
	p.task.worker.istiod.known["us"] = names
}

// gate is a gateway that counts connections, and handshakes.
type gate struct {
	address              meshv1alpha1.GatewayAddress
	connected, handshook atomic.Int32
	empty                atomic.Bool // closes all
	unready              atomic.Bool // ends each handshake with an alert, as what is behind it is no workload yet
	close                func()
}

func (p *probing) gate(ca *fakeistiod.CA) *gate {
	p.t.Helper()
	cert, err := ca.Workload()
	require.NoError(p.t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(p.t, err)
	g := &gate{address: meshv1alpha1.GatewayAddress{Address: "127.0.0.1", Port: int32(listener.Addr().(*net.TCPAddr).Port)}} //nolint:gosec // a port
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			g.connected.Add(1)
			done.Go(func() {
				defer func() { _ = conn.Close() }()
				if g.empty.Load() {
					_, _ = conn.Read(make([]byte, 1000))
					return
				}
				config := &tls.Config{
					MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"istio"},
					ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
				}
				if g.unready.Load() {
					config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("not yet") }
				}
				c := tls.Server(conn, config)
				if c.Handshake() == nil {
					g.handshook.Add(1)
					_, _ = io.Copy(io.Discard, c)
				}
			})
		}
	})
	g.close = sync.OnceFunc(func() { _ = listener.Close(); done.Wait() })
	p.t.Cleanup(g.close)
	return g
}

// look looks some time after the last look, and returns what is seen of cluster us.
func (p *probing) look(after time.Duration, gates ...*gate) (probe.Result, outcome) {
	p.t.Helper()
	if gates != nil {
		var gateways []meshv1alpha1.GatewayAddress
		for _, g := range gates {
			gateways = append(gateways, g.address)
		}
		p.spec.Peers = []meshv1alpha1.MemberPeer{{Name: "us", Gateways: gateways}}
	}
	p.clock.Step(after)
	out := p.task.look(p.t.Context(), &meshv1alpha1.MeshMember{Spec: p.spec})
	seen := p.task.worker.view().probes
	require.NotNil(p.t, seen)
	return seen.peers["us"].result, out
}

// Workloads behind a gateway get a handshake a minute, however often is looked.
func TestProbesAreGentle(t *testing.T) {
	p := newProbing(t)
	g := p.gate(p.ca)
	for range 50 {
		result, out := p.look(time.Second, g)
		require.True(t, result.Passed, result.Message)
		require.False(t, out.missing)
	}
	assert.EqualValues(t, 1, g.handshook.Load())
	p.look(time.Minute)
	assert.EqualValues(t, 2, g.handshook.Load())

	other, err := fakeistiod.NewCA("other")
	require.NoError(t, err)
	p.identity(other)
	result, _ := p.look(time.Second)
	assert.Equal(t, probe.WrongRoot, result.Reason, "what was proven was so with another certificate: %s", result.Message)
}

func TestAGatewayThatGoes(t *testing.T) {
	p := newProbing(t)
	g := p.gate(p.ca)
	result, _ := p.look(0, g)
	require.True(t, result.Passed)
	g.close()
	result, out := p.look(time.Second)
	assert.Equal(t, probe.Unreachable, result.Reason, "that it is gone is seen before the next handshake is due")
	assert.True(t, out.missing)
}

// A load balancer accepts connections for a gateway that is gone.
func TestNothingBehind(t *testing.T) {
	p := newProbing(t)
	g := p.gate(p.ca)
	p.look(0, g)
	g.empty.Store(true)
	p.look(time.Minute)
	p.look(6 * time.Second)
	result, _ := p.look(6 * time.Second)
	assert.Equal(t, probe.NothingBehind, result.Reason)
	assert.False(t, result.Passed)

	p.known()
	result, _ = p.look(time.Second)
	assert.True(t, result.Passed, "no service is known to be there any more")
	assert.Equal(t, probe.NoService, result.Reason)
}

// The first service of a mesh comes: its pods have yet to start, and the gateway has yet to
// learn of it. A link that has passed without any service is not taken back for that.
func TestTheFirstServiceTakesNoLinkDown(t *testing.T) {
	p := newProbing(t)
	p.known()
	g := p.gate(p.ca)
	g.empty.Store(true)
	result, _ := p.look(0, g)
	require.Equal(t, probe.NoService, result.Reason)
	p.known("first")
	for i, stage := range []func(){
		func() { g.empty.Store(true) },                         // no route yet
		func() { g.empty.Store(false); g.unready.Store(true) }, // a route, and no workload yet
		func() {}, // nor now
		func() { g.empty.Store(true); g.unready.Store(false) }, // the pod starts again
		func() { g.empty.Store(false); g.unready.Store(true) }, // and takes its time
	} {
		stage()
		result, _ = p.look(10 * time.Second)
		require.True(t, result.Passed, "look %d: %s", i, result.Message)
	}
	require.Zero(t, g.handshook.Load())
	g.unready.Store(false)
	result, _ = p.look(time.Second)
	assert.True(t, result.Passed)
	assert.Empty(t, result.Reason, "it is proven: %s", result.Message)
	assert.EqualValues(t, 1, g.handshook.Load(), "at the next look, not after a minute")

	// A service that never becomes one of the mesh is told all the same.
	p = newProbing(t)
	p.known()
	g = p.gate(p.ca)
	g.empty.Store(true)
	p.look(0, g)
	p.known("odd")
	g.empty.Store(false)
	g.unready.Store(true)
	for range 10 {
		result, _ = p.look(10 * time.Second)
	}
	assert.Equal(t, probe.NoGateway, result.Reason)
	assert.False(t, result.Passed)
}

func TestManyAddresses(t *testing.T) {
	p := newProbing(t)
	var gates []*gate
	for range 3 * sample {
		gates = append(gates, p.gate(p.ca))
	}
	connected := func() (count int) {
		for _, g := range gates {
			count += int(g.connected.Load())
		}
		return count
	}
	p.look(time.Second, gates...)
	assert.Equal(t, sample, connected(), "a sample of them")
	p.look(time.Second)
	p.look(time.Second)
	for i, g := range gates {
		assert.EqualValues(t, 1, g.connected.Load(), "gateway %d had its turn", i)
	}
	for i := range gates {
		if i < len(gates)/2 {
			gates[i].close()
		}
		for range 3 {
			p.look(time.Minute)
		}
		result, out := p.look(time.Second)
		switch {
		case i < len(gates)/2:
			require.True(t, result.Passed, "most answer: %s", result.Message)
			require.Contains(t, result.Message, fmt.Sprintf("%d of %d addresses", i+1, len(gates)))
			require.True(t, out.missing, "it is looked again soon whether it answers")
		case i == len(gates)/2:
			gates[i].close()
		default:
			require.False(t, result.Passed)
			require.Equal(t, probe.Unreachable, result.Reason)
			return
		}
	}
}

// istiod uses all addresses of a host name.
func TestHostNames(t *testing.T) {
	p := newProbing(t)
	g := p.gate(p.ca)
	ips, fault := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}, error(nil)
	p.task.resolve = func(_ context.Context, host string) ([]string, error) {
		assert.Equal(t, "gw.example.com", host)
		return ips, fault
	}
	p.spec.Peers = []meshv1alpha1.MemberPeer{{Name: "us", Gateways: []meshv1alpha1.GatewayAddress{{Address: "gw.example.com", Port: g.address.Port}}}}
	result, _ := p.look(0)
	assert.False(t, result.Passed, "two of three do not answer")
	assert.Contains(t, result.Message, "2 of 3 addresses")
	assert.Contains(t, result.Message, "gw.example.com")
	assert.Contains(t, result.Message, "127.0.0.2")
	ips = ips[:1]
	result, _ = p.look(time.Minute)
	assert.True(t, result.Passed, result.Message)
	fault = errors.New("the resolver is down")
	result, _ = p.look(time.Minute)
	assert.True(t, result.Passed, "the gateway is where it was")

	p = newProbing(t)
	p.task.resolve = func(context.Context, string) ([]string, error) {
		return nil, &net.DNSError{Err: "no such host", Server: "10.0.0.1:4242"}
	}
	p.spec.Peers = []meshv1alpha1.MemberPeer{{Name: "us", Gateways: []meshv1alpha1.GatewayAddress{{Address: "gw.example.com", Port: 1}}}}
	result, _ = p.look(0)
	assert.Equal(t, probe.Result{Reason: probe.Unreachable, Message: "gw.example.com: the name cannot be resolved: no such host"}, result)
}

// Without a certificate what was proven stays, with the time at which it was.
func TestProbesWithoutACertificate(t *testing.T) {
	p := newProbing(t)
	g := p.gate(p.ca)
	p.look(0, g)
	tried := p.clock.Now()
	p.task.worker.istiod.until = time.Time{}
	var before probe.Result
	for i := range 3 {
		result, out := p.look(time.Minute)
		assert.True(t, result.Passed)
		assert.Contains(t, result.Message, "not tried since "+tried.UTC().Format(time.RFC3339))
		assert.True(t, out.missing)
		assert.True(t, i == 0 || result.Message == before.Message, "it is said once")
		before = result
	}
	assert.EqualValues(t, 1, g.handshook.Load())
	g.close()
	result, _ := p.look(time.Minute)
	assert.False(t, result.Passed, "that it is not reached is seen without a certificate")

	p = newProbing(t)
	p.task.worker.istiod.until = time.Time{}
	g = p.gate(p.ca)
	p.look(0, g)
	assert.NotContains(t, p.task.worker.view().probes.peers, "us", "nothing is said that was never tried")
}
