package fedctl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

// leave takes a member out.
type leave struct {
	*cli
	member          memberFlags
	mode            clusterv1alpha1.ClusterSyncMode
	cluster         string
	deleteWorkloads bool
	yes             bool
	timeout         time.Duration
}

func (c *cli) unregisterCommand() *cobra.Command {
	l := &leave{cli: c, mode: clusterv1alpha1.Pull}
	return l.command("unregister NAME", "Take out a member that has an agent of its own (pull mode)", `Take out a member that has an agent of its own: its certificate and its tokens do
not count from now on, and its Cluster is deleted. With --member-kubeconfig, the
agent is removed from the member, too.`)
}

func (c *cli) unjoinCommand() *cobra.Command {
	l := &leave{cli: c, mode: clusterv1alpha1.Push}
	return l.command("unjoin NAME", "Take out a member that the federation connects to (push mode)", `Take out a member that the federation connects to: its Cluster and its credentials
are deleted. With --member-kubeconfig, the federation's accounts are removed from the
member, too.`)
}

func (l *leave) command(use, short, long string) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		Long: long + `

Workloads stay in the member, unless --delete-workloads is given.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l.cluster = args[0]
			return l.run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&l.deleteWorkloads, "delete-workloads", false, "delete what the federation has brought into the member; needs --member-kubeconfig")
	fs.BoolVarP(&l.yes, "yes", "y", false, "do not ask before workloads are deleted")
	fs.DurationVar(&l.timeout, "timeout", 2*time.Minute, "how long to wait for each step; 0: as long as it takes")
	l.member.add(cmd, "empty: the member is not touched")
	return cmd
}

var errNeedsMember = errors.New("--delete-workloads needs the member: add --member-kubeconfig or --member-context")

// other is the command for the other mode.
func (l *leave) other() string {
	if l.mode == clusterv1alpha1.Pull {
		return "unjoin"
	}
	return "unregister"
}

func (l *leave) run(ctx context.Context) error {
	if err := checkClusterName(l.cluster); err != nil {
		return err
	}
	if l.deleteWorkloads && !l.member.given() {
		return errNeedsMember
	}
	f, err := l.connectFederation()
	if err != nil {
		return err
	}
	found, err := l.find(ctx, f)
	if err != nil {
		return err
	}
	var m *memberSide
	if l.member.given() {
		if m, err = l.openMember(ctx, f, found); err != nil {
			return err
		}
	}
	if l.deleteWorkloads {
		if err := m.survey(ctx); err != nil {
			return err
		}
		if err := l.confirm(m.workloads); err != nil {
			return err
		}
	}
	if err := l.leaveFederation(ctx, f, found); err != nil {
		return err
	}
	if m == nil {
		l.say("The member was not touched: its workloads stay, and so does what Flotilla runs there")
		return nil
	}
	if err := m.removeOurs(ctx); err != nil {
		return err
	}
	if !l.deleteWorkloads {
		l.say("Workloads in the member stay")
		return nil
	}
	return m.deleteWorkloads(ctx)
}

// find reads the Cluster; nil if there is none. One of the other mode is refused.
func (l *leave) find(ctx context.Context, f client.Reader) (*clusterv1alpha1.Cluster, error) {
	c := &clusterv1alpha1.Cluster{}
	err := f.Get(ctx, client.ObjectKey{Name: l.cluster}, c)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", l.cluster, err)
	}
	if c.Spec.SyncMode != l.mode {
		return nil, fmt.Errorf("cluster %s: %w, %s: use %s %s %s", l.cluster, errMode, c.Spec.SyncMode, l.name, l.other(), l.cluster)
	}
	return c, nil
}

var errNotConfirmed = errors.New("not confirmed, nothing was done")

func (l *leave) confirm(w *workloads) error {
	if w.count() == 0 {
		l.say("There are no workloads of this federation in the member")
		return nil
	}
	l.say("To be deleted in the member at %s:\n\n%s", w.host, w.summary())
	if l.yes {
		return nil
	}
	_, _ = fmt.Fprintf(l.Out, "Type the cluster's name, %s, to go on: ", l.cluster)
	line, err := bufio.NewReader(l.In).ReadString('\n')
	if strings.TrimSpace(line) != l.cluster {
		l.say("")
		return errNotConfirmed
	}
	return ignoreEnd(err)
}

func (l *leave) leaveFederation(ctx context.Context, f *cluster, found *clusterv1alpha1.Cluster) error {
	ctx, cancel := within(ctx, l.timeout)
	defer cancel()
	var good time.Time
	if l.mode == clusterv1alpha1.Pull {
		n, err := deleteTokensOf(ctx, f, l.cluster)
		if err != nil {
			return err
		}
		if good, err = revoke(ctx, f, l.cluster); err != nil {
			return err
		}
		l.say("Revoked the agent's certificates, and deleted %s", plural(n, "token"))
	}
	if found == nil {
		l.say("There is no Cluster %s", l.cluster)
	} else {
		if err := deleteAndWait(ctx, f, found, "cluster "+l.cluster); err != nil {
			return err
		}
		l.say("Deleted Cluster %s", l.cluster)
	}
	if l.mode == clusterv1alpha1.Push {
		for _, name := range credentialSecrets(l.cluster) {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: names.ClusterNamespace, Name: name}}
			if err := client.IgnoreNotFound(f.Delete(ctx, secret)); err != nil {
				return fmt.Errorf("secret %s/%s of the federation: %w", names.ClusterNamespace, name, err)
			}
		}
		l.say("Deleted its credentials")
		return nil
	}
	// A certificate of the second of the revocation does not count either: whoever joins after this does.
	return poll(ctx, "the end of the revocation's second", func(context.Context) (bool, string, error) {
		return f.clock.now().After(good), "", nil
	})
}

// revoke makes certificates of an agent void that were issued up to now, and returns that time.
func revoke(ctx context.Context, f *cluster, name string) (time.Time, error) {
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: names.RevokedAgents}}
	var at time.Time
	err := retry.OnError(retry.DefaultBackoff, func(err error) bool {
		return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)
	}, func() error {
		_, err := controllerutil.CreateOrUpdate(ctx, f, config, func() error {
			if config.Data == nil {
				config.Data = map[string]string{}
			}
			at = f.clock.now() // after the read, which has brought the server's time
			config.Data[name] = at.Format(time.RFC3339)
			return nil
		})
		return err
	})
	if err != nil {
		return at, fmt.Errorf("revoke the certificates of cluster %s, ConfigMap kube-system/%s: %w", name, names.RevokedAgents, err)
	}
	return at, nil
}

// deleteAndWait deletes an object and waits until it, by UID, is gone.
func deleteAndWait(ctx context.Context, c client.Client, object client.Object, what string) error {
	uid := object.GetUID()
	if err := client.IgnoreNotFound(c.Delete(ctx, object, client.Preconditions{UID: &uid})); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return poll(ctx, what, func(ctx context.Context) (bool, string, error) {
		err := c.Get(ctx, client.ObjectKeyFromObject(object), object)
		if apierrors.IsNotFound(err) {
			return true, "", nil
		}
		if err != nil {
			return notYet(err)
		}
		return object.GetUID() != uid, fmt.Sprintf("it is being deleted, and waits for %s", strings.Join(object.GetFinalizers(), ", ")), nil
	})
}

func plural(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
