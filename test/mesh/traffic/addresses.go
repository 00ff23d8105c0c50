package traffic

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
)

// ErrUnreachable says that an address is not one of the network.
var ErrUnreachable = errors.New("no route")

// Addresses are where servers of pods really listen. The zero value is empty.
type Addresses struct {
	mu sync.Mutex
	at map[place]string
}

type place struct{ network, address string }

// Add makes a pod's address known in a network. Pods of one network have
// different addresses.
func (a *Addresses) Add(network, address, listens string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if there, ok := a.at[place{network, address}]; ok {
		return fmt.Errorf("%s in network %s is taken: %s listens there", address, network, there)
	}
	if a.at == nil {
		a.at = map[place]string{}
	}
	a.at[place{network, address}] = listens
	return nil
}

// Remove forgets a pod's address.
func (a *Addresses) Remove(network, address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.at, place{network, address})
}

// machine are the addresses of this machine, at which gateways may listen, too.
var machine = sync.OnceValue(func() (ips []string) {
	addresses, _ := net.InterfaceAddrs() // without, only loopback is reached
	for _, address := range addresses {
		if ip, ok := address.(*net.IPNet); ok {
			ips = append(ips, ip.IP.String())
		}
	}
	return ips
})

// Dial connects from within a network.
func (a *Addresses) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	a.mu.Lock()
	listens, ok := a.at[place{network, address}]
	a.mu.Unlock()
	if !ok {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() && !slices.Contains(machine(), ip.String()) {
			return nil, fmt.Errorf("%w from network %s to %s", ErrUnreachable, network, address)
		}
		listens = address // a gateway
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", listens)
}
