package istiolab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	securityv1alpha1 "istio.io/api/security/v1alpha1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// audience is that of tokens for istiod.
	audience = "istio-ca"
	// istiodHost is the name that proxies know istiod by.
	istiodHost = "istiod." + Namespace + ".svc"
	// rootConfigMap is where istiod writes the root in effect, in every namespace.
	rootConfigMap, rootKey = "istio-ca-root-cert", "root-cert.pem"

	tokenTTL = time.Hour
)

// ErrNoRoot says that istiod has not told its root yet.
var ErrNoRoot = errors.New("istiod has not written its root certificate yet")

// TrustedRoots is the bundle of root certificates that istiod tells the pods of
// a namespace to trust, in PEM: ConfigMap istio-ca-root-cert.
func (i *Istiod) TrustedRoots(ctx context.Context, namespace string) ([]byte, error) {
	cm, err := i.client.CoreV1().ConfigMaps(namespace).Get(ctx, rootConfigMap, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRoot, err)
	}
	if cm.Data[rootKey] == "" {
		return nil, fmt.Errorf("%w: ConfigMap %s/%s of %s has no key %s", ErrNoRoot, namespace, rootConfigMap, i.Cluster, rootKey)
	}
	return []byte(cm.Data[rootKey]), nil
}

// Dial connects to istiod as a pod of a ServiceAccount does: over TLS, with a
// token. XDS and the CA are served there.
func (i *Istiod) Dial(ctx context.Context, namespace, serviceAccount string) (*grpc.ClientConn, error) {
	roots, err := i.TrustedRoots(ctx, namespace)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return nil, fmt.Errorf("%w: no certificate in %q", ErrNoRoot, roots)
	}
	seconds := int64(tokenTTL.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{audience}, ExpirationSeconds: &seconds,
	}}
	request, err = i.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, serviceAccount, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("token of ServiceAccount %s/%s of %s: %w", namespace, serviceAccount, i.Cluster, err)
	}
	return grpc.NewClient("passthrough:///127.0.0.1:"+strconv.Itoa(i.listens().secureGRPC),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool, ServerName: istiodHost, MinVersion: tls.VersionTLS12})),
		grpc.WithPerRPCCredentials(bearer{token: request.Status.Token, cluster: i.clusterID()}))
}

// bearer is how proxies show their token, and say where it is from.
type bearer struct{ token, cluster string }

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token, "clusterid": b.cluster}, nil
}

func (b bearer) RequireTransportSecurity() bool { return true }

// Certificate is what istiod's CA returns.
type Certificate struct {
	// Chain is the leaf first, then intermediates.
	Chain []*x509.Certificate
	// Roots is the bundle that istiod has in effect, in PEM.
	Roots []byte
}

// Sign lets istiod sign a CSR (PEM) for the ServiceAccount that the connection
// was made for.
func Sign(ctx context.Context, conn grpc.ClientConnInterface, csr []byte, ttl time.Duration) (*Certificate, error) {
	response, err := securityv1alpha1.NewIstioCertificateServiceClient(conn).CreateCertificate(ctx,
		&securityv1alpha1.IstioCertificateRequest{Csr: string(csr), ValidityDuration: int64(ttl.Seconds())})
	if err != nil {
		return nil, err
	}
	elements := response.CertChain
	if len(elements) < 2 {
		return nil, fmt.Errorf("istiod returned a chain of %d, want a leaf and a root", len(elements))
	}
	signed := &Certificate{Roots: []byte(elements[len(elements)-1])}
	for _, element := range elements[:len(elements)-1] {
		block, _ := pem.Decode([]byte(element))
		if block == nil {
			return nil, fmt.Errorf("istiod returned something else than PEM: %q", element)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		signed.Chain = append(signed.Chain, certificate)
	}
	return signed, nil
}
