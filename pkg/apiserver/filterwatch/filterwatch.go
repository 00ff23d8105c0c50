// Package filterwatch changes or drops the events of a watch.
//
// It does what watch.Filter of apimachinery does, but ends when it is stopped:
// that one blocks for ever, with its goroutine, when the client leaves while an
// event is on its way.
package filterwatch

import (
	"sync"

	"k8s.io/apimachinery/pkg/watch"
)

// New passes the events of from through f, which returns false for one to drop.
func New(from watch.Interface, f func(watch.Event) (watch.Event, bool)) watch.Interface {
	w := &filtered{from: from, out: make(chan watch.Event), stopped: make(chan struct{})}
	go w.run(f)
	return w
}

type filtered struct {
	from    watch.Interface
	out     chan watch.Event
	once    sync.Once
	stopped chan struct{}
}

// ResultChan implements watch.Interface.
func (w *filtered) ResultChan() <-chan watch.Event { return w.out }

// Stop implements watch.Interface.
func (w *filtered) Stop() {
	w.once.Do(func() { close(w.stopped) })
	w.from.Stop()
}

func (w *filtered) run(f func(watch.Event) (watch.Event, bool)) {
	defer close(w.out)
	for e := range w.from.ResultChan() {
		e, keep := f(e)
		if !keep {
			continue
		}
		select {
		case w.out <- e:
		case <-w.stopped:
			return
		}
	}
}
