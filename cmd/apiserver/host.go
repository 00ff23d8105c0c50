package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	fedscheme "github.com/flotilla-io/flotilla/api/scheme"
	"github.com/flotilla-io/flotilla/pkg/apiserver"
	"github.com/flotilla-io/flotilla/pkg/controlplane"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/scheduler"
)

// host runs the controllers and the scheduler over the in-memory connection
// from when the server is ready until ctx ends. They share one manager, so one cache.
func host(ctx context.Context, server *apiserver.Server, opts *apiserver.Options, ready <-chan struct{}) error {
	log.SetLogger(klog.FromContext(ctx))
	cfg := server.ComponentClient("controllers")
	select {
	case <-ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	leases, err := coordinationv1client.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("manager: %w", err)
	}
	mgr, err := ctrl.NewManager(cfg, elect(ctrl.Options{
		Scheme:  fedscheme.Scheme,
		Metrics: metricsserver.Options{BindAddress: "0"}, // the API server's /metrics has them
		Cache:   cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
		// The queue by priority of this version can hang when it is shut down.
		Controller: config.Controller{UsePriorityQueue: ptr.To(false)},
	}, leases, identity(len(opts.EtcdServers) > 0)))
	if err != nil {
		return fmt.Errorf("manager: %w", err)
	}
	err = controlplane.SetupWithManager(mgr, controlplane.Options{AgentStateDir: filepath.Join(opts.DataDir, "agents")})
	if err != nil {
		return err
	}
	writer, err := events.NewForConfig(cfg, events.Options{})
	if err != nil {
		return err
	}
	if err := mgr.Add(writer); err != nil {
		return err
	}
	// Events name the scheduler as they do when it runs on its own.
	if err := scheduler.SetupWithManager(mgr, scheduler.Options{Recorder: writer.For(policyv1alpha1.DefaultSchedulerName)}); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// waitReady returns when the server can answer everything the controllers ask.
func waitReady(ctx context.Context, server *apiserver.Server) error {
	client, err := kubernetes.NewForConfig(server.Client("readiness"))
	if err != nil {
		return err
	}
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil, nil
	})
}
