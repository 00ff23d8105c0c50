package plan_test

import (
	"testing"
)

func TestThreeClusters(t *testing.T) {
	f := newFederation(t, "ap", "eu", "us")
	f.addMesh("mesh1", selecting("eu", "ap", "us"))
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	t.Logf("ready after %s: %d writes, %d of status", f.now.Sub(epoch), f.writes, f.status)
	f.settle()
	writes, status := f.writes, f.status
	f.everybody()
	if f.writes != writes || f.status != status {
		t.Errorf("a steady mesh is written")
	}
	for _, e := range f.events {
		t.Log(e)
	}
}
