//go:build linux

package install

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	probeEvery   = 50 * time.Millisecond
	probeTimeout = 2 * time.Second
)

// prober asks workloads all the time, one connection for each question, and
// remembers who did not answer.
type prober struct {
	stop    context.CancelFunc
	asking  sync.WaitGroup
	mu      sync.Mutex
	answers map[string]int
	silence []string
}

// probe asks every URL until the end.
func probe(t testing.TB, urls map[string]string) *prober {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &prober{stop: cancel, answers: map[string]int{}}
	for name, url := range urls {
		p.asking.Go(func() { p.ask(ctx, name, url) })
	}
	t.Cleanup(func() { cancel(); p.asking.Wait() })
	return p
}

func (p *prober) ask(ctx context.Context, name, url string) {
	client := newClient()
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-ticker.C:
			err := question(client, url)
			p.mu.Lock()
			if err != nil {
				p.silence = append(p.silence, fmt.Sprintf("%s: %s: %v", at.Format(time.TimeOnly), name, err))
			} else {
				p.answers[name]++
			}
			p.mu.Unlock()
		}
	}
}

// newClient makes a connection for each request.
func newClient() *http.Client {
	return &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
}

func question(client *http.Client, url string) error {
	reply, err := client.Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = reply.Body.Close() }()
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", reply.Status)
	}
	_, err = io.Copy(io.Discard, reply.Body)
	return err
}

// end stops asking. Nobody may have been silent, and everybody was asked often.
func (p *prober) end(t require.TestingT, atLeast int) map[string]int {
	p.stop()
	p.asking.Wait()
	require.Empty(t, p.silence, "every request to a workload is answered")
	for name, n := range p.answers {
		require.Greater(t, n, atLeast, name)
	}
	return p.answers
}
