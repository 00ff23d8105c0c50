package playground

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/api/scheme"
)

const (
	// memberNamespace is where the federation's accounts are in a member.
	memberNamespace = "flotilla-system"
	workAccount     = "flotilla-federation"
	impersonator    = "flotilla-impersonator"
)

// joinPush registers a member for the federation to connect to, and waits
// until it is Ready. It may be called again: what is there is brought up to
// date.
func (p *playground) joinPush(ctx context.Context, name string) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := p.registerPush(ctx, name); err != nil {
		return err
	}
	federation, err := p.federationClient()
	if err != nil {
		return err
	}
	var last error
	told := began
	err = wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		ok, err := clusterReady(ctx, federation, name, p.federation.since())
		last = err
		if !ok && time.Since(told) >= patience {
			told = time.Now()
			p.tell.say("cluster %s is not ready after %s, %s", name, seconds(time.Since(began)), waiting(err))
		}
		return ok, nil
	})
	if err != nil {
		return &startError{title: "cluster " + name, logFile: p.log(federationName), err: errors.Join(err, last)}
	}
	p.tell.say("member %s joined in %s", name, seconds(time.Since(began)))
	return nil
}

func (p *playground) registerPush(ctx context.Context, name string) error {
	config, err := clientConfig(p.kubeconfig(name))
	if err != nil {
		return err
	}
	member, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return err
	}
	federation, err := p.federationClient()
	if err != nil {
		return err
	}
	place := clusterv1alpha1.ClusterSpec{Region: name, Zones: zones(name, p.Nodes), Provider: provider}
	if err := register(ctx, member, federation, name, config, place); err != nil {
		return fmt.Errorf("registering member %s: %w", name, err)
	}
	return nil
}

// register makes the accounts in the member and hands their tokens to the
// federation, with a Cluster object that names them and where the member is.
func register(ctx context.Context, member, federation client.Client, name string, config *rest.Config, place clusterv1alpha1.ClusterSpec) error {
	system := &corev1.Namespace{}
	if err := member.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, system); err != nil {
		return err
	}
	if err := ensure(ctx, member, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: memberNamespace}}); err != nil {
		return err
	}
	workSecret, err := account(ctx, member, workAccount, []rbacv1.PolicyRule{
		{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}},
		{NonResourceURLs: []string{"*"}, Verbs: []string{"get"}},
	})
	if err != nil {
		return err
	}
	impersonatorSecret, err := account(ctx, member, impersonator, []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"users", "groups", "serviceaccounts"}, Verbs: []string{"impersonate"}},
		// Each extra is a subresource of its own, userextras/<key>, and callers bring what they bring.
		{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"*"}, Verbs: []string{"impersonate"}},
	})
	if err != nil {
		return err
	}

	if err := ensure(ctx, federation, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names.ClusterNamespace}}); err != nil {
		return err
	}
	token := func(from *corev1.Secret, extra map[string][]byte) map[string][]byte {
		extra["token"] = from.Data[corev1.ServiceAccountTokenKey]
		return extra
	}
	if err := setSecret(ctx, federation, name, token(workSecret, map[string][]byte{"caBundle": config.CAData})); err != nil {
		return err
	}
	if err := setSecret(ctx, federation, name+"-impersonator", token(impersonatorSecret, map[string][]byte{})); err != nil {
		return err
	}
	cluster := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err = controllerutil.CreateOrUpdate(ctx, federation, cluster, func() error {
		cluster.Spec.Region, cluster.Spec.Zones, cluster.Spec.Provider = place.Region, place.Zones, place.Provider
		cluster.Spec.ID = string(system.UID)
		cluster.Spec.SyncMode = clusterv1alpha1.Push
		cluster.Spec.APIEndpoint = config.Host
		cluster.Spec.SecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: names.ClusterNamespace, Name: name}
		cluster.Spec.ImpersonatorSecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: names.ClusterNamespace, Name: name + "-impersonator"}
		return nil
	})
	return err
}

// account makes a service account with its rules, and returns the Secret with
// its token once the member has filled it.
func account(ctx context.Context, c client.Client, name string, rules []rbacv1.PolicyRule) (*corev1.Secret, error) {
	inNamespace := metav1.ObjectMeta{Namespace: memberNamespace, Name: name}
	secret := &corev1.Secret{ObjectMeta: inNamespace, Type: corev1.SecretTypeServiceAccountToken}
	secret.Annotations = map[string]string{corev1.ServiceAccountNameKey: name}
	for _, obj := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: inNamespace},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: memberNamespace, Name: name}},
		},
		secret,
	} {
		if err := ensure(ctx, c, obj); err != nil {
			return nil, err
		}
	}
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		err := c.Get(ctx, client.ObjectKeyFromObject(secret), secret)
		return len(secret.Data[corev1.ServiceAccountTokenKey]) > 0, err
	})
	if err != nil {
		return nil, fmt.Errorf("token of service account %s: %w", name, err)
	}
	return secret, nil
}

// ensure creates an object unless one of the name is there.
func ensure(ctx context.Context, c client.Client, obj client.Object) error {
	if err := c.Create(ctx, obj); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

func setSecret(ctx context.Context, c client.Client, name string, data map[string][]byte) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: names.ClusterNamespace, Name: name}}
	_, err := controllerutil.CreateOrUpdate(ctx, c, secret, func() error {
		secret.Data = data
		return nil
	})
	return err
}
