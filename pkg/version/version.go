package version

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// Version of Flotilla, set by -ldflags "-X github.com/flotilla-io/flotilla/pkg/version.Version=...".
var Version = "v0.1.0"

// kubernetesModule is in every binary, in the version of the Kubernetes that is linked: v0.36.3 is of 1.36.3.
const kubernetesModule = "k8s.io/apimachinery"

// Commit is the start of the commit's hash, with "-dirty" if files differed from it; empty when the
// binary was not built in a repository.
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return commit(info)
}

func commit(info *debug.BuildInfo) string {
	revision, modified := "", ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			revision = setting.Value[:min(12, len(setting.Value))]
		case setting.Key == "vcs.modified" && setting.Value == "true":
			modified = "-dirty"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + modified
}

// Kubernetes is the version of the Kubernetes that is linked, such as v1.36.3; "unknown" without build
// information.
func Kubernetes() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return kubernetes(info)
}

func kubernetes(info *debug.BuildInfo) string {
	for _, module := range info.Deps {
		if module.Path != kubernetesModule {
			continue
		}
		if module.Replace != nil {
			module = module.Replace
		}
		if rest, ok := strings.CutPrefix(module.Version, "v0."); ok {
			return "v1." + rest
		}
	}
	return "unknown"
}

// Flotilla is Version with the commit, on one line.
func Flotilla() string {
	if c := Commit(); c != "" {
		return fmt.Sprintf("%s (commit %s)", Version, c)
	}
	return Version
}

// String is what --version prints: two lines, the second about Kubernetes.
func String() string {
	return fmt.Sprintf("Flotilla %s\nKubernetes %s\n", Flotilla(), Kubernetes())
}
