package playground

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/flotilla-io/flotilla/pkg/playground/pki"
)

// provider is who runs the members.
const provider = "playground"

// clusterUser and clusterGroup are who an agent is for the federation.
const (
	clusterUserPrefix = "system:cluster:"
	clusterGroup      = "system:clusters"
)

// zones are the zones of a member, as its nodes are labelled: three at most,
// and the region has the name of the member.
func zones(name string, nodes int) []string {
	var list []string
	for i := range min(nodes, 3) {
		list = append(list, fmt.Sprintf("%s-%c", name, 'a'+rune(i)))
	}
	return list
}

// agentChild is the agent of one member.
func (p *playground) agentChild(name string) child {
	return child{
		name:  "agent-" + name,
		title: "agent of " + name,
		role:  RoleAgent,
		grace: 8 * time.Second,
		command: func() (*exec.Cmd, error) {
			return exec.Command(p.binaries.agent,
				"--cluster-name="+name,
				"--federation-kubeconfig="+p.agentKubeconfig(name),
				"--kubeconfig="+p.kubeconfig(name),
				"--state-dir="+p.layout.agent(name, "state"),
				"--sync-mode=Pull",
				"--cluster-region="+name,
				"--cluster-zones="+strings.Join(zones(name, p.Nodes), ","),
				"--cluster-provider="+provider,
				fmt.Sprintf("--v=%d", p.Verbosity),
			), nil
		},
		ready: func(ctx context.Context, _ int, since time.Time) (bool, error) {
			c, err := p.federationClient()
			if err != nil {
				return false, err
			}
			return clusterReady(ctx, c, name, since)
		},
	}
}

func (p *playground) agentKubeconfig(name string) string {
	return p.layout.agent(name, "federation.kubeconfig")
}

// renewAgentKubeconfigs makes the kubeconfigs with which agents reach the
// federation, and their certificates where these are missing or old. Agents
// that run with another address are started again.
func (p *playground) renewAgentKubeconfigs(server string) error {
	if p.Mode != Pull {
		return nil
	}
	ca, err := pki.LoadAuthority(
		filepath.Join(p.layout.federation(), "pki", "ca.crt"),
		filepath.Join(p.layout.federation(), "pki", "ca.key"))
	if err != nil {
		return fmt.Errorf("the federation's certificate authority: %w", err)
	}
	for _, name := range p.Members {
		changed, err := renewAgentKubeconfig(ca, p.layout.agent(name, "federation"), name, server, time.Now())
		if err != nil {
			return err
		}
		if changed {
			p.restartAgents(name)
		}
	}
	return nil
}

// renewAgentKubeconfig writes base.kubeconfig, with base.crt and base.key. It
// reports whether a kubeconfig that had been there named another server.
func renewAgentKubeconfig(ca *pki.Authority, base, name, server string, now time.Time) (moved bool, err error) {
	leaf := pki.Leaf{CommonName: clusterUserPrefix + name, Organization: []string{clusterGroup}}
	if _, err := ca.Ensure(base+".crt", base+".key", leaf, now); err != nil {
		return false, err
	}
	k := pki.Kubeconfig{Name: "federation", Server: server, CA: ca.PEM}
	if k.ClientCert, err = os.ReadFile(base + ".crt"); err != nil {
		return false, err
	}
	if k.ClientKey, err = os.ReadFile(base + ".key"); err != nil {
		return false, err
	}
	if old, err := clientConfig(base + ".kubeconfig"); err == nil {
		moved = old.Host != server
	}
	return moved, k.WriteFile(base + ".kubeconfig")
}
