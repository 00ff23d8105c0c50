package apply

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

// An agent may have rights for some kinds only. Each kind stands for itself: what is missing for one is
// said about the works that need it, and holds up no other.

// right is one that somebody lacks.
type right struct {
	verb, resource, group string
}

// denied is how the authorizer of an API server says no. Quotas and admission say it in their own words.
var denied = regexp.MustCompile(`cannot (\S+) resource "([^"]+)" in API group "([^"]*)"`)

// missingRight reads the right that is missing from a refusal; false if it was refused for something else.
func missingRight(err error) (right, bool) {
	var status apierrors.APIStatus
	if !apierrors.IsForbidden(err) || !errors.As(err, &status) {
		return right{}, false
	}
	found := denied.FindStringSubmatch(status.Status().Message)
	if found == nil {
		return right{}, false
	}
	return right{verb: found[1], resource: found[2], group: found[3]}, true
}

// wayOut says where a right is given.
func (r right) wayOut() string {
	return fmt.Sprintf("Allow it in the cluster: add {apiGroups: [%q], resources: [%s]} to agent.rbac.kinds of the agent's chart, or take the object out of the policy",
		r.group, r.resource)
}

// unseen is why an object that was applied does not count as applied: nobody sees what becomes of it. Nil if
// its kind can be watched.
func (e *Engine) unseen(o inventory.Object) *ObjectError {
	b, ok := e.blind[o.GroupKind().WithVersion(o.Version)]
	if !ok {
		return nil
	}
	return &ObjectError{
		Reason: ReasonForbidden,
		Message: fmt.Sprintf("%s: it was applied, but the agent may not %s %s in all namespaces of cluster %s, so its status is not known and drift is not repaired. %s",
			o.Key, b.verb, b.resource, e.opts.Cluster, b.wayOut()),
		cause: b.cause,
	}
}

// blinded takes in whether a kind can be watched.
func (e *Engine) blinded(ctx context.Context, kind schema.GroupVersionKind, err error) {
	r, forbidden := missingRight(err)
	if err != nil && !forbidden {
		return // says nothing about rights
	}
	e.change(func() {
		if _, was := e.blind[kind]; was == forbidden {
			return // a reflector tries a watch and a list by turns
		}
		if forbidden {
			klog.FromContext(ctx).Info("The agent may not watch a kind that is wanted", "kind", kind.String(), "verb", r.verb, "resource", r.resource)
			e.blind[kind] = blindness{r, err}
		} else {
			delete(e.blind, kind)
		}
		for _, o := range e.objects {
			if o.desired == nil || o.desired.GroupVersionKind() != kind {
				continue
			}
			for _, name := range o.claims {
				e.report(e.works[name])
			}
		}
	})
}

// blindness is why a kind cannot be watched.
type blindness struct {
	right
	cause error
}

// noticing tells the engine whether a kind can be watched, and leaves the retries to the reflector.
func (e *Engine) noticing(kind schema.GroupVersionKind, source cache.ListerWatcher) cache.ListerWatcher {
	with := cache.ToListerWatcherWithContext(source)
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := with.ListWithContext(ctx, options)
			if err != nil {
				e.blinded(ctx, kind, err)
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			w, err := with.WatchWithContext(ctx, options)
			e.blinded(ctx, kind, err)
			return w, err
		},
	}
}
