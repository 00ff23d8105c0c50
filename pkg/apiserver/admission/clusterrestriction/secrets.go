package clusterrestriction

import (
	"context"
	"errors"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// secrets refuses to have the federation use a Secret by whoever may not read it.
func (p *plugin) secrets(ctx context.Context, a admission.Attributes) error {
	if a.GetSubresource() != "" {
		return nil
	}
	switch now := a.GetObject().(type) {
	case *clusterv1alpha1.Cluster:
		return p.sent(ctx, a, now)
	case *meshv1alpha1.Mesh:
		return p.signing(ctx, a, now)
	}
	return nil
}

// sent is about the Secrets of a Cluster: the control plane puts the token of
// spec.secretRef, and the cluster proxy that of spec.impersonatorSecretRef, into
// requests to spec.apiEndpoint. Who names another Secret, or another place for it to
// go, needs the right to get it.
func (p *plugin) sent(ctx context.Context, a admission.Attributes, now *clusterv1alpha1.Cluster) error {
	was, ok := a.GetOldObject().(*clusterv1alpha1.Cluster)
	if !ok || was == nil {
		was = &clusterv1alpha1.Cluster{}
	}
	moved := !apiequality.Semantic.DeepEqual(destination(now), destination(was))
	for _, ref := range []struct {
		path     string
		now, was *clusterv1alpha1.LocalSecretReference
	}{
		{"spec.secretRef", now.Spec.SecretRef, was.Spec.SecretRef},
		{"spec.impersonatorSecretRef", now.Spec.ImpersonatorSecretRef, was.Spec.ImpersonatorSecretRef},
	} {
		if ref.now == nil || !moved && apiequality.Semantic.DeepEqual(ref.now, ref.was) {
			continue
		}
		if err := p.readable(ctx, a, *ref.now, "have the federation send its token to spec.apiEndpoint"); err != nil {
			return admission.NewForbidden(a, fmt.Errorf("%s: %w", ref.path, err))
		}
	}
	return nil
}

// signing is about the Secret of a Mesh: what is in it signs certificates, and keys
// that are in it go to clusters.
func (p *plugin) signing(ctx context.Context, a admission.Attributes, now *meshv1alpha1.Mesh) error {
	ref := now.Spec.Trust.SecretRef
	if ref == nil {
		return nil
	}
	if was, ok := a.GetOldObject().(*meshv1alpha1.Mesh); ok && was != nil && apiequality.Semantic.DeepEqual(ref, was.Spec.Trust.SecretRef) {
		return nil
	}
	if err := p.readable(ctx, a, *ref, "have the federation use it as the CA of a mesh"); err != nil {
		return admission.NewForbidden(a, fmt.Errorf("spec.trust.secretRef: %w", err))
	}
	return nil
}

// destination is where the Secrets of a cluster go, and how safe they are on the way.
func destination(c *clusterv1alpha1.Cluster) clusterv1alpha1.ClusterSpec {
	return clusterv1alpha1.ClusterSpec{
		APIEndpoint:                 c.Spec.APIEndpoint,
		InsecureSkipTLSVerification: c.Spec.InsecureSkipTLSVerification,
		ProxyURL:                    c.Spec.ProxyURL,
		ProxyHeader:                 c.Spec.ProxyHeader,
	}
}

func (p *plugin) readable(ctx context.Context, a admission.Attributes, ref clusterv1alpha1.LocalSecretReference, use string) error {
	decision, reason, err := p.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: a.GetUserInfo(), Verb: "get", APIVersion: "v1", Resource: "secrets",
		Namespace: ref.Namespace, Name: ref.Name, ResourceRequest: true,
	})
	if decision == authorizer.DecisionAllow {
		return nil
	}
	if err == nil && reason != "" {
		err = errors.New(reason)
	}
	said := fmt.Errorf("user %q may not get Secret %s/%s, so may not %s either: an administrator can, or can grant that right", a.GetUserInfo().GetName(), ref.Namespace, ref.Name, use)
	if err != nil {
		return fmt.Errorf("%w (%w)", said, err)
	}
	return said
}
