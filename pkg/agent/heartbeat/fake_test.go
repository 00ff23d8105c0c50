package heartbeat

import (
	"context"
	"errors"
	"strconv"
	"sync"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// fakeStore is one object with optimistic concurrency.
type fakeStore[T interface {
	metav1.Object
	DeepCopy() T
}] struct {
	mu      sync.Mutex
	object  T
	exists  bool
	fail    error
	reads   int
	writes  int
	version int
}

var errDown = errors.New("down")

func (f *fakeStore[T]) Get(context.Context) (out T, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if f.fail != nil {
		return out, f.fail
	}
	if !f.exists {
		return out, apierrors.NewNotFound(schema.GroupResource{}, "eu")
	}
	return f.object.DeepCopy(), nil
}

func (f *fakeStore[T]) Create(_ context.Context, object T) (out T, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return out, f.fail
	}
	if f.exists {
		return out, apierrors.NewAlreadyExists(schema.GroupResource{}, "eu")
	}
	f.exists = true
	return f.store(object), nil
}

func (f *fakeStore[T]) Update(_ context.Context, object T) (out T, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return out, f.fail
	}
	if !f.exists {
		return out, apierrors.NewNotFound(schema.GroupResource{}, "eu")
	}
	if object.GetResourceVersion() != f.object.GetResourceVersion() {
		return out, apierrors.NewConflict(schema.GroupResource{}, "eu", errors.New("it changed"))
	}
	return f.store(object), nil
}

func (f *fakeStore[T]) UpdateStatus(ctx context.Context, object T) (T, error) {
	return f.Update(ctx, object)
}

func (f *fakeStore[T]) store(object T) T {
	f.writes++
	f.version++
	f.object = object.DeepCopy()
	f.object.SetResourceVersion(strconv.Itoa(f.version))
	return f.object.DeepCopy()
}

// edit changes the object as someone else does.
func (f *fakeStore[T]) edit(change func(T)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.object.DeepCopy()
	change(next)
	f.store(next)
	f.writes--
}

func (f *fakeStore[T]) counts() (reads, writes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads, f.writes
}

func (f *fakeStore[T]) broken(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

type (
	fakeClusters = fakeStore[*clusterv1alpha1.Cluster]
	fakeLeases   = fakeStore[*coordinationv1.Lease]
)
