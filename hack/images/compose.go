package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"runtime/debug"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/flotilla-io/flotilla/hack/images/oci"
)

// user of every image. The chart and these files name it, too, as a number:
// Kubernetes cannot tell that a name is not root.
const user = 65532

// errDynamic marks binaries that need more than an image of ours has.
var errDynamic = errors.New("not static: build it with CGO_ENABLED=0")

// static fails for binaries that ask for a dynamic linker or for libraries.
func static(binary []byte) error {
	file, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return fmt.Errorf("not a Linux binary: %w", err)
	}
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP {
			return errDynamic
		}
	}
	libraries, err := file.ImportedLibraries()
	if err != nil {
		return err
	}
	if len(libraries) > 0 {
		return fmt.Errorf("%w (it wants %v)", errDynamic, libraries)
	}
	return nil
}

// compose is the image of a component.
func compose(component, name, version string, binary []byte, info *debug.BuildInfo) oci.Image {
	path := "/usr/local/bin/" + component
	return oci.Image{
		Name:     name,
		Platform: v1.Platform{OS: setting(info, "GOOS"), Architecture: setting(info, "GOARCH")},
		Config: v1.ImageConfig{
			User:       fmt.Sprintf("%d:%d", user, user),
			Entrypoint: []string{path},
			WorkingDir: "/",
			Env:        []string{"PATH=/usr/local/bin"},
			Labels: map[string]string{
				v1.AnnotationTitle:    "Flotilla " + component,
				v1.AnnotationVersion:  version,
				v1.AnnotationSource:   "https://" + info.Main.Path,
				v1.AnnotationLicenses: "Apache-2.0",
			},
		},
		Files: []oci.File{
			{Path: "/etc/group", Mode: 0o644, Content: fmt.Appendf(nil, "root:x:0:\nflotilla:x:%d:\n", user)},
			{Path: "/etc/passwd", Mode: 0o644, Content: fmt.Appendf(nil,
				"root:x:0:0:root:/:/sbin/nologin\nflotilla:x:%d:%d:Flotilla:/:/sbin/nologin\n", user, user)},
			{Path: "/tmp/", Mode: 0o1777},
			{Path: path, Mode: 0o755, Content: binary},
		},
	}
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
