package cluster

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	netproxy "golang.org/x/net/proxy"
)

// dialTimeout is how long opening a connection may take, to a member or to a
// proxy and through it.
const dialTimeout = 10 * time.Second

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialer opens connections through a proxy: http, https or socks5, or none. The
// headers, a JSON object, are for the proxy.
func dialer(proxyURL, header string) (dialFunc, error) {
	direct := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	if proxyURL == "" {
		return direct.DialContext, nil
	}
	u, err := url.Parse(proxyURL)
	if err != nil {
		return nil, errors.New("spec.proxyURL is not a URL; correct it") // it may hold a password
	}
	switch u.Scheme {
	case "socks5":
		return throughSOCKS(u, direct)
	case "http", "https":
		t := tunnel{proxy: u, direct: direct.DialContext, header: http.Header{}}
		if err := t.setHeader(header); err != nil {
			return nil, err
		}
		return t.dial, nil
	}
	return nil, fmt.Errorf("spec.proxyURL: scheme %q is not supported; use http, https or socks5", u.Scheme)
}

func throughSOCKS(u *url.URL, direct *net.Dialer) (dialFunc, error) {
	var auth *netproxy.Auth
	if u.User != nil {
		password, _ := u.User.Password()
		auth = &netproxy.Auth{User: u.User.Username(), Password: password}
	}
	d, err := netproxy.SOCKS5("tcp", address(u), auth, direct)
	if err != nil {
		return nil, fmt.Errorf("spec.proxyURL: %w", err)
	}
	return func(ctx context.Context, network, target string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		// What the package returns can be dialed with a context, by its
		// documentation.
		return d.(netproxy.ContextDialer).DialContext(ctx, network, target)
	}, nil
}

// tunnel asks an HTTP proxy to CONNECT.
type tunnel struct {
	proxy  *url.URL
	header http.Header
	direct dialFunc
}

func (t tunnel) setHeader(text string) error {
	if t.proxy.User != nil {
		password, _ := t.proxy.User.Password()
		t.header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(t.proxy.User.Username()+":"+password)))
	}
	if text == "" {
		return nil
	}
	var header map[string]string
	if err := json.Unmarshal([]byte(text), &header); err != nil {
		return fmt.Errorf("spec.proxyHeader: %w", err)
	}
	for name, value := range header {
		t.header.Set(name, value)
	}
	return nil
}

func (t tunnel) dial(ctx context.Context, _, target string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := t.direct(ctx, "tcp", address(t.proxy))
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", t.proxy.Host, err)
	}
	conn, err = t.connect(ctx, conn, target)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", t.proxy.Host, err)
	}
	return conn, nil
}

// connect makes conn, to the proxy, a connection to target. It closes conn when
// that fails.
func (t tunnel) connect(ctx context.Context, conn net.Conn, target string) (_ net.Conn, err error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = context.Cause(ctx) // the deadline is set, or is about to be
		}
		if err != nil {
			_ = conn.Close()
		}
	}()
	if t.proxy.Scheme == "https" {
		secured := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.proxy.Hostname()})
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secured
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: target}, Host: target, Header: t.header}
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	answer := bufio.NewReader(conn)
	resp, err := http.ReadResponse(answer, req) //nolint:bodyclose // what follows the header is the tunnel
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("CONNECT %s: %s", target, resp.Status)
	}
	if answer.Buffered() > 0 {
		return nil, fmt.Errorf("CONNECT %s: data before anything was asked of the member", target)
	}
	return conn, nil
}

// address is the host and port of a proxy.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
