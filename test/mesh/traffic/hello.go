package traffic

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// errSeen ends the handshake once the hello was read.
var errSeen = errors.New("seen")

// readHello reads the TLS client hello of a connection, and returns it with the
// bytes that were read, for whoever ends the connection's TLS.
func readHello(conn net.Conn) (*tls.ClientHelloInfo, []byte, error) {
	var read bytes.Buffer
	var hello *tls.ClientHelloInfo
	server := tls.Server(readOnly{io.TeeReader(conn, &read)}, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			hello = info
			return nil, errSeen
		},
	})
	if err := server.Handshake(); hello == nil {
		return nil, nil, err
	}
	return hello, read.Bytes(), nil
}

// readOnly is a connection that swallows what is written to it: the alert that
// ends our handshake.
type readOnly struct{ io.Reader }

func (readOnly) Write(p []byte) (int, error)      { return len(p), nil }
func (readOnly) Close() error                     { return nil }
func (readOnly) LocalAddr() net.Addr              { return nil }
func (readOnly) RemoteAddr() net.Addr             { return nil }
func (readOnly) SetDeadline(time.Time) error      { return nil }
func (readOnly) SetReadDeadline(time.Time) error  { return nil }
func (readOnly) SetWriteDeadline(time.Time) error { return nil }
