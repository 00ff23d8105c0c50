package meshlink

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
)

// stub is a cache of Works that tells when it is started.
type stub struct {
	cache.Cache
	started chan struct{}
	synced  bool
	works   []workv1alpha1.Work
}

func (s *stub) Start(ctx context.Context) error {
	close(s.started)
	<-ctx.Done()
	return nil
}

type informer struct {
	cache.Informer
	synced bool
}

func (i informer) HasSynced() bool { return i.synced }

func (s *stub) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return informer{synced: s.synced}, nil
}

func (s *stub) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	options := &client.ListOptions{}
	for _, o := range opts {
		o.ApplyToList(options)
	}
	if options.LabelSelector.String() != meshv1alpha1.MeshLabel+"=mesh1" {
		return errors.New("selects " + options.LabelSelector.String())
	}
	list.(*workv1alpha1.WorkList).Items = s.works
	return nil
}

// TestWorksAreFollowedWhenAskedFor: not before there is a Mesh, and to the end.
func TestWorksAreFollowedWhenAskedFor(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := &stub{started: make(chan struct{}), works: []workv1alpha1.Work{{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, {ObjectMeta: metav1.ObjectMeta{Name: "b"}}}}
	f := newFollower(s, none)
	watched := make(chan struct{})
	f.watch = func(cache.Cache) error { close(watched); return nil }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Start(ctx) }()
	select {
	case <-watched:
		t.Fatal("it is watched and nobody has asked")
	default:
	}
	if _, err := f.Works(t.Context(), "mesh1"); !errors.Is(err, errNotYet) {
		t.Errorf("before it is filled: %v", err)
	}
	<-watched
	<-s.started
	s.synced = true
	works, err := f.Works(t.Context(), "mesh1")
	if err != nil || len(works) != 2 || works[0].Name != "a" || works[1].Name != "b" {
		t.Errorf("works: %v, %v", works, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestFollowerEndsUnasked: a federation without a Mesh.
func TestFollowerEndsUnasked(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newFollower(&stub{}, none).Start(ctx); err != nil {
		t.Error(err)
	}
}

func none(context.Context) (bool, error) { return false, nil }

// TestWorksAreFollowedWhenThereAreAny: a Mesh may have gone without its finalizer while
// nobody looked, and only its Works tell.
func TestWorksAreFollowedWhenThereAreAny(t *testing.T) {
	defer goleak.VerifyNone(t)
	for name, there := range map[string]func(context.Context) (bool, error){
		"There":    func(context.Context) (bool, error) { return true, nil },
		"NotKnown": func(context.Context) (bool, error) { return false, errors.New("no connection") },
	} {
		t.Run(name, func(t *testing.T) {
			s := &stub{started: make(chan struct{})}
			f := newFollower(s, there)
			f.watch = func(cache.Cache) error { return nil }
			if f.Followed() {
				t.Error("nobody has asked")
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- f.Start(ctx) }()
			<-s.started
			if !f.Followed() {
				t.Error("it is not said that they are followed")
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
