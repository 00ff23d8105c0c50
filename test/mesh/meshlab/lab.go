package meshlab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/traffic"
)

// Names are those of the members; Main sets others if it is told to.
var Names = []string{"ap", "eu", "us"}

// Others are the members but one.
func Others(name string) (list []string) {
	for _, other := range Names {
		if other != name {
			list = append(list, other)
		}
	}
	return list
}

const (
	// CertificateLifetime is that of all workloads here. A proxy renews at half of
	// it.
	CertificateLifetime = 8 * time.Second

	startTimeout = 2 * time.Minute
)

// Lab is a playground whose members have Istio.
type Lab struct {
	*lab.Lab
	Members map[string]*Member
	// Before, if set, gives a member more than an installation of Istio has, before its
	// istiod starts, and returns further settings of that, as NAME=value.
	Before func(ctx context.Context, name, kubeconfig string) (env []string, err error)

	addresses *traffic.Addresses
}

// Member is a cluster with its istiod, and its plane.
type Member struct {
	Name     string
	Config   *rest.Config
	Core     kubernetes.Interface
	Istiod   *istiolab.Istiod
	replicas replicas

	plane *plane
}

// Main runs the tests of a package with a lab that they share, and is what their
// TestMain does. Istiods are ready when the first test begins, and know no mesh. The
// arguments are those of the playground; --members=eu,ap makes a smaller one.
func Main(m *testing.M, share func(*Lab), args ...string) int {
	if err := istiolab.Available(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, arg := range args {
		if names, ok := strings.CutPrefix(arg, "--members="); ok {
			Names = slices.Sorted(slices.Values(strings.Split(names, ",")))
		}
	}
	l := &Lab{Members: map[string]*Member{}, addresses: &traffic.Addresses{}}
	share(l)
	return lab.Main(runner(func() int {
		defer l.close()
		if err := l.start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}), func(playground *lab.Lab) { l.Lab = playground }, args...)
}

type runner func() int

func (r runner) Run() int { return r() }

func (l *Lab) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var group errgroup.Group
	var mu sync.Mutex
	for _, name := range Names {
		group.Go(func() error {
			var env []string
			if l.Before != nil {
				var err error
				if env, err = l.Before(ctx, name, l.Kubeconfig(name)); err != nil {
					return err
				}
			}
			m, err := StartMember(ctx, name, l.Kubeconfig(name), filepath.Join(l.Dir, "istiod-"+name), l.addresses, env...)
			if m != nil {
				mu.Lock()
				defer mu.Unlock()
				l.Members[name] = m
			}
			return err
		})
	}
	return group.Wait()
}

func newMember(name, kubeconfig string) (*Member, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	core, err := kubernetes.NewForConfig(config)
	return &Member{Name: name, Config: config, Core: core}, err
}

func (l *Lab) close() {
	var failed error
	for _, m := range l.Members {
		failed = errors.Join(failed, m.Close())
	}
	if failed != nil {
		fmt.Fprintln(os.Stderr, failed)
	}
}

// Wire lays the cables: networks by the names of members; members that are left
// out get network-<name>, which is what a Mesh calls it.
func (l *Lab) Wire(networks map[string]string) {
	for name, m := range l.Members {
		network := networks[name]
		if network == "" {
			network = "network-" + name
		}
		m.plane.wire(network)
	}
}

// RestartIstiod starts a member's istiod again, and its workloads ask for new
// certificates.
func (m *Member) RestartIstiod(ctx context.Context) error {
	if err := m.Istiod.Restart(ctx); err != nil {
		return err
	}
	m.plane.forget()
	return nil
}

// RestartIstiods starts the istiods of all members again.
func (l *Lab) RestartIstiods(ctx context.Context) error {
	var group errgroup.Group
	for _, m := range l.Members {
		group.Go(func() error { return m.RestartIstiod(ctx) })
	}
	return group.Wait()
}
