// Package clusterrestriction is the admission plugin that keeps agents to
// themselves: an agent can create the Cluster and the lease of its own name
// only. The authorizer cannot tell, names are not part of create requests.
package clusterrestriction

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apiserver/pkg/admission"

	"github.com/flotilla-io/flotilla/api/names"
)

// PluginName is how the plugin is switched on and off.
const PluginName = "ClusterRestriction"

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) {
		return plugin{admission.NewHandler(admission.Create)}, nil
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
	name := a.GetName()
	if obj, err := meta.Accessor(a.GetObject()); err == nil {
		name = obj.GetName()
	}
	if own := strings.TrimPrefix(user.GetName(), names.AgentUserPrefix); name != own {
		return admission.NewForbidden(a, fmt.Errorf("the agent of cluster %s may create the one called %s only", own, own))
	}
	return nil
}
