package cluster

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// upgrading is a member that switches protocols, says who it thinks asks and
// then repeats what it hears in capitals.
var upgrading = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Upgrade") != "shout" {
		http.Error(w, "no upgrade", http.StatusForbidden)
		return
	}
	conn, buf, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer closing(conn)
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")
	_, _ = io.WriteString(conn, strings.Join([]string{
		req.Header.Get("Impersonate-User"), strings.Join(req.Header["Impersonate-Group"], ","), req.Header.Get("Authorization"),
		req.Header.Get("Connection"), req.URL.RequestURI(), req.Host,
	}, "|")+"\n")
	for {
		line, err := buf.ReadString('\n')
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, strings.ToUpper(line))
	}
})

// upgrade asks the front server for an upgrade with these headers.
func (l *lab) upgrade(path string, header string) (net.Conn, *bufio.Reader, *http.Response) {
	l.t.Helper()
	conn, err := net.Dial("tcp", l.front.Listener.Addr().String())
	require.NoError(l.t, err)
	l.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(l.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: federation\r\n"+header+"\r\n")
	require.NoError(l.t, err)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	require.NoError(l.t, err)
	return conn, r, resp
}

func shout(t *testing.T, conn net.Conn, r *bufio.Reader) {
	t.Helper()
	_, err := io.WriteString(conn, "hello\n")
	require.NoError(t, err)
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "HELLO\n", line)
}

func TestUpgrades(t *testing.T) {
	l := newLab(t, upgrading)
	for name, header := range map[string]string{
		"plain":    "Connection: Upgrade\r\nUpgrade: shout\r\n",
		"smuggled": "Connection: keep-alive, Upgrade, Authorization, Impersonate-User\r\nUpgrade: shout\r\nAuthorization: Bearer x\r\nImpersonate-User: root\r\nImpersonate-Group: system:masters\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn, r, resp := l.upgrade("/proxy/api/v1/namespaces/n/pods/p/exec?command=ls&stdin=true", header)
			defer closing(resp.Body)
			require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
			line, err := r.ReadString('\n')
			require.NoError(t, err)
			assert.Equal(t, "alice|dev|Bearer "+testToken+"|Upgrade|/api/v1/namespaces/n/pods/p/exec?command=ls&stdin=true|"+strings.TrimPrefix(l.cluster.Spec.APIEndpoint, "https://")+"\n", line)
			shout(t, conn, r)
		})
	}
}

func TestRefusedUpgrade(t *testing.T) {
	l := newLab(t, upgrading)
	_, _, resp := l.upgrade("/proxy/api", "Connection: Upgrade\r\nUpgrade: whisper\r\n")
	defer closing(resp.Body)
	assert.Equal(t, http.StatusForbidden, resp.StatusCode, "the member's own answer")
}

// connectProxy is an HTTP proxy that only knows CONNECT.
type connectProxy struct {
	want  http.Header
	count atomic.Int32
}

func (p *connectProxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	for name := range p.want {
		if req.Header.Get(name) != p.want.Get(name) {
			http.Error(w, "who are you", http.StatusProxyAuthRequired)
			return
		}
	}
	up, err := net.Dial("tcp", req.Host)
	if req.Method != http.MethodConnect || err != nil {
		http.Error(w, "cannot", http.StatusBadGateway)
		return
	}
	defer closing(up)
	p.count.Add(1)
	// Taken over before it answers: a client that has its answer talks at once, and
	// the server would read the first of that for itself.
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer closing(conn)
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{})
	go func() { _, _ = io.Copy(up, conn); _ = up.Close(); close(done) }()
	_, _ = io.Copy(conn, up)
	_ = conn.Close()
	<-done
}

// Everything goes through spec.proxyURL: requests and upgrades.
func TestThroughHTTPProxy(t *testing.T) {
	p := &connectProxy{want: http.Header{"Proxy-Authorization": {"Basic dTpwYXNz"}, "X-Team": {"a, b"}}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	u.User = url.UserPassword("u", "pass")

	l := newLab(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Upgrade") != "" {
			upgrading(w, req)
			return
		}
		echoing(w, req)
	}))
	l.cluster.Spec.ProxyURL, l.cluster.Spec.ProxyHeader = u.String(), map[string]string{"x-team": "a, b"}
	assert.NotContains(t, l.ask(http.MethodGet, "/proxy/api", nil).Header, "X-Team", "that is for the proxy only")
	assert.EqualValues(t, 1, p.count.Load())

	conn, r, resp := l.upgrade("/proxy/api", "Connection: Upgrade\r\nUpgrade: shout\r\n")
	defer closing(resp.Body)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	_, err = r.ReadString('\n')
	require.NoError(t, err)
	shout(t, conn, r)
	assert.EqualValues(t, 2, p.count.Load())

	l.cluster.Spec.ProxyHeader = nil
	code, body := l.do(http.MethodGet, "/proxy/api", nil)
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.Contains(t, body, "407", "the proxy's answer tells what is wrong")
}

// A proxy that takes the connection and says nothing must not hold a request
// forever, nor outlive it.
func TestSilentProxy(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer closing(silent)
	dial, err := dialer("http://"+silent.Addr().String(), "")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = dial(ctx, "tcp", "127.0.0.1:1")
	require.Error(t, err)
	assert.Less(t, time.Since(began), dialTimeout/2)
}

func TestThroughTLSProxy(t *testing.T) {
	server := httptest.NewTLSServer(&connectProxy{})
	t.Cleanup(server.Close)
	dial, err := dialer(server.URL, "")
	require.NoError(t, err)
	_, err = dial(t.Context(), "tcp", "127.0.0.1:1")
	var untrusted *tls.CertificateVerificationError
	require.ErrorAs(t, err, &untrusted, "a proxy's certificate is checked with the system's roots")
}

// TestThroughSOCKS has a SOCKS5 server that knows just enough.
func TestThroughSOCKS(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go socks(conn)
		}
	}()
	l := newLab(t, echoing)
	l.cluster.Spec.ProxyURL = "socks5://" + listener.Addr().String()
	assert.Equal(t, "/api", l.ask(http.MethodGet, "/proxy/api", nil).Path)
}

// socks serves one connection: no authentication, an IPv4 address.
func socks(conn net.Conn) {
	defer closing(conn)
	b := make([]byte, 64)
	if _, err := io.ReadFull(conn, b[:2]); err != nil {
		return
	}
	_, _ = io.ReadFull(conn, b[:b[1]])
	_, _ = conn.Write([]byte{5, 0})
	if _, err := io.ReadFull(conn, b[:10]); err != nil || b[3] != 1 {
		return
	}
	up, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IP(b[4:8]), Port: int(b[8])<<8 | int(b[9])})
	if err != nil {
		return
	}
	defer closing(up)
	_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	go func() { _, _ = io.Copy(up, conn) }()
	_, _ = io.Copy(conn, up)
}
