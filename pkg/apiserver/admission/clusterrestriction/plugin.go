// Package clusterrestriction is the admission plugin that keeps agents to
// themselves. An agent can create the Cluster and the lease of its own name
// only: the authorizer cannot tell, names are not part of create requests. And
// it cannot say where the credentials of its cluster are: it could name those of
// another one, and have them sent to an endpoint of its choice. Once a cluster has
// joined, its agent cannot change the Cluster beyond its status and its own
// annotations: with other labels it would be sent the Secrets of policies that
// select by them, with another endpoint the tokens of the cluster proxy. A
// certificate it can ask for under its own name only. And the only Secret it can write
// is the token with which peers in a mesh read its cluster: with another type it could
// be a token of this API server, with another name it could be in somebody's place.
//
// Of everybody else it asks one thing: whoever has the control plane send a Secret to
// some endpoint, as a Cluster does, or use it as the CA of a mesh, has to have the
// right to read that Secret.
package clusterrestriction

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/kubernetes/pkg/apis/certificates"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/identity"
)

// PluginName is how the plugin is switched on and off.
const PluginName = "ClusterRestriction"

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) {
		return &plugin{Handler: admission.NewHandler(admission.Create, admission.Update)}, nil
	})
}

type plugin struct {
	*admission.Handler
	authorizer authorizer.Authorizer
}

var (
	_ admission.ValidationInterface     = &plugin{}
	_ initializer.WantsAuthorizer       = &plugin{}
	_ admission.InitializationValidator = &plugin{}
)

// SetAuthorizer implements initializer.WantsAuthorizer.
func (p *plugin) SetAuthorizer(a authorizer.Authorizer) { p.authorizer = a }

// ValidateInitialization implements admission.InitializationValidator.
func (p *plugin) ValidateInitialization() error {
	if p.authorizer == nil {
		return errors.New(PluginName + ": no authorizer")
	}
	return nil
}

// Validate implements admission.ValidationInterface.
func (p *plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	user := a.GetUserInfo()
	switch {
	case user == nil:
		return nil
	case !slices.Contains(user.GetGroups(), names.AgentGroup):
		return p.secrets(ctx, a)
	}
	switch a.GetResource().GroupResource().String() {
	case "clusters.cluster.karmada.io", "leases.coordination.k8s.io":
	case "certificatesigningrequests.certificates.k8s.io":
		return certificate(a, strings.TrimPrefix(user.GetName(), names.AgentUserPrefix))
	case "secrets":
		return reader(a)
	default:
		return nil
	}
	if a.GetOperation() == admission.Update {
		return untouched(a)
	}
	name := a.GetName()
	if obj, err := meta.Accessor(a.GetObject()); err == nil {
		name = obj.GetName()
	}
	if own := strings.TrimPrefix(user.GetName(), names.AgentUserPrefix); name != own {
		return admission.NewForbidden(a, fmt.Errorf("the agent of cluster %s may create the one called %s only", own, own))
	}
	return credentials(a)
}

// certificate refuses to ask for one that is not the agent's own next one. A name of
// the usual form lets the agent read the answer, and keeps it from taking others'.
func certificate(a admission.Attributes, cluster string) error {
	csr, ok := a.GetObject().(*certificates.CertificateSigningRequest)
	if !ok || a.GetOperation() != admission.Create {
		return nil
	}
	random, ok := strings.CutPrefix(csr.Name, names.RequestPrefix(cluster))
	if !ok || strings.Contains(random, "-") {
		return admission.NewForbidden(a, fmt.Errorf("metadata.name: the agent of cluster %s has to leave it to the server, with generateName %s", cluster, names.RequestPrefix(cluster)))
	}
	request := identity.Request{SignerName: csr.Spec.SignerName, PEM: csr.Spec.Request}
	for _, usage := range csr.Spec.Usages {
		request.Usages = append(request.Usages, string(usage))
	}
	if err := request.Check(cluster); err != nil {
		return admission.NewForbidden(a, fmt.Errorf("the agent of cluster %s may ask for its own next certificate only: %w", cluster, err))
	}
	return nil
}

// credentials refuses a new Cluster that says where credentials are.
func credentials(a admission.Attributes) error {
	c, ok := a.GetObject().(*clusterv1alpha1.Cluster)
	if !ok {
		return nil
	}
	for path, ref := range map[string]*clusterv1alpha1.LocalSecretReference{
		"spec.secretRef":             c.Spec.SecretRef,
		"spec.impersonatorSecretRef": c.Spec.ImpersonatorSecretRef,
	} {
		if ref != nil {
			return admission.NewForbidden(a, fmt.Errorf("%s: an agent may not say where credentials are; an administrator of the federation has to", path))
		}
	}
	return nil
}

// untouched refuses every change of a Cluster but the two that agents make: the
// id of the member, once, and annotations of their own. What policies select by,
// what is tolerated, and where requests go is for administrators to say.
func untouched(a admission.Attributes) error {
	now, ok := a.GetObject().(*clusterv1alpha1.Cluster)
	was, okOld := a.GetOldObject().(*clusterv1alpha1.Cluster)
	if !ok || !okOld || a.GetSubresource() != "" {
		return nil
	}
	allowed := was.Spec
	if allowed.ID == "" {
		allowed.ID = now.Spec.ID
	}
	for _, f := range []struct {
		path      string
		now, want any
	}{
		{"spec", now.Spec, allowed},
		{"metadata.labels", now.Labels, was.Labels},
		{"metadata.annotations", foreign(now.Annotations), foreign(was.Annotations)},
		{"metadata.finalizers", now.Finalizers, was.Finalizers},
		{"metadata.ownerReferences", now.OwnerReferences, was.OwnerReferences},
	} {
		if !apiequality.Semantic.DeepEqual(f.now, f.want) {
			return admission.NewForbidden(a, fmt.Errorf("%s: an agent may not change it after its cluster has joined; an administrator of the federation may", f.path))
		}
	}
	return nil
}

// foreign leaves out the annotations of agents.
func foreign(annotations map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range annotations {
		if !strings.HasPrefix(key, names.AgentAnnotationPrefix) {
			out[key] = value
		}
	}
	return out
}
