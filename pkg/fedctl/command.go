package fedctl

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/flotilla-io/flotilla/pkg/version"
)

// memberNamespace is where Flotilla is in a member.
const memberNamespace = "flotilla-system"

// pollInterval is how often something that is waited for is looked at.
const pollInterval = 500 * time.Millisecond

// cli is what all commands share.
type cli struct {
	genericiooptions.IOStreams
	name       string
	federation *genericclioptions.ConfigFlags
	random     func([]byte)
	// dial connects to the federation or to a member.
	dial func(what string, flags *genericclioptions.ConfigFlags) (*cluster, error)
	// helm opens Helm in a member.
	helm func(*memberFlags) (*releases, error)
	// pause lets time pass.
	pause func(ctx context.Context, d time.Duration) error
}

// NameOf is what a person typed to get here: fedctl, or kubectl fed.
func NameOf(executable string) string {
	base := strings.TrimSuffix(filepath.Base(executable), ".exe")
	if plugin, ok := strings.CutPrefix(base, "kubectl-"); ok {
		return "kubectl " + strings.ReplaceAll(plugin, "_", "-")
	}
	return "fedctl"
}

// NewCommand is fedctl. name is what it is called in messages, see NameOf.
func NewCommand(name string, streams genericiooptions.IOStreams) *cobra.Command {
	return newCommand(&cli{IOStreams: streams, name: name, random: randomBytes, dial: connect, helm: (*memberFlags).releases, pause: pause})
}

func newCommand(c *cli) *cobra.Command {
	c.federation = genericclioptions.NewConfigFlags(true)
	cmd := &cobra.Command{
		Use:           "fedctl",
		Short:         "Let members join a federation and leave it, and look after its meshes",
		SilenceUsage:  true,
		SilenceErrors: true,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: c.name},
	}
	cmd.SetIn(c.In)
	cmd.SetOut(c.Out)
	cmd.SetErr(c.ErrOut)
	fs := cmd.PersistentFlags()
	fs.StringVar(c.federation.KubeConfig, "kubeconfig", "", "kubeconfig of the federation; default: $KUBECONFIG or ~/.kube/config")
	fs.StringVar(c.federation.Context, "context", "", "context of the federation in it")
	cmd.AddCommand(
		c.tokenCommand(), c.registerCommand(), c.joinCommand(), c.unregisterCommand(), c.unjoinCommand(), c.meshCommand(), c.versionCommand(),
	)
	cmd.Version = version.String()
	cmd.SetVersionTemplate("{{.Version}}")
	cmd.InitDefaultCompletionCmd()
	return cmd
}
