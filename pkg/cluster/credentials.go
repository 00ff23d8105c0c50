package cluster

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// The keys of the Secret that spec.secretRef names.
const (
	secretToken    = "token"
	secretCABundle = "caBundle"
)

// ErrCredentials is what errors about an unusable spec.secretRef wrap.
var ErrCredentials = errors.New("the member cannot be reached with these credentials")

// memberConfig makes the client configuration for a Push member.
func memberConfig(c *clusterv1alpha1.Cluster, secret *corev1.Secret) (*rest.Config, error) {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("cluster %s: %s: %w", c.Name, fmt.Sprintf(format, args...), ErrCredentials)
	}
	where := secret.Namespace + "/" + secret.Name
	if c.Spec.APIEndpoint == "" {
		return nil, bad("spec.apiEndpoint is empty; set it to the URL of the member's API server")
	}
	if len(secret.Data[secretToken]) == 0 {
		return nil, bad("Secret %s has no key %q; put a token of a service account of the member there", where, secretToken)
	}
	cfg := &rest.Config{
		Host:        c.Spec.APIEndpoint,
		BearerToken: string(secret.Data[secretToken]),
		QPS:         -1, // the member's priority and fairness is the limit
	}
	switch {
	case c.Spec.InsecureSkipTLSVerification:
		cfg.TLSClientConfig.Insecure = true
	case len(secret.Data[secretCABundle]) == 0:
		return nil, bad("Secret %s has no key %q; put the CA of the member's API server there, or set spec.insecureSkipTLSVerification", where, secretCABundle)
	default:
		cfg.TLSClientConfig.CAData = secret.Data[secretCABundle]
	}
	if c.Spec.ProxyURL != "" {
		proxy, err := url.Parse(c.Spec.ProxyURL)
		if err != nil {
			return nil, bad("spec.proxyURL: %v", err)
		}
		cfg.Proxy = http.ProxyURL(proxy)
		cfg.Wrap(withProxyHeader(c.Spec.ProxyHeader))
	}
	if _, err := rest.HTTPClientFor(cfg); err != nil {
		return nil, bad("Secret %s: %v", where, err)
	}
	return cfg, nil
}

// withProxyHeader sends headers to the proxy with each CONNECT.
func withProxyHeader(header map[string]string) func(http.RoundTripper) http.RoundTripper {
	return func(rt http.RoundTripper) http.RoundTripper {
		transport, ok := rt.(*http.Transport)
		if !ok || len(header) == 0 {
			return rt
		}
		transport = transport.Clone() // client-go shares them
		transport.ProxyConnectHeader = http.Header{}
		for k, v := range header {
			transport.ProxyConnectHeader.Set(k, v)
		}
		return transport
	}
}
