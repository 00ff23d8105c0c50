// Command agent serves one member of a federation: it applies the member's works and reports back.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent"
	"github.com/flotilla-io/flotilla/pkg/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// flags are what the command line says.
type flags struct {
	options             agent.Options
	federation          federationFlags
	kubeconfig          string
	syncMode            string
	acceptFederationUID string
	mesh                bool
	meshLocalities      bool
	healthBindAddress   string
	logging             *logsapi.LoggingConfiguration
}

func command() *cobra.Command {
	f := &flags{logging: logsapi.NewLoggingConfiguration()}
	cmd := &cobra.Command{
		Use:           "agent",
		Short:         "Serve one member of a federation: apply its works and report back",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logs.InitLogs()
			defer logs.FlushLogs()
			if err := logsapi.ValidateAndApply(f.logging, nil); err != nil {
				return err
			}
			return f.run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&f.options.ClusterName, "cluster-name", "", "name of this member in the federation")
	f.federation.add(fs)
	fs.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig of the member; empty: the cluster this process runs in")
	fs.StringVar(&f.options.StateDir, "state-dir", "", "directory that keeps what is managed, so that drift is repaired without the federation; empty: keep nothing")
	fs.StringVar(&f.syncMode, "sync-mode", string(clusterv1alpha1.Pull), "mode the cluster is registered with: Pull or Push")
	fs.StringVar(&f.options.Region, "cluster-region", "", "region of a cluster that is registered for the first time")
	fs.StringSliceVar(&f.options.Zones, "cluster-zones", nil, "zones of a cluster that is registered for the first time")
	fs.StringVar(&f.options.Provider, "cluster-provider", "", "provider of a cluster that is registered for the first time")
	fs.StringToStringVar(&f.options.Labels, "cluster-labels", nil, "labels of a cluster that is registered for the first time, as key=value")
	fs.StringVar(&f.acceptFederationUID, "accept-federation-uid", "", "UID of the federation to accept in place of the one known so far")
	fs.DurationVar(&f.options.Heartbeat, "heartbeat", 10*time.Second, "interval between renewals of the lease, which lasts four times as long")
	fs.BoolVar(&f.mesh, "mesh", true, "do the part of this member in a Mesh, if it is in one")
	fs.BoolVar(&f.meshLocalities, "mesh-localities", true, "give nodes without region and zone those of the cluster, if it is in a Mesh")
	fs.IntVar(&f.options.Workers, "workers", 8, "how many objects are applied at once")
	fs.StringVar(&f.healthBindAddress, "health-bind-address", "0", "address for /healthz, /readyz and /metrics, such as 127.0.0.1:8081; 0: none")
	logsapi.AddFlags(f.logging, fs)
	if err := cmd.MarkFlagRequired("cluster-name"); err != nil {
		panic(err) // the flag is defined above
	}
	cmd.MarkFlagsOneRequired("federation-kubeconfig", "federation-server")
	cmd.MarkFlagsMutuallyExclusive("federation-kubeconfig", "federation-server")
	for _, name := range []string{"federation-ca-hash", "bootstrap-token-file", "identity-secret", "certificate-lifetime"} {
		cmd.MarkFlagsMutuallyExclusive("federation-kubeconfig", name)
	}
	cmd.Version = version.String()
	cmd.SetVersionTemplate("{{.Version}}")
	return cmd
}

func (f *flags) run(ctx context.Context) error {
	var err error
	if f.options.Member, err = memberConfig(f.kubeconfig); err != nil {
		return err
	}
	f.options.InCluster = f.kubeconfig == ""
	f.options.NoMesh, f.options.NoMeshLocalities = !f.mesh, !f.meshLocalities
	who, err := f.federation.connect(&f.options)
	if err != nil {
		return err
	}
	f.options.SyncMode = clusterv1alpha1.ClusterSyncMode(f.syncMode)
	f.options.AcceptFederationUID = types.UID(f.acceptFederationUID)
	if f.options.Holder, err = os.Hostname(); err != nil {
		return fmt.Errorf("this host's name: %w", err)
	}
	a, err := agent.New(f.options)
	if err != nil {
		return err
	}
	if f.healthBindAddress != "0" && f.healthBindAddress != "" {
		stop, err := serve(ctx, f.healthBindAddress, a, who)
		if err != nil {
			return err
		}
		defer stop()
	}
	if who == nil {
		return a.Run(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); who.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	return a.Run(ctx)
}
