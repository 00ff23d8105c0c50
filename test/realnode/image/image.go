package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// User is whom the binary runs as: nobody in particular.
const User = "65532:65532"

const (
	layerType    = "application/vnd.oci.image.layer.v1.tar"
	configType   = "application/vnd.oci.image.config.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Write writes an OCI archive of an image that has one file, the binary, which is
// its entry point and can be called by its name. The name is a full reference, with registry and tag.
func Write(file, name, binary string) (err error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("image %s: %w", name, err)
	}
	out, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("image %s: %w", name, err)
	}
	defer func() {
		if closed := out.Close(); err == nil {
			err = closed
		}
	}()
	if err := archive(out, name, "/"+filepath.Base(binary), content); err != nil {
		return fmt.Errorf("image %s: %w", name, err)
	}
	return nil
}

func archive(out io.Writer, name, path string, content []byte) error {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := add(w, path[1:], 0o755, content); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Entrypoint": []string{path}, "User": User, "Env": []string{"PATH=/"}},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{digest(layer.Bytes())}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config":        describe(configType, config),
		"layers":        []descriptor{describe(layerType, layer.Bytes())},
	})
	if err != nil {
		return err
	}
	top := describe(manifestType, manifest)
	top.Annotations = map[string]string{"io.containerd.image.name": name}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []descriptor{top}})
	if err != nil {
		return err
	}
	w = tar.NewWriter(out)
	for _, blob := range [][]byte{layer.Bytes(), config, manifest} {
		if err := add(w, "blobs/sha256/"+digest(blob)[len("sha256:"):], 0o644, blob); err != nil {
			return err
		}
	}
	if err := add(w, "index.json", 0o644, index); err != nil {
		return err
	}
	if err := add(w, "oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	return w.Close()
}

func add(w *tar.Writer, name string, mode int64, content []byte) error {
	header := &tar.Header{Name: name, Mode: mode, Size: int64(len(content)), ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

func describe(mediaType string, content []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: digest(content), Size: int64(len(content))}
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
