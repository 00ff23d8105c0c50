package mesh

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// follow lists and watches MeshMembers until the context ends.
func (a *Agent) follow(ctx context.Context) {
	logger := klog.FromContext(ctx)
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
			return a.list(ctx)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			events, err := a.federation.watch(ctx, options)
			return events, unlessOver(ctx, err)
		},
	}
	cache.NewReflectorWithOptions(listThenWatch{source}, &meshv1alpha1.MeshMember{}, &sink{ctx: ctx, agent: a}, cache.ReflectorOptions{
		Logger:  &logger,
		Name:    "meshmembers",
		Backoff: &wait.Backoff{Duration: 300 * time.Millisecond, Cap: 10 * time.Second, Steps: 7, Factor: 2, Jitter: 0.5},
	}).RunWithContext(ctx)
}

// list reads all MeshMembers. It does not return while the federation does not serve them:
// it may be older than this agent, and there is nothing to say about that.
func (a *Agent) list(ctx context.Context) (*meshv1alpha1.MeshMemberList, error) {
	said := false
	for {
		if err := a.Admit(ctx); err != nil {
			return nil, err
		}
		list, err := a.federation.list(ctx)
		if err == nil || !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) || a.busy() {
			return list, err
		}
		if !said {
			klog.FromContext(ctx).V(1).Info("The federation does not serve MeshMembers to this agent", "err", err, "lookAgainAfter", absent)
			said = true
		}
		if !a.pause(ctx, wait.Jitter(absent, 0.2), nil) {
			return nil, ctx.Err()
		}
	}
}

// busy tells whether there are MeshMembers, so that the federation has served them before.
func (a *Agent) busy() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.members) > 0
}

// pause waits, and returns false when the context has ended. A wake ends it early.
func (a *Agent) pause(ctx context.Context, long time.Duration, wake <-chan struct{}) bool {
	timer := a.Clock.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-timer.C():
	}
	return ctx.Err() == nil
}

// sink is where the reflector puts MeshMembers.
type sink struct {
	ctx   context.Context //nolint:containedctx // the lifetime of the workers it starts
	agent *Agent
}

func (s *sink) Add(obj any) error {
	object, ok := obj.(*meshv1alpha1.MeshMember)
	if !ok {
		return fmt.Errorf("want a MeshMember, got %T", obj)
	}
	s.agent.set(s.ctx, false, object)
	return nil
}

func (s *sink) Update(obj any) error { return s.Add(obj) }

func (s *sink) Delete(obj any) error {
	object, ok := obj.(*meshv1alpha1.MeshMember)
	if !ok {
		return fmt.Errorf("want a MeshMember, got %T", obj)
	}
	s.agent.drop(object.Name)
	return nil
}

func (s *sink) Replace(items []any, _ string) error {
	kept, objects := make(map[string]bool, len(items)), make([]*meshv1alpha1.MeshMember, 0, len(items))
	for _, item := range items {
		object, ok := item.(*meshv1alpha1.MeshMember)
		if !ok {
			return fmt.Errorf("want a MeshMember, got %T", item)
		}
		kept[object.Name] = true
		objects = append(objects, object)
	}
	s.agent.set(s.ctx, true, objects...)
	s.agent.kept(kept)
	return nil
}

func (s *sink) Resync() error { return nil }

// listThenWatch keeps the reflector from asking for a streamed list, which a server that
// does not know the request answers like one that never ends its list.
type listThenWatch struct{ *cache.ListWatch }

// IsWatchListSemanticsUnSupported is asked by the reflector.
func (listThenWatch) IsWatchListSemanticsUnSupported() bool { return true }
