package cluster

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// SecretGetter reads a Secret of the federation.
type SecretGetter func(ctx context.Context, namespace, name string) (*corev1.Secret, error)

// The keys of the Secrets that a Cluster names.
const (
	tokenKey    = "token"
	caBundleKey = "caBundle"
)

// member is how a member is reached.
type member struct {
	endpoint  *url.URL
	token     string
	transport *http.Transport
}

// member reads what a Cluster says about how it is reached. What it does not say
// is a bad request: it will be no different the next time. What it says and is
// not there makes the member unavailable.
func (p *proxyREST) member(ctx context.Context, c *clusterv1alpha1.Cluster) (*member, error) {
	spec := &c.Spec
	if spec.APIEndpoint == "" {
		return nil, missing(c, "is in %s mode and names no spec.apiEndpoint, so the federation has no way to its API server; set spec.apiEndpoint to the URL of one that the federation can reach, or ask the member directly", spec.SyncMode)
	}
	endpoint, err := url.Parse(spec.APIEndpoint)
	if err != nil {
		return nil, missing(c, "has a spec.apiEndpoint that is not a URL; correct it")
	}
	endpoint.User = nil
	if spec.ImpersonatorSecretRef == nil {
		return nil, missing(c, "names no spec.impersonatorSecretRef; name a Secret whose key %s is a token of an account of the member that may impersonate users and groups", tokenKey)
	}
	use := settings{endpoint: spec.APIEndpoint, insecure: spec.InsecureSkipTLSVerification, proxyURL: spec.ProxyURL, proxyHeader: encode(spec.ProxyHeader)}
	if endpoint.Scheme == "https" && !use.insecure {
		if spec.SecretRef == nil {
			return nil, missing(c, "names no spec.secretRef; name a Secret whose key %s is the CA of the member's API server, or set spec.insecureSkipTLSVerification", caBundleKey)
		}
		ca, err := p.read(ctx, c, "spec.secretRef", spec.SecretRef, caBundleKey)
		if err != nil {
			return nil, err
		}
		use.caBundle = string(ca)
	}
	token, err := p.read(ctx, c, "spec.impersonatorSecretRef", spec.ImpersonatorSecretRef, tokenKey)
	if err != nil {
		return nil, err
	}
	transport, err := p.pool.get(c.Name, use)
	if err != nil {
		return nil, unavailable(c, "%v", err)
	}
	return &member{endpoint: endpoint, token: string(bytes.TrimSpace(token)), transport: transport}, nil
}

// read returns a key of a Secret that a field of a Cluster names.
func (p *proxyREST) read(ctx context.Context, c *clusterv1alpha1.Cluster, field string, ref *clusterv1alpha1.LocalSecretReference, key string) ([]byte, error) {
	secret, err := p.secret(ctx, ref.Namespace, ref.Name)
	switch {
	case apierrors.IsNotFound(err):
		return nil, unavailable(c, "%s: Secret %s/%s does not exist; create it with the key %s", field, ref.Namespace, ref.Name, key)
	case err != nil:
		return nil, unavailable(c, "%s: Secret %s/%s cannot be read: %v; try again", field, ref.Namespace, ref.Name, err)
	case len(bytes.TrimSpace(secret.Data[key])) == 0:
		return nil, unavailable(c, "%s: Secret %s/%s has no key %s; add it", field, ref.Namespace, ref.Name, key)
	}
	return secret.Data[key], nil
}

func missing(c *clusterv1alpha1.Cluster, format string, args ...any) error {
	return apierrors.NewBadRequest(fmt.Sprintf("cluster %s %s", c.Name, fmt.Sprintf(format, args...)))
}

func unavailable(c *clusterv1alpha1.Cluster, format string, args ...any) error {
	return apierrors.NewServiceUnavailable(fmt.Sprintf("cluster %s: %s", c.Name, fmt.Sprintf(format, args...)))
}

// redacted is a URL without a password.
func redacted(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}
