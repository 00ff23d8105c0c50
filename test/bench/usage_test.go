package bench

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// resources are what the control plane and the agents have used.
type resources struct {
	cpu, agentCPU time.Duration
	memory        int64 // resident bytes
	agentMemory   int64
	memberCPU     time.Duration
}

func usage(t *testing.T) resources {
	t.Helper()
	var r resources
	r.cpu, r.memory = process(t, "apiserver")
	for _, m := range members {
		cpu, memory := process(t, "agent-"+m)
		r.agentCPU += cpu
		r.agentMemory += memory
		cpu, _ = process(t, "member-"+m)
		r.memberCPU += cpu
	}
	return r
}

// process reads proc(5): utime and stime are the 14th and 15th field of stat,
// in ticks of 10 ms, resident pages the second of statm.
func process(t *testing.T, name string) (cpu time.Duration, memory int64) {
	t.Helper()
	pid, err := shared.PID(name)
	require.NoError(t, err)
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	require.NoError(t, err)
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		require.NoError(t, err)
		cpu += time.Duration(ticks) * 10 * time.Millisecond
	}
	statm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	require.NoError(t, err)
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	require.NoError(t, err)
	return cpu, pages * int64(os.Getpagesize())
}
