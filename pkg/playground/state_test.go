package playground

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStateIsKept(t *testing.T) {
	l := layout(filepath.Join(t.TempDir(), "new"))
	require.NoError(t, checkDir(l), "an absent directory can be used")
	require.NoDirExists(t, string(l), "looking changes nothing")
	s, err := openState(l, Pull)
	require.NoError(t, err)
	port, changed, err := s.port("member-eu")
	require.NoError(t, err)
	require.False(t, changed, "a first port is no change")

	require.NoError(t, checkDir(l))
	s, err = openState(l, Pull)
	require.NoError(t, err)
	again, changed, err := s.port("member-eu")
	require.NoError(t, err)
	require.False(t, changed)
	require.Equal(t, port, again)

	other, _, err := s.port("member-us")
	require.NoError(t, err)
	require.NotEqual(t, port, other, "two children never share a port, although neither listens yet")

	_, err = openState(l, Push)
	require.ErrorIs(t, err, ErrMode, "clusters are registered for one mode")
}

func TestTakenPortIsReplacedForGood(t *testing.T) {
	l := layout(t.TempDir())
	s, err := openState(l, Pull)
	require.NoError(t, err)
	before, _, err := s.port("apiserver")
	require.NoError(t, err)
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(before)))
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()

	after, changed, err := s.port("apiserver")
	require.NoError(t, err)
	require.True(t, changed)
	require.NotEqual(t, before, after)

	s, err = openState(l, Pull)
	require.NoError(t, err)
	again, changed, err := s.port("apiserver")
	require.NoError(t, err)
	require.False(t, changed)
	require.Equal(t, after, again)
}

// Members of one network have pods of different addresses, today and tomorrow.
func TestEachMemberHasPodAddressesOfItsOwn(t *testing.T) {
	l := layout(t.TempDir())
	s, err := openState(l, Pull)
	require.NoError(t, err)
	services := netip.MustParsePrefix("10.96.0.0/16")
	seen := map[netip.Prefix]string{}
	for i := range 254 {
		name := fmt.Sprintf("m%d", i)
		cidr, err := s.podCIDR(name)
		require.NoError(t, err)
		require.Empty(t, seen[cidr], "%s", cidr)
		require.False(t, cidr.Overlaps(services), "%s", cidr)
		seen[cidr] = name
	}
	_, err = s.podCIDR("one-more")
	require.ErrorIs(t, err, errNoPods)
	require.ErrorContains(t, err, "--dir")

	s, err = openState(l, Pull)
	require.NoError(t, err)
	for cidr, name := range seen {
		again, err := s.podCIDR(name)
		require.NoError(t, err)
		require.Equal(t, cidr, again)
	}
}

func TestForeignDirectoriesAreRefused(t *testing.T) {
	tests := map[string]struct {
		reason  string
		file    string
		content string
	}{
		"someone's files":     {"clean would have to tell ours from theirs", "thesis.tex", "x"},
		"other playground":    {"the marker is of another program", "playground.json", `{"kind":"Other"}`},
		"marker without kind": {"the marker is of another program", "playground.json", `{}`},
		"not JSON":            {"the marker is of another program", "playground.json", `hello`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, tc.file)
			require.NoError(t, os.WriteFile(file, []byte(tc.content), 0o600))
			require.ErrorIs(t, checkDir(layout(dir)), ErrNotOurs, tc.reason)
			require.ErrorIs(t, Clean(dir), ErrNotOurs, tc.reason)
			names, err := entryNames(dir)
			require.NoError(t, err)
			require.Equal(t, []string{tc.file}, names, "nothing was added or removed")
		})
	}
}

// populate makes a directory as a playground leaves it.
func populate(t *testing.T, dir string) layout {
	t.Helper()
	l := layout(dir)
	_, err := openState(l, Pull)
	require.NoError(t, err)
	for _, file := range []string{
		filepath.Join(l.federation(), "etcd", "data"), filepath.Join(l.member("eu"), "pki", "ca.key"),
		l.agentKey("eu"), l.log("member-eu"), l.log("member-eu") + ".old",
		l.fedConfig(), l.kubeconfig("eu"), l.kubeconfig("us"), l.ready(), l.processes(), l.lock(),
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	}
	return l
}

func (l layout) agentKey(name string) string { return l.agent(name, "federation.key") }

func TestClean(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with [odd] *name")
	require.NoError(t, Clean(dir), "an absent directory is clean")
	populate(t, dir)
	require.NoError(t, Clean(dir))
	require.NoDirExists(t, dir)
}

func TestCleanKeepsWhatIsNotOurs(t *testing.T) {
	dir := t.TempDir()
	populate(t, dir)
	mine := filepath.Join(dir, "notes.txt")
	require.NoError(t, os.WriteFile(mine, nil, 0o600))
	err := Clean(dir)
	require.ErrorIs(t, err, ErrLeftovers)
	require.ErrorContains(t, err, "notes.txt")
	names, err := entryNames(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"notes.txt"}, names)
}

func TestCleanRefusesWhileOneRuns(t *testing.T) {
	l := populate(t, t.TempDir())
	lock, err := lockDir(l)
	require.NoError(t, err)
	require.ErrorIs(t, Clean(string(l)), ErrRunning)
	require.FileExists(t, l.fedConfig(), "nothing was removed")
	require.NoError(t, lock.Close())
	require.NoError(t, Clean(string(l)))
}

func TestLock(t *testing.T) {
	l := layout(filepath.Join(t.TempDir(), "d"))
	lock, err := lockDir(l)
	require.NoError(t, err)
	_, err = lockDir(l)
	require.ErrorIs(t, err, ErrRunning)
	require.ErrorContains(t, err, strconv.Itoa(os.Getpid()), "the error names the process to stop")
	require.NoError(t, lock.Close())
	lock, err = lockDir(l)
	require.NoError(t, err, "a lock is free once its holder is gone, whatever the file says")
	require.NoError(t, lock.Close())
}
