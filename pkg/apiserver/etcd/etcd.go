// Package etcd runs an etcd member inside the API server's process, for a
// federation that brings no etcd of its own.
//
// Clients reach it through a unix socket in the data directory that only the
// owner may open, so it needs neither a port nor certificates. Peer traffic
// does not exist: the member is alone. A federation that must survive the loss
// of a machine uses an external etcd.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
)

// Options of an embedded member.
type Options struct {
	// Dir holds data and socket.
	Dir string
	// QuotaBytes is the size at which etcd refuses writes.
	QuotaBytes int64
	// SnapshotCount is the number of committed writes after which the log is
	// compacted into a snapshot on disk.
	SnapshotCount uint64
	// Compaction is how much history of keys is kept; the API server compacts,
	// too, so this is a backstop.
	Compaction time.Duration
}

// Server is a running member.
type Server struct {
	etcd     *embed.Etcd
	endpoint string
	cleanup  func()
}

// readBuffer is for one request; what is larger is read without it.
const readBuffer = 4 << 10

// maxSocketPath is what sun_path holds on Linux, less the terminating zero.
const maxSocketPath = 107

// Start runs a member and waits until it serves.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, err
	}
	clientSocket, cleanup, err := socketPath(opts.Dir)
	if err != nil {
		return nil, err
	}
	cfg := embed.NewConfig()
	cfg.Name = "flotilla"
	cfg.Dir = filepath.Join(opts.Dir, "data")
	cfg.ListenClientUrls = []url.URL{{Scheme: "unix", Path: clientSocket}}
	// For peers, etcd listens at the host part alone. Without one it would take an
	// abstract socket, which every process on this machine may connect to, and which
	// cannot be closed where the working directory is read-only: to remove the file
	// that it takes the name for fails.
	cfg.ListenPeerUrls = []url.URL{{Scheme: "unix", Host: clientSocket + ".peer"}}
	// Advertised addresses must have a port and are stored in the data, which
	// may move; nobody dials them.
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "localhost:2379"}}
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "localhost:2380"}}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.QuotaBackendBytes = opts.QuotaBytes
	cfg.SnapshotCount = opts.SnapshotCount
	cfg.AutoCompactionMode = embed.CompactorModePeriodic
	cfg.AutoCompactionRetention = opts.Compaction.String()
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logger())
	cfg.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration
	// The API server has a connection for each kind, most of which carry next to nothing.
	cfg.GRPCAdditionalServerOptions = []grpc.ServerOption{grpc.ReadBufferSize(readBuffer)}

	for _, stale := range []string{clientSocket, clientSocket + ".peer"} {
		if err := os.Remove(stale); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	member, err := embed.StartEtcd(cfg)
	if err != nil {
		cleanup()
		return nil, fmt.Errorf("embedded etcd in %s: %w", opts.Dir, err)
	}
	s := &Server{etcd: member, endpoint: "unix://" + clientSocket, cleanup: cleanup}
	select {
	case <-member.Server.ReadyNotify():
		return s, nil
	case err := <-member.Err():
		s.Stop()
		return nil, fmt.Errorf("embedded etcd in %s: %w", opts.Dir, err)
	case <-ctx.Done():
		s.Stop()
		return nil, context.Cause(ctx)
	}
}

// Endpoint is what a client dials.
func (s *Server) Endpoint() string { return s.endpoint }

// Err delivers the error that ended the member, if one does.
func (s *Server) Err() <-chan error { return s.etcd.Err() }

// Stop ends the member; data is on disk when it returns.
func (s *Server) Stop() {
	s.etcd.Close()
	s.cleanup()
}

// socketPath returns where the client socket goes: in dir, or, when the path
// would be too long for a socket address, in a private temporary directory.
func socketPath(dir string) (path string, cleanup func(), err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(abs, "etcd.sock")
	if len(path)+len(".peer") <= maxSocketPath {
		return path, func() {}, nil
	}
	short, err := os.MkdirTemp("", "flotilla-etcd-")
	if err != nil {
		return "", nil, err
	}
	return filepath.Join(short, "etcd.sock"), func() { _ = os.RemoveAll(short) }, nil
}

// logger writes warnings and worse to stderr; the rest of what etcd says is of
// no use to the owner of a federation.
func logger() *zap.Logger {
	cfg := zap.NewProductionConfig()
	cfg.Level = zap.NewAtomicLevelAt(zapcore.WarnLevel)
	cfg.Sampling = nil
	l, err := cfg.Build()
	if err != nil {
		return zap.NewNop()
	}
	return l.Named("etcd")
}
