package fedctl

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

var errNotReady = errors.New("not ready")

// wayOut is what usually helps where a step is missing for long; docs/mesh.md has more.
func wayOut(l *meshv1alpha1.MeshLink) string {
	switch l.Step {
	case meshv1alpha1.StepMember:
		return fmt.Sprintf("look whether agent and istiod of %s and %s run: kubectl get clusters; kubectl -n istio-system get pods in both", l.From, l.To)
	case meshv1alpha1.StepCA:
		return "if istiod was there before the CA, restart it in that cluster: kubectl -n istio-system rollout restart deployment istiod"
	case meshv1alpha1.StepNetwork:
		return "look who else sets the label topology.istio.io/network of namespace istio-system there"
	case meshv1alpha1.StepGateway:
		return fmt.Sprintf("look what %s says about its Work: kubectl -n karmada-es-%s get works", l.To, l.To)
	case meshv1alpha1.StepAddress:
		return fmt.Sprintf("give the gateway of %s a load balancer, or write spec.gateway.addresses in the Mesh", l.To)
	case meshv1alpha1.StepProbe:
		return fmt.Sprintf("open the way from pods of %s to the gateway of %s: firewalls, and the port of the gateway", l.From, l.To)
	case meshv1alpha1.StepToken:
		return fmt.Sprintf("look whether the agent of %s may make tokens: agent.mesh.enabled of its chart", l.To)
	case meshv1alpha1.StepSecret:
		return fmt.Sprintf("look whether the agent of %s is connected: kubectl get cluster %s", l.From, l.From)
	case meshv1alpha1.StepSynced:
		return fmt.Sprintf("istiod of %s has to reach the API server of %s: write an address that it does under spec.remoteAccess.servers in the Mesh", l.From, l.To)
	case meshv1alpha1.StepGatewayKnown:
		return fmt.Sprintf("look at the Service of the gateway in %s: its addresses, and the label topology.istio.io/network", l.To)
	case meshv1alpha1.StepEndpoints:
		return fmt.Sprintf("pods of %s need a sidecar to be called from another network", l.To)
	}
	return ""
}

// meshCheck is what programs get.
type meshCheck struct {
	Name    string `json:"name"`
	Ready   bool   `json:"ready"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	Missing []lack `json:"missing"`

	headline string
}

func (c *cli) checkMeshes(_ *cluster, meshes []meshv1alpha1.Mesh, output string) error {
	checks, failed := make([]meshCheck, len(meshes)), []string(nil)
	for i := range meshes {
		m := &meshes[i]
		ready, reason, message := readiness(m)
		checks[i] = meshCheck{Name: m.Name, Ready: ready, Reason: reason, Message: message, Missing: []lack{}}
		if !ready {
			checks[i].Missing = append(checks[i].Missing, lacking(m)...)
			failed = append(failed, m.Name)
		}
		checks[i].headline = headline(m, checks[i].Missing)
	}
	if output == "json" {
		if err := c.sayJSON(struct {
			Ready  bool        `json:"ready"`
			Meshes []meshCheck `json:"meshes"`
		}{len(failed) == 0, checks}); err != nil {
			return err
		}
	} else {
		c.sayChecks(checks)
	}
	if len(failed) > 0 {
		return fmt.Errorf("%s: %w", cmp.Or(strings.Join(failed, ", "), "meshes"), errNotReady)
	}
	return nil
}

func (c *cli) sayChecks(checks []meshCheck) {
	if len(checks) == 0 {
		c.say("There are no meshes.")
	}
	for i := range checks {
		check := &checks[i]
		c.say("%s", check.headline)
		for _, g := range grouped(check.Missing) {
			for j, line := range g.lines() {
				if j == 0 {
					line = "- " + line
				}
				c.say("%s", line)
			}
			if g.Do != "" {
				c.say("  To do: %s", g.Do)
			}
		}
	}
}
