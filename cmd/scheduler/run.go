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
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/api/scheme"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/scheduler"
)

const (
	// shutdownTimeout is how long workers may take to finish at the end.
	shutdownTimeout = 10 * time.Second
	// readyTimeout is how long the readiness probe waits for caches.
	readyTimeout = time.Second
)

type options struct {
	kubeconfig     string
	schedulerName  string
	workers        int
	leaderElect    bool
	leaseNamespace string
	healthAddress  string
	metricsAddress string
}

func newOptions() *options {
	return &options{
		schedulerName:  policyv1alpha1.DefaultSchedulerName,
		workers:        scheduler.DefaultWorkers,
		leaderElect:    true,
		leaseNamespace: metav1.NamespaceSystem,
		healthAddress:  "127.0.0.1:10351",
		metricsAddress: "127.0.0.1:10352",
	}
}

func (o *options) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.kubeconfig, "kubeconfig", o.kubeconfig, "Kubeconfig of the federation API. Empty: the service account of the pod this runs in.")
	flags.StringVar(&o.schedulerName, "scheduler-name", o.schedulerName, "The spec.schedulerName of the bindings to serve.")
	flags.IntVar(&o.workers, "workers", o.workers, "How many bindings of each scope are decided about at a time.")
	flags.BoolVar(&o.leaderElect, "leader-elect", o.leaderElect, "Wait for the lease before deciding. Turn it off only where a single scheduler of this name can run.")
	flags.StringVar(&o.leaseNamespace, "leader-elect-namespace", o.leaseNamespace, "Namespace of the lease.")
	flags.StringVar(&o.healthAddress, "health-probe-bind-address", o.healthAddress, "Address of /healthz and /readyz; 0 turns them off.")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", o.metricsAddress, "Address of /metrics; 0 turns it off.")
}

func (o *options) validate() error {
	if o.workers < 1 {
		return fmt.Errorf("--workers is %d, at least 1 is needed", o.workers)
	}
	if o.schedulerName == "" {
		return errors.New("--scheduler-name must not be empty")
	}
	return nil
}

// leaseName keeps schedulers of different names out of each other's way.
func (o *options) leaseName() string {
	if o.schedulerName == policyv1alpha1.DefaultSchedulerName {
		return scheduler.LeaseName
	}
	return scheduler.LeaseName + "-" + o.schedulerName
}

func run(ctx context.Context, opts *options) error {
	if err := opts.validate(); err != nil {
		return err
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", opts.kubeconfig)
	if err != nil {
		return fmt.Errorf("reading --kubeconfig %q: %w", opts.kubeconfig, err)
	}
	cfg = rest.AddUserAgent(cfg, "scheduler")
	cfg.QPS = -1 // the API server's priority and fairness limits clients, and fairly

	mgr, err := ctrl.NewManager(cfg, managerOptions(opts))
	if err != nil {
		return fmt.Errorf("setting up: %w", err)
	}
	writer, err := events.NewForConfig(cfg, events.Options{})
	if err != nil {
		return fmt.Errorf("setting up events: %w", err)
	}
	if err := mgr.Add(writer); err != nil {
		return err
	}
	if err := scheduler.SetupWithManager(mgr, scheduler.Options{
		Workers:       opts.workers,
		SchedulerName: opts.schedulerName,
		Recorder:      writer.For(opts.schedulerName),
	}); err != nil {
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

func managerOptions(opts *options) ctrl.Options {
	timeout, warm := shutdownTimeout, true
	return ctrl.Options{
		Scheme: scheme.Scheme,
		Cache:  cache.Options{DefaultTransform: scheduler.Trim},
		// The queue by priority of this version can hang when it is shut down:
		// controller-runtime issue 3538.
		Controller:                    config.Controller{EnableWarmup: &warm, UsePriorityQueue: ptr.To(false)},
		LeaderElection:                opts.leaderElect,
		LeaderElectionID:              opts.leaseName(),
		LeaderElectionNamespace:       opts.leaseNamespace,
		LeaderElectionReleaseOnCancel: true,
		HealthProbeBindAddress:        opts.healthAddress,
		Metrics:                       server.Options{BindAddress: opts.metricsAddress},
		GracefulShutdownTimeout:       &timeout,
	}
}

func cachesSynced(c cache.Cache) healthz.Checker {
	return func(r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if !c.WaitForCacheSync(ctx) {
			return errors.New("the caches of clusters and bindings are not filled yet")
		}
		return nil
	}
}
