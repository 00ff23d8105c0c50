// Command apiserver serves the federation API.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // spec.timeZone of CronJobs is checked here, and images have no time zones

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	logsapi "k8s.io/component-base/logs/api/v1"
	kubeversion "k8s.io/component-base/version"
	"k8s.io/component-base/version/verflag"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/flotilla-io/flotilla/pkg/apiserver"
	"github.com/flotilla-io/flotilla/pkg/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "apiserver:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	opts := apiserver.NewOptions()
	allInOne := false
	cmd := &cobra.Command{
		Use:   "apiserver",
		Short: "Serve the federation API",
		Long: `Serve the federation API: Kubernetes' own kinds as templates, policies,
bindings, clusters and their works. Without --etcd-servers, etcd runs in this
process. With --all-in-one, so do the controllers and the scheduler.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			// The server talks to itself; its own deprecation warnings are noise.
			rest.SetDefaultWarningHandler(rest.NoWarnings{})
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flag("version").Value.String() == "true" {
				fmt.Printf("Kubernetes %s\nFlotilla %s\n", kubeversion.Get(), version.Flotilla())
				return nil
			}
			verflag.PrintAndExitIfRequested() // --version=raw
			if err := logsapi.ValidateAndApply(opts.Logs, nil); err != nil {
				return err
			}
			return run(cmd.Context(), opts, allInOne)
		},
	}
	opts.AddFlags(cmd.Flags())
	logsapi.AddFlags(opts.Logs, cmd.Flags())
	verflag.AddFlags(cmd.Flags())
	cmd.AddCommand(hostCredentials())
	cmd.Flags().BoolVar(&allInOne, "all-in-one", allInOne, "Run the controllers and the scheduler in this process, too.")
	return cmd
}

func run(ctx context.Context, opts *apiserver.Options, allInOne bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ready := make(chan struct{})
	go apiserver.TrimMemory(ctx, ready)
	server, err := apiserver.New(ctx, opts)
	if err != nil {
		return err
	}
	go func() {
		if err := waitReady(ctx, server); err != nil {
			cancel(fmt.Errorf("readiness: %w", err))
			return
		}
		close(ready)
	}()
	hosted := make(chan struct{})
	if allInOne {
		server.AddMetrics(metrics.Registry)
		go func() {
			defer close(hosted)
			if err := host(ctx, server, opts, ready); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "Controllers ended")
				cancel(fmt.Errorf("controllers: %w", err))
			}
		}()
	} else {
		close(hosted)
	}
	err = server.Run(ctx)
	cancel(nil)
	<-hosted
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}
