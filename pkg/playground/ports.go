package playground

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"strconv"
)

// Ports are taken from below the range that systems use for outgoing
// connections, so that no such connection occupies one while the playground
// is down.
const (
	firstPort = 21000
	portCount = 9000
)

// errNoPort says that all ports of the range are in use.
var errNoPort = errors.New("no free port")

// choosePort returns preferred if it is free. Else it tries the whole range,
// starting at a place that depends on the seed, so that two playgrounds that
// start together look in different places.
func choosePort(seed string, preferred int, free func(int) bool) (int, error) {
	if preferred != 0 && free(preferred) {
		return preferred, nil
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(seed))
	start := int(hash.Sum32() % portCount)
	for i := range portCount {
		if port := firstPort + (start+i)%portCount; free(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("%w between %d and %d on 127.0.0.1", errNoPort, firstPort, firstPort+portCount-1)
}

// portFree tells whether a server could listen on the port of 127.0.0.1.
func portFree(port int) bool {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}
