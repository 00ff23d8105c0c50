package charts

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/action"

	"github.com/flotilla-io/flotilla/charts"
)

var update = flag.Bool("update", false, "write the goldens anew")

func TestGolden(t *testing.T) {
	for name, values := range sets(t) {
		t.Run(name, func(t *testing.T) {
			r, err := render(values)
			require.NoError(t, err)
			for path, got := range map[string]string{
				filepath.Join("testdata", name+".golden.yaml"): r.text,
				filepath.Join("testdata", name+".notes.txt"):   r.notes,
			} {
				if *update {
					require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
				}
				assert.Equal(t, string(read(t, path)), got, "if it is meant: go test ./test/charts -update")
			}
		})
	}
}

func TestLint(t *testing.T) {
	for name, values := range sets(t) {
		t.Run(name, func(t *testing.T) {
			lint := action.NewLint()
			lint.Namespace, lint.KubeVersion = namespace, oldest
			result := lint.Run([]string{directory}, values)
			assert.Empty(t, result.Errors)
			assert.False(t, action.HasWarningsOrErrors(result), "%v", result.Messages)
		})
	}
}

// What fedctl installs is what Helm reads from the repository.
func TestEmbedded(t *testing.T) {
	onDisk, embedded := os.DirFS(directory), 0
	require.NoError(t, fs.WalkDir(onDisk, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		want, err := fs.ReadFile(onDisk, path)
		require.NoError(t, err)
		got, err := charts.Flotilla.ReadFile("flotilla/" + path)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got), path)
		embedded++
		return nil
	}))
	assert.Greater(t, embedded, 10)
}
