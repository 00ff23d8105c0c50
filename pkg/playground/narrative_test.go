package playground

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNarrator(t *testing.T) {
	var out bytes.Buffer
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	n := &narrator{out: &out, start: start, now: func() time.Time { return start.Add(4120 * time.Millisecond) }}
	n.say("member %s is ready after %s", "eu", seconds(4*time.Second))
	n.print("text\n\n")
	require.Equal(t, "[  4.1s] member eu is ready after 4.0s\ntext\n", out.String())
}

func TestTail(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	write := func(content string) { require.NoError(t, os.WriteFile(file, []byte(content), 0o600)) }

	write("one\ntwo\nthree\n")
	require.Equal(t, "  two\n  three", tail(file, 2))
	require.Equal(t, "  one\n  two\n  three", tail(file, 20))
	write(strings.Repeat("x", 100_000) + "\nlast")
	require.Equal(t, "  last", tail(file, 1))
	require.Less(t, len(tail(file, 20)), 500, "a long line is cut")
	write("")
	require.Equal(t, "  ", tail(file, 20))
	require.Contains(t, tail(file+"absent", 20), "no such file", "also that is told")
}

func TestWhatNextNamesTheFilesAsThePersonDid(t *testing.T) {
	p := &playground{Config: DefaultConfig(), tell: newNarrator(&bytes.Buffer{})}
	text := p.whatNext()
	for _, file := range []string{".flotilla/fed-config", ".flotilla/kubeconfig-eu", ".flotilla/logs"} {
		require.Contains(t, text, file)
	}
}

func TestRotateLogs(t *testing.T) {
	l := layout(filepath.Join(t.TempDir(), "a[b]"))
	require.NoError(t, rotateLogs(l), "there are none at first")
	require.NoError(t, os.MkdirAll(l.path("logs"), 0o700))
	require.NoError(t, os.WriteFile(l.log("x"), []byte("new"), 0o600))
	require.NoError(t, os.WriteFile(l.log("x")+".old", []byte("old"), 0o600))
	require.NoError(t, rotateLogs(l))
	require.NoFileExists(t, l.log("x"))
	data, err := os.ReadFile(l.log("x") + ".old")
	require.NoError(t, err)
	require.Equal(t, "new", string(data), "one run back is kept, no more")
}
