package fedctl

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/action"
	chartcommon "helm.sh/helm/v4/pkg/chart/common"
	kubefake "helm.sh/helm/v4/pkg/kube/fake"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"
)

// newReleases is Helm in a member in memory.
func newReleases(t *testing.T) *releases {
	t.Helper()
	version, err := chartcommon.ParseKubeVersion("v1.36.3")
	require.NoError(t, err)
	memory := driver.NewMemory()
	memory.SetNamespace(memberNamespace)
	config := action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler))
	config.Releases = storage.Init(memory)
	config.KubeClient = &kubefake.PrintingKubeClient{Out: io.Discard, LogOutput: io.Discard}
	config.Capabilities = &chartcommon.Capabilities{KubeVersion: *version}
	return &releases{config: config, namespace: memberNamespace}
}

func testValues() map[string]any {
	return agentValues(nil, map[string]any{"clusterName": "eu", "server": "https://fed:1", "bootstrapToken": "abcdef.0123456789abcdef", "caHash": unusedHash})
}

// leftAt makes the newest revision look as if whoever worked on it was killed then.
func (r *releases) leftAt(t *testing.T, status common.Status) {
	t.Helper()
	last, err := r.last()
	require.NoError(t, err)
	last.Info.Status = status
	require.NoError(t, r.config.Releases.Update(last))
	if status.IsPending() && last.Version > 1 {
		before, err := r.config.Releases.Get(agentRelease, last.Version-1)
		require.NoError(t, err)
		before.(*release.Release).Info.Status = common.StatusDeployed // until the next one is
		require.NoError(t, r.config.Releases.Update(before))
	}
}

func TestAnInterruptedRegistrationIsTakenUp(t *testing.T) {
	for name, c := range map[string]struct {
		revisions int
		left      common.Status
		there     bool
		says      string
	}{
		"nothing":                {},
		"deployed":               {1, common.StatusDeployed, true, ""},
		"a failed installation":  {1, common.StatusFailed, true, ""},
		"an installation":        {1, common.StatusPendingInstall, false, "Removed the agent, as its Helm release was left pending-install"},
		"an upgrade":             {2, common.StatusPendingUpgrade, true, "Rolled the agent back, as its Helm release was left pending-upgrade"},
		"a rollback":             {2, common.StatusPendingRollback, true, "Rolled the agent back, as its Helm release was left pending-rollback"},
		"an upgrade of nothing":  {1, common.StatusPendingUpgrade, false, "Removed the agent, as its Helm release was left pending-upgrade"},
		"a removal":              {2, common.StatusUninstalling, false, "Removed the agent, as its Helm release was left uninstalling"},
		"a history that is kept": {1, common.StatusUninstalled, false, "Removed the agent, as its Helm release was left uninstalled"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReleases(t)
			for i := range c.revisions {
				require.NoError(t, r.put(t.Context(), testValues(), i > 0))
			}
			if c.revisions > 0 {
				r.leftAt(t, c.left)
			}
			there, said, err := r.recover(t.Context(), func(context.Context, time.Duration) error { return nil })
			require.NoError(t, err)
			require.Equal(t, c.there, there)
			require.Equal(t, c.says, said)
			require.NoError(t, r.put(t.Context(), testValues(), there), "registration goes on")
			last, err := r.last()
			require.NoError(t, err)
			require.Equal(t, common.StatusDeployed, last.Info.Status)
		})
	}
}

func TestWhoeverIsAtWorkIsNotDisturbed(t *testing.T) {
	r := newReleases(t)
	require.NoError(t, r.put(t.Context(), testValues(), false))
	require.NoError(t, r.put(t.Context(), testValues(), true))
	r.leftAt(t, common.StatusPendingUpgrade)
	there, said, err := r.recover(t.Context(), func(context.Context, time.Duration) error {
		r.leftAt(t, common.StatusDeployed)
		return nil
	})
	require.NoError(t, err)
	require.True(t, there)
	require.Empty(t, said)
	r.leftAt(t, common.StatusPendingUpgrade)
	_, _, err = r.recover(t.Context(), func(context.Context, time.Duration) error {
		r.leftAt(t, common.StatusDeployed)
		require.NoError(t, r.put(t.Context(), testValues(), true))
		return nil
	})
	require.ErrorIs(t, err, errBusy)
}
