package meshlab

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/test/mesh/ads"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/traffic"
)

const (
	planeInterval = 200 * time.Millisecond
	// lookTimeout is for a member that hangs.
	lookTimeout = 5 * time.Second
)

// plane is the cloud and the network of one member.
type plane struct {
	member    *Member
	addresses *traffic.Addresses

	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	network string
	// cut is true while nothing gets into the member, silent while its load balancer
	// gives no address, and unplugged while nothing is behind that address.
	cut, silent, unplugged bool
	// dead are addresses of its gateway with nothing behind them.
	dead []string
	// ip is the address that its load balancer gives, for good.
	ip string

	gateway    *eastWest
	servers    map[string]*traffic.Server
	identities map[string]*keptIdentity
	caller     *ads.Client
	failed     error
}

// keptIdentity is renewed until it is let go of.
type keptIdentity struct {
	*traffic.Identity
	stop context.CancelFunc
	done sync.WaitGroup
}

func (k *keptIdentity) close() {
	k.stop()
	k.done.Wait()
}

func newPlane(m *Member, addresses *traffic.Addresses) *plane {
	p := &plane{
		member: m, addresses: addresses, network: "network-" + m.Name,
		servers: map[string]*traffic.Server{}, identities: map[string]*keptIdentity{},
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	p.done.Go(func() {
		ticker := time.NewTicker(planeInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				p.tick(ctx)
			}
		}
	})
	return p
}

func (p *plane) close() {
	p.stop()
	p.done.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.disconnect()
	for _, identity := range p.identities {
		identity.close()
	}
}

// tick brings the plane to what the member has.
func (p *plane) tick(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	// What cannot be done now is tried again with the next tick.
	p.failed = errors.Join(p.balance(ctx), p.serve(ctx))
}

// disconnect ends all that listens.
func (p *plane) disconnect() {
	p.closeGateway()
	for key := range p.servers {
		p.closeServer(key)
	}
	if p.caller != nil {
		p.caller.Close()
		p.caller = nil
	}
}

// set changes the plane; everything that listens begins anew.
func (p *plane) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.disconnect()
	change()
}

// wire puts the member into a network. Proxies connect anew: they tell where they
// are when they do.
func (p *plane) wire(network string) {
	p.set(func() { p.network = network })
}

// forget drops certificates, so that new ones are asked for.
func (p *plane) forget() {
	p.set(func() {
		for key, identity := range p.identities {
			identity.close()
			delete(p.identities, key)
		}
	})
}

// identity is that of a ServiceAccount. The plane is locked.
func (p *plane) identity(ctx context.Context, namespace, serviceAccount string) (*traffic.Identity, error) {
	key := namespace + "/" + serviceAccount
	if there, ok := p.identities[key]; ok {
		return there.Identity, nil
	}
	identity, err := traffic.NewShortIdentity(ctx, p.member, namespace, serviceAccount, CertificateLifetime)
	if err != nil {
		return nil, err
	}
	kept := &keptIdentity{Identity: identity}
	var keep context.Context
	keep, kept.stop = context.WithCancel(context.WithoutCancel(ctx))
	kept.done.Go(func() { identity.Keep(keep) })
	p.identities[key] = kept
	return identity, nil
}

// connect is a proxy of the member. The plane is locked.
func (p *plane) connect(node ads.Node) (*ads.Client, error) {
	node.IP, node.ClusterID, node.Network = "10.9.9.9", p.member.Name, p.network
	return ads.Connect(context.Background(), node, func(ctx context.Context) (*grpc.ClientConn, error) {
		return p.member.Dial(ctx, node.Namespace, node.ServiceAccount)
	})
}

// workload is one that calls others: namespace default, ServiceAccount default.
func (p *plane) workload(ctx context.Context) (*traffic.Caller, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return nil, fmt.Errorf("member %s is cut off", p.member.Name)
	}
	identity, err := p.identity(ctx, "default", "default")
	if err != nil {
		return nil, err
	}
	if p.caller == nil {
		node := ads.Node{Type: ads.Sidecar, Pod: "caller", Namespace: "default", ServiceAccount: "default"}
		if node.Region, node.Zone, err = p.locality(ctx); err != nil {
			return nil, err
		}
		if p.caller, err = p.connect(node); err != nil {
			return nil, err
		}
	}
	return &traffic.Caller{Proxy: p.caller, Identity: identity, Addresses: p.addresses, Network: p.network}, nil
}

// locality is that of the member's first node, which the caller runs on.
func (p *plane) locality(ctx context.Context) (region, zone string, err error) {
	nodes, err := p.member.Core.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", "", err
	}
	if len(nodes.Items) == 0 {
		return "", "", fmt.Errorf("member %s has no nodes", p.member.Name)
	}
	labels := nodes.Items[0].Labels
	return labels[corev1.LabelTopologyRegion], labels[corev1.LabelTopologyZone], nil
}

// NewCertificate is what the member's istiod gives to a workload now.
func (m *Member) NewCertificate(ctx context.Context) (*istiolab.Certificate, error) {
	identity, err := traffic.NewShortIdentity(ctx, m, "default", "default", CertificateLifetime)
	if err != nil {
		return nil, err
	}
	return identity.Certificate(), nil
}
