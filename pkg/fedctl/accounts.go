package fedctl

import (
	"context"
	"errors"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/flotilla-io/flotilla/api/names"
)

// unusedHash satisfies the chart's schema where only its roles are wanted.
const unusedHash = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// everything is cluster-admin.
var everything = []rbacv1.PolicyRule{
	{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}},
	{NonResourceURLs: []string{"*"}, Verbs: []string{"*"}},
}

// impersonation lets the federation's cluster proxy act as its callers, whose rights the member decides on.
// Each extra is a subresource of its own, userextras/<key>, and callers bring what they bring.
var impersonation = []rbacv1.PolicyRule{
	{APIGroups: []string{""}, Resources: []string{"users", "groups", "serviceaccounts"}, Verbs: []string{"impersonate"}},
	{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"*"}, Verbs: []string{"impersonate"}},
}

// accounts are those of a federation in a member, with a role, a binding and a token of the same name each.
type accounts struct {
	worker, impersonator  string
	namespace, federation string
}

func accountsOf(cluster, namespace, federation string) accounts {
	return accounts{
		worker: "flotilla-" + cluster, impersonator: "flotilla-" + cluster + "-impersonator",
		namespace: namespace, federation: federation,
	}
}

type accountTokens struct{ worker, impersonator []byte }

var errForeignAccount = errors.New("is of another federation")

func (a accounts) create(ctx context.Context, member client.Client, rules []rbacv1.PolicyRule) (accountTokens, error) {
	var tokens accountTokens
	if err := ensure(ctx, member, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: a.namespace}}); err != nil {
		return tokens, err
	}
	var err error
	if tokens.worker, err = a.createOne(ctx, member, a.worker, rules); err != nil {
		return tokens, err
	}
	tokens.impersonator, err = a.createOne(ctx, member, a.impersonator, impersonation)
	return tokens, err
}

// createOne brings an account up to date and returns its token.
func (a accounts) createOne(ctx context.Context, member client.Client, name string, rules []rbacv1.PolicyRule) ([]byte, error) {
	place := metav1.ObjectMeta{Namespace: a.namespace, Name: name}
	account := &corev1.ServiceAccount{ObjectMeta: place}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
	secret := &corev1.Secret{ObjectMeta: place}
	for _, object := range []client.Object{account, role, binding, secret} {
		if _, err := controllerutil.CreateOrUpdate(ctx, member, object, func() error {
			if err := a.sign(object); err != nil {
				return err
			}
			switch object {
			case role:
				role.Rules = rules
			case binding:
				binding.RoleRef = rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
				binding.Subjects = []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: a.namespace, Name: name}}
			case secret:
				secret.Type = corev1.SecretTypeServiceAccountToken
				secret.Annotations[corev1.ServiceAccountNameKey] = name
			}
			return nil
		}); err != nil {
			return nil, fmt.Errorf("%T %s of the member: %w", object, name, err)
		}
	}
	err := poll(ctx, "the token of account "+a.namespace+"/"+name, func(ctx context.Context) (bool, string, error) {
		if err := member.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
			return false, "", err
		}
		return len(secret.Data[corev1.ServiceAccountTokenKey]) > 0, "the member's controller-manager has not made it", nil
	})
	return secret.Data[corev1.ServiceAccountTokenKey], err
}

// sign writes down whose an object is, unless it is someone else's.
func (a accounts) sign(object client.Object) error {
	annotations := object.GetAnnotations()
	if owner := annotations[names.FederationAnnotation]; owner != a.federation && (owner != "" || object.GetResourceVersion() != "") {
		return fmt.Errorf("it %w (%s): join under another name or --namespace, or delete it if that one is gone", errForeignAccount, orUnknown(owner))
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[names.FederationAnnotation] = a.federation
	object.SetAnnotations(annotations)
	return nil
}

func orUnknown(text string) string {
	if text == "" {
		return "it does not say which"
	}
	return text
}

// remove deletes what create made, and nothing that another federation did.
func (a accounts) remove(ctx context.Context, member client.Client) (n int, err error) {
	for _, name := range []string{a.worker, a.impersonator} {
		for _, object := range []client.Object{
			&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}},
			&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}},
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: name}},
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: name}},
		} {
			err := member.Get(ctx, client.ObjectKeyFromObject(object), object)
			if client.IgnoreNotFound(err) != nil {
				return n, fmt.Errorf("%T %s of the member: %w", object, name, err)
			}
			if err != nil || object.GetAnnotations()[names.FederationAnnotation] != a.federation {
				continue
			}
			if err := client.IgnoreNotFound(member.Delete(ctx, object)); err != nil {
				return n, fmt.Errorf("%T %s of the member: %w", object, name, err)
			}
			n++
		}
	}
	return n, nil
}

// caOf is the CA of a kubeconfig; none if the server's is a public one, or is not verified.
func caOf(config *rest.Config) ([]byte, error) {
	if len(config.CAData) > 0 || config.CAFile == "" {
		return config.CAData, nil
	}
	raw, err := os.ReadFile(config.CAFile)
	if err != nil {
		return nil, fmt.Errorf("CA of the member: %w", err)
	}
	return raw, nil
}
