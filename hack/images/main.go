package main

import (
	"bytes"
	"debug/buildinfo"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/flotilla-io/flotilla/hack/images/oci"
	"github.com/flotilla-io/flotilla/hack/images/sbom"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

// packer knows what all images have in common.
type packer struct {
	bin, out, name, tag string
	created             time.Time
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	p := packer{}
	flags.StringVar(&p.bin, "bin", "bin", "directory with the binaries")
	flags.StringVar(&p.out, "out", "bin/images", "directory for the archives")
	flags.StringVar(&p.name, "name", "ghcr.io/flotilla-io/flotilla", "registry and repository; the component is appended")
	flags.StringVar(&p.tag, "tag", "", "tag of the images, and their version")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if p.tag == "" || flags.NArg() == 0 {
		return fmt.Errorf("want -tag and the components to pack, got %q", args)
	}
	seconds, err := strconv.ParseInt(valueOr(os.Getenv("SOURCE_DATE_EPOCH"), "0"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	p.created = time.Unix(seconds, 0).UTC()
	if err := os.MkdirAll(p.out, 0o755); err != nil {
		return err
	}
	for _, component := range flags.Args() {
		digest, err := p.pack(component)
		if err != nil {
			return fmt.Errorf("%s: %w", component, err)
		}
		if _, err := fmt.Fprintf(stdout, "%s  %s\n", filepath.Join(p.out, component+".tar"), digest); err != nil {
			return err
		}
	}
	return nil
}

func valueOr(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// pack writes the archive and the bill of materials of a component.
func (p packer) pack(component string) (string, error) {
	binary, err := os.ReadFile(filepath.Join(p.bin, component))
	if err != nil {
		return "", err
	}
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		return "", fmt.Errorf("not a Go binary: %w", err)
	}
	if err := static(binary); err != nil {
		return "", err
	}
	document, err := sbom.Encode(component, p.tag, binary, info, p.created)
	if err != nil {
		return "", err
	}
	image := compose(component, p.name+"/"+component+":"+p.tag, p.tag, binary, info)
	image.Created = p.created
	var archive bytes.Buffer
	digest, err := oci.Write(&archive, image)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(p.out, component+".spdx.json"), document, 0o644); err != nil {
		return "", err
	}
	return digest.String(), replace(filepath.Join(p.out, component+".tar"), archive.Bytes())
}

// replace writes a file so that nobody sees half of it.
func replace(path string, content []byte) error {
	if err := os.WriteFile(path+".new", content, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
