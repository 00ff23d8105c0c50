package clusterrestriction

import (
	"fmt"
	"strings"

	"k8s.io/apiserver/pkg/admission"
	core "k8s.io/kubernetes/pkg/apis/core"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// reader refuses an agent every Secret but the token of a mesh's reader. The
// authorizer has looked at the namespace, and at the name where a request has one;
// Kubernetes lets nobody change the type of a Secret that is there.
func reader(a admission.Attributes) error {
	secret, ok := a.GetObject().(*core.Secret)
	if !ok {
		return nil
	}
	mesh, ok := strings.CutPrefix(secret.Name, meshv1alpha1.ReaderSecretPrefix)
	switch {
	case !ok || mesh == "":
		return admission.NewForbidden(a, fmt.Errorf("metadata.name: an agent may write Secrets called %s<mesh> only", meshv1alpha1.ReaderSecretPrefix))
	case secret.Type != core.SecretType(meshv1alpha1.ReaderSecretType):
		return admission.NewForbidden(a, fmt.Errorf("type: an agent may write Secrets of type %s only", meshv1alpha1.ReaderSecretType))
	case len(secret.Finalizers) > 0:
		// It would outlive the cluster, and keep its namespace.
		return admission.NewForbidden(a, fmt.Errorf("metadata.finalizers: an agent may not keep its Secrets from being deleted"))
	}
	if size := sizeOf(secret.Data); size > meshv1alpha1.MaxReaderSecret {
		return admission.NewForbidden(a, fmt.Errorf("data: %d bytes are more than the %d of a token, a CA and a URL", size, meshv1alpha1.MaxReaderSecret))
	}
	if was, ok := a.GetOldObject().(*core.Secret); ok && was != nil && was.Type != secret.Type {
		return admission.NewForbidden(a, fmt.Errorf("type: the Secret is of type %s, so it is not the agent's", was.Type))
	}
	return nil
}

func sizeOf(data map[string][]byte) int {
	size := 0
	for key, value := range data {
		size += len(key) + len(value)
	}
	return size
}
