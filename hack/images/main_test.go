package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// build makes a program in a directory of its own, as make images does.
func build(t *testing.T) (bin string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/small\n\ngo 1.26\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { println(\"hello\") }\n"), 0o600))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", "bin/small", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return filepath.Join(dir, "bin")
}

func pack(t *testing.T, bin string) (archive, document []byte, said string) {
	t.Helper()
	out, stdout := t.TempDir(), &strings.Builder{}
	require.NoError(t, run([]string{"-bin", bin, "-out", out, "-name", "example.com/a", "-tag", "v1", "small"}, stdout))
	archive, err := os.ReadFile(filepath.Join(out, "small.tar"))
	require.NoError(t, err)
	document, err = os.ReadFile(filepath.Join(out, "small.spdx.json"))
	require.NoError(t, err)
	return archive, document, strings.TrimPrefix(stdout.String(), out)
}

func TestReproducible(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	first, document, said := pack(t, build(t))
	second, again, saidAgain := pack(t, build(t))
	assert.True(t, bytes.Equal(first, second), "two builds, in two directories, are the same image")
	assert.Equal(t, document, again)
	assert.Equal(t, said, saidAgain)
	assert.Regexp(t, `^/small.tar  sha256:[0-9a-f]{64}\n$`, said)
	assert.Contains(t, string(document), `"2023-11-14T22:13:20Z"`)
	assert.Contains(t, string(document), `pkg:golang/stdlib@`)
}

// configOf finds the one blob of an archive that is an image's configuration.
func configOf(t *testing.T, archive []byte) v1.Image {
	t.Helper()
	for tr := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := tr.Next()
		if errors.Is(err, io.EOF) {
			t.Fatal("no configuration")
		}
		require.NoError(t, err)
		content, err := io.ReadAll(tr)
		require.NoError(t, err)
		var image v1.Image
		if strings.HasPrefix(header.Name, "blobs/") && json.Unmarshal(content, &image) == nil && image.RootFS.Type != "" {
			return image
		}
	}
}

func TestConfig(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "")
	archive, _, _ := pack(t, build(t))
	image := configOf(t, archive)
	assert.Equal(t, "65532:65532", image.Config.User)
	assert.Equal(t, []string{"/usr/local/bin/small"}, image.Config.Entrypoint)
	assert.Empty(t, image.Config.Cmd)
	assert.Equal(t, "linux", image.OS)
	assert.NotEmpty(t, image.Architecture)
	assert.Equal(t, "v1", image.Config.Labels[v1.AnnotationVersion])
	assert.Equal(t, int64(0), image.Created.Unix())
}

func TestRefusals(t *testing.T) {
	shell, err := os.ReadFile("/bin/sh")
	require.NoError(t, err)
	require.ErrorIs(t, static(shell), errDynamic, "there is no linker in the image")

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "script"), []byte("#!/bin/sh\n"), 0o600))
	tests := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"no tag":       {"an image without a version is nobody's", []string{"small"}, "-tag"},
		"no component": {"there is nothing to do", []string{"-tag", "v1"}, "components"},
		"no binary":    {"it was not built", []string{"-bin", dir, "-out", dir, "-tag", "v1", "agent"}, "agent"},
		"no Go":        {"what is in it cannot be told", []string{"-bin", dir, "-out", dir, "-tag", "v1", "script"}, "not a Go binary"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, run(tt.args, io.Discard), tt.want, tt.reason)
		})
	}
	t.Setenv("SOURCE_DATE_EPOCH", "today")
	require.ErrorContains(t, run([]string{"-tag", "v1", "agent"}, io.Discard), "SOURCE_DATE_EPOCH")
}
