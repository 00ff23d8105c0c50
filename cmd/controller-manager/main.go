// Command controller-manager runs the controllers of a federation: propagation,
// the lifecycle of clusters, and the agents of clusters in Push mode.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/flotilla-io/flotilla/pkg/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "controller-manager:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	opts := newOptions()
	logging := logsapi.NewLoggingConfiguration()
	cmd := &cobra.Command{
		Use:   "controller-manager",
		Short: "Run the controllers of a federation",
		Long: `Run the controllers of a federation: they let policies claim templates, keep the
bindings, sum up statuses, look after clusters, and work as the agent of clusters
in Push mode. Several may run, one of them works; the others wait for its lease.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := logsapi.ValidateAndApply(logging, nil); err != nil {
				return err
			}
			ctrl.SetLogger(klog.Background())
			return run(cmd.Context(), opts)
		},
	}
	opts.addFlags(cmd.Flags())
	logsapi.AddFlags(logging, cmd.Flags())
	cmd.Version = version.String()
	cmd.SetVersionTemplate("{{.Version}}")
	return cmd
}
