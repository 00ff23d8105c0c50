package identity

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/clock"
)

// DefaultLifetime of a certificate is asked for; the federation may give less.
const DefaultLifetime = 30 * 24 * time.Hour

// minLifetime is what the API of certificate requests accepts.
const minLifetime = 10 * time.Minute

// Options of an Identity. Cluster, Server, CAHashes and Store are needed.
type Options struct {
	// Cluster is the name to be known by.
	Cluster string
	// Server is the federation's API, https://host:port.
	Server string
	// CAHashes pin the federation's CA, see ParseHash. Several allow for its replacement.
	CAHashes []string
	// TokenFile holds the bootstrap token. It is read whenever a token is needed. Empty, or absent: only
	// what is stored can be used.
	TokenFile string
	// Store keeps the certificate and its key.
	Store Store
	// Lifetime of certificates to ask for, 10 minutes at least. Default DefaultLifetime.
	Lifetime time.Duration
	// Clock is this machine's.
	Clock clock.WithTicker
}

// ErrOptions marks options that cannot work.
var ErrOptions = errors.New("agent identity")

func (o *Options) complete() ([]Hash, error) {
	if reasons := validation.IsDNS1123Label(o.Cluster); len(reasons) > 0 {
		return nil, fmt.Errorf("%w: cluster name %q: %s", ErrOptions, o.Cluster, reasons[0])
	}
	if server, err := url.Parse(o.Server); err != nil || server.Scheme != "https" || server.Host == "" {
		return nil, fmt.Errorf("%w: federation server %q: use https://host:port", ErrOptions, o.Server)
	}
	if len(o.CAHashes) == 0 {
		return nil, fmt.Errorf("%w: no hash of the federation's CA: take it from \"fedctl token create\"", ErrOptions)
	}
	var pins []Hash
	for _, text := range o.CAHashes {
		hash, err := ParseHash(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrOptions, err)
		}
		pins = append(pins, hash)
	}
	if o.Store == nil {
		return nil, fmt.Errorf("%w: nowhere to keep the certificate", ErrOptions)
	}
	if o.Lifetime == 0 {
		o.Lifetime = DefaultLifetime
	}
	if o.Lifetime < minLifetime {
		return nil, fmt.Errorf("%w: certificate lifetime %s: %s is the least that can be asked for", ErrOptions, o.Lifetime, minLifetime)
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return pins, nil
}
