package etcd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
)

func options(dir string) Options {
	return Options{Dir: dir, QuotaBytes: 64 << 20, SnapshotCount: 1000, Compaction: time.Hour}
}

func start(t *testing.T, dir string) (*Server, *clientv3.Client) {
	t.Helper()
	server, err := Start(t.Context(), options(dir))
	require.NoError(t, err)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}, DialTimeout: 10 * time.Second})
	require.NoError(t, err)
	return server, client
}

func TestDataSurvives(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := filepath.Join(t.TempDir(), "etcd")
	server, client := start(t, dir)
	_, err := client.Put(t.Context(), "k", "v")
	require.NoError(t, err)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "whoever reaches the socket is the administrator")
	for _, socket := range []string{"etcd.sock", "etcd.sock.peer"} {
		info, err := os.Stat(filepath.Join(dir, socket))
		require.NoError(t, err, "an abstract socket would be everybody's")
		assert.Equal(t, os.ModeSocket, info.Mode().Type(), socket)
	}
	require.NoError(t, client.Close())
	server.Stop()

	// As after SIGKILL: the sockets are still there.
	for _, stale := range []string{"etcd.sock", "etcd.sock.peer"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, stale), nil, 0o600))
	}
	server, client = start(t, dir)
	got, err := client.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	assert.Equal(t, "v", string(got.Kvs[0].Value))
	require.NoError(t, client.Close())
	server.Stop()
}

// The address of a unix socket is about a hundred bytes long at most.
func TestLongPaths(t *testing.T) {
	defer goleak.VerifyNone(t)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	dir := filepath.Join(t.TempDir(), strings.Repeat("a", 60), strings.Repeat("b", 60))
	server, client := start(t, dir)
	_, err := client.Put(t.Context(), "k", "v")
	require.NoError(t, err)
	assert.NotContains(t, server.Endpoint(), dir)
	require.NoError(t, client.Close())
	server.Stop()
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	assert.Empty(t, left, "the directory of the socket goes with the server")
	_, err = os.Stat(filepath.Join(dir, "data"))
	assert.NoError(t, err, "the data does not")
}

func TestSocketPath(t *testing.T) {
	for name, tt := range map[string]struct {
		dir    string
		inside bool
	}{
		"short":    {"/var/lib/flotilla/etcd", true},
		"limit":    {"/" + strings.Repeat("a", maxSocketPath-len("//etcd.sock.peer")), true},
		"too long": {"/" + strings.Repeat("a", maxSocketPath-len("//etcd.sock.peer")+1), false},
	} {
		path, cleanup, err := socketPath(tt.dir)
		require.NoError(t, err)
		assert.Equal(t, tt.inside, strings.HasPrefix(path, tt.dir), name)
		assert.LessOrEqual(t, len(path+".peer"), maxSocketPath, name)
		cleanup()
		if !tt.inside {
			_, err = os.Stat(filepath.Dir(path))
			assert.ErrorIs(t, err, os.ErrNotExist, name)
		}
	}
}

func TestCannotStart(t *testing.T) {
	defer goleak.VerifyNone(t)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Start(t.Context(), options(file))
	require.ErrorContains(t, err, file, "a file where a directory should be")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	server, err := Start(ctx, options(dir))
	if err == nil { // it was quicker
		server.Stop()
	} else {
		require.ErrorIs(t, err, context.Canceled)
	}
}
