package meshlab

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// Event is something that was seen in a member.
type Event struct {
	// At is when.
	At time.Time
	// What is <member>: <type> <object>.
	What string
}

// Timeline writes down what happens to objects, in order.
type Timeline struct {
	s *Session

	mu     sync.Mutex
	events []Event
}

// Timeline begins one.
func (s *Session) Timeline() *Timeline { return &Timeline{s: s} }

// Watcher is a client that can watch, such as Secrets of a namespace.
type Watcher interface {
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// Follow writes down what happens to one object until the test ends. Changes of
// it are not written down, but for those that tell says something about.
func (t *Timeline) Follow(member, what, name string, client Watcher, tell func(metav1.Object) string) {
	t.s.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w, err := client.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		cancel()
		t.s.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for event := range w.ResultChan() {
			o, ok := accessor(event.Object)
			if !ok {
				continue
			}
			said := string(event.Type)
			if tell != nil {
				said += " " + tell(o)
			}
			t.write(fmt.Sprintf("%s: %s %s %s", member, what, name, said))
		}
	})
	t.s.Cleanup(func() { cancel(); w.Stop(); done.Wait() })
}

func (t *Timeline) write(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.events); n == 0 || t.events[n-1].What != what {
		t.events = append(t.events, Event{At: time.Now(), What: what})
	}
}

// Events are all so far.
func (t *Timeline) Events() []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Event(nil), t.events...)
}

// When waits for an event and returns its time.
func (t *Timeline) When(what string) (at time.Time) {
	t.s.Helper()
	t.s.Await("seen: "+what, func() error {
		for _, e := range t.Events() {
			if e.What == what {
				at = e.At
				return nil
			}
		}
		return fmt.Errorf("seen so far: %v", t.Events())
	})
	return at
}
