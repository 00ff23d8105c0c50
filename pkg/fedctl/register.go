package fedctl

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"helm.sh/helm/v4/pkg/chart/v2/loader"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/identity"
)

// clockSkew is how far clocks may be apart before it is mentioned.
const clockSkew = time.Minute

type register struct {
	*cli
	member   memberFlags
	server   string
	token    string
	caHashes []string
	cluster  string
	values   []string
	timeout  time.Duration
}

func (c *cli) registerCommand() *cobra.Command {
	r := &register{cli: c}
	cmd := &cobra.Command{
		Use:   "register SERVER --cluster-name NAME --token TOKEN --ca-hash HASH",
		Short: "Let a member join: install an agent in it (pull mode)",
		Long: `Let a member join the federation at SERVER: install the agent's chart in it, as
Helm release flotilla-agent, and wait until the agent has joined. "token create" in
the federation prints the whole command.

Only the member is needed. With --kubeconfig or --context, the federation is asked
whether the cluster is Ready.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.server = strings.TrimSuffix(args[0], "/")
			return r.run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&r.cluster, "cluster-name", "", "name of the member in the federation, the one the token was made for")
	fs.StringVar(&r.token, "token", "", "bootstrap token from \"token create\"")
	fs.StringSliceVar(&r.caHashes, "ca-hash", nil, "sha256:<hex> of the federation CA's public key, from \"token create\"")
	fs.StringSliceVar(&r.values, "values", nil, "files with further values of the chart, such as agent.rbac.kinds")
	fs.DurationVar(&r.timeout, "timeout", 3*time.Minute, "how long to wait for the agent; 0: do not wait")
	r.member.add(cmd, "default: $KUBECONFIG or ~/.kube/config")
	for _, name := range []string{"cluster-name", "token", "ca-hash"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

func (r *register) run(ctx context.Context) error {
	if err := checkClusterName(r.cluster); err != nil {
		return err
	}
	values, err := readValues(r.values)
	if err != nil {
		return err
	}
	if err := r.checkFederation(ctx); err != nil {
		return err
	}
	member, err := r.member.connect(r.cli)
	if err != nil {
		return err
	}
	if _, err := member.id(ctx); err != nil {
		return err
	}
	helm, err := r.member.releases()
	if err != nil {
		return err
	}
	there, err := helm.values()
	if err != nil {
		return err
	}
	if name := clusterNameIn(there); there != nil && name != r.cluster {
		return fmt.Errorf("the member at %s has joined as cluster %s already. Take it out first: %s unregister %s --member-kubeconfig ..., in the federation",
			member.config.Host, name, r.name, name)
	}
	agent := map[string]any{
		"clusterName": r.cluster, "server": r.server, "bootstrapToken": r.token, "caHash": asAny(r.caHashes),
	}
	// What a person set before stays.
	if err := helm.put(ctx, agentValues(loader.MergeMaps(there, values), agent), there != nil); err != nil {
		return err
	}
	r.say("Installed the agent: Helm release %s in namespace %s of %s", agentRelease, r.member.namespace, member.config.Host)
	if r.timeout == 0 {
		r.say("It joins as cluster %s by itself; see kubectl --namespace %s logs deployment/flotilla-agent", r.cluster, r.member.namespace)
		return nil
	}
	return r.wait(ctx, member)
}

// asAny is one value, or a list of several, as the chart takes it.
func asAny(values []string) any {
	if len(values) == 1 {
		return values[0]
	}
	var out []any
	for _, v := range values {
		out = append(out, v)
	}
	return out
}

// checkFederation finds out before anything is installed whether the agent will be let in.
func (r *register) checkFederation(ctx context.Context) error {
	var pins []identity.Hash
	for _, text := range r.caHashes {
		pin, err := identity.ParseHash(text)
		if err != nil {
			return fmt.Errorf("--ca-hash: %w", err)
		}
		pins = append(pins, pin)
	}
	token, err := identity.ParseToken(r.token)
	if err != nil {
		return fmt.Errorf("--token: %w", err)
	}
	found, err := identity.Discover(ctx, r.server, pins)
	if err != nil {
		return err
	}
	if skew := time.Until(found.Date); !found.Date.IsZero() && skew.Abs() > clockSkew {
		r.warn("the clock of %s and that of this machine differ by %s. If the member's is wrong, too, its connections may be refused", r.server, skew.Abs().Round(time.Second))
	}
	user, err := identity.WhoIs(ctx, r.server, found.CA, token)
	if err != nil {
		return fmt.Errorf("%w. Make one in the federation: %s token create --cluster %s", err, r.name, r.cluster)
	}
	if user == nil {
		r.say("Found the federation at %s, its CA is the pinned one", r.server)
		return nil // it does not tell
	}
	var others []string
	for _, group := range user.Groups {
		if name, ok := strings.CutPrefix(group, names.BootstrapGroupPrefix); ok {
			others = append(others, name)
		}
	}
	if !slices.Contains(others, r.cluster) {
		return fmt.Errorf("token %s is not for cluster %s but for %s. Use that --cluster-name, or make another token in the federation: %s token create --cluster %s",
			token.ID(), r.cluster, orNone(others), r.name, r.cluster)
	}
	r.say("Found the federation at %s, its CA is the pinned one, the token is good for cluster %s", r.server, r.cluster)
	return nil
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// wait waits for the agent and, if it can be asked, the federation.
func (r *register) wait(ctx context.Context, member *cluster) error {
	ctx, cancel := within(ctx, r.timeout)
	defer cancel()
	look, err := newAgentLook(member, r.member.namespace)
	if err != nil {
		return err
	}
	if err := poll(ctx, "the agent of cluster "+r.cluster, look.ready); err != nil {
		return fmt.Errorf("%w. It goes on trying; set right what it says, or take it out again: helm uninstall %s --namespace %s",
			err, agentRelease, r.member.namespace)
	}
	r.say("The agent has joined as cluster %s", r.cluster)
	if *r.federation.KubeConfig == "" && *r.federation.Context == "" {
		r.say("\nIn the federation:\n\n  kubectl get cluster %s", r.cluster)
		return nil
	}
	f, err := r.connectFederation()
	if err != nil {
		return err
	}
	if err := poll(ctx, "cluster "+r.cluster, clusterReady(f, r.cluster)); err != nil {
		return err
	}
	r.say("Cluster %s is Ready", r.cluster)
	return nil
}
