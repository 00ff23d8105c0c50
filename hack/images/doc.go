// Command images packs binaries as container images, without a Docker daemon:
//
//	go run ./hack/images -bin bin/static -out bin/images \
//	    -name ghcr.io/flotilla-io/flotilla -tag v0.1.0 apiserver agent
//
// writes bin/images/apiserver.tar, an OCI archive of
// ghcr.io/flotilla-io/flotilla/apiserver:v0.1.0, beside it apiserver.spdx.json,
// which says what is in it, and the same for agent. It prints each image's
// digest.
//
// An image is empty but for the binary, a user for it, and /tmp. It runs as that
// user, 65532, with the binary as its entrypoint. A binary that needs a dynamic
// linker is refused: there is none in the image.
//
// The same binaries give the same bytes. SOURCE_DATE_EPOCH (seconds since 1970)
// is the time that images and documents tell; without it, that is 1970.
package main
