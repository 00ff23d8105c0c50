package member

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	controllermanageroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// components are the three Kubernetes binaries, parsed but not started.
type components struct {
	apiServer         *apiserveroptions.ServerRunOptions
	controllerManager *controllermanageroptions.KubeControllerManagerOptions
	scheduler         *scheduleroptions.Options
}

// newComponents parses the flags of all components and then sets the globals
// that they share: feature gates, component versions, logging. It can be
// called once in a process.
func newComponents(c *Config) (*components, error) {
	controllerManagerOptions, err := controllermanageroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return nil, fmt.Errorf("kube-controller-manager of member %s: %w", c.Name, err)
	}
	all := &components{
		apiServer:         apiserveroptions.NewServerRunOptions(),
		controllerManager: controllerManagerOptions,
		scheduler:         scheduleroptions.NewOptions(),
	}
	known, disabled, aliases := controllerNames()
	parse := []struct {
		component string
		flags     cliflag.NamedFlagSets
		args      []string
	}{
		{"kube-apiserver", all.apiServer.Flags(), apiServerFlags(c)},
		{"kube-controller-manager", all.controllerManager.Flags(known, disabled, aliases), controllerManagerFlags(c)},
		{"kube-scheduler", *all.scheduler.Flags, schedulerFlags(c)},
	}
	for _, p := range parse {
		flags := pflag.NewFlagSet(p.component, pflag.ContinueOnError)
		flags.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
		for _, set := range p.flags.FlagSets {
			flags.AddFlagSet(set)
		}
		if err := flags.Parse(p.args); err != nil {
			return nil, fmt.Errorf("%s of member %s: %w", p.component, c.Name, err)
		}
	}
	if err := all.apiServer.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, fmt.Errorf("feature gates of member %s: %w", c.Name, err)
	}
	if err := logsapi.ValidateAndApply(all.apiServer.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return nil, fmt.Errorf("logging of member %s: %w", c.Name, err)
	}
	return all, nil
}

func controllerNames() (known, disabled []string, aliases map[string]string) {
	return controllermanager.KnownControllers(), controllermanager.ControllersDisabledByDefault(), controllermanager.ControllerAliases()
}

func (all *components) runAPIServer(ctx context.Context) error {
	completed, err := all.apiServer.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return fmt.Errorf("flags: %w", errs[0])
	}
	return apiserver.Run(ctx, completed)
}

func (all *components) runControllerManager(ctx context.Context) error {
	known, disabled, aliases := controllerNames()
	config, err := all.controllerManager.Config(ctx, known, disabled, aliases)
	if err != nil {
		return err
	}
	return controllermanager.Run(ctx, config.Complete())
}

func (all *components) runScheduler(ctx context.Context) error {
	config, sched, err := scheduler.Setup(ctx, all.scheduler)
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, config, sched)
}
