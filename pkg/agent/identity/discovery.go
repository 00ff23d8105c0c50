package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/cert"
)

const (
	// discoveryPath is public: it holds nothing but the address and the CA of the federation.
	discoveryPath    = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
	discoveryKey     = "kubeconfig"
	discoveryTimeout = 15 * time.Second
	maxDiscovery     = 1 << 20
)

var (
	// ErrUntrusted means that the server showed a CA that was not pinned.
	ErrUntrusted = errors.New("the federation's CA is not the pinned one")
	// ErrNoDiscovery means that the server does not tell its CA.
	ErrNoDiscovery = errors.New("the server does not tell its CA")
)

// Discovery is what a federation says about itself.
type Discovery struct {
	// CA are the pinned certificates, in PEM.
	CA []byte
	// Server is the address that the federation would be called by; not verified.
	Server string
	// Date is the server's clock, to the second; zero when it does not say. Not verified.
	Date time.Time
}

// Discover reads a federation's CA from the server itself and keeps what is pinned of it. Until then the
// connection is not verified, so nothing is sent over it.
func Discover(ctx context.Context, server string, pins []Hash) (*Discovery, error) {
	transport := newTransport(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // there is nothing to verify with yet; the answer is compared with pins
	defer transport.close()
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(server, "/")+discoveryPath, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("federation %s: %w", server, err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("federation %s: %w", server, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDiscovery))
	if err != nil {
		return nil, fmt.Errorf("federation %s: %w", server, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("federation %s: %w: ConfigMap kube-public/cluster-info: %s. Is this the address of a Flotilla federation?",
			server, ErrNoDiscovery, response.Status)
	}
	out, err := readDiscovery(body, pins)
	if err != nil {
		return nil, fmt.Errorf("federation %s: %w", server, err)
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		out.Date = date
	}
	return out, nil
}

func readDiscovery(body []byte, pins []Hash) (*Discovery, error) {
	var answer struct {
		Data map[string]string `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDiscovery, err)
	}
	config, err := clientcmd.Load([]byte(answer.Data[discoveryKey]))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDiscovery, err)
	}
	var seen []Hash
	for _, cluster := range config.Clusters {
		trusted, found, err := pinned(cluster.CertificateAuthorityData, pins)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoDiscovery, err)
		}
		if len(trusted) > 0 {
			return &Discovery{CA: encode(trusted), Server: cluster.Server}, nil
		}
		seen = append(seen, found...)
	}
	return nil, fmt.Errorf("%w: it shows %s, pinned is %s. Compare with \"fedctl token create\" of the federation: if its hash is the pinned one, somebody is between",
		ErrUntrusted, hashes(seen), hashes(pins))
}

func hashes(list []Hash) string {
	texts := make([]string, 0, len(list))
	for _, hash := range list {
		texts = append(texts, hash.String())
	}
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, ", ")
}

func encode(certificates []*x509.Certificate) []byte {
	raw, err := cert.EncodeCertificates(certificates...)
	if err != nil {
		panic(err) // writes into memory
	}
	return raw
}
