package fedctl

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/discovery"

	"github.com/flotilla-io/flotilla/pkg/version"
)

const versionTimeout = 5 * time.Second

func (c *cli) versionCommand() *cobra.Command {
	clientOnly := false
	output := ""
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of fedctl and of the federation",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := versions{Client: versionOf{Flotilla: version.Version, Commit: version.Commit(), Kubernetes: version.Kubernetes()}}
			var failed error
			if !clientOnly {
				out.Server, failed = c.serverVersion(cmd.Context())
			}
			if err := c.printVersions(out, output); err != nil {
				return err
			}
			return failed
		},
	}
	cmd.Flags().BoolVar(&clientOnly, "client", false, "do not ask the federation")
	cmd.Flags().StringVarP(&output, "output", "o", "", "json: for programs")
	return cmd
}

type versions struct {
	Client versionOf  `json:"client"`
	Server *versionOf `json:"server,omitempty"`
}

type versionOf struct {
	Flotilla   string `json:"flotilla,omitempty"`
	Commit     string `json:"commit,omitempty"`
	Kubernetes string `json:"kubernetes"`
	Address    string `json:"address,omitempty"`
}

func (c *cli) serverVersion(ctx context.Context) (*versionOf, error) {
	f, err := c.connectFederation()
	if err != nil {
		return nil, err
	}
	f.config.Timeout = versionTimeout
	d, err := discovery.NewDiscoveryClientForConfig(f.config)
	if err != nil {
		return nil, fmt.Errorf("federation: %w", err)
	}
	raw, err := d.RESTClient().Get().AbsPath("/version").Do(ctx).Raw()
	if err != nil {
		return nil, fmt.Errorf("federation at %s: %w", f.config.Host, err)
	}
	var said struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return nil, fmt.Errorf("federation at %s: /version: %w", f.config.Host, err)
	}
	return &versionOf{Kubernetes: said.GitVersion, Address: f.config.Host}, nil
}

func (c *cli) printVersions(v versions, output string) error {
	switch output {
	case "json":
		raw, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		c.say("%s", raw)
	case "":
		commit := ""
		if v.Client.Commit != "" {
			commit = ", commit " + v.Client.Commit
		}
		c.say("Client: Flotilla %s (Kubernetes %s%s)", v.Client.Flotilla, v.Client.Kubernetes, commit)
		if v.Server != nil {
			c.say("Server: Kubernetes %s at %s", v.Server.Kubernetes, v.Server.Address)
		}
	default:
		return fmt.Errorf("%w: --output %s: use json", errFlags, output)
	}
	return nil
}
