package byhand

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A reader without the right to Secrets is what one would give. These tests say
// what istiod makes of it, and fail once Istio has mended it.

func TestReaderWithoutSecretsIsNeverSynced(t *testing.T) {
	ctx := t.Context()
	members := prepared(t, newAuthority(t, "root"), map[string]string{"eu": "flat", "ap": "flat"})
	eu, ap := members["eu"], members["ap"]
	eu.startIstiod(ctx, t)
	ap.hello(ctx, t, 3)
	ap.podAddresses(t, 3)
	require.NoError(t, ap.reading(ctx))
	require.NoError(t, eu.remoteSecret(ctx, ap, time.Hour))
	// Yet it reads what it may, at once, and goes on doing so.
	has := func(want int) func() error {
		return func() error {
			shards, err := eu.istiod.Endpoints(ctx, "default", "hello")
			if err == nil && len(shards["ap"]) != want {
				err = fmt.Errorf("it has %d", len(shards["ap"]))
			}
			return err
		}
	}
	eventually(t, "istiod of eu has the endpoints of ap", has(3))
	// PILOT_REMOTE_CLUSTER_TIMEOUT is 5 s here and 30 s by default.
	eu.shows(t, ap, "timeout")
	ap.scale(t, 4)
	eventually(t, "istiod of eu has a further endpoint of ap", has(4))
	clusters, err := eu.istiod.Clusters(ctx)
	require.NoError(t, err)
	require.Equal(t, "timeout", clusters["ap"].SyncStatus)
	begin := time.Now()
	require.NoError(t, eu.istiod.Restart(ctx))
	require.Greater(t, time.Since(begin), 5*time.Second, "a restart waits for the timeout")
	eventually(t, "istiod of eu has the endpoints of ap after a restart", has(4))
}

func TestOptingOutOfRemoteCredentialsCrashesIstiod(t *testing.T) {
	ctx := t.Context()
	members := prepared(t, newAuthority(t, "root"), map[string]string{"eu": "flat", "ap": "flat"})
	eu, ap := members["eu"], members["ap"]
	eu.startIstiod(ctx, t, "PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER=false")
	require.NoError(t, ap.reading(ctx))
	require.NoError(t, eu.remoteSecret(ctx, ap, time.Hour))
	eventually(t, "istiod of eu has ended", func() error {
		if !eu.istiod.Ended() {
			return fmt.Errorf("it runs")
		}
		return nil
	})
	require.Equal(t, 1, eu.count(t, "(*CredentialsController).HasSynced(0x0)"))
}
