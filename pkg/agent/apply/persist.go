package apply

import (
	"context"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

const (
	// saveDelay gathers the changes of a work into one write: its arrival and its apply.
	saveDelay = 100 * time.Millisecond
	// saveRetry is how long to wait after a write that failed.
	saveRetry = 5 * time.Second
	// savers write that many records at once: a disk syncs several as fast as one.
	savers = 16
)

// save marks a work's record as changed. Called under the lock.
//
// Writing behind is safe: an object that was applied by an agent that died before it wrote the record
// carries our marks, and either its work is listed again or the scan for orphans finds it. Until it is,
// an object that is newer than its record is not rolled back, see applyRequest.cautious.
func (e *Engine) save(name string) {
	e.dirty[name] = true
	wake(e.wakeSaver)
}

func (e *Engine) runSaver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			if err := e.flush(); err != nil {
				klog.FromContext(ctx).Error(err, "The inventory is not complete; the next start scans the cluster for what is missing")
			}
			return
		case <-e.wakeSaver:
		}
		delay := saveDelay
		if err := e.flush(); err != nil {
			klog.FromContext(ctx).Error(err, "Cannot write the inventory, will retry")
			delay = saveRetry
			wake(e.wakeSaver)
		}
		select {
		case <-ctx.Done():
		case <-e.opts.Clock.After(delay):
		}
	}
}

// flush writes what is dirty. What could not be written stays dirty.
func (e *Engine) flush() error {
	e.mu.Lock()
	names := e.dirty
	e.dirty = map[string]bool{}
	e.mu.Unlock()
	var group sync.WaitGroup
	turns := make(chan struct{}, savers)
	failures := make(chan error, 1)
	for name := range names {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			if err := e.write(name); err != nil {
				select {
				case failures <- err:
				default: // one is enough to say
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

// write brings one work's record to the inventory.
func (e *Engine) write(name string) error {
	e.mu.Lock()
	var record *inventory.Record
	if w := e.works[name]; w != nil {
		record = e.record(w)
	}
	e.mu.Unlock()
	var err error
	if record == nil {
		err = e.opts.Drop(name)
	} else {
		err = e.opts.Save(record)
	}
	if err != nil {
		e.mu.Lock()
		e.dirty[name] = true
		e.mu.Unlock()
	}
	return err
}

// record is a work in the form of the inventory.
func (e *Engine) record(w *work) *inventory.Record {
	out := w.desire()
	for _, wanted := range w.objects {
		entry := inventory.Object{Key: wanted.Key, Version: wanted.Version}
		if o := e.objects[wanted.Key]; o != nil && len(o.claims) > 0 && o.claims[0] == w.name {
			entry.UID, entry.Hash, entry.Accepted, entry.Unmanaged = o.uid, o.hash, o.accepted, o.unmanaged
		}
		out.Objects = append(out.Objects, entry)
	}
	for key, version := range w.leftovers {
		entry := inventory.Object{Key: key, Version: version}
		if o := e.objects[key]; o != nil {
			entry.UID = o.uid
		}
		out.Objects = append(out.Objects, entry)
	}
	return out
}
