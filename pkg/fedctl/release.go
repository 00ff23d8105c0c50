package fedctl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/kube"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/flotilla-io/flotilla/charts"
)

// agentRelease is the Helm release of the agent in a member.
const agentRelease = "flotilla-agent"

const (
	chartRoot   = "flotilla"
	helmTimeout = 2 * time.Minute
)

// agentChart is the chart that is compiled in.
func agentChart() (*chart.Chart, error) {
	var files []*archive.BufferedFile
	err := fs.WalkDir(charts.Flotilla, chartRoot, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := charts.Flotilla.ReadFile(path)
		files = append(files, &archive.BufferedFile{Name: strings.TrimPrefix(path, chartRoot+"/"), Data: content})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the chart in this binary: %w", err)
	}
	loaded, err := loader.LoadFiles(files)
	if err != nil {
		return nil, fmt.Errorf("the chart in this binary: %w", err)
	}
	return loaded, nil
}

// releases is Helm in a member.
type releases struct {
	config    *action.Configuration
	namespace string
}

func (m *memberFlags) releases() (*releases, error) {
	config := action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler))
	if err := config.Init(m.getter(), m.namespace, "secret"); err != nil {
		return nil, fmt.Errorf("helm in the member: %w", err)
	}
	return &releases{config: config, namespace: m.namespace}, nil
}

// values of the release that is there; nil if there is none.
func (r *releases) values() (map[string]any, error) {
	values, err := action.NewGetValues(r.config).Run(agentRelease)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("helm release %s/%s: %w", r.namespace, agentRelease, err)
	}
	if values == nil {
		values = map[string]any{}
	}
	return values, nil
}

// put installs the release, or upgrades the one that is there.
func (r *releases) put(ctx context.Context, values map[string]any, there bool) error {
	loaded, err := agentChart()
	if err != nil {
		return err
	}
	if there {
		upgrade := action.NewUpgrade(r.config)
		upgrade.Namespace, upgrade.WaitStrategy, upgrade.Timeout = r.namespace, kube.HookOnlyStrategy, helmTimeout
		upgrade.ResetValues = true
		_, err = upgrade.RunWithContext(ctx, agentRelease, loaded, values)
	} else {
		install := action.NewInstall(r.config)
		install.ReleaseName, install.Namespace, install.CreateNamespace = agentRelease, r.namespace, true
		install.WaitStrategy, install.Timeout = kube.HookOnlyStrategy, helmTimeout
		_, err = install.RunWithContext(ctx, loaded, values)
	}
	if err != nil {
		return fmt.Errorf("helm release %s/%s: %w", r.namespace, agentRelease, err)
	}
	return nil
}

// remove uninstalls the release. It is false if there is none.
func (r *releases) remove() (bool, error) {
	values, err := r.values()
	if err != nil || values == nil {
		return false, err
	}
	uninstall := action.NewUninstall(r.config)
	uninstall.WaitStrategy, uninstall.Timeout, uninstall.DeletionPropagation = kube.HookOnlyStrategy, helmTimeout, "background"
	if _, err := uninstall.Run(agentRelease); err != nil {
		return false, fmt.Errorf("helm release %s/%s: %w", r.namespace, agentRelease, err)
	}
	return true, nil
}

// agentRules are the rules that the chart gives to the account of an agent: the only place that has them.
func agentRules(values map[string]any) ([]rbacv1.PolicyRule, error) {
	loaded, err := agentChart()
	if err != nil {
		return nil, err
	}
	install := action.NewInstall(action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler)))
	install.ReleaseName, install.Namespace, install.DryRunStrategy = agentRelease, memberNamespace, action.DryRunClient
	// Roles are the same for all versions, and the one that Helm assumes without a cluster is old.
	loaded.Metadata.KubeVersion = ""
	done, err := install.Run(loaded, values)
	if err != nil {
		return nil, fmt.Errorf("the roles of the chart: %w", err)
	}
	rendered, ok := done.(*release.Release)
	if !ok {
		return nil, fmt.Errorf("the roles of the chart: helm returns a %T", done)
	}
	for _, document := range strings.Split(rendered.Manifest, "\n---\n") {
		role := &rbacv1.ClusterRole{}
		if err := yaml.Unmarshal([]byte(document), role); err == nil && role.Kind == "ClusterRole" {
			return role.Rules, nil
		}
	}
	return nil, errors.New("the roles of the chart: there is no ClusterRole in it; is agent.rbac.create false?")
}
