package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"sort"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// File is a file of an image. Everything belongs to root, so that who runs in
// the container changes nothing.
type File struct {
	// Path in the image, absolute. One that ends in a slash is a directory.
	Path string
	// Mode are the permission bits, the sticky bit (0o1000) included.
	Mode int64
	// Content of a file.
	Content []byte
}

// layer is a compressed tar.
type layer struct {
	blob   []byte
	diffID digest.Digest // of what is uncompressed
}

// newLayer packs files, ordered by path, and the directories above them.
func newLayer(files []File) (*layer, error) {
	all, err := withParents(files)
	if err != nil {
		return nil, err
	}
	var blob bytes.Buffer
	// Best speed: a node decompresses often, and binaries do not get much smaller.
	compressed, err := gzip.NewWriterLevel(&blob, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	plain := sha256.New()
	tw := tar.NewWriter(io.MultiWriter(compressed, plain))
	for _, f := range all {
		if err := add(tw, f, time.Unix(0, 0)); err != nil {
			return nil, err
		}
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	if err := compressed.Close(); err != nil {
		return nil, err
	}
	return &layer{blob: blob.Bytes(), diffID: digest.NewDigest(digest.SHA256, plain)}, nil
}

// withParents adds the directories that files are in, and orders everything so
// that a directory comes before what is in it.
func withParents(files []File) ([]File, error) {
	byPath := map[string]File{}
	for _, f := range files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != strings.TrimSuffix(f.Path, "/") {
			return nil, fmt.Errorf("path %q in the image: want a clean absolute one", f.Path)
		}
		if _, twice := byPath[f.Path]; twice {
			return nil, fmt.Errorf("path %q is in the image twice", f.Path)
		}
		byPath[f.Path] = f
	}
	for _, f := range files {
		for dir := path.Dir(strings.TrimSuffix(f.Path, "/")); dir != "/"; dir = path.Dir(dir) {
			if _, ok := byPath[dir+"/"]; !ok {
				byPath[dir+"/"] = File{Path: dir + "/", Mode: 0o755}
			}
		}
	}
	all := make([]File, 0, len(byPath))
	for _, f := range byPath {
		all = append(all, f)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Path < all[j].Path })
	return all, nil
}

// add writes a header in which nothing comes from this machine, and the content.
func add(tw *tar.Writer, f File, modified time.Time) error {
	header := &tar.Header{
		Name:     strings.TrimPrefix(f.Path, "/"),
		Mode:     f.Mode,
		Size:     int64(len(f.Content)),
		ModTime:  modified,
		Typeflag: tar.TypeReg,
		Format:   tar.FormatUSTAR,
	}
	if strings.HasSuffix(f.Path, "/") {
		header.Typeflag = tar.TypeDir
	}
	if err := tw.WriteHeader(header); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	_, err := tw.Write(f.Content)
	return err
}
