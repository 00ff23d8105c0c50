package fedctl

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

func TestDocsNameEveryFlag(t *testing.T) {
	raw, err := os.ReadFile("../../docs/fedctl.md")
	require.NoError(t, err)
	sections := map[string]string{}
	for _, section := range strings.Split("\n"+string(raw), "\n## ") {
		title, text, _ := strings.Cut(section, "\n")
		sections[title] = text
	}
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, child := range cmd.Commands() {
			visit(child)
		}
		if !cmd.Runnable() || cmd.Name() == "help" || cmd.Parent().Name() == "completion" {
			return
		}
		title := cmd.CommandPath()
		text, ok := sections[title]
		require.True(t, ok, "docs/fedctl.md has no section %q", title)
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			row := ""
			for line := range strings.Lines(text) {
				if strings.HasPrefix(line, "|") && strings.Contains(line, "`--"+f.Name+"`") {
					row = line
				}
			}
			require.NotEmpty(t, row, "docs/fedctl.md: %s: no row for --%s", title, f.Name)
			if short := strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(f.DefValue); short != "" && short != "[]" {
				require.Contains(t, row, "| "+short+" |", "docs/fedctl.md: %s: --%s is %s by default", title, f.Name, short)
			}
		})
	}
	visit(NewCommand("fedctl", genericiooptions.NewTestIOStreamsDiscard()))
	for _, f := range []string{"--kubeconfig", "--context"} {
		require.Contains(t, string(raw), "| `"+f+"` |")
	}
}
