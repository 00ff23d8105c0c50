package controlplane

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/flotilla-io/flotilla/pkg/cluster"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/interpreter"
	"github.com/flotilla-io/flotilla/pkg/meshlink"
	"github.com/flotilla-io/flotilla/pkg/propagation"
)

// Options of the controllers. The zero value of a number takes its default.
type Options struct {
	// AgentStateDir holds what the agents of Push clusters remember between
	// runs. Empty: they look around anew each time.
	AgentStateDir string
	// ClusterGrace is how long a cluster's lease may go without renewal; 40 s
	// by default.
	ClusterGrace time.Duration
	// PolicyWorkers, TemplateWorkers and ClusterWorkers are how many of each
	// are worked on in parallel.
	PolicyWorkers, TemplateWorkers, ClusterWorkers int
}

// LeaseName is the lease of whoever runs these controllers, in kube-system.
const LeaseName = "flotilla-controller-manager"

// SetupWithManager adds propagation, the cluster lifecycle, the hosting of Push
// agents and the joining of Meshes to a manager whose scheme is api/scheme. The scheduler is not among
// them: it is a binary of its own, and the caller adds it where one process does
// everything.
func SetupWithManager(mgr ctrl.Manager, opts Options) error {
	if err := register(metrics.Registry, events.Collectors()); err != nil {
		return fmt.Errorf("metrics of events: %w", err)
	}
	writer, err := events.NewForConfig(mgr.GetConfig(), events.Options{})
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	if err := mgr.Add(writer); err != nil {
		return fmt.Errorf("events: %w", err)
	}
	err = propagation.SetupWithManager(mgr, propagation.Options{
		Events:          writer,
		Interpreter:     interpreter.New(),
		PolicyWorkers:   opts.PolicyWorkers,
		TemplateWorkers: opts.TemplateWorkers,
	})
	if err != nil {
		return fmt.Errorf("propagation: %w", err)
	}
	err = cluster.SetupWithManager(mgr, cluster.Options{
		NewHosted: HostedAgents(mgr.GetConfig(), opts.AgentStateDir),
		Grace:     opts.ClusterGrace,
		Workers:   opts.ClusterWorkers,
	})
	if err != nil {
		return fmt.Errorf("cluster lifecycle: %w", err)
	}
	if err := meshlink.SetupWithManager(mgr, meshlink.Options{Recorder: writer.For(meshlink.Component)}); err != nil {
		return fmt.Errorf("meshlink: %w", err)
	}
	return nil
}

// register adds metrics. In one process with other components they may be there
// already.
func register(registry metrics.RegistererGatherer, collectors []prometheus.Collector) error {
	for _, c := range collectors {
		var there prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &there) {
			return err
		}
	}
	return nil
}
