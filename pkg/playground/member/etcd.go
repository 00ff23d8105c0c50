package member

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// startEtcd serves the member's store on a unix socket in the working
// directory. It returns when the store takes requests.
func startEtcd(ctx context.Context, c *Config) (*embed.Etcd, error) {
	client := url.URL{Scheme: "unix", Host: etcdSocket}
	// Nobody dials the peer address of a single server, but etcd wants one.
	peer := url.URL{Scheme: "unix", Host: etcdPeerSocket}

	config := embed.NewConfig()
	config.Name = c.Name
	config.Dir = filepath.Join(c.Dir, "etcd")
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenClientHttpUrls = []url.URL{{Scheme: "unix", Host: etcdHTTPSocket}}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(c.Name)
	config.LogLevel = "warn"
	config.LogOutputs = []string{"stderr"}
	// Embedded, etcd has no default and would report each request as slow.
	config.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration
	// The apiserver compacts every five minutes; what etcd frees that way it
	// reuses. 2 GiB is far more than simulated clusters ever hold.
	config.QuotaBackendBytes = 2 << 30
	// Keep few old log entries in memory: there are no followers to feed.
	config.SnapshotCount = 10000
	config.SnapshotCatchUpEntries = 500

	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, fmt.Errorf("etcd of member %s: %w", c.Name, err)
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err = <-etcd.Err():
	case <-etcd.Server.StopNotify():
		err = fmt.Errorf("it stopped while starting")
	case <-time.After(time.Minute):
		err = fmt.Errorf("not ready after a minute; is the disk of %s slow or full?", config.Dir)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	etcd.Close()
	return nil, fmt.Errorf("etcd of member %s: %w", c.Name, err)
}
