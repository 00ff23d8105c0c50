package apply

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

func TestDescribe(t *testing.T) {
	key := inventory.Key{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}
	deployments := schema.GroupResource{Group: "apps", Resource: "deployments"}
	invalid := func(detail string) error {
		return apierrors.NewInvalid(key.GroupKind(), "web", field.ErrorList{field.Invalid(field.NewPath("spec", "selector"), strings.Repeat("x", 2000), detail)})
	}
	terminating := apierrors.NewForbidden(deployments, "web", errors.New("being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, tc := range map[string]struct {
		reason    string
		err       error
		want      string
		says      []string
		transient bool
	}{
		"immutable":   {"field and way out are named", invalid("field is immutable"), ReasonImmutable, []string{"spec.selector", "immutable", "delete the object"}, false},
		"invalid":     {"the field is named", invalid("must be shorter"), ReasonInvalid, []string{"spec.selector", "must be shorter"}, false},
		"namespace":   {"it is told from a missing object", apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop"), ReasonNamespaceMissing, []string{"namespace shop", "Propagate"}, false},
		"terminating": {"not a matter of permissions", terminating, ReasonNamespaceTerminating, []string{"namespace shop"}, false},
		"forbidden":   {"the refusal is quoted", apierrors.NewForbidden(deployments, "web", errors.New("exceeded quota: q")), ReasonForbidden, []string{"exceeded quota: q", "permission"}, false},
		"unreachable": {"no answer says nothing about the manifest", errors.New("connection refused"), ReasonUnreachable, []string{"connection refused"}, true},
		"overload":    {"nor does an overloaded server", apierrors.NewTooManyRequests("slow down", 1), ReasonFailed, []string{"slow down"}, true},
		"internal":    {"nor a broken one", apierrors.NewInternalError(errors.New("etcd")), ReasonFailed, []string{"etcd"}, true},
		"expired":     {"nor credentials that ran out", apierrors.NewUnauthorized("who are you"), ReasonFailed, []string{"who are you"}, true},
		"other":       {"anything else is quoted", apierrors.NewGenericServerResponse(http.StatusMethodNotAllowed, "PATCH", deployments, "web", "not allowed", 0, false), ReasonFailed, []string{"does not allow this method"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := describe(tc.err, key, "eu")
			require.Equal(t, tc.want, f.Reason, tc.reason)
			require.Equal(t, tc.transient, f.Transient, tc.reason)
			require.ErrorIs(t, f, tc.err)
			for _, part := range append(tc.says, "Deployment.apps shop/web", "cluster eu") {
				require.Contains(t, f.Message, part, tc.reason)
			}
			require.Less(t, len(f.Message), 1000, "messages stay readable")
			require.Same(t, f, describe(f, key, "eu"), "a failure is not described twice")
		})
	}
}

func TestOrder(t *testing.T) {
	keys := []inventory.Key{
		{Group: "example.com", Kind: "Widget", Namespace: "n", Name: "w"},
		{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration", Name: "v"},
		{Group: "apps", Kind: "Deployment", Namespace: "n", Name: "d"},
		{Kind: "ConfigMap", Namespace: "n", Name: "c"},
		{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding", Namespace: "n", Name: "b"},
		{Group: "rbac.authorization.k8s.io", Kind: "Role", Namespace: "n", Name: "r"},
		{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Name: "widgets"},
		{Kind: "Namespace", Name: "n"},
	}
	kindsOf := func() (out []string) {
		for _, key := range keys {
			out = append(out, key.Kind)
		}
		return out
	}
	want := []string{"Namespace", "CustomResourceDefinition", "ConfigMap", "Role", "RoleBinding", "Deployment", "Widget", "ValidatingWebhookConfiguration"}
	sortForApply(keys)
	require.Equal(t, want, kindsOf())
	sortForDelete(keys)
	for i, j := 0, len(want)-1; i < j; i, j = i+1, j-1 {
		want[i], want[j] = want[j], want[i]
	}
	require.Equal(t, want, kindsOf())
}
