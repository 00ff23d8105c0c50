package charts

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/strvals"
)

// documents are those that tell people what to type.
var documents = []string{"../../README.md", "../../docs/install.md", "../../charts/flotilla/README.md"}

var (
	fenced = regexp.MustCompile("(?s)```(console|yaml)\n(.*?)```")
	setter = regexp.MustCompile(`--set (\S+)`)
)

// What the documents tell people to type or to write into a file renders.
func TestDocuments(t *testing.T) {
	commands, files := 0, 0
	for _, path := range documents {
		for _, block := range fenced.FindAllStringSubmatch(string(read(t, path)), -1) {
			kind, text := block[1], strings.ReplaceAll(block[2], "\\\n", " ")
			if kind == "yaml" {
				files++
				values := parse(t, text)
				if _, agents := values["agent"]; agents {
					values = withToken(t, values)
				}
				_, err := render(values)
				require.NoError(t, err, "%s: %s", path, text)
				continue
			}
			for _, line := range strings.Split(text, "\n") {
				if !strings.HasPrefix(line, "$ helm install") || strings.Contains(line, "--values") {
					continue
				}
				commands++
				values := map[string]any{}
				for _, set := range setter.FindAllStringSubmatch(line, -1) {
					require.NoError(t, strvals.ParseInto(placeholders.Replace(set[1]), values), "%s: %s", path, line)
				}
				_, err := render(values)
				require.NoError(t, err, "%s: %s", path, line)
			}
		}
	}
	assert.GreaterOrEqual(t, commands, 4)
	assert.GreaterOrEqual(t, files, 2)
}

// placeholders are what a document cannot know.
var placeholders = strings.NewReplacer(
	"caHash=sha256:...", "caHash=sha256:"+strings.Repeat("0", 64),
	"bootstrapToken=...", "bootstrapToken=abcdef.0123456789abcdef",
)

// withToken completes what a document says about agents.
func withToken(t *testing.T, values map[string]any) map[string]any {
	t.Helper()
	complete := sets(t)["agent-token"]
	for key, value := range values["agent"].(map[string]any) {
		complete["agent"].(map[string]any)[key] = value
	}
	return complete
}

// Every flag in a container's arguments is one that docs/operations.md has for that
// binary, and make verify-docs compares the document with the binary.
func TestFlagsExist(t *testing.T) {
	documented := flagsOf(t)
	each(t, func(t *testing.T, r *rendering) {
		for _, w := range workloads(t, r) {
			for _, c := range w.template.Spec.Containers {
				for _, arg := range c.Args {
					if flag, _, _ := strings.Cut(arg, "="); strings.HasPrefix(flag, "--") {
						binary := c.Name
						if binary == "credentials" {
							binary = "apiserver credentials"
						}
						assert.Contains(t, documented[binary], flag, w.name)
					}
				}
			}
		}
	})
}

// flagsOf are the flags in the tables of docs/operations.md, by binary.
func flagsOf(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	binary := ""
	for line := range strings.Lines(string(read(t, "../../docs/operations.md"))) {
		if strings.HasPrefix(line, "##") {
			binary = strings.TrimSpace(strings.TrimLeft(line, "#"))
		}
		if strings.HasPrefix(line, "| `--") {
			cell := strings.Split(line, "|")[1]
			for _, flag := range strings.Split(cell, ",") {
				all[binary] = append(all[binary], strings.Trim(strings.TrimSpace(flag), "`"))
			}
		}
	}
	for _, binary := range []string{"apiserver", "controller-manager", "scheduler", "agent"} {
		require.True(t, slices.ContainsFunc(all[binary], func(f string) bool { return strings.HasPrefix(f, "--") }), binary)
	}
	return all
}
