package oci

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// annotationImageName is where containerd looks for the whole name; the
// specification's own annotation has room for a tag.
const annotationImageName = "io.containerd.image.name"

// Image is what an archive contains.
type Image struct {
	// Name with registry and tag, such as ghcr.io/flotilla-io/flotilla/agent:v0.1.0.
	Name string
	// Created is written into the configuration.
	Created time.Time
	// Platform the files are for.
	Platform v1.Platform
	// Config is what a container of the image starts with.
	Config v1.ImageConfig
	// Files make up the one layer.
	Files []File
}

// Write writes the archive and returns the digest of the image's manifest, which
// is what a registry calls the image by.
func Write(w io.Writer, image Image) (digest.Digest, error) {
	repository, tag, err := split(image.Name)
	if err != nil {
		return "", err
	}
	l, err := newLayer(image.Files)
	if err != nil {
		return "", err
	}
	created := image.Created.UTC()
	blobs := &blobs{}
	config, err := blobs.json(v1.MediaTypeImageConfig, v1.Image{
		Created:  &created,
		Platform: image.Platform,
		Config:   image.Config,
		RootFS:   v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{l.diffID}},
		History:  []v1.History{{Created: &created, CreatedBy: "make images"}},
	})
	if err != nil {
		return "", err
	}
	packed := blobs.add(v1.MediaTypeImageLayerGzip, l.blob)
	manifest, err := blobs.json(v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageManifest,
		Config:    config,
		Layers:    []v1.Descriptor{packed},
	})
	if err != nil {
		return "", err
	}
	named := manifest
	named.Platform = &image.Platform
	named.Annotations = map[string]string{
		v1.AnnotationRefName: tag,
		annotationImageName:  repository + ":" + tag,
	}
	index := v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageIndex,
		Manifests: []v1.Descriptor{named},
	}
	// What "docker load" of a Docker without containerd's image store reads.
	old := []dockerManifest{{
		Config:   blobPath(config.Digest),
		RepoTags: []string{repository + ":" + tag},
		Layers:   []string{blobPath(packed.Digest)},
	}}
	return manifest.Digest, blobs.write(w, index, old)
}

type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// split is the repository and the tag of a name.
func split(name string) (repository, tag string, err error) {
	colon := strings.LastIndex(name, ":")
	if colon < strings.LastIndex(name, "/") || colon <= 0 || colon == len(name)-1 {
		return "", "", fmt.Errorf("image name %q: want one with a tag", name)
	}
	return name[:colon], name[colon+1:], nil
}

// blobs are the contents of a layout, by digest.
type blobs struct {
	files []File
}

func blobPath(d digest.Digest) string {
	return v1.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded()
}

func (b *blobs) add(mediaType string, content []byte) v1.Descriptor {
	d := digest.FromBytes(content)
	b.files = append(b.files, File{Path: "/" + blobPath(d), Mode: 0o644, Content: content})
	return v1.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
}

func (b *blobs) json(mediaType string, object any) (v1.Descriptor, error) {
	content, err := json.Marshal(object)
	if err != nil {
		return v1.Descriptor{}, err
	}
	return b.add(mediaType, content), nil
}

func (b *blobs) write(w io.Writer, index v1.Index, old []dockerManifest) error {
	files := b.files
	for _, f := range []struct {
		path   string
		object any
	}{
		{v1.ImageLayoutFile, v1.ImageLayout{Version: v1.ImageLayoutVersion}},
		{v1.ImageIndexFile, index},
		{"manifest.json", old},
	} {
		content, err := json.Marshal(f.object)
		if err != nil {
			return err
		}
		files = append(files, File{Path: "/" + f.path, Mode: 0o644, Content: content})
	}
	all, err := withParents(files)
	if err != nil {
		return err
	}
	tw := tar.NewWriter(w)
	for _, f := range all {
		if err := add(tw, f, time.Unix(0, 0)); err != nil {
			return err
		}
	}
	return tw.Close()
}
