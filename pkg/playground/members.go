package playground

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// memberChild is the control plane of one member.
func (p *playground) memberChild(name string) child {
	childName := "member-" + name
	moved := false
	return child{
		name:  childName,
		title: "member " + name,
		role:  RoleMember,
		grace: 12 * time.Second,
		command: func() (*exec.Cmd, error) {
			port, changed, err := p.state.port(childName)
			if err != nil {
				return nil, err
			}
			if changed {
				p.tell.say("the port of member %s was taken; it is now %d", name, port)
			}
			moved = moved || changed
			pods, err := p.state.podCIDR(name)
			if err != nil {
				return nil, err
			}
			return exec.Command(p.self, "member",
				"--name="+name,
				"--dir="+p.layout.member(name),
				"--kubeconfig="+p.kubeconfig(name),
				"--ready-file="+p.memberReady(name),
				"--port="+strconv.Itoa(port),
				"--pod-cidr="+pods.String(),
				"--nodes="+strconv.Itoa(p.Nodes),
				"--verbosity="+strconv.Itoa(p.Verbosity),
			), nil
		},
		ready: func(ctx context.Context, pid int, _ time.Time) (bool, error) {
			// The file of a process that was killed may still be there.
			data, err := os.ReadFile(p.memberReady(name))
			if err != nil || strings.TrimSpace(string(data)) != strconv.Itoa(pid) {
				return false, err
			}
			if moved {
				moved = false
				return true, p.announceMove(ctx, name)
			}
			return true, nil
		},
	}
}

// announceMove tells whoever knows the old address of a member the new one.
func (p *playground) announceMove(ctx context.Context, name string) error {
	if p.Mode == Pull {
		// An agent reads its kubeconfig when it starts.
		p.restartAgents(name)
		return nil
	}
	select {
	case <-p.federation.firstReady:
		return p.registerPush(ctx, name)
	default:
		// It is registered for the first time later, with this address.
		return nil
	}
}
