package registration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

func (s *site) file(name, content string) string {
	s.Helper()
	path := filepath.Join(s.TempDir(), name)
	require.NoError(s, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// installed is the chart with a token that is not good; what would refuse it before is passed over.
func (s *site) installed(token string) {
	s.Helper()
	good := s.invite()
	s.fedctl(s.registration(good, "--timeout=0")...)
	s.fedctl("token", "delete", good.Token)
	s.present(token)
	s.start()
}

func TestAnExpiredToken(t *testing.T) {
	s := newSite(t, "eu", "late")
	i := s.invite("--ttl=1s")
	s.Eventually("the token has expired", func() (string, bool) {
		out := s.fedctl("token", "list")
		return out, !strings.Contains(out, i.Token[:6]) || strings.Contains(out, "expired")
	})
	out := s.fedctlRefuses(s.registration(i)...)
	require.Contains(t, out, "has expired")
	require.Contains(t, out, "fedctl token create --cluster late")
	require.NotContains(t, out, i.Token, "secrets are not repeated")
	require.Empty(t, s.Run("eu", "get", "deployments", "--namespace=flotilla-system", "--output=name"), "nothing was installed")

	s.installed(i.Token)
	s.says("the bootstrap token is refused", "has expired", "fedctl token create --cluster late")
	require.NotContains(t, s.agent.said(), i.Token)
	s.Gone(lab.Fed, "cluster", "late")
	s.present(s.invite().Token)
	s.ready()
}

func TestATokenOfAnotherCluster(t *testing.T) {
	s := newSite(t, "eu", "kyoto")
	theirs := *s
	theirs.cluster = "nara"
	i := theirs.invite()
	out := s.fedctlRefuses(s.registration(i)...)
	require.Contains(t, out, "is not for cluster kyoto but for nara")
	require.Contains(t, out, "fedctl token create --cluster kyoto")

	s.installed(i.Token)
	s.says("was denied", "kyoto", "nara")
	s.Gone(lab.Fed, "cluster", "kyoto")
	require.Contains(t, s.Run(lab.Fed, "get", "csr"), "Denied")
	s.present(s.invite().Token)
	s.ready()
	s.fedctl("token", "delete", i.Token)
}

func TestAnotherFederation(t *testing.T) {
	s := newSite(t, "eu", "kobe")
	i := s.invite()
	other := i
	other.CAHashes = []string{"sha256:" + strings.Repeat("0", 64)}
	out := s.fedctlRefuses(s.registration(other)...)
	require.Contains(t, out, "is not the pinned one")
	other = i
	other.Token = "aaaaaa.aaaaaaaaaaaaaaaa"
	require.Contains(t, s.fedctlRefuses(s.registration(other)...), "of another federation")
	require.Empty(t, s.Run("eu", "get", "deployments", "--namespace=flotilla-system", "--output=name"), "nothing was installed")
}

func TestOneMemberIsOneCluster(t *testing.T) {
	s := newSite(t, "eu", "one")
	s.register(s.invite())
	s.ready()
	two := *s
	two.cluster = "two"
	require.Contains(t, s.fedctlRefuses(two.registration(two.invite())...), "has joined as cluster one already")
	require.Contains(t, s.fedctlRefuses("join", "two", "--member-kubeconfig="+s.Kubeconfig("eu")), "has joined already, as one")
	require.Contains(t, s.fedctlRefuses("join", "one", "--member-kubeconfig="+s.Kubeconfig("eu")), "fedctl unregister one")
}
