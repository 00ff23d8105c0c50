package version

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommit(t *testing.T) {
	for name, c := range map[string]struct {
		reason   string
		settings []debug.BuildSetting
		want     string
	}{
		"release": {
			reason:   "twelve digits are enough to find it",
			settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.modified", Value: "false"}},
			want:     "0123456789ab",
		},
		"changed files": {
			reason:   "a binary that is not of the commit must say so",
			settings: []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}, {Key: "vcs.revision", Value: "abc"}},
			want:     "abc-dirty",
		},
		"no repository": {
			reason:   "dirty alone says nothing",
			settings: []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, commit(&debug.BuildInfo{Settings: c.settings}), c.reason)
		})
	}
}

func TestKubernetes(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		module debug.Module
		want   string
	}{
		"required": {"a staging module has the minor of its Kubernetes", debug.Module{Path: kubernetesModule, Version: "v0.36.3"}, "v1.36.3"},
		"replaced": {"what is linked is the replacement", debug.Module{
			Path: kubernetesModule, Version: "v0.0.0", Replace: &debug.Module{Path: kubernetesModule, Version: "v0.36.3"},
		}, "v1.36.3"},
		"local":  {"a directory has no version", debug.Module{Path: kubernetesModule, Version: "v0.0.0", Replace: &debug.Module{Path: "../x"}}, "unknown"},
		"absent": {"another module is not Kubernetes", debug.Module{Path: "k8s.io/klog/v2", Version: "v2.0.0"}, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, kubernetes(&debug.BuildInfo{Deps: []*debug.Module{&c.module}}), c.reason)
		})
	}
}
