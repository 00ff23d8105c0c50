package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"sync"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// maxIdleConnections is how many unused connections to one member are kept, when
// it does not speak HTTP/2, of which one is enough.
const maxIdleConnections = 8

// settings is all that a connection to a member depends on. Who uses it is no
// part of it.
type settings struct {
	endpoint    string
	caBundle    string // PEM; empty: none is needed
	insecure    bool
	proxyURL    string
	proxyHeader string // JSON
}

// pool keeps connections to members, by the names of their Clusters.
type pool struct {
	mu      sync.Mutex
	members map[string]pooled
}

type pooled struct {
	settings  settings
	transport *http.Transport
}

func newPool() *pool { return &pool{members: map[string]pooled{}} }

// get returns the transport for a member, a new one when its settings are new.
// Requests that are under way keep the old one.
func (p *pool) get(cluster string, s settings) (*http.Transport, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, ok := p.members[cluster]
	if ok && old.settings == s {
		return old.transport, nil
	}
	transport, err := s.transport()
	if err != nil {
		return nil, err
	}
	if ok {
		old.transport.CloseIdleConnections()
	}
	p.members[cluster] = pooled{s, transport}
	return transport, nil
}

func (p *pool) forget(cluster string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.members[cluster]; ok {
		old.transport.CloseIdleConnections()
		delete(p.members, cluster)
	}
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		m.transport.CloseIdleConnections()
	}
	clear(p.members)
}

// transport makes the transport. The proxy is a matter of dialing, because that
// is what upgraded connections have in common with others.
func (s settings) transport() (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.insecure}
	if s.caBundle != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(s.caBundle)) {
			return nil, errors.New("the " + caBundleKey + " in the Secret spec.secretRef holds no certificate; put the CA of the member's API server there, in PEM")
		}
	}
	dial, err := dialer(s.proxyURL, s.proxyHeader)
	if err != nil {
		return nil, err
	}
	return utilnet.SetTransportDefaults(&http.Transport{
		Proxy:               func(*http.Request) (*url.URL, error) { return nil, nil }, // not that of the environment either
		DialContext:         dial,
		TLSClientConfig:     config,
		MaxIdleConnsPerHost: maxIdleConnections,
		DisableCompression:  true, // the client and the member agree on it
	}), nil
}

// encode writes headers so that they can be compared.
func encode(header map[string]string) string {
	if len(header) == 0 {
		return ""
	}
	text, err := json.Marshal(header)
	if err != nil {
		return "" // strings always can
	}
	return string(text)
}
