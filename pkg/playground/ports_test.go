package playground

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestChoosePort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		taken := rapid.MapOf(rapid.IntRange(firstPort, firstPort+200), rapid.Just(true)).Draw(t, "taken")
		preferred := rapid.OneOf(rapid.Just(0), rapid.IntRange(firstPort, firstPort+200), rapid.IntRange(1, 65535)).Draw(t, "preferred")
		seed := rapid.String().Draw(t, "seed")
		free := func(port int) bool { return !taken[port] }

		port, err := choosePort(seed, preferred, free)
		if err != nil {
			t.Fatal(err)
		}
		if !free(port) {
			t.Fatalf("port %d is taken", port)
		}
		if preferred != 0 && free(preferred) && port != preferred {
			t.Fatalf("got %d although %d is free", port, preferred)
		}
		if port != preferred && (port < firstPort || port >= firstPort+portCount) {
			t.Fatalf("port %d is outside of the range", port)
		}
		if again, _ := choosePort(seed, preferred, free); again != port {
			t.Fatalf("got %d, then %d", port, again)
		}
	})
}

func TestChoosePortFindsTheOnlyOne(t *testing.T) {
	for _, only := range []int{firstPort, firstPort + 4321, firstPort + portCount - 1} {
		port, err := choosePort("seed", 0, func(port int) bool { return port == only })
		require.NoError(t, err)
		require.Equal(t, only, port)
	}
	_, err := choosePort("seed", 80, func(int) bool { return false })
	require.ErrorIs(t, err, errNoPort)
}

func TestPortFree(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.False(t, portFree(port), "someone listens")
	require.NoError(t, listener.Close())
	require.True(t, portFree(port), "nobody listens any more")
}
