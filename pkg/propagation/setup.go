package propagation

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/interpreter"
	"github.com/flotilla-io/flotilla/pkg/propagation/binding"
	"github.com/flotilla-io/flotilla/pkg/propagation/claim"
	"github.com/flotilla-io/flotilla/pkg/propagation/status"
	"github.com/flotilla-io/flotilla/pkg/propagation/templates"
)

// Options of the propagation controllers. The zero value of a number takes the
// part's default.
type Options struct {
	// Events writes the events; the caller runs it.
	Events *events.Writer
	// Interpreter knows the kinds.
	Interpreter interpreter.Interpreter
	// PolicyWorkers is how many policies are worked on in parallel.
	PolicyWorkers int
	// TemplateWorkers is how many templates are worked on in parallel, by each
	// of the binding and the status controller.
	TemplateWorkers int
}

// SetupWithManager adds the controllers of propagation to a manager whose scheme
// is api/scheme. They run on the leader.
func SetupWithManager(mgr ctrl.Manager, opts Options) error {
	cfg, httpClient := mgr.GetConfig(), mgr.GetHTTPClient()
	metadataClient, err := metadata.NewForConfigAndClient(metadata.ConfigFor(cfg), httpClient)
	if err != nil {
		return fmt.Errorf("metadata client: %w", err)
	}
	dynamicClient, err := dynamic.NewForConfigAndClient(cfg, httpClient)
	if err != nil {
		return fmt.Errorf("dynamic client: %w", err)
	}
	mapper := templates.NewMapper(func() (meta.RESTMapper, error) { return apiutil.NewDynamicRESTMapper(cfg, httpClient) })
	store := templates.NewStore(metadataClient, mapper, claim.IndexKey)
	if err := mgr.Add(store); err != nil {
		return fmt.Errorf("template store: %w", err)
	}

	err = claim.SetupWithManager(mgr, claim.Options{
		Templates: store,
		Recorder:  opts.Events.For(claim.Component),
		Workers:   opts.PolicyWorkers,
	})
	if err != nil {
		return fmt.Errorf("claim controller: %w", err)
	}
	err = binding.SetupWithManager(mgr, binding.Options{
		Templates:   store,
		Dynamic:     dynamicClient,
		Interpreter: opts.Interpreter,
		Claims:      opts.Events.For(claim.Component),
		Works:       opts.Events.For(binding.Component),
		Workers:     opts.TemplateWorkers,
	})
	if err != nil {
		return fmt.Errorf("binding controller: %w", err)
	}
	err = status.SetupTemplateWithManager(mgr, status.TemplateOptions{
		Dynamic:     dynamicClient,
		Mapping:     store.Ensure,
		Interpreter: opts.Interpreter,
		Sync:        opts.Events.For(status.SyncComponent),
		Aggregated:  opts.Events.For(status.AggregateComponent),
		Workers:     opts.TemplateWorkers,
	})
	if err != nil {
		return fmt.Errorf("template status controller: %w", err)
	}
	return nil
}
