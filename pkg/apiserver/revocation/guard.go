package revocation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/server/healthz"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/identity"
)

var (
	// ErrRevoked means that the certificate counts no more.
	ErrRevoked = errors.New("certificate revoked")
	// ErrUnknown means that it cannot be said yet which certificates count.
	ErrUnknown = errors.New("revocations have not been read yet")
)

// patience is how long a request waits for revocations to be read after a start.
const patience = 10 * time.Second

// Guard refuses revoked certificates.
type Guard struct {
	state atomic.Pointer[identity.Revocations]
	// known is closed when state is set for the first time.
	known    chan struct{}
	patience time.Duration
}

// New returns a Guard that refuses every agent until it runs.
func New() *Guard { return &Guard{known: make(chan struct{}), patience: patience} }

// Wrap returns an authenticator that also asks the Guard.
func (g *Guard) Wrap(inner authenticator.Request) authenticator.Request {
	return authenticator.RequestFunc(func(req *http.Request) (*authenticator.Response, bool, error) {
		response, ok, err := inner.AuthenticateRequest(req)
		if err != nil || !ok {
			return response, ok, err
		}
		cert := certificateOf(req, response)
		if cert == nil {
			return response, ok, nil
		}
		if err := g.check(req.Context(), cert); err != nil {
			return nil, false, err
		}
		return response, ok, nil
	})
}

// certificateOf is the client certificate with which a request was found to be an
// agent's; nil if it is somebody else's, or was authenticated by other means.
func certificateOf(req *http.Request, response *authenticator.Response) *x509.Certificate {
	if response == nil || response.User == nil || !slices.Contains(response.User.GetGroups(), names.AgentGroup) {
		return nil
	}
	if req.TLS == nil || len(req.TLS.PeerCertificates) == 0 {
		return nil
	}
	// A front proxy has a certificate of its own, and names somebody else.
	if cert := req.TLS.PeerCertificates[0]; cert.Subject.CommonName == response.User.GetName() {
		return cert
	}
	return nil
}

func (g *Guard) check(ctx context.Context, cert *x509.Certificate) error {
	if err := g.wait(ctx); err != nil {
		return fmt.Errorf("client certificate of %s: %w", cert.Subject.CommonName, err)
	}
	cluster := strings.TrimPrefix(cert.Subject.CommonName, names.AgentUserPrefix)
	if at, revoked := g.state.Load().Revoked(cluster, cert); revoked {
		return fmt.Errorf("client certificate of %s, issued %s: %w: all up to %s are; the agent has to join anew, with a token",
			cert.Subject.CommonName, identity.IssuedAt(cert).UTC().Format(time.RFC3339), ErrRevoked, identity.Format(at))
	}
	return nil
}

// wait returns when revocations are known.
func (g *Guard) wait(ctx context.Context) error {
	select {
	case <-g.known:
		return nil
	default:
	}
	timer := time.NewTimer(g.patience)
	defer timer.Stop()
	select {
	case <-g.known:
		return nil
	case <-ctx.Done():
	case <-timer.C:
	}
	return ErrUnknown
}

// Check is ready when revocations are known.
func (g *Guard) Check() healthz.HealthChecker {
	return healthz.NamedCheck("revocations", func(*http.Request) error {
		if g.state.Load() == nil {
			return fmt.Errorf("%w: agents are refused", ErrUnknown)
		}
		return nil
	})
}

// set takes over what the ConfigMap says.
func (g *Guard) set(revocations identity.Revocations) {
	if g.state.Swap(&revocations) == nil {
		close(g.known)
	}
}

// begin says that nothing is revoked, unless somebody said otherwise.
func (g *Guard) begin() {
	if g.state.CompareAndSwap(nil, &identity.Revocations{}) {
		close(g.known)
	}
}
