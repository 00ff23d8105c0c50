// Command scheduler chooses clusters for the bindings of a federation and divides
// their replicas.
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
		fmt.Fprintln(os.Stderr, "scheduler:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	opts := newOptions()
	logging := logsapi.NewLoggingConfiguration()
	cmd := &cobra.Command{
		Use:   "scheduler",
		Short: "Choose clusters for bindings and divide their replicas",
		Long: `Choose clusters for the bindings of a federation and divide their replicas.
Several may run, one of them works; the others wait for its lease.`,
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
