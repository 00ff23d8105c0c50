package ports

import (
	"errors"
	"net"
	"os"
	"strconv"
	"sync/atomic"
)

const first, count = 10000, 10000

// tried is how many ports this process has tried.
var tried atomic.Int64

// Free is a port of 127.0.0.1 that nobody listens on. Processes that run at the same time
// look in different places.
func Free() (int, error) {
	for range count {
		port := first + (os.Getpid()*61+int(tried.Add(1)))%count
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("no port between 10000 and 19999 of 127.0.0.1 is free")
}
