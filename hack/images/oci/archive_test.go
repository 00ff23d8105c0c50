package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func image() Image {
	return Image{
		Name:     "registry.example.com:5000/a/b:v1",
		Created:  time.Unix(1_700_000_000, 0),
		Platform: v1.Platform{OS: "linux", Architecture: "amd64"},
		Config:   v1.ImageConfig{User: "65532:65532", Entrypoint: []string{"/usr/local/bin/b"}},
		Files: []File{
			{Path: "/usr/local/bin/b", Mode: 0o755, Content: bytes.Repeat([]byte("binary"), 1000)},
			{Path: "/tmp/", Mode: 0o1777},
			{Path: "/etc/passwd", Mode: 0o644, Content: []byte("root")},
		},
	}
}

// entries reads a tar.
func entries(t *testing.T, r io.Reader) (headers []*tar.Header, content map[string][]byte) {
	t.Helper()
	content = map[string][]byte{}
	tr := tar.NewReader(r)
	for {
		header, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return headers, content
		}
		require.NoError(t, err)
		headers = append(headers, header)
		content[header.Name], err = io.ReadAll(tr)
		require.NoError(t, err)
	}
}

func decode[T any](t *testing.T, content []byte) T {
	t.Helper()
	var object T
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&object), string(content))
	return object
}

// A reader follows the digests from the index to the files.
func TestArchive(t *testing.T) {
	var archive bytes.Buffer
	name, err := Write(&archive, image())
	require.NoError(t, err)
	_, files := entries(t, &archive)
	blob := func(d v1.Descriptor) []byte {
		content, ok := files[blobPath(d.Digest)]
		require.True(t, ok, d.Digest)
		assert.Equal(t, d.Digest, digest.FromBytes(content))
		assert.Equal(t, d.Size, int64(len(content)))
		return content
	}

	assert.JSONEq(t, `{"imageLayoutVersion":"1.0.0"}`, string(files["oci-layout"]))
	index := decode[v1.Index](t, files["index.json"])
	require.Len(t, index.Manifests, 1)
	assert.Equal(t, name, index.Manifests[0].Digest)
	assert.Equal(t, "registry.example.com:5000/a/b:v1", index.Manifests[0].Annotations["io.containerd.image.name"])
	assert.Equal(t, "v1", index.Manifests[0].Annotations[v1.AnnotationRefName])

	manifest := decode[v1.Manifest](t, blob(index.Manifests[0]))
	config := decode[v1.Image](t, blob(manifest.Config))
	assert.Equal(t, "65532:65532", config.Config.User)
	assert.Equal(t, "amd64", config.Architecture)
	require.Len(t, manifest.Layers, 1)

	plain, err := gzip.NewReader(bytes.NewReader(blob(manifest.Layers[0])))
	require.NoError(t, err)
	layer, err := io.ReadAll(plain)
	require.NoError(t, err)
	assert.Equal(t, []digest.Digest{digest.FromBytes(layer)}, config.RootFS.DiffIDs)

	headers, content := entries(t, bytes.NewReader(layer))
	var names []string
	for _, h := range headers {
		names = append(names, h.Name)
		assert.Zero(t, h.Uid, h.Name)
		assert.Zero(t, h.Gid, h.Name)
		assert.Empty(t, h.Uname, h.Name)
		assert.Equal(t, int64(0), h.ModTime.Unix(), h.Name)
	}
	assert.Equal(t, []string{"etc/", "etc/passwd", "tmp/", "usr/", "usr/local/", "usr/local/bin/", "usr/local/bin/b"}, names)
	assert.Equal(t, image().Files[0].Content, content["usr/local/bin/b"])
	assert.Equal(t, int64(0o1777), headers[2].Mode)
	assert.Equal(t, int64(0o755), headers[6].Mode)

	old := decode[[]dockerManifest](t, files["manifest.json"])
	require.Len(t, old, 1)
	assert.Equal(t, []string{"registry.example.com:5000/a/b:v1"}, old[0].RepoTags)
	assert.Contains(t, files, old[0].Config)
	assert.Contains(t, files, old[0].Layers[0])
}

func TestSameBytes(t *testing.T) {
	var first, second bytes.Buffer
	one, err := Write(&first, image())
	require.NoError(t, err)
	other := image()
	slices.Reverse(other.Files)
	other.Created = other.Created.In(time.FixedZone("elsewhere", 3600))
	two, err := Write(&second, other)
	require.NoError(t, err)
	assert.Equal(t, one, two)
	assert.True(t, bytes.Equal(first.Bytes(), second.Bytes()), "neither the order of files nor the time zone is in the archive")

	other.Files[0].Mode = 0o600
	changed, err := Write(io.Discard, other)
	require.NoError(t, err)
	assert.NotEqual(t, one, changed, "but every mode is")
}

func TestRefusals(t *testing.T) {
	tests := map[string]struct {
		reason string
		change func(*Image)
		want   string
	}{
		"no tag":     {"latest is nobody's version", func(i *Image) { i.Name = "registry.example.com:5000/a/b" }, "tag"},
		"empty tag":  {"nor is nothing", func(i *Image) { i.Name = "a/b:" }, "tag"},
		"relative":   {"there is no directory to be relative to", func(i *Image) { i.Files[0].Path = "b" }, `"b"`},
		"upwards":    {"it would leave the image", func(i *Image) { i.Files[0].Path = "/../b" }, `"/../b"`},
		"twice":      {"one would hide the other", func(i *Image) { i.Files[0].Path = "/etc/passwd" }, "twice"},
		"long names": {"the format of entries has no room for them", func(i *Image) { i.Files[0].Path = "/" + strings.Repeat("x", 300) }, "xxx"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			i := image()
			tt.change(&i)
			_, err := Write(io.Discard, i)
			require.ErrorContains(t, err, tt.want, tt.reason)
		})
	}
}
