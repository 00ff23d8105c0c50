// Package sbom writes what a Go binary was built from as an SPDX 2.3 document.
// It reads what the linker has put into the binary, so it describes that binary
// and not what go.mod says today.
//
// Format: https://spdx.github.io/spdx-spec/v2.3/
package sbom
