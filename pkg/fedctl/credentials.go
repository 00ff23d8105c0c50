package fedctl

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

// credentialsLabel names the cluster that a Secret in the federation is the credentials of. Secrets of
// everybody's making are in that namespace.
const credentialsLabel = "fedctl.flotilla.io/credentials-of"

// impersonatorSuffix ends the name of the second Secret.
const impersonatorSuffix = "-impersonator"

var errForeignSecret = errors.New("is not this cluster's")

// credentials are a cluster's Secrets in the federation: of its account for work, and of its impersonator.
type credentials struct {
	cluster string
	// found is the Cluster that is there, nil if none is: Secrets that it refers to are its own without a label.
	found *clusterv1alpha1.Cluster
}

func (c credentials) names() [2]string {
	return [2]string{c.cluster, c.cluster + impersonatorSuffix}
}

func (c credentials) owns(secret *corev1.Secret) bool {
	if owner := secret.Labels[credentialsLabel]; owner != "" || c.found == nil {
		return owner == c.cluster
	}
	for _, ref := range []*clusterv1alpha1.LocalSecretReference{c.found.Spec.SecretRef, c.found.Spec.ImpersonatorSecretRef} {
		if ref != nil && ref.Namespace == secret.Namespace && ref.Name == secret.Name {
			return true
		}
	}
	return false
}

func (c credentials) write(ctx context.Context, f client.Client, ca []byte, tokens accountTokens) error {
	for i, token := range [][]byte{tokens.worker, tokens.impersonator} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: names.ClusterNamespace, Name: c.names()[i]}}
		if _, err := controllerutil.CreateOrUpdate(ctx, f, secret, func() error {
			if secret.ResourceVersion != "" && !c.owns(secret) {
				return fmt.Errorf("it %w: label %s is %q. Join under another name, or delete it if nobody needs it",
					errForeignSecret, credentialsLabel, secret.Labels[credentialsLabel])
			}
			metav1.SetMetaDataLabel(&secret.ObjectMeta, credentialsLabel, c.cluster)
			secret.Data = map[string][]byte{"caBundle": ca, "token": token}
			return nil
		}); err != nil {
			return fmt.Errorf("secret %s/%s of the federation: %w", secret.Namespace, secret.Name, err)
		}
	}
	return nil
}

// remove deletes the Secrets and returns how many there were, and the names of those that are others'.
func (c credentials) remove(ctx context.Context, f client.Client) (n int, others []string, err error) {
	for _, name := range c.names() {
		secret := &corev1.Secret{}
		err := f.Get(ctx, client.ObjectKey{Namespace: names.ClusterNamespace, Name: name}, secret)
		if client.IgnoreNotFound(err) != nil {
			return n, others, fmt.Errorf("secret %s/%s of the federation: %w", names.ClusterNamespace, name, err)
		}
		if err != nil {
			continue
		}
		if !c.owns(secret) {
			others = append(others, names.ClusterNamespace+"/"+name)
			continue
		}
		if err := client.IgnoreNotFound(f.Delete(ctx, secret, client.Preconditions{UID: &secret.UID})); err != nil {
			return n, others, fmt.Errorf("secret %s/%s of the federation: %w", names.ClusterNamespace, name, err)
		}
		n++
	}
	return n, others, nil
}
