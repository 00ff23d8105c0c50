package gateways

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// takeCA is TakeCA for all members.
func takeCA(s *meshlab.Session) {
	s.Helper()
	for _, name := range meshlab.Names {
		s.TakeCA(name)
	}
}

// agree waits until the Mesh, and the istiods of all members, have these addresses for the
// gateways of some, host:port.
func agree(s *meshlab.Session, addresses map[string][]string) {
	s.Helper()
	for of, want := range addresses {
		s.TellsAddresses(meshlab.Mesh, of, want...)
		for _, in := range meshlab.Names {
			s.GatewaysOf(in, of, want...)
		}
	}
}

// pod is the address of the only pod of hello in a member.
func pod(s *meshlab.Session, in string) string {
	s.Helper()
	pods, err := shared.Members[in].Pods(s.Context(), "hello", meshlab.HelloTarget)
	require.NoError(s, err)
	require.Len(s, pods, 1)
	return pods[0]
}

// outsideIP is an address of this machine that is not loopback: neither the API server nor a
// Mesh takes one of those for an address that others reach.
func outsideIP(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, address := range addresses {
		if ip, ok := address.(*net.IPNet); ok && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	t.Fatal("this machine has no IPv4 address but loopback; this test needs one, for instance on a dummy interface")
	return ""
}

// mentions says which of some words are not in a text.
func mentions(text string, words ...string) error {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return fmt.Errorf("there is no %q in: %s", word, text)
		}
	}
	return nil
}
