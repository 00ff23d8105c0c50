package apiserver

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/propagation/claim"
)

// unmatchedDelay is how long a new template may stay without a policy before
// its owner is told. It covers the time between a policy's write and the moment
// every part knows it, so that templates and policies applied together are not
// reported.
const unmatchedDelay = 250 * time.Millisecond

// lastLookDelay is how long after that the template is looked at for the last time. A
// policy that was written through another API server may be known here only now, and
// the claim controller may have looked for its templates before this one was stored.
const lastLookDelay = 30 * time.Second

// policies are the policies and clusters admission looks at, in memory. A write
// through this server is in the index before it is answered.
type policies struct {
	claim.Index
	clusters sync.Map // name -> struct{}
	synced   chan struct{}
	queue    workqueue.TypedRateLimitingInterface[unmatched]
}

// unmatched is a new template that no policy selected.
type unmatched struct {
	resource schema.GroupVersionResource
	kind     schema.GroupVersionKind
	key      types.NamespacedName
	told     bool // its owner; it is looked at for the last time
}

func newPolicies() *policies {
	return &policies{
		synced: make(chan struct{}),
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[unmatched](unmatchedDelay, time.Minute),
			workqueue.TypedRateLimitingQueueConfig[unmatched]{Name: "unmatched-templates"}),
	}
}

// PolicyChanged and PolicyDeleted keep the index up to date; they are called
// from the write itself and again from the watch.
func (p *policies) PolicyChanged(policy policyv1alpha1.Policy) { p.Upsert(policy) }

// PolicyDeleted takes a policy out.
func (p *policies) PolicyDeleted(policy policyv1alpha1.Policy) {
	p.Delete(policy.GetNamespace(), policy.GetName())
}

// WaitForSync implements propagation.Policies.
func (p *policies) WaitForSync(ctx context.Context, patience time.Duration) bool {
	select {
	case <-p.synced:
		return true
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.synced:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// HasCluster implements propagation.Policies.
func (p *policies) HasCluster(name string) bool {
	_, ok := p.clusters.Load(name)
	return ok
}

// Unmatched implements propagation.Policies.
func (p *policies) Unmatched(resource schema.GroupVersionResource, kind schema.GroupVersionKind, namespace, name string) {
	p.queue.AddAfter(unmatched{resource: resource, kind: kind, key: types.NamespacedName{Namespace: namespace, Name: name}}, unmatchedDelay)
}

// start tells the owners of unmatched templates until ctx ends.
func (p *policies) start(ctx context.Context, cfg *restclient.Config, recorder events.Recorder) error {
	reader, err := metadata.NewForConfig(cfg)
	if err != nil {
		return err
	}
	go func() {
		<-ctx.Done()
		p.queue.ShutDown()
	}()
	go func() {
		for {
			item, quit := p.queue.Get()
			if quit {
				return
			}
			if err := p.report(ctx, reader, recorder, item); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "Looking at a template without a policy failed, trying again", "resource", item.resource, "template", item.key)
				p.queue.AddRateLimited(item)
			} else {
				p.queue.Forget(item)
			}
			p.queue.Done(item)
		}
	}()
	return nil
}

// report looks again at a template that had no policy when it was created. A
// policy that came in between claims it now: its controller may have listed the
// templates before this one was stored. Without one its owner is told, and it is looked
// at once more.
func (p *policies) report(ctx context.Context, reader metadata.Interface, recorder events.Recorder, item unmatched) error {
	obj, err := reader.Resource(item.resource).Namespace(item.key.Namespace).Get(ctx, item.key.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, claimed := claim.On(obj); claimed {
		return nil
	}
	if _, matched := p.Match(claim.TemplateOf(item.kind, obj), nil); matched {
		// Admission stamps the claim into any update.
		_, err := reader.Resource(item.resource).Namespace(item.key.Namespace).Patch(ctx, item.key.Name, types.MergePatchType,
			fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, names.LabelBound, "true"), metav1.PatchOptions{})
		return err
	}
	if item.told {
		return nil
	}
	recorder.Event(ctx, events.RefTo(item.kind, obj), corev1.EventTypeWarning, names.EventApplyPolicyFailed, names.NoPolicyMatchMessage)
	item.told = true
	p.queue.AddAfter(item, lastLookDelay)
	return nil
}
