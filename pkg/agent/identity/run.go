package identity

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
)

const (
	// lookAtToken is how often the token's file is looked at while a new one would help.
	lookAtToken = time.Second
	// deniedPause is longer than that of other failures: asking again brings the same answer, and leaves
	// a request behind each time.
	deniedPause = 5 * time.Minute
	// longestPause bounds how long a step of this machine's clock goes unnoticed.
	longestPause = 10 * time.Minute
	// drain is how long requests on old connections may take to end after a renewal.
	drain = 15 * time.Second
)

func newBackoff() wait.Backoff {
	return wait.Backoff{Duration: time.Second, Factor: 2, Steps: 10, Cap: time.Minute, Jitter: 0.2}
}

// Run gets a certificate, keeps it fresh, and ends with its context.
func (i *Identity) Run(ctx context.Context) {
	var draining sync.WaitGroup
	defer func() {
		draining.Wait()
		if _, via, _ := i.tripper.get(); via != nil {
			via.close()
		}
	}()
	backoff := newBackoff()
	for ctx.Err() == nil {
		do, due := i.plan()
		if do == nothing && i.settled() {
			backoff = newBackoff()
		}
		if wait := due.Sub(i.now()); wait > 0 && !due.IsZero() {
			i.pause(ctx, min(wait, longestPause), do)
			continue
		}
		before, err := i.act(ctx, do)
		if before != nil {
			draining.Go(func() {
				_ = sleep(ctx, i.opts.Clock, drain)
				before.close()
			})
		}
		if ctx.Err() != nil {
			return
		}
		after := i.report(ctx, do, err, &backoff)
		if after > 0 && i.pause(ctx, after, do) {
			backoff = newBackoff()
		}
	}
}

// report tells how it went, and returns how long to wait before the next action.
func (i *Identity) report(ctx context.Context, did action, err error, backoff *wait.Backoff) time.Duration {
	logger := klog.FromContext(ctx)
	news := i.note(err)
	if err == nil && did != bootstrap {
		return 0
	}
	// A certificate that is refused as soon as it is there must not lead to the next one at once.
	after := backoff.Step()
	if errors.Is(err, ErrDenied) {
		after = deniedPause
	}
	switch {
	case news:
		logger.Error(err, "No valid identity in the federation", "cluster", i.opts.Cluster, "retryAfter", after.Round(time.Second))
	case err != nil:
		logger.V(2).Info("Still no valid identity in the federation", "cluster", i.opts.Cluster, "err", err, "retryAfter", after)
	}
	return after
}

// action is what Run has to do next.
type action int

const (
	nothing   action = iota // wait for the time of renewal
	load                    // read the store
	discover                // find the CA
	bootstrap               // ask with the token
	renew                   // ask with the certificate
	save                    // store what could not be stored
)

// plan tells what to do next, and when by the federation's clock. Time zero is now.
func (i *Identity) plan() (action, time.Time) {
	c, refused := i.state()
	switch {
	case !i.loaded:
		return load, time.Time{}
	case i.roots == nil:
		return discover, time.Time{}
	case c == nil, refused:
		return bootstrap, time.Time{}
	case i.unsaved:
		return save, time.Time{}
	}
	at := c.renewAt(i.chance)
	if at.After(i.now()) {
		return nothing, at
	}
	return renew, at
}

// pause waits for a time, or until there is something else to do than this. It tells whether that is a new
// token, which is looked for when one is needed.
func (i *Identity) pause(ctx context.Context, d time.Duration, instead action) (newToken bool) {
	timer := i.opts.Clock.NewTimer(d)
	defer timer.Stop()
	var look <-chan time.Time
	var before Token
	if instead == bootstrap {
		ticker := i.opts.Clock.NewTicker(lookAtToken)
		defer ticker.Stop()
		look = ticker.C()
		before = i.asked
	}
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C():
			return false
		case <-i.wake:
			if do, _ := i.plan(); do != instead || do == nothing {
				return false
			}
		case <-look:
			if now, err := readToken(i.opts.TokenFile); err == nil && now != before {
				return true
			}
		}
	}
}

// act does one thing. It returns the transport that is not in use any more, if that changed.
func (i *Identity) act(ctx context.Context, do action) (before *transport, err error) {
	switch do {
	case load:
		return i.load(ctx)
	case discover:
		return i.discover(ctx)
	case bootstrap:
		former, _ := i.state()
		before, err = i.obtain(ctx, i.bootstrap)
		if now, _ := i.state(); now != former {
			select {
			case i.joined <- struct{}{}:
			default:
			}
		}
		return before, err
	case renew:
		return i.obtain(ctx, i.renew)
	case save:
		return nil, i.save(ctx)
	case nothing:
	}
	return nil, nil
}

// load takes what is stored, as far as it can be used.
func (i *Identity) load(ctx context.Context) (*transport, error) {
	logger := klog.FromContext(ctx)
	stored, err := i.opts.Store.Load(ctx)
	if err != nil {
		return nil, err
	}
	i.loaded = true
	if len(stored.CA) > 0 {
		trusted, _, err := pinned(stored.CA, i.pins)
		if err != nil || len(trusted) == 0 {
			// What was issued by another CA is of no use for this one either.
			logger.Info("What is stored is of another federation, beginning anew", "cluster", i.opts.Cluster, "store", i.opts.Store.String(), "err", err)
			return nil, nil
		}
		i.trust(trusted)
	}
	if len(stored.Certificate) == 0 {
		return nil, nil
	}
	c, err := newCredential(stored.Certificate, stored.Key, i.opts.Cluster)
	if err != nil {
		logger.Info("The stored certificate is of no use, asking for another", "cluster", i.opts.Cluster, "store", i.opts.Store.String(), "err", err)
		return nil, nil
	}
	if i.roots == nil {
		return nil, nil // without its CA it is not known whose it is
	}
	return i.take(c), nil
}

func (i *Identity) trust(ca []*x509.Certificate) {
	i.ca, i.roots = encode(ca), x509.NewCertPool()
	for _, certificate := range ca {
		i.roots.AddCert(certificate)
	}
}

func (i *Identity) discover(ctx context.Context) (*transport, error) {
	found, err := Discover(ctx, i.opts.Server, i.pins)
	if err != nil {
		return nil, err
	}
	trusted, _, err := pinned(found.CA, i.pins)
	if err != nil {
		return nil, err
	}
	i.trust(trusted)
	return nil, nil
}

// obtain gets a certificate, uses it and stores it.
func (i *Identity) obtain(ctx context.Context, ask func(context.Context) (*credential, error)) (*transport, error) {
	c, err := ask(ctx)
	if err != nil {
		return nil, err
	}
	before := i.take(c)
	i.unsaved = true
	klog.FromContext(ctx).Info("The federation has issued a certificate", "cluster", i.opts.Cluster, "expires", stamp(c.leaf.NotAfter))
	return before, i.save(ctx)
}

func (i *Identity) save(ctx context.Context) error {
	c, _ := i.state()
	b := c.bundle
	b.CA = bytes.Clone(i.ca)
	if err := i.opts.Store.Save(ctx, b); err != nil {
		return fmt.Errorf("the certificate works, but is lost with this process: %w", err)
	}
	i.unsaved = false
	return nil
}

// bootstrap asks with the token.
func (i *Identity) bootstrap(ctx context.Context) (*credential, error) {
	token, err := readToken(i.opts.TokenFile)
	i.asked = token
	if err != nil {
		return nil, i.needToken(err)
	}
	if i.roots == nil {
		return nil, errNoCA
	}
	via := newTransport(tlsConfig(i.roots, i.opts.Clock.Now))
	defer via.close()
	client, err := i.requester.client(i.opts.Server, bearer{token, via})
	if err != nil {
		return nil, err
	}
	c, err := i.requester.request(ctx, client)
	switch {
	case apierrors.IsUnauthorized(err):
		return nil, i.needToken(fmt.Errorf("%w: %s has expired, was deleted, or is of another federation", ErrTokenRefused, token))
	case apierrors.IsForbidden(err):
		return nil, i.needToken(fmt.Errorf("%w: %s may not ask for certificates: %w", ErrTokenRefused, token, err))
	case errors.Is(err, ErrDenied):
		return nil, i.needToken(fmt.Errorf("bootstrap token %s: %w", token, err))
	}
	return c, explain(err, i.opts.Server, i.opts.Clock.Now())
}

// needToken says how to get a token that is good.
func (i *Identity) needToken(err error) error {
	if c, refused := i.state(); c != nil && refused {
		err = fmt.Errorf("%w: the cluster was unregistered, or it ended (it was good until %s); and %w", ErrCertificateRefused, stamp(c.leaf.NotAfter), err)
	}
	where := "give the agent a file with --bootstrap-token-file"
	if i.opts.TokenFile != "" {
		where = "put it into " + i.opts.TokenFile
	}
	return fmt.Errorf("cluster %s at %s: %w. Make a token with \"fedctl token create --cluster %s\" in the federation and %s; a restart is not needed",
		i.opts.Cluster, i.opts.Server, err, i.opts.Cluster, where)
}

// renew asks with the certificate. A refusal shows in state.
func (i *Identity) renew(ctx context.Context) (*credential, error) {
	client, err := i.requester.client(i.opts.Server, i.tripper)
	if err != nil {
		return nil, err
	}
	c, err := i.requester.request(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: the certificate cannot be renewed, it ends at %s: %w",
			i.opts.Cluster, stamp(i.Expires()), explain(err, i.opts.Server, i.opts.Clock.Now()))
	}
	return c, nil
}
