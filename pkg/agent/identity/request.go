package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/keyutil"
	"k8s.io/utils/clock"

	"github.com/flotilla-io/flotilla/api/names"
)

var (
	// ErrDenied means that the federation looked at the request and refused it.
	ErrDenied = errors.New("the certificate was denied")
	// ErrUnanswered means that nobody looked at the request.
	ErrUnanswered = errors.New("the certificate was not issued")
)

const (
	requestTimeout = 15 * time.Second
	// answerTimeout is how long a request may wait for approval and signature.
	answerTimeout = 10 * time.Minute
	firstLook     = 250 * time.Millisecond
	longestLook   = 5 * time.Second
)

// requester asks for certificates.
type requester struct {
	cluster  string
	lifetime time.Duration
	clock    clock.WithTicker
}

// client returns a client for certificate requests over a transport.
func (r *requester) client(server string, via http.RoundTripper) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	gv := certificatesv1.SchemeGroupVersion
	scheme.AddKnownTypes(gv, &certificatesv1.CertificateSigningRequest{})
	metav1.AddToGroupVersion(scheme, gv)
	scheme.AddUnversionedTypes(corev1.SchemeGroupVersion, &metav1.Status{})
	return rest.RESTClientForConfigAndClient(&rest.Config{
		Host: server, APIPath: "/apis", UserAgent: "flotilla-agent", QPS: -1,
		ContentConfig: rest.ContentConfig{
			GroupVersion: &gv, NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion(),
			ContentType: runtime.ContentTypeJSON,
		},
	}, &http.Client{
		Transport: via,
		// A token is for this server alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
}

// request makes a key, asks for its certificate and waits for the answer.
func (r *requester) request(ctx context.Context, client rest.Interface) (*credential, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	raw, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: names.AgentUserPrefix + r.cluster, Organization: []string{names.AgentGroup}},
	}, key)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	seconds := int32(min(r.lifetime/time.Second, 1<<31-1)) //nolint:gosec // bounded on the left
	wanted := &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "agent-" + r.cluster + "-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:           pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: raw}),
			SignerName:        certificatesv1.KubeAPIServerClientSignerName,
			ExpirationSeconds: &seconds,
			Usages:            []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
		},
	}
	made, err := r.do(ctx, client.Post().Body(wanted))
	if err != nil {
		return nil, fmt.Errorf("ask for a certificate: %w", err)
	}
	issued, err := r.answer(ctx, client, made.Name)
	if err != nil {
		return nil, err
	}
	return newCredential(issued, keyPEM, r.cluster)
}

// answer looks at a request until there is a certificate.
func (r *requester) answer(ctx context.Context, client rest.Interface, name string) ([]byte, error) {
	end := r.clock.Now().Add(answerTimeout)
	for pause := firstLook; ; pause = min(pause*3/2, longestLook) {
		request, err := r.do(ctx, client.Get().Name(name))
		switch {
		case apierrors.IsNotFound(err), apierrors.IsUnauthorized(err), apierrors.IsForbidden(err):
			return nil, fmt.Errorf("certificate request %s: %w", name, err)
		case err == nil:
			if done, err := verdict(request); done {
				return request.Status.Certificate, err
			}
		}
		if r.clock.Now().After(end) {
			return nil, fmt.Errorf("certificate request %s: %w within %s: is a controller-manager of the federation at work? \"kubectl get csr %s\" shows who has to act",
				name, ErrUnanswered, answerTimeout, name)
		}
		if !sleep(ctx, r.clock, pause) {
			return nil, ctx.Err()
		}
	}
}

// verdict tells whether a request is settled, and how.
func verdict(request *certificatesv1.CertificateSigningRequest) (done bool, err error) {
	for _, condition := range request.Status.Conditions {
		if condition.Type == certificatesv1.CertificateDenied || condition.Type == certificatesv1.CertificateFailed {
			return true, fmt.Errorf("certificate request %s: %w: %s: %s", request.Name, ErrDenied, condition.Reason, condition.Message)
		}
	}
	return len(request.Status.Certificate) > 0, nil
}

func (r *requester) do(ctx context.Context, request *rest.Request) (*certificatesv1.CertificateSigningRequest, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	out := &certificatesv1.CertificateSigningRequest{}
	err := request.Resource("certificatesigningrequests").Do(ctx).Into(out)
	return out, err
}

// sleep waits, and is false when the context ended first.
func sleep(ctx context.Context, clock clock.WithTicker, d time.Duration) bool {
	timer := clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}
