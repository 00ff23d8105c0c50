package playground

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

const longEnough = 30 * time.Second

// nursery is what a child needs, in a directory of its own.
type nursery struct {
	t       *testing.T
	dir     string
	spawner *spawner
	table   *processTable

	mu    sync.Mutex
	lines []string
}

func newNursery(t *testing.T) *nursery {
	t.Helper()
	dir := t.TempDir()
	n := &nursery{t: t, dir: dir, spawner: newSpawner(), table: newProcessTable(filepath.Join(dir, "processes.json"))}
	t.Cleanup(func() {
		n.spawner.close()
		goleak.VerifyNone(t)
	})
	return n
}

func (n *nursery) say(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func (n *nursery) said() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.lines, "\n")
}

// raise starts a shell script as a child. It is ready when its process has
// written its id to the file "up".
func (n *nursery) raise(script string, grace time.Duration) *process {
	n.t.Helper()
	p := keepRunning(&process{
		child: child{
			name: "kid", title: "the kid", role: RoleMember, grace: grace,
			command: func() (*exec.Cmd, error) {
				cmd := exec.Command("/bin/sh", "-c", script)
				cmd.Dir = n.dir
				return cmd, nil
			},
			ready: func(_ context.Context, pid int, _ time.Time) (bool, error) {
				data, err := os.ReadFile(filepath.Join(n.dir, "up"))
				return strings.TrimSpace(string(data)) == strconv.Itoa(pid), err
			},
		},
		logFile: filepath.Join(n.dir, "logs", "kid.log"),
		spawn:   n.spawner.start, table: n.table, say: n.say,
		backoff: backoff{first: time.Millisecond, max: 5 * time.Millisecond, healthy: time.Hour},
	})
	n.t.Cleanup(p.stop)
	return p
}

func (n *nursery) listed() []Process {
	n.t.Helper()
	data, err := os.ReadFile(n.table.file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(n.t, err)
	var list []Process
	require.NoError(n.t, json.Unmarshal(data, &list), "the file is whole at every moment")
	return list
}

const (
	waits    = "echo $$ > up; exec sleep 1000"
	stubborn = "trap '' TERM; echo $$ > up; while :; do sleep 0.05; done"
)

func TestChildIsStartedAgain(t *testing.T) {
	n := newNursery(t)
	p := n.raise(waits, longEnough)
	require.NoError(t, p.waitReady(t.Context()))
	before := n.listed()
	require.Len(t, before, 1)
	require.Equal(t, Process{Name: "kid", PID: before[0].PID, Role: RoleMember}, before[0])

	require.NoError(t, syscall.Kill(before[0].PID, syscall.SIGKILL))
	require.Eventually(t, func() bool { return strings.Contains(n.said(), "is back") }, longEnough, 5*time.Millisecond, "recovery is visible")
	after := n.listed()
	require.Len(t, after, 1)
	require.NotEqual(t, before[0].PID, after[0].PID, "the table follows")
	require.Contains(t, n.said(), "signal: killed", "it says why")

	p.stop()
	require.Empty(t, n.listed())
	require.ErrorIs(t, syscall.Kill(after[0].PID, 0), syscall.ESRCH, "the process is gone")
}

func TestChildThatKeepsEndingIsGivenUp(t *testing.T) {
	n := newNursery(t)
	p := n.raise("echo no luck; exit 7", longEnough)
	err := p.waitReady(t.Context())
	require.ErrorIs(t, err, errStart)
	require.ErrorContains(t, err, "exit status 7")
	var failed *startError
	require.ErrorAs(t, err, &failed)
	require.Contains(t, tail(failed.logFile, 20), "no luck", "the log tells more")
}

func TestChildThatCannotBeStartedIsGivenUp(t *testing.T) {
	n := newNursery(t)
	p := keepRunning(&process{
		child: child{name: "kid", title: "the kid", grace: longEnough, command: func() (*exec.Cmd, error) {
			return exec.Command(filepath.Join(n.dir, "absent")), nil
		}},
		logFile: filepath.Join(n.dir, "kid.log"), spawn: n.spawner.start, table: n.table, say: n.say,
		backoff: backoff{first: time.Millisecond, max: time.Millisecond},
	})
	defer p.stop()
	require.ErrorIs(t, p.waitReady(t.Context()), os.ErrNotExist)
}

func TestWaitReadyEndsWithItsContext(t *testing.T) {
	n := newNursery(t)
	p := n.raise("exec sleep 1000", longEnough)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.waitReady(ctx), context.Canceled)
}

func TestStubbornChildIsKilled(t *testing.T) {
	n := newNursery(t)
	p := n.raise(stubborn, 50*time.Millisecond)
	require.NoError(t, p.waitReady(t.Context()))
	pid := n.listed()[0].PID
	p.stop()
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	require.Contains(t, n.said(), "killing it")
}

func TestStopBetweenTwoStarts(t *testing.T) {
	n := newNursery(t)
	p := n.raise("exit 1", longEnough)
	p.backoff.max = time.Hour
	require.Eventually(t, func() bool { return strings.Contains(n.said(), "ended") }, longEnough, time.Millisecond)
	p.stop()
	p.stop()
	require.Empty(t, n.listed(), "stopping twice is harmless")
}

func TestBackoff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBackoff()
		var last time.Duration
		for _, ran := range rapid.SliceOf(rapid.Int64Range(0, int64(time.Minute))).Draw(t, "runs") {
			delay := b.next(time.Duration(ran))
			switch {
			case time.Duration(ran) >= b.healthy || last == 0:
				if delay != b.first {
					t.Fatalf("delay %s after a healthy run, want %s", delay, b.first)
				}
			case delay != min(2*last, b.max):
				t.Fatalf("delay %s after %s", delay, last)
			}
			last = delay
		}
	})
}

func TestProcessTableOrder(t *testing.T) {
	table := newProcessTable(filepath.Join(t.TempDir(), "processes.json"))
	for _, p := range []Process{
		{"agent-eu", 1, RoleAgent}, {"member-us", 2, RoleMember}, {"member-eu", 3, RoleMember}, {"apiserver", 4, RoleControlPlane},
	} {
		require.NoError(t, table.set(p))
	}
	require.NoError(t, table.remove("member-us"))
	require.NoError(t, table.set(Process{"member-eu", 5, RoleMember}))
	data, err := os.ReadFile(table.file)
	require.NoError(t, err)
	require.JSONEq(t, `[
		{"name":"apiserver","pid":4,"role":"control-plane"},
		{"name":"member-eu","pid":5,"role":"member"},
		{"name":"agent-eu","pid":1,"role":"agent"}]`, string(data))
}
