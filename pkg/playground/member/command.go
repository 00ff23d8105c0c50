package member

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// NewCommand is the hidden subcommand that the playground starts once for
// each member.
func NewCommand() *cobra.Command {
	var c Config
	cmd := &cobra.Command{
		Use:           "member",
		Short:         "Run the control plane of one member (started by the playground)",
		Hidden:        true,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return Run(ctx, c)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.Name, "name", "", "name of the cluster")
	flags.StringVar(&c.Dir, "dir", "", "directory for all data of the member")
	flags.StringVar(&c.Kubeconfig, "kubeconfig", "", "where to write the administrator's kubeconfig")
	flags.StringVar(&c.ReadyFile, "ready-file", "", "file that exists while the member is ready")
	flags.StringVar(&c.Address, "address", loopback, "address of the API server; another one than loopback lets real nodes join")
	flags.IntVar(&c.Port, "port", 0, "port of the API server")
	flags.StringVar(&c.PodCIDR, "pod-cidr", "", "addresses of simulated pods and, its first, of simulated nodes (default 10.0.0.0/16)")
	flags.IntVar(&c.Nodes, "nodes", 1, "number of simulated nodes")
	flags.IntVar(&c.Verbosity, "verbosity", 0, "log level")
	return cmd
}
