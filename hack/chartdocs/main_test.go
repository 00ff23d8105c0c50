package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const sample = `
# Not documentation of anything.

# -- First of
# two lines.
first: 1
nested:
  # -- (host) With a | in it.
  second: ""
  # -- (agent) A whole map.
  third:
    a: [1, "x"]
`

func TestTables(t *testing.T) {
	values, err := parse([]byte(sample))
	require.NoError(t, err)
	text := render(values)
	assert.Contains(t, text, "### Both modes\n\n| value | default | |\n|---|---|---|\n| `first` | `1` | First of two lines. |\n")
	assert.Contains(t, text, "| `nested.second` |  | With a \\| in it. |\n")
	assert.Contains(t, text, "| `nested.third` | `{\"a\":[1,\"x\"]}` | A whole map. |\n")

	_, err = parse([]byte("# -- fine\na: 1\nb:\n  c: 2\n"))
	require.ErrorContains(t, err, "line 4: b.c has no comment")
	_, err = parse([]byte("[]"))
	require.Error(t, err)
}

func TestReadme(t *testing.T) {
	chart := t.TempDir()
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(chart, name), []byte(content), 0o600))
	}
	write("values.yaml", sample)
	write("README.md", "before\n"+begin+"old\n"+end+"after\n")
	require.ErrorIs(t, run([]string{"-verify", chart}), errBehind)
	require.NoError(t, run([]string{chart}))
	require.NoError(t, run([]string{"-verify", chart}), "what was written is what is wanted")
	content, err := os.ReadFile(filepath.Join(chart, "README.md"))
	require.NoError(t, err)
	assert.Regexp(t, `(?s)^before\n.*nested\.third.*\nafter\n$`, string(content))
	assert.NotContains(t, string(content), "old")

	write("README.md", "no marker\n")
	require.ErrorContains(t, run([]string{chart}), "<!-- values -->")
	write("README.md", begin)
	require.ErrorContains(t, run([]string{chart}), "<!-- /values -->")
}
