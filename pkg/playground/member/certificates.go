package member

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/flotilla-io/flotilla/pkg/playground/pki"
)

const (
	frontProxyUser  = "front-proxy-client"
	adminKubeconfig = "admin.kubeconfig"
)

// certificates makes or renews all key material of the member. The returned
// kubeconfig is the administrator's.
func certificates(c *Config, now time.Time) (*pki.Kubeconfig, error) {
	ca, err := pki.EnsureAuthority(c.pki("ca.crt"), c.pki("ca.key"), "kubernetes-"+c.Name, now)
	if err != nil {
		return nil, fmt.Errorf("member %s: %w", c.Name, err)
	}
	frontProxy, err := pki.EnsureAuthority(c.pki("front-proxy-ca.crt"), c.pki("front-proxy-ca.key"), "front-proxy-"+c.Name, now)
	if err != nil {
		return nil, fmt.Errorf("member %s: %w", c.Name, err)
	}
	if err := pki.EnsureSigningKey(c.pki("sa.key"), c.pki("sa.pub")); err != nil {
		return nil, fmt.Errorf("member %s: %w", c.Name, err)
	}
	leaves := []struct {
		by   *pki.Authority
		file string
		leaf pki.Leaf
	}{
		{ca, "serving", pki.Leaf{
			CommonName: "kube-apiserver",
			DNSNames:   []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
			IPs:        servingIPs(c),
		}},
		{ca, "admin", pki.Leaf{CommonName: "kubernetes-admin", Organization: []string{"system:masters"}}},
		{frontProxy, "front-proxy-client", pki.Leaf{CommonName: frontProxyUser}},
	}
	for _, l := range leaves {
		if _, err := l.by.Ensure(c.pki(l.file+".crt"), c.pki(l.file+".key"), l.leaf, now); err != nil {
			return nil, fmt.Errorf("member %s: %w", c.Name, err)
		}
	}
	admin := &pki.Kubeconfig{Name: c.Name, Server: c.Server(), CA: ca.PEM}
	if admin.ClientCert, err = os.ReadFile(c.pki("admin.crt")); err != nil {
		return nil, fmt.Errorf("member %s: %w", c.Name, err)
	}
	if admin.ClientKey, err = os.ReadFile(c.pki("admin.key")); err != nil {
		return nil, fmt.Errorf("member %s: %w", c.Name, err)
	}
	return admin, nil
}

// servingIPs are the addresses by which the API is reached.
func servingIPs(c *Config) []net.IP {
	ips := []net.IP{net.ParseIP(loopback)}
	if c.takesNodes() {
		ips = append(ips, net.ParseIP(c.Address), net.ParseIP(apiServiceIP))
	}
	return ips
}
