package identity

import (
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// Identity is who an agent is in its federation. See the package comment.
type Identity struct {
	opts      Options
	pins      []Hash
	requester requester
	tripper   *roundTripper
	// wake tells Run that something is different.
	wake chan struct{}
	// joined has something after a token was taken.
	joined chan struct{}

	// What follows is Run's own.
	ca      []byte
	roots   *x509.CertPool
	chance  float64 // of the current credential's renewal time
	unsaved bool
	loaded  bool
	asked   Token // the last one that was used

	mu      sync.Mutex
	current *credential
	refused bool          // the current credential was answered with 401
	proved  bool          // the current credential was answered with anything else
	ahead   time.Duration // the federation's clock is ahead of ours by
	trouble error
}

// New returns an Identity that has to Run. It connects to nothing yet. Errors wrap ErrOptions.
func New(opts Options) (*Identity, error) {
	pins, err := opts.complete()
	if err != nil {
		return nil, err
	}
	i := &Identity{
		opts: opts, pins: pins, wake: make(chan struct{}, 1), joined: make(chan struct{}, 1),
		requester: requester{cluster: opts.Cluster, lifetime: opts.Lifetime, clock: opts.Clock},
	}
	i.tripper = &roundTripper{heard: i.heard, trouble: i.Trouble, changed: make(chan struct{})}
	return i, nil
}

// Config is for clients of the federation. Its requests wait while there is no certificate, and go over
// other connections when there is another one.
func (i *Identity) Config() *rest.Config {
	return &rest.Config{Host: i.opts.Server, Transport: i.tripper}
}

// Joined has something each time a token has made this agent somebody: it is new in the federation, and what
// it has said there before may be gone.
func (i *Identity) Joined() <-chan struct{} { return i.joined }

// Trouble is why there is no certificate, or why it may not last; nil when all is well.
func (i *Identity) Trouble() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.trouble
}

// Expires is the end of the certificate; zero when there is none.
func (i *Identity) Expires() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.current == nil {
		return time.Time{}
	}
	return i.current.leaf.NotAfter
}

// now is the federation's time as far as it is known.
func (i *Identity) now() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.opts.Clock.Now().Add(i.ahead)
}

// heard takes in what an answer says about a credential. The server was verified, so its clock counts.
func (i *Identity) heard(c *credential, status int, date time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !date.IsZero() {
		ahead := date.Sub(i.opts.Clock.Now())
		// The header has whole seconds, and takes a while to arrive.
		if change := ahead - i.ahead; change.Abs() > clockTolerance {
			i.ahead = ahead
			i.poke()
		}
	}
	refused := status == http.StatusUnauthorized
	if c != i.current {
		return
	}
	i.proved = i.proved || !refused
	if refused != i.refused {
		i.refused = refused
		i.poke()
	}
}

// clockTolerance is what clocks may differ by without being called different.
const clockTolerance = 2 * time.Second

func (i *Identity) poke() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// take makes a credential the current one and returns the transport of the former.
func (i *Identity) take(c *credential) *transport {
	i.mu.Lock()
	i.current, i.refused, i.proved = c, false, false
	i.mu.Unlock()
	i.chance = rand.Float64() //nolint:gosec // spreads load, hides nothing
	return i.tripper.use(c, i.roots, i.opts.Clock.Now)
}

func (i *Identity) state() (c *credential, refused bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.current, i.refused
}

// settled forgets trouble: the credential is good and not due. It tells whether the federation has said so.
func (i *Identity) settled() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.trouble = nil
	return i.proved
}

// note keeps why something failed, and tells whether that is news.
func (i *Identity) note(err error) (news bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	before := i.trouble
	i.trouble = err
	return err != nil && (before == nil || before.Error() != err.Error())
}

var errNoCA = errors.New("the federation's CA is not known")
