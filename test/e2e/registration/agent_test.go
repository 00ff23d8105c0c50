package registration

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// site is a member that is to be a cluster, and a person who does that.
type site struct {
	*lab.Session
	member, cluster string
	// tokenFile is what the agent finds where the token's Secret is mounted.
	tokenFile string
	agent     *process
}

// invitation is what "token create" prints.
type invitation struct {
	Token    string   `json:"token"`
	Server   string   `json:"server"`
	CAHashes []string `json:"caHashes"`
}

func newSite(t *testing.T, member, cluster string) *site {
	t.Helper()
	s := &site{Session: shared.Session(t), member: member, cluster: cluster, tokenFile: filepath.Join(t.TempDir(), "token")}
	t.Cleanup(func() {
		s.stop()
		// The next test finds the member as this one did.
		_, _ = s.tryFedctl("unregister", cluster, "--member-kubeconfig="+s.Kubeconfig(member), "--delete-workloads", "--yes", "--agent-stopped")
	})
	return s
}

func (s *site) tryFedctl(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, lab.Binary("fedctl"), append([]string{"--kubeconfig=" + s.Kubeconfig(lab.Fed)}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *site) fedctl(args ...string) string {
	s.Helper()
	out, err := s.tryFedctl(args...)
	require.NoError(s, err, "fedctl %s\n%s", strings.Join(args, " "), out)
	return out
}

func (s *site) fedctlRefuses(args ...string) string {
	s.Helper()
	out, err := s.tryFedctl(args...)
	require.Error(s, err, "fedctl %s\n%s", strings.Join(args, " "), out)
	return out
}

func (s *site) invite(more ...string) invitation {
	s.Helper()
	var i invitation
	out := s.fedctl(append([]string{"token", "create", "--cluster=" + s.cluster, "--output=json"}, more...)...)
	require.NoError(s, json.Unmarshal([]byte(out), &i))
	return i
}

// registration is the command line for an invitation.
func (s *site) registration(i invitation, more ...string) []string {
	args := []string{
		"register", i.Server, "--cluster-name=" + s.cluster, "--token=" + i.Token, "--ca-hash=" + strings.Join(i.CAHashes, ","),
		"--member-kubeconfig=" + s.Kubeconfig(s.member),
	}
	return append(args, more...)
}

// register installs the agent's chart, and runs what a node would.
func (s *site) register(i invitation, more ...string) {
	s.Helper()
	out := s.fedctl(s.registration(i, append(more, "--timeout=0")...)...)
	require.Contains(s, out, "the token is good for cluster "+s.cluster)
	s.present(i.Token)
	s.start()
}

// present puts a token where the agent looks; an empty one takes it away.
func (s *site) present(token string) {
	s.Helper()
	if token == "" {
		require.NoError(s, os.RemoveAll(s.tokenFile))
		return
	}
	require.NoError(s, os.WriteFile(s.tokenFile, []byte(token), 0o600))
}

// start runs the agent as its Deployment says, with the rights of its service account.
func (s *site) start() {
	s.Helper()
	s.stop()
	var args []string
	raw := s.Run(s.member, "get", "deployment", "flotilla-agent", "--namespace=flotilla-system", "--output=jsonpath={.spec.template.spec.containers[0].args}")
	require.NoError(s, json.Unmarshal([]byte(raw), &args))
	dir := filepath.Join(filepath.Dir(s.tokenFile), "state")
	for i, arg := range args {
		flag, _, _ := strings.Cut(arg, "=")
		switch flag {
		case "--bootstrap-token-file":
			args[i] = flag + "=" + s.tokenFile
		case "--state-dir":
			args[i] = flag + "=" + dir
		case "--health-bind-address":
			args[i] = flag + "=0"
		}
	}
	s.agent = run(s, append(args, "--kubeconfig="+s.account(), "--heartbeat=2s", "--v=1"))
}

// account is a kubeconfig of the agent's service account in the member.
func (s *site) account() string {
	s.Helper()
	return s.speaker(s.member, "flotilla-system", "flotilla-agent")
}

// speaker is a kubeconfig of a service account in the member, whose token is made by
// whom the kubeconfig maker is for.
func (s *site) speaker(maker, namespace, account string) string {
	s.Helper()
	token := strings.TrimSpace(s.Run(maker, "create", "token", account, "--namespace="+namespace, "--duration=2h"))
	path := filepath.Join(filepath.Dir(s.tokenFile), account+".kubeconfig")
	server := s.Run(s.member, "config", "view", "--output=jsonpath={.clusters[0].cluster.server}")
	ca := s.Run(s.member, "config", "view", "--raw", "--output=jsonpath={.clusters[0].cluster.certificate-authority-data}")
	config := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c",
		"clusters":[{"name":"c","cluster":{"server":%q,"certificate-authority-data":%q}}],
		"users":[{"name":"u","user":{"token":%q}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`, server, ca, token)
	require.NoError(s, os.WriteFile(path, []byte(config), 0o600))
	return path
}

func (s *site) stop() {
	if s.agent != nil {
		s.agent.stop()
		s.agent = nil
	}
}

// ready waits until the federation sees the cluster.
func (s *site) ready() {
	s.Helper()
	s.Eventually("cluster "+s.cluster+" is Ready", func() (string, bool) {
		out, err := s.Try(lab.Fed, "get", "cluster", s.cluster, `--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
		seen := out + errorText(err)
		if s.agent != nil {
			seen += "\nThe agent says:\n" + s.agent.tail()
		}
		return seen, out == "True"
	})
}

// says waits until the agent has said all of these.
func (s *site) says(texts ...string) {
	s.Helper()
	s.Eventually(fmt.Sprintf("the agent says %q", texts), func() (string, bool) {
		said := s.agent.said()
		for _, text := range texts {
			if !strings.Contains(said, text) {
				return s.agent.tail(), false
			}
		}
		return "", true
	})
	require.True(s, s.agent.alive(), "it goes on trying")
}

// propagate brings a Deployment into the member and waits for it.
func (s *site) propagate(namespace string) {
	s.Helper()
	s.Namespace = namespace
	s.Apply(lab.Fed, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+namespace+"}\n")
	s.Cleanup(func() { _, _ = s.Try(lab.Fed, "delete", "namespace", namespace, "--wait=false") })
	s.Apply(lab.Fed, lab.Policy{
		Name: "any", Selectors: []string{lab.AllDeployments, lab.AllConfigMaps, "{apiVersion: v1, kind: LimitRange}"}, Clusters: []string{s.cluster},
	}.String()+lab.Deployment("web", 1))
	s.Shows(s.member, "deployment.apps/web", "get", "deployment", "web", "--output=name", "--ignore-not-found")
	s.Shows(lab.Fed, "1", "get", "deployment", "web", "--output=jsonpath={.status.readyReplicas}")
}

// stored is what the agent keeps in the member.
func (s *site) stored() (crt, key []byte) {
	s.Helper()
	var secret struct{ Data map[string]string }
	raw := s.Run(s.member, "get", "secret", "flotilla-agent-identity", "--namespace=flotilla-system", "--output=json")
	require.NoError(s, json.Unmarshal([]byte(raw), &secret))
	crt, err := base64.StdEncoding.DecodeString(secret.Data["tls.crt"])
	require.NoError(s, err)
	key, err = base64.StdEncoding.DecodeString(secret.Data["tls.key"])
	require.NoError(s, err)
	return crt, key
}

// with is a kubeconfig of the federation for a certificate.
func (s *site) with(crt, key []byte) string {
	s.Helper()
	server := s.Run(lab.Fed, "config", "view", "--output=jsonpath={.clusters[0].cluster.server}")
	ca := s.Run(lab.Fed, "config", "view", "--raw", "--output=jsonpath={.clusters[0].cluster.certificate-authority-data}")
	path := filepath.Join(s.TempDir(), "kubeconfig")
	config := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c",
		"clusters":[{"name":"c","cluster":{"server":%q,"certificate-authority-data":%q}}],
		"users":[{"name":"u","user":{"client-certificate-data":%q,"client-key-data":%q}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`,
		server, ca, base64.StdEncoding.EncodeToString(crt), base64.StdEncoding.EncodeToString(key))
	require.NoError(s, os.WriteFile(path, []byte(config), 0o600))
	return path
}

// process is an agent that runs beside the test.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	mu    sync.Mutex
	text  bytes.Buffer
}

func run(s *site, args []string) *process {
	s.Helper()
	p := &process{cmd: exec.Command(lab.Binary("agent"), args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	require.NoError(s, p.cmd.Start())
	go func() { defer close(p.ended); _ = p.cmd.Wait() }()
	s.Cleanup(p.stop)
	return p
}

// Write collects what the agent says.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func (p *process) tail() string {
	lines := strings.Split(strings.TrimSpace(p.said()), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) stop() {
	if p.alive() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(20 * time.Second):
			_ = p.cmd.Process.Kill()
		}
	}
	<-p.ended
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
