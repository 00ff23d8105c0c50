package mesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
)

const (
	// signedFor is how long the CA in effect is taken to be as it was, if it is the wanted
	// one.
	signedFor = 2 * time.Minute
	// versionAgain is how soon a version is asked for again that was not told.
	versionAgain = time.Minute
)

// replica is one istiod of a cluster.
type replica struct {
	task *istiodTask
	at   istiod.Location

	client  *istiod.Client
	session *istiod.Session
	roots   []byte // that client was made with
	node    istiod.Node

	version      string
	versionAsked time.Time

	signed   *istiod.Signed
	effect   *meshv1alpha1.MemberCAStatus
	signedAt time.Time
}

// question is what all istiods are asked.
type question struct {
	node  istiod.Node
	roots []byte
	ca    meshv1alpha1.MemberCA
	// clusters in Envoy's sense whose endpoints are asked for.
	clusters []string
}

// heard is what one istiod answers.
type heard struct {
	// who it is, for people.
	who string
	// err is why there is no answer; what follows is not set then.
	err      error
	version  string
	effect   *meshv1alpha1.MemberCAStatus // nil with signs
	signs    trouble
	clusters []istiod.Cluster
	gateways []istiod.Gateway
	// endpoints, or why there are none.
	endpoints map[string][]istiod.Endpoint
	noneBy    error
}

// hangUp ends the stream.
func (r *replica) hangUp() {
	if r.session != nil {
		r.session.Close()
		r.session = nil
	}
}

// close ends the connection.
func (r *replica) close() {
	r.hangUp()
	if r.client != nil {
		r.client.Close()
		r.client = nil
	}
}

// ask asks, over a new connection if the one that was there has ended: istiod ends them
// now and then.
func (r *replica) ask(ctx context.Context, q *question) heard {
	old := r.session != nil
	h := r.askOnce(ctx, q)
	if h.err != nil && old && ctx.Err() == nil {
		h = r.askOnce(ctx, q)
	}
	h.who = r.at.String()
	return h
}

func (r *replica) askOnce(ctx context.Context, q *question) (h heard) {
	defer func() {
		if h.err != nil {
			r.close() // whatever was wrong with it, the next look begins anew
		}
	}()
	if h.err = r.connect(ctx, q); h.err != nil {
		return h
	}
	if h.clusters, h.err = bounded(ctx, r.session.Clusters); h.err != nil {
		return h
	}
	if h.gateways, h.err = bounded(ctx, r.session.Gateways); h.err != nil {
		return h
	}
	h.version = r.version
	if h.effect, h.signs, h.err = r.askCA(ctx, q); h.err != nil {
		return h
	}
	if len(q.clusters) > 0 {
		h.endpoints, h.noneBy = bounded(ctx, func(ctx context.Context) (map[string][]istiod.Endpoint, error) {
			return r.session.Endpoints(ctx, q.clusters)
		})
		switch {
		case h.noneBy == nil:
		case errors.Is(h.noneBy, errSlow):
			// It is the same istiod still, and has the CA that it had: the first service of
			// a mesh is the first such question, and must not cost the other proofs.
			r.hangUp()
		default:
			r.close() // a stream whose question failed is of no use
		}
	}
	return h
}

func (r *replica) connect(ctx context.Context, q *question) (err error) {
	if r.client == nil || !bytes.Equal(q.roots, r.roots) || q.node != r.node {
		r.close()
		r.signedAt = time.Time{}
		if r.client, err = istiod.Connect(r.at.Secure, q.roots, func(context.Context) (string, error) { return *r.task.token.Load(), nil }); err != nil {
			return err
		}
	}
	if r.session == nil {
		r.session, err = bounded(ctx, func(within context.Context) (*istiod.Session, error) { return r.client.Open(within, ctx, q.node) })
		if err != nil {
			return err
		}
		r.roots, r.node, r.version, r.versionAsked = q.roots, q.node, "", time.Time{}
	}
	if now := r.task.worker.now(); r.version == "" && r.at.Monitoring != "" && (r.versionAsked.IsZero() || now.Sub(r.versionAsked) >= versionAgain) {
		r.versionAsked = now
		// One that is not told is asked for again; what does not answer at all is seen next.
		r.version, _ = bounded(ctx, func(ctx context.Context) (string, error) {
			return istiod.Version(ctx, r.task.worker.agent.plain, r.at.Monitoring)
		})
	}
	return nil
}

// askCA gets a certificate, which shows the CA in effect. Not each time: istiod may have to
// ask somebody else to sign.
func (r *replica) askCA(ctx context.Context, q *question) (*meshv1alpha1.MemberCAStatus, trouble, error) {
	cluster := r.task.worker.agent.Cluster
	now := r.task.worker.now()
	if r.effect != nil && wantedCA(&q.ca, r.effect) && !r.signedAt.IsZero() && now.Sub(r.signedAt) < signedFor {
		return r.effect, trouble{}, nil
	}
	r.effect = nil
	signed, err := bounded(ctx, func(ctx context.Context) (*istiod.Signed, error) { return r.client.Sign(ctx, r.task.request) })
	switch {
	case err != nil && istiod.Unauthenticated(err):
		return nil, trouble{}, err
	case errors.Is(err, istiod.ErrCA):
		return nil, troubled("NotReadable", "cluster %s: %v", cluster, err), nil
	case err != nil:
		return nil, troubled("NotSigned", "istiod of cluster %s does not sign certificates, so it is not known which CA it has in effect: %v; does it run with ENABLE_CA_SERVER=false, or has it another CA?", cluster, err), nil
	}
	effect, broken := signed.Effect()
	if broken != "" {
		return nil, troubled("Broken", "cluster %s: %s", cluster, broken), nil
	}
	r.signed, r.effect, r.signedAt = signed, effect, now
	return effect, trouble{}, nil
}

// wantedCA tells whether a CA in effect is the wanted one. Where a person keeps the
// intermediate no certain one is wanted.
func wantedCA(want *meshv1alpha1.MemberCA, effect *meshv1alpha1.MemberCAStatus) bool {
	return effect != nil && slices.Equal(want.Roots, effect.Roots) && want.Signer == effect.Signer &&
		(want.Intermediate == "" || want.Intermediate == effect.Intermediate)
}

// errSlow is why something has no answer that took too long.
var errSlow = fmt.Errorf("not within %s", requestTimeout)

// bounded asks with a limit on the time.
func bounded[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, requestTimeout, errSlow)
	defer cancel()
	return ask(ctx)
}
