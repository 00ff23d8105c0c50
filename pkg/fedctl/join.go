package fedctl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

type join struct {
	*cli
	member       memberFlags
	cluster      string
	apiEndpoint  string
	clusterAdmin bool
	values       []string
	region       string
	zones        []string
	provider     string
	timeout      time.Duration
}

func (c *cli) joinCommand() *cobra.Command {
	j := &join{cli: c}
	cmd := &cobra.Command{
		Use:   "join NAME --member-kubeconfig FILE",
		Short: "Let a member join that the federation connects to (push mode)",
		Long: `Let a member join that the federation connects to: make accounts for the federation
in the member, and hand their tokens to the federation. Where the federation cannot
reach the member, use "register".`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			j.cluster = args[0]
			return j.run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&j.apiEndpoint, "api-endpoint", "", "URL of the member's API as the federation reaches it; default: the server in --member-kubeconfig")
	fs.BoolVar(&j.clusterAdmin, "cluster-admin", false, "let the federation do everything in the member")
	fs.StringSliceVar(&j.values, "values", nil, "files with values of the chart; agent.rbac.kinds are the kinds that the federation may manage")
	fs.StringVar(&j.region, "cluster-region", "", "region of the cluster")
	fs.StringSliceVar(&j.zones, "cluster-zones", nil, "zones of the cluster")
	fs.StringVar(&j.provider, "cluster-provider", "", "provider of the cluster")
	fs.DurationVar(&j.timeout, "timeout", 2*time.Minute, "how long to wait until the cluster is Ready; 0: do not wait")
	j.member.add(cmd, "default: $KUBECONFIG or ~/.kube/config")
	cmd.MarkFlagsOneRequired("member-kubeconfig", "member-context")
	return cmd
}

var (
	errTaken  = errors.New("the name is taken")
	errMode   = errors.New("the cluster is of the other mode")
	errJoined = errors.New("the member has joined already")
)

func (j *join) run(ctx context.Context) error {
	if err := checkClusterName(j.cluster); err != nil {
		return err
	}
	values, err := readValues(j.values)
	if err != nil {
		return err
	}
	rules := everything
	if !j.clusterAdmin {
		// The name, the server and the token are only there to satisfy the chart.
		if rules, err = agentRules(agentValues(values, map[string]any{
			"clusterName": j.cluster, "server": "https://unused:1", "bootstrapToken": "unused.unusedunusedunus", "caHash": unusedHash,
		})); err != nil {
			return err
		}
	}
	f, err := j.connectFederation()
	if err != nil {
		return err
	}
	member, err := j.member.connect(j.cli)
	if err != nil {
		return err
	}
	id, err := member.id(ctx)
	if err != nil {
		return err
	}
	if err := j.check(ctx, f, id); err != nil {
		return err
	}
	federation, err := f.id(ctx)
	if err != nil {
		return err
	}
	accounts := accountsOf(j.cluster, j.member.namespace, federation)
	tokens, err := accounts.create(ctx, member, rules)
	if err != nil {
		return err
	}
	j.say("Made the accounts %s and %s in namespace %s of the member", accounts.worker, accounts.impersonator, j.member.namespace)
	if err := j.hand(ctx, f, id, member, tokens); err != nil {
		return err
	}
	j.say("Registered cluster %s; the federation reaches it at %s", j.cluster, j.endpoint(member))
	if j.timeout == 0 {
		return nil
	}
	wait, cancel := within(ctx, j.timeout)
	defer cancel()
	if err := poll(wait, "cluster "+j.cluster, clusterReady(f, j.cluster)); err != nil {
		return fmt.Errorf("%w. Set right what it says, or take it out again: %s unjoin %s", err, j.name, j.cluster)
	}
	j.say("Cluster %s is Ready", j.cluster)
	return nil
}

// check refuses what would take a name, or a member, from another.
func (j *join) check(ctx context.Context, f client.Reader, id string) error {
	list := &clusterv1alpha1.ClusterList{}
	if err := f.List(ctx, list); err != nil {
		return fmt.Errorf("clusters of the federation: %w", err)
	}
	for i := range list.Items {
		c := &list.Items[i]
		switch {
		case c.Name == j.cluster && c.Spec.SyncMode != clusterv1alpha1.Push:
			return fmt.Errorf("cluster %s: %w: it is in mode %s, with an agent of its own. To change that: %s unregister %s", c.Name, errMode, c.Spec.SyncMode, j.name, c.Name)
		case c.Name == j.cluster && c.Spec.ID != "" && c.Spec.ID != id:
			return fmt.Errorf("cluster %s: %w by another member (spec.id %s, this one is %s). Use another name, or take that one out: %s unjoin %s",
				c.Name, errTaken, c.Spec.ID, id, j.name, c.Name)
		}
	}
	for i := range list.Items {
		if c := &list.Items[i]; c.Name != j.cluster && c.Spec.ID == id {
			return fmt.Errorf("cluster %s: %w, as %s", j.cluster, errJoined, c.Name)
		}
	}
	return nil
}

func (j *join) endpoint(member *cluster) string {
	if j.apiEndpoint != "" {
		return j.apiEndpoint
	}
	return member.config.Host
}

// hand gives the federation what it needs to reach the member.
func (j *join) hand(ctx context.Context, f *cluster, id string, member *cluster, tokens accountTokens) error {
	endpoint := j.endpoint(member)
	if loopback(endpoint) && !loopback(f.config.Host) {
		j.warn("%s is an address of this machine, and the federation is elsewhere: if it does not reach the member, name another with --api-endpoint", endpoint)
	}
	ca, err := caOf(member.config)
	if err != nil {
		return err
	}
	if err := ensure(ctx, f, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names.ClusterNamespace}}); err != nil {
		return err
	}
	secrets := credentialSecrets(j.cluster)
	for name, token := range map[string][]byte{secrets[0]: tokens.worker, secrets[1]: tokens.impersonator} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: names.ClusterNamespace, Name: name}}
		if _, err := controllerutil.CreateOrUpdate(ctx, f, secret, func() error {
			secret.Data = map[string][]byte{"caBundle": ca, "token": token}
			return nil
		}); err != nil {
			return fmt.Errorf("secret %s/%s of the federation: %w", names.ClusterNamespace, name, err)
		}
	}
	c := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: j.cluster}}
	if _, err := controllerutil.CreateOrUpdate(ctx, f, c, func() error {
		c.Spec.ID, c.Spec.SyncMode, c.Spec.APIEndpoint = id, clusterv1alpha1.Push, endpoint
		c.Spec.SecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: names.ClusterNamespace, Name: secrets[0]}
		c.Spec.ImpersonatorSecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: names.ClusterNamespace, Name: secrets[1]}
		c.Spec.InsecureSkipTLSVerification = member.config.Insecure
		if j.region != "" {
			c.Spec.Region = j.region
		}
		if len(j.zones) > 0 {
			c.Spec.Zones = j.zones
		}
		if j.provider != "" {
			c.Spec.Provider = j.provider
		}
		return nil
	}); err != nil {
		return fmt.Errorf("register cluster %s: %w", j.cluster, err)
	}
	return nil
}

// credentialSecrets are the names of a cluster's Secrets in the federation: of its account for work, and of
// its impersonator.
func credentialSecrets(cluster string) [2]string {
	return [2]string{cluster, cluster + "-impersonator"}
}

func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// ensure creates an object unless one of the name is there.
func ensure(ctx context.Context, c client.Client, object client.Object) error {
	if err := c.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("%T %s: %w", object, object.GetName(), err)
	}
	return nil
}
