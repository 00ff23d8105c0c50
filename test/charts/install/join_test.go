//go:build linux

package install

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/pkg/playground/pki"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// What fedctl token create prints.
var (
	printedHelm     = regexp.MustCompile(`(?ms)^  (helm install .*?[^\\])$`)
	printedRegister = regexp.MustCompile(`(?ms)^  (fedctl register .*?[^\\])$`)
)

// joinAsPrinted types a command that fedctl prints, in a clone, with the member's
// kubeconfig, and waits for the agent.
func (f *federation) joinAsPrinted(r release, printed *regexp.Regexp) error {
	out, err := f.command("fedctl", "--kubeconfig="+f.fed(), "token", "create", "--cluster="+r.cluster)
	if err != nil {
		return err
	}
	found := printed.FindStringSubmatch(out)
	if found == nil {
		return fmt.Errorf("fedctl token create prints no command like %s:\n%s", printed, out)
	}
	ctx, cancel := context.WithTimeout(f.Context(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", found[1])
	cmd.Dir = lab.Repository()
	cmd.Env = append(f.environment(), "KUBECONFIG="+kubeconfig(r.cluster), "PATH="+filepath.Dir(lab.Binary("helm"))+":"+os.Getenv("PATH"))
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("$ %s\n%w\n%s", found[1], err, said)
	}
	_, err = f.Try(kubeconfig(r.cluster), "--namespace="+r.namespace, "rollout", "status", "deployment/flotilla-agent", "--timeout=1m")
	return err
}

// joinByCertificate is the way of the old guides: a certificate that somebody with the
// federation's CA makes, and values of agent.kubeconfig.
func (f *federation) joinByCertificate(r release) error {
	secret, err := world.host.Client.CoreV1().Secrets(f.namespace).Get(f.Context(), "flotilla-pki", metav1.GetOptions{})
	if err != nil {
		return err
	}
	path := func(name string) string { return filepath.Join(f.dir, name) }
	for _, name := range []string{"ca.crt", "ca.key"} {
		if err := os.WriteFile(path(name), secret.Data[name], 0o600); err != nil {
			return err
		}
	}
	ca, err := pki.LoadAuthority(path("ca.crt"), path("ca.key"))
	if err != nil {
		return err
	}
	leaf := pki.Leaf{CommonName: "system:cluster:" + r.cluster, Organization: []string{"system:clusters"}}
	if _, err := ca.Ensure(path("agent.crt"), path("agent.key"), leaf, time.Now()); err != nil {
		return err
	}
	return f.helm(r, "install", append(chart([]string{
		"installMode=agent", "agent.clusterName=" + r.cluster, "agent.kubeconfig.server=" + f.server,
	}), "--create-namespace", "--set-file=agent.kubeconfig.caCrt="+path("ca.crt"),
		"--set-file=agent.kubeconfig.crt="+path("agent.crt"), "--set-file=agent.kubeconfig.key="+path("agent.key"))...)
}

// joining are the values that let a cluster's agent join.
func (f *federation) joining(cluster string) []string {
	f.Helper()
	var token struct {
		Token    string   `json:"token"`
		Server   string   `json:"server"`
		CAHashes []string `json:"caHashes"`
	}
	out, err := f.command("fedctl", "--kubeconfig="+f.fed(), "token", "create", "--cluster="+cluster, "--output=json")
	require.NoError(f, err)
	require.NoError(f, json.Unmarshal([]byte(out), &token), out)
	require.Equal(f, f.server, token.Server, "fedctl tells members where the federation is for them")
	return []string{
		"installMode=agent", "agent.clusterName=" + cluster, "agent.server=" + token.Server,
		"agent.bootstrapToken=" + token.Token, "agent.caHash={" + strings.Join(token.CAHashes, ",") + "}",
	}
}
