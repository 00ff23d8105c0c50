package fedctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func (c *cli) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and delete the tokens that members join with",
		Args:  cobra.NoArgs,
	}
	create := &tokenCreate{cli: c}
	cmd.AddCommand(create.command(), &cobra.Command{
		Use:   "list",
		Short: "List the tokens that members can join with",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.listTokens(cmd.Context()) },
	}, &cobra.Command{
		Use:   "delete ID",
		Short: "Delete a token; members that have joined with it stay",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := c.connectFederation()
			if err != nil {
				return err
			}
			id, err := deleteToken(cmd.Context(), f, args[0])
			if err == nil {
				c.say("Token %s is deleted.", id)
			}
			return err
		},
	})
	return cmd
}

type tokenCreate struct {
	*cli
	cluster   string
	ttl       time.Duration
	onlyToken bool
	output    string
}

var errFlags = errors.New("flags")

func (t *tokenCreate) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --cluster NAME",
		Short: "Make a token for one member, and print the commands that use it",
		Long: `Make a token with which one member can join, under one name. Whoever has the
token can join under that name until it expires.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := t.connectFederation()
			if err != nil {
				return err
			}
			return t.run(cmd.Context(), f)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&t.cluster, "cluster", "", "name that the member is to have in the federation")
	fs.DurationVar(&t.ttl, "ttl", 24*time.Hour, "how long the token can be used; 0: for ever")
	fs.BoolVar(&t.onlyToken, "print-only-token", false, "print the token and nothing else")
	fs.StringVarP(&t.output, "output", "o", "", "json: token, server and CA hashes for programs")
	if err := cmd.MarkFlagRequired("cluster"); err != nil {
		panic(err) // the flag is defined above
	}
	cmd.MarkFlagsMutuallyExclusive("print-only-token", "output")
	return cmd
}

func (t *tokenCreate) run(ctx context.Context, f *cluster) error {
	switch {
	case t.output != "" && t.output != "json":
		return fmt.Errorf("%w: --output %s: use json", errFlags, t.output)
	case t.ttl < 0:
		return fmt.Errorf("%w: --ttl %s: use 0 or more", errFlags, t.ttl)
	}
	if err := checkNewClusterName(t.cluster); err != nil {
		return err
	}
	where, err := findAddress(ctx, f)
	if err != nil {
		return err
	}
	var expires time.Time
	if t.ttl > 0 {
		expires = f.clock.now().Add(t.ttl)
	}
	token := newToken(t.random)
	if err := f.Create(ctx, tokenSecret(token, t.cluster, expires)); err != nil {
		if apierrors.IsForbidden(err) {
			return fmt.Errorf("make a token: %w. Tokens are Secrets in kube-system of the federation: ask one of its administrators", err)
		}
		return fmt.Errorf("make a token: %w", err)
	}
	switch {
	case t.onlyToken:
		t.say("%s", token.Reveal())
		return nil
	case t.output == "json":
		return t.printJSON(token.Reveal(), where, expires)
	}
	until := "It does not expire: delete it with \"" + t.name + " token delete " + token.ID() + "\""
	if !expires.IsZero() {
		until = "It expires at " + expires.Format(time.RFC3339)
	}
	t.say("Cluster %s can join with this token. %s.\n", t.cluster, until)
	t.say("With access to the member, either\n\n  %s register %s --cluster-name %s \\\n    --token %s \\\n    %s\n",
		t.name, where.Server, t.cluster, token.Reveal(), "--ca-hash "+strings.Join(where.CAHashes, " \\\n    --ca-hash "))
	t.say("or\n\n  helm install %s charts/flotilla --namespace %s --create-namespace \\\n    --set installMode=agent \\\n    --set agent.clusterName=%s \\\n    --set agent.server=%s \\\n    --set agent.bootstrapToken=%s \\\n    --set agent.caHash=%s",
		agentRelease, memberNamespace, t.cluster, where.Server, token.Reveal(), helmList(where.CAHashes))
	return nil
}

// helmList is a value for --set: a text, or a list of several.
func helmList(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return "{" + strings.Join(values, ",") + "}"
}

func (t *tokenCreate) printJSON(token string, where address, expires time.Time) error {
	out := struct {
		Cluster string `json:"cluster"`
		Token   string `json:"token"`
		address
		Expires string `json:"expires,omitempty"`
	}{Cluster: t.cluster, Token: token, address: where}
	if !expires.IsZero() {
		out.Expires = expires.Format(time.RFC3339)
	}
	raw, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	t.say("%s", raw)
	return nil
}

func (c *cli) listTokens(ctx context.Context) error {
	f, err := c.connectFederation()
	if err != nil {
		return err
	}
	tokens, err := listTokens(ctx, f)
	if err != nil {
		return err
	}
	if len(tokens) == 0 {
		c.say("There are no tokens. \"%s token create --cluster NAME\" makes one.", c.name)
		return nil
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tCLUSTER\tEXPIRES")
	for _, token := range tokens {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", token.ID, strings.Join(token.Clusters, ","), remaining(token.Expires, f.clock.now()))
	}
	return w.Flush()
}

// remaining is for people: how long it is until then.
func remaining(at, now time.Time) string {
	left := at.Sub(now)
	switch {
	case at.IsZero():
		return "never"
	case left <= 0:
		return "expired"
	case left < time.Minute:
		return "in less than a minute"
	case left < 2*time.Hour:
		return fmt.Sprintf("in %d minutes", int(left.Minutes()))
	case left < 48*time.Hour:
		return fmt.Sprintf("in %d hours", int(left.Hours()))
	}
	return fmt.Sprintf("in %d days", int(left.Hours()/24))
}
