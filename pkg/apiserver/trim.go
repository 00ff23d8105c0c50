package apiserver

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// gcPercent trades processor time for memory: the heap of an API server is
	// mostly caches, which a collection walks and does not free.
	gcPercent = 80
	// startPercent is that of the start. What is built then, the OpenAPI documents
	// above all, leaves little behind among much that is garbage, and pages that hold
	// both are never given back. The earlier garbage is found, the fewer they are.
	startPercent = 20
	// trimPeriod is how often the heap is looked at.
	trimPeriod = 10 * time.Second
	// idleBytes is what a server that has nothing to do allocates in a period.
	idleBytes = 32 << 20
	// worthwhileBytes is the least that is worth a collection of the whole heap.
	worthwhileBytes = 24 << 20
	// regrownBytes is the least that must have come on top of what the last one left.
	regrownBytes = 8 << 20
)

// TrimMemory gives memory back to the system when the server has become idle. Building
// the OpenAPI documents at the start, and every burst of work, leaves a heap
// twice its live size behind, which the collector would otherwise shrink over
// many minutes. It is for a process that is an API server and little else, is
// called before the server is built, told when it is ready, and runs until ctx
// ends. GOGC, when set, is left alone.
func TrimMemory(ctx context.Context, ready <-chan struct{}) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(startPercent)
		select {
		case <-ready:
		case <-ctx.Done():
			return
		}
		debug.SetGCPercent(gcPercent)
	}
	ticker := time.NewTicker(trimPeriod)
	defer ticker.Stop()
	before, left := readHeap(), uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := readHeap()
		if worthTrimming(before, now, left) {
			debug.FreeOSMemory()
			now = readHeap()
			left = now.slack()
		}
		before = now
	}
}

// heap is what decides about a trim, in bytes.
type heap struct {
	allocated uint64 // since the start of the process
	live      uint64 // after the last collection
	resident  uint64 // of the heap, not given back
}

// slack is what is resident and was not live.
func (h heap) slack() uint64 { return h.resident - min(h.live, h.resident) }

// worthTrimming compares with the slack that the last trim left, too: pages that hold
// something live stay, and looking for them every period finds them again.
func worthTrimming(before, now heap, left uint64) bool {
	return now.allocated-before.allocated < idleBytes && now.slack() > max(worthwhileBytes, left+regrownBytes)
}

func readHeap() heap {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 { return samples[i].Value.Uint64() }
	return heap{allocated: value(0), live: value(1), resident: value(2) + value(3) + value(4)}
}
