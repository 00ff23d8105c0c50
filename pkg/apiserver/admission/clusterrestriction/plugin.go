// Package clusterrestriction is the admission plugin that keeps agents to
// themselves. An agent can create the Cluster and the lease of its own name
// only: the authorizer cannot tell, names are not part of create requests. And
// it cannot say where the credentials of its cluster are: it could name those of
// another one, and have them sent to an endpoint of its choice.
package clusterrestriction

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apiserver/pkg/admission"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

// PluginName is how the plugin is switched on and off.
const PluginName = "ClusterRestriction"

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) {
		return plugin{admission.NewHandler(admission.Create, admission.Update)}, nil
	})
}

type plugin struct{ *admission.Handler }

var _ admission.ValidationInterface = plugin{}

// Validate implements admission.ValidationInterface.
func (plugin) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	user := a.GetUserInfo()
	if user == nil || !slices.Contains(user.GetGroups(), names.AgentGroup) {
		return nil
	}
	switch a.GetResource().GroupResource().String() {
	case "clusters.cluster.karmada.io", "leases.coordination.k8s.io":
	default:
		return nil
	}
	if a.GetOperation() == admission.Update {
		return credentials(a)
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

// credentials refuses to set or change what a cluster is reached with.
func credentials(a admission.Attributes) error {
	c, ok := a.GetObject().(*clusterv1alpha1.Cluster)
	if !ok {
		return nil
	}
	before := &clusterv1alpha1.Cluster{}
	if old, ok := a.GetOldObject().(*clusterv1alpha1.Cluster); ok {
		before = old
	}
	for _, f := range []struct {
		path     string
		now, was *clusterv1alpha1.LocalSecretReference
	}{
		{"spec.secretRef", c.Spec.SecretRef, before.Spec.SecretRef},
		{"spec.impersonatorSecretRef", c.Spec.ImpersonatorSecretRef, before.Spec.ImpersonatorSecretRef},
	} {
		if !apiequality.Semantic.DeepEqual(f.now, f.was) {
			return admission.NewForbidden(a, fmt.Errorf("%s: an agent may not say where credentials are; an administrator of the federation has to", f.path))
		}
	}
	return nil
}
