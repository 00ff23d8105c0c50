package templates

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// Key identifies a template, whatever version it is served in.
type Key struct {
	schema.GroupKind
	Namespace string // empty for a cluster-scoped template
	Name      string
}

// String is for messages: "Deployment.apps default/web".
func (k Key) String() string {
	if k.Namespace == "" {
		return fmt.Sprintf("%s %s", k.GroupKind, k.Name)
	}
	return fmt.Sprintf("%s %s/%s", k.GroupKind, k.Namespace, k.Name)
}

// KeyOf is the key of an object of a kind.
func KeyOf(gk schema.GroupKind, obj metav1.Object) Key {
	return Key{GroupKind: gk, Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// KeyOfBinding is the key of the template that a binding is for.
func KeyOfBinding(b workv1alpha2.Binding) Key {
	ref := &b.GetSpec().Resource
	return Key{
		GroupKind: schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).GroupKind(),
		Namespace: ref.Namespace,
		Name:      ref.Name,
	}
}
