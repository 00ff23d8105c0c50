package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/flotilla-io/flotilla/api/scheme"
	"github.com/flotilla-io/flotilla/pkg/controlplane"
)

const (
	// shutdownTimeout is how long workers and hosted agents may take to finish.
	shutdownTimeout = 10 * time.Second
	// readyTimeout is how long the readiness probe waits for caches.
	readyTimeout = time.Second
)

type options struct {
	kubeconfig     string
	leaderElect    bool
	leaseNamespace string
	healthAddress  string
	metricsAddress string
	controllers    controlplane.Options
}

func newOptions() *options {
	return &options{
		leaderElect:    true,
		leaseNamespace: metav1.NamespaceSystem,
		healthAddress:  "127.0.0.1:10357",
		metricsAddress: "127.0.0.1:10358",
		controllers: controlplane.Options{
			ClusterGrace:    40 * time.Second,
			PolicyWorkers:   2,
			TemplateWorkers: 8,
			ClusterWorkers:  4,
		},
	}
}

func (o *options) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.kubeconfig, "kubeconfig", o.kubeconfig, "Kubeconfig of the federation API. Empty: the service account of the pod this runs in.")
	flags.BoolVar(&o.leaderElect, "leader-elect", o.leaderElect, "Wait for the lease before working. Turn it off only where a single one can run.")
	flags.StringVar(&o.leaseNamespace, "leader-elect-namespace", o.leaseNamespace, "Namespace of the lease.")
	flags.StringVar(&o.healthAddress, "health-probe-bind-address", o.healthAddress, "Address of /healthz and /readyz; 0 turns them off.")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", o.metricsAddress, "Address of /metrics; 0 turns it off.")
	flags.StringVar(&o.controllers.AgentStateDir, "agent-state-dir", o.controllers.AgentStateDir, "Directory for what the agents of Push clusters remember between runs. Empty: they look around anew each time.")
	flags.DurationVar(&o.controllers.ClusterGrace, "cluster-grace-period", o.controllers.ClusterGrace, "How long a cluster's lease may go without renewal before the cluster counts as unreachable.")
	flags.IntVar(&o.controllers.PolicyWorkers, "policy-workers", o.controllers.PolicyWorkers, "How many policies are worked on at a time.")
	flags.IntVar(&o.controllers.TemplateWorkers, "template-workers", o.controllers.TemplateWorkers, "How many templates are worked on at a time, once for bindings and once for statuses.")
	flags.IntVar(&o.controllers.ClusterWorkers, "cluster-workers", o.controllers.ClusterWorkers, "How many clusters are worked on at a time.")
}

func (o *options) validate() error {
	for name, n := range map[string]int{
		"--policy-workers":   o.controllers.PolicyWorkers,
		"--template-workers": o.controllers.TemplateWorkers,
		"--cluster-workers":  o.controllers.ClusterWorkers,
	} {
		if n < 1 {
			return fmt.Errorf("%s is %d, at least 1 is needed", name, n)
		}
	}
	if o.controllers.ClusterGrace < time.Second {
		return fmt.Errorf("--cluster-grace-period is %s, at least 1s is needed", o.controllers.ClusterGrace)
	}
	return nil
}

func run(ctx context.Context, opts *options) error {
	if err := opts.validate(); err != nil {
		return err
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", opts.kubeconfig)
	if err != nil {
		return fmt.Errorf("reading --kubeconfig %q: %w", opts.kubeconfig, err)
	}
	cfg = rest.AddUserAgent(cfg, "controller-manager")
	cfg.QPS = -1 // the API server's priority and fairness limits clients, and fairly

	timeout := shutdownTimeout
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                        scheme.Scheme,
		Cache:                         cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
		LeaderElection:                opts.leaderElect,
		LeaderElectionID:              controlplane.LeaseName,
		LeaderElectionNamespace:       opts.leaseNamespace,
		LeaderElectionReleaseOnCancel: true,
		HealthProbeBindAddress:        opts.healthAddress,
		Metrics:                       server.Options{BindAddress: opts.metricsAddress},
		GracefulShutdownTimeout:       &timeout,
	})
	if err != nil {
		return fmt.Errorf("setting up: %w", err)
	}
	if err := controlplane.SetupWithManager(mgr, opts.controllers); err != nil {
		return err
	}
	if err := errors.Join(
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("caches", cachesSynced(mgr.GetCache())),
	); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

func cachesSynced(c cache.Cache) healthz.Checker {
	return func(r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if !c.WaitForCacheSync(ctx) {
			return errors.New("the caches are not filled yet")
		}
		return nil
	}
}
