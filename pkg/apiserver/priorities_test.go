package apiserver

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/controlplane"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"

	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
)

// The map of kube-apiserver is not exported, so ours is a copy. This compares it
// with the source of the linked version, entry by entry.
func TestPrioritiesAreThoseOfKubernetes(t *testing.T) {
	ours := groupPriorities()
	theirs := upstream(t)
	require.Greater(t, len(theirs), 15, "the map was found")
	enabled := controlplane.DefaultAPIResourceConfigSource().GroupVersionConfigs
	for gv, want := range theirs {
		if enabled[gv] { // alpha and beta versions are not served
			assert.Equal(t, want, ours[gv], "%s", gv)
		}
	}
}

// Every group version that is enabled and known, built in or our own, has a
// priority; without one it would be served and not be found.
func TestEveryServedGroupHasAPriority(t *testing.T) {
	ours := groupPriorities()
	for gv, enabled := range controlplane.DefaultAPIResourceConfigSource().GroupVersionConfigs {
		if enabled {
			assert.Contains(t, ours, gv)
		}
	}
	for _, gv := range registry.Scheme.PrioritizedVersionsAllGroups() {
		if gv.Group != "" && gv.Group != "meta.k8s.io" && gv.Group != "internal.apiserver.k8s.io" {
			assert.Contains(t, ours, gv)
		}
	}
	for gv := range ours {
		if _, theirs := controlplaneapiserver.DefaultGenericAPIServicePriorities()[gv]; !theirs {
			assert.True(t, legacyscheme.Scheme.IsVersionRegistered(gv) || registry.Scheme.IsVersionRegistered(gv), "%s has a priority and does not exist", gv)
		}
	}
	current, deprecated := ours[schema.GroupVersion{Group: "work.karmada.io", Version: "v1alpha2"}], ours[schema.GroupVersion{Group: "work.karmada.io", Version: "v1alpha1"}]
	assert.Greater(t, current.Version, deprecated.Version, "kubectl get resourcebindings asks for the version that is not deprecated")
}

// upstream reads apiVersionPriorities out of cmd/kube-apiserver/app.
func upstream(t *testing.T) map[schema.GroupVersion]controlplaneapiserver.APIServicePriority {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "k8s.io/kubernetes/cmd/kube-apiserver/app").Output()
	require.NoError(t, err)
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "aggregator.go"), nil, 0)
	require.NoError(t, err)
	out := map[schema.GroupVersion]controlplaneapiserver.APIServicePriority{}
	text := func(e ast.Expr) string {
		s, err := strconv.Unquote(e.(*ast.BasicLit).Value)
		require.NoError(t, err)
		return s
	}
	number := func(e ast.Expr) int32 {
		n, err := strconv.ParseInt(e.(*ast.BasicLit).Value, 10, 32)
		require.NoError(t, err)
		return int32(n)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		entry, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		gv, ok := entry.Key.(*ast.CompositeLit)
		if !ok {
			return true
		}
		priority := entry.Value.(*ast.CompositeLit)
		field := func(c *ast.CompositeLit, i int) ast.Expr { return c.Elts[i].(*ast.KeyValueExpr).Value }
		out[schema.GroupVersion{Group: text(field(gv, 0)), Version: text(field(gv, 1))}] = controlplaneapiserver.APIServicePriority{
			Group: number(field(priority, 0)), Version: number(field(priority, 1)),
		}
		return false
	})
	return out
}
