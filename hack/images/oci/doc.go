// Package oci writes container images as OCI archives: a tar of an OCI image
// layout with one image in it, as "ctr images import", "podman load", "docker
// load" and "skopeo copy oci-archive:" read it. It needs no daemon, no root and
// no network.
//
// What is written depends on what goes in alone. Times, owners and order of files
// are fixed, so the same files give the same bytes; only another version of Go may
// compress them to others.
//
// Formats: https://github.com/opencontainers/image-spec, v1.1.
package oci
