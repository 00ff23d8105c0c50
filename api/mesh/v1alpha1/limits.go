package v1alpha1

import "unicode/utf8"

// Limits of what agents write. One of them could otherwise fill what is stored for
// all: much of it is repeated in Meshes and in what peers get.
const (
	// MaxMessage bounds each message in the status of a MeshMember, in bytes.
	MaxMessage = 1024
	// MaxConditions bounds its conditions.
	MaxConditions = 32
	// MaxPeers bounds the peers that are reported.
	MaxPeers = 1000
	// MaxRoots bounds the roots in a bundle that are reported.
	MaxRoots = 32
	// MaxRegions bounds the regions that are reported.
	MaxRegions = 64
	// MaxGatewayAddresses bounds the addresses of a gateway that are reported.
	MaxGatewayAddresses = 64
	// MaxVersion bounds the version and the cluster ID that istiod tells, in bytes.
	MaxVersion = 128

	// MaxReaderToken bounds the token of a reader, MaxReaderCA the CA of its API
	// server and MaxReaderServer that one's URL, in bytes.
	MaxReaderToken  = 16 << 10
	MaxReaderCA     = 64 << 10
	MaxReaderServer = 2 << 10
	// MaxReaderSecret bounds the data of the Secret with all of them.
	MaxReaderSecret = 96 << 10
)

// Clip shortens a text to a number of bytes, at the end of a character, and shows that
// it did.
func Clip(text string, most int) string {
	const mark = "..."
	if len(text) <= most {
		return text
	}
	cut := max(most-len(mark), 0)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + mark
}
