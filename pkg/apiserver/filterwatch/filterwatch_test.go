package filterwatch

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

func TestFilter(t *testing.T) {
	defer goleak.VerifyNone(t)
	from := watch.NewFake()
	w := New(from, func(e watch.Event) (watch.Event, bool) { return e, e.Type != watch.Modified })
	go func() {
		from.Modify(&metav1.Status{})
		from.Add(&metav1.Status{})
		from.Stop()
	}()
	require.Equal(t, watch.Added, (<-w.ResultChan()).Type)
	_, open := <-w.ResultChan()
	require.False(t, open, "it ends with its source")
}

func TestStoppedWhileAnEventIsOnItsWay(t *testing.T) {
	defer goleak.VerifyNone(t)
	from := watch.NewFakeWithChanSize(1, false)
	w := New(from, func(e watch.Event) (watch.Event, bool) { return e, true })
	from.Add(&metav1.Status{})
	w.Stop()
	w.Stop()
	for range w.ResultChan() {
	}
}
