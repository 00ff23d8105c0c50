package revocation

import (
	"context"
	"crypto/x509"
	"net/http"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

// open is a request of an agent that is being answered.
type open struct {
	cert *x509.Certificate
	end  context.CancelCauseFunc
}

// Handler ends requests of agents whose certificate is revoked while they are being
// answered: a watch may be asked for that lasts for years. It goes behind
// authentication.
func (g *Guard) Handler(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		who, ok := genericapirequest.UserFrom(req.Context())
		if !ok {
			inner.ServeHTTP(w, req)
			return
		}
		cert := certificateOf(req, &authenticator.Response{User: who})
		if cert == nil {
			inner.ServeHTTP(w, req)
			return
		}
		ctx, end := context.WithCancelCause(req.Context())
		defer end(nil)
		o := &open{cert: cert, end: end}
		g.opened(o)
		defer g.closed(o)
		// It may have been revoked since authentication looked.
		if g.check(ctx, cert) != nil {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, req.WithContext(ctx))
	})
}

func (g *Guard) opened(o *open) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[o] = struct{}{}
}

func (g *Guard) closed(o *open) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, o)
}

// endRevoked ends what is open with a certificate that counts no more.
func (g *Guard) endRevoked() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for o := range g.open {
		if err := g.judge(o.cert); err != nil {
			o.end(err)
		}
	}
}
