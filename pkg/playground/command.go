package playground

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/flotilla-io/flotilla/pkg/version"
)

// NewCommand is the playground with its subcommands. The one that runs a
// member is the caller's to give: it links all of Kubernetes, and whoever
// only tests the playground should not have to.
func NewCommand(member *cobra.Command) *cobra.Command {
	c := DefaultConfig()
	mode := string(c.Mode)
	cmd := &cobra.Command{
		Use:   "playground",
		Short: "Run a federation and its member clusters on this machine",
		Long: `Run a federation and its member clusters on this machine, in the foreground.

Members are real Kubernetes control planes with simulated nodes; no containers
are needed and only loopback is used. Ctrl-C stops everything; the next start in
the same directory resumes with the same state.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Kubernetes registers the flag for every process that links it.
			if f := cmd.Flag("version"); f != nil && f.Value.String() == "true" {
				_, err := fmt.Fprint(cmd.OutOrStdout(), version.String())
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			c.Mode, c.Out = Mode(mode), cmd.OutOrStdout()
			return Run(ctx, c)
		},
	}
	cmd.PersistentFlags().StringVar(&c.Dir, "dir", c.Dir, "directory for everything the playground keeps")
	flags := cmd.Flags()
	flags.StringSliceVar(&c.Members, "members", c.Members, "names of the member clusters")
	flags.IntVar(&c.Nodes, "nodes", c.Nodes, "simulated nodes of each member")
	flags.StringVar(&mode, "mode", mode, "pull: an agent in each member connects to the federation; push: the federation connects to members")
	flags.StringVar(&c.BinDir, "bin-dir", "", "directory with the binaries apiserver and agent (default: where this one is)")
	flags.IntVarP(&c.Verbosity, "verbosity", "v", 0, "log level of everything that is started")

	cmd.AddCommand(member, newCleanCommand(&c.Dir))
	cmd.CompletionOptions.DisableDefaultCmd = true
	return cmd
}

func newCleanCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:           "clean",
		Short:         "Remove what a playground left in its directory",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := Clean(*dir); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is removed\n", *dir)
			return err
		},
	}
}
