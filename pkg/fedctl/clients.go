package fedctl

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flotilla-io/flotilla/api/scheme"
)

// cluster is a connection to the federation or to a member.
type cluster struct {
	client.Client
	config *rest.Config
	clock  *serverClock
	// getter is for those who make their own clients.
	getter *genericclioptions.ConfigFlags
}

func connect(what string, flags *genericclioptions.ConfigFlags) (*cluster, error) {
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.UserAgent = "fedctl"
	config.WarningHandler = rest.NoWarnings{}
	clock := &serverClock{local: time.Now}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &clocked{RoundTripper: next, clock: clock} })
	c, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", what, config.Host, err)
	}
	return &cluster{Client: c, config: config, clock: clock, getter: flags}, nil
}

func (c *cli) connectFederation() (*cluster, error) {
	f, err := c.dial("federation", c.federation)
	if err != nil {
		return nil, fmt.Errorf("%w. Name its kubeconfig with --kubeconfig", err)
	}
	return f, nil
}

// id is the UID of namespace kube-system, which tells a cluster or a federation from every other.
func (c *cluster) id(ctx context.Context) (string, error) {
	namespace := &corev1.Namespace{}
	if err := c.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, namespace); err != nil {
		return "", fmt.Errorf("the identity of %s, namespace kube-system: %w", c.config.Host, err)
	}
	return string(namespace.UID), nil
}

// serverClock is the clock of a server, by the dates of its answers. Times that a server compares with its
// own must not come from the machine that fedctl runs on.
type serverClock struct {
	local func() time.Time

	mu    sync.Mutex
	ahead time.Duration
}

func (s *serverClock) heard(date time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead = date.Sub(s.local())
}

// now has no fractions of a second: the header has none. It is not later than the server's time.
func (s *serverClock) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.local().Add(s.ahead).UTC().Truncate(time.Second)
}

type clocked struct {
	http.RoundTripper
	clock *serverClock
}

// RoundTrip implements http.RoundTripper.
func (c *clocked) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := c.RoundTripper.RoundTrip(request)
	if err == nil {
		if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
			c.clock.heard(date)
		}
	}
	return response, err
}
