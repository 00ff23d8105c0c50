package fedctl

import (
	"context"
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"
)

// pendingPatience is how long a release may be on its way before whoever works on it counts as gone. There is
// nothing in the chart of an agent that Helm waits for.
const pendingPatience = 10 * time.Second

// last is the newest revision; nil if there is none.
func (r *releases) last() (*release.Release, error) {
	found, err := r.config.Releases.Last(agentRelease)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("helm release %s/%s: %w", r.namespace, agentRelease, err)
	}
	out, ok := found.(*release.Release)
	if !ok {
		return nil, fmt.Errorf("helm release %s/%s: helm returns a %T", r.namespace, agentRelease, found)
	}
	return out, nil
}

// recover makes a release that somebody left on the way one that can be upgraded, or takes it away. It
// returns whether there is one then, and what was done.
func (r *releases) recover(ctx context.Context, pause func(context.Context, time.Duration) error) (there bool, done string, err error) {
	last, err := r.last()
	if err != nil || last == nil {
		return false, "", err
	}
	if last.Info.Status.IsPending() || last.Info.Status == common.StatusUninstalling {
		if err := pause(ctx, pendingPatience); err != nil {
			return true, "", fmt.Errorf("helm release %s/%s is %s: %w", r.namespace, agentRelease, last.Info.Status, err)
		}
		before := last
		if last, err = r.last(); err != nil || last == nil {
			return false, "", err
		}
		if last.Version != before.Version {
			return true, "", fmt.Errorf("helm release %s/%s: %w: it is at revision %d by now. Try again when that is done", r.namespace, agentRelease, errBusy, last.Version)
		}
	}
	was := last.Info.Status
	switch {
	case was == common.StatusUninstalled, was == common.StatusUninstalling, was == common.StatusPendingInstall:
	case !was.IsPending():
		return true, "", nil
	default:
		deployed, err := r.deployed()
		if err != nil {
			return true, "", err
		}
		if deployed != nil {
			rollback := action.NewRollback(r.config)
			rollback.Version, rollback.WaitStrategy, rollback.Timeout = deployed.Version, kube.HookOnlyStrategy, helmTimeout
			if err := rollback.Run(agentRelease); err != nil {
				return true, "", fmt.Errorf("roll helm release %s/%s back, which was left %s: %w", r.namespace, agentRelease, was, err)
			}
			return true, fmt.Sprintf("Rolled the agent back, as its Helm release was left %s", was), nil
		}
	}
	if _, err := r.remove(); err != nil {
		return true, "", err
	}
	return false, fmt.Sprintf("Removed the agent, as its Helm release was left %s", was), nil
}

var errBusy = errors.New("somebody else is at work")

// deployed is the newest revision that was installed completely; nil if none was.
func (r *releases) deployed() (*release.Release, error) {
	found, err := r.config.Releases.Deployed(agentRelease)
	if errors.Is(err, driver.ErrNoDeployedReleases) || errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("helm release %s/%s: %w", r.namespace, agentRelease, err)
	}
	out, ok := found.(*release.Release)
	if !ok {
		return nil, fmt.Errorf("helm release %s/%s: helm returns a %T", r.namespace, agentRelease, found)
	}
	return out, nil
}
