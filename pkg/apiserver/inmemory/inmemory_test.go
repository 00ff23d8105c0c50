package inmemory

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"k8s.io/client-go/rest"
)

// A watch must deliver its first event while the request is still open, and
// end when the server does.
func TestStreamsWhileTheRequestIsOpen(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	conn := New()
	served := make(chan error, 1)
	go func() {
		served <- conn.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, "%d %s\n", r.ProtoMajor, r.Header.Get("Authorization"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}))
	}()

	client, err := rest.HTTPClientFor(conn.Config("secret", "test"))
	require.NoError(t, err)
	resp, err := client.Get("http://in-memory/")
	require.NoError(t, err)
	line := make([]byte, len("2 Bearer secret\n"))
	_, err = io.ReadFull(resp.Body, line)
	require.NoError(t, err)
	require.Equal(t, "2 Bearer secret\n", string(line))

	cancel()
	require.NoError(t, <-served)
	rest, _ := io.ReadAll(resp.Body)
	require.Empty(t, rest, "nothing comes after the end of the server")
	require.NoError(t, resp.Body.Close())
	client.CloseIdleConnections()
}

// Clients are built before the server serves, and a request that is made then
// waits for it. After its end, requests fail instead of hanging.
func TestRequestsWaitForTheServer(t *testing.T) {
	defer goleak.VerifyNone(t)
	conn := New()
	client, err := rest.HTTPClientFor(conn.Config("secret", "test"))
	require.NoError(t, err)
	const requests = 50
	answers := make(chan error, requests)
	for range requests {
		go func() {
			resp, err := client.Get("http://in-memory/")
			if err == nil {
				err = resp.Body.Close()
			}
			answers <- err
		}()
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- conn.Serve(ctx, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) }()
	for range requests {
		require.NoError(t, <-answers)
	}
	cancel()
	require.NoError(t, <-served)
	client.CloseIdleConnections()
	_, err = client.Get("http://in-memory/") //nolint:bodyclose // there is no answer
	require.Error(t, err)
}
