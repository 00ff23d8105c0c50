package apply

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
	"github.com/flotilla-io/flotilla/pkg/agent/kinds"
)

// applier brings one object at a time into the member. It keeps no state.
type applier struct {
	cluster   string
	namespace string // the execution namespace
	member    *Member
	lookup    func(schema.GroupVersionKind) (kinds.Resource, bool)
	// complete is false while some kinds could not be discovered.
	complete func() bool
}

// applyRequest is one object to be applied.
type applyRequest struct {
	desired *Desired
	// uid the object had when we applied it last.
	uid types.UID
	// ours is set when the watch shows the object with our label and this work's name: then there
	// is no need to look first.
	ours bool
	// stands tells whether another work of ours still wants the object.
	stands func(work string) bool
}

// applyResult is what became of it.
type applyResult struct {
	// live is the object as the member holds it now; nil when it was left alone.
	live *unstructured.Unstructured
	// unmanaged is set when the object was there and serves as it is.
	unmanaged bool
}

// apply looks, decides and sends. Every error is a *ObjectError.
func (a *applier) apply(ctx context.Context, request applyRequest) (applyResult, error) {
	result, err := a.tryApply(ctx, request)
	if err != nil {
		return applyResult{}, describe(err, request.desired.Key, a.cluster)
	}
	return result, nil
}

func (a *applier) tryApply(ctx context.Context, request applyRequest) (applyResult, error) {
	desired := request.desired
	resource, ok := a.lookup(desired.GroupVersionKind())
	if !ok {
		return applyResult{}, unknownKindFailure(desired, a.cluster)
	}
	content, err := desired.content()
	if err != nil {
		return applyResult{}, &ObjectError{Reason: ReasonBadManifest, Message: err.Error(), cause: err}
	}
	if failure := checkScope(desired, resource, a.cluster); failure != nil {
		return applyResult{}, failure
	}
	retain := retainsReplicas(content)
	if request.ours && !retain {
		live, err := a.send(ctx, sendRequest{resource: resource, key: desired.Key, content: content, manifest: desired.Raw, force: true})
		return applyResult{live: live}, err
	}
	current, err := a.look(ctx, resource, desired.Key)
	if err != nil {
		return applyResult{}, err
	}
	verdict, owner := decide(claim{
		key: desired.Key, work: desired.Work, namespace: a.namespace,
		overwrite: overwrites(content), uid: request.uid, stands: request.stands,
	}, current)
	switch verdict {
	case leave:
		return applyResult{unmanaged: true}, nil
	case conflict:
		return applyResult{}, conflictFailure(desired.Key, a.cluster, owner)
	}
	manifest := []byte(desired.Raw)
	if verdict != create && retain {
		if manifest, err = a.withoutReplicas(ctx, resource, desired.Key, content, current.GetManagedFields()); err != nil {
			return applyResult{}, err
		}
	}
	// Without force, an object that someone creates right now shows as a conflict; the next try
	// looks at it.
	live, err := a.send(ctx, sendRequest{resource: resource, key: desired.Key, content: content, manifest: manifest, force: verdict != create})
	return applyResult{live: live}, err
}

// look reads the metadata of an object; nil when there is none.
func (a *applier) look(ctx context.Context, resource kinds.Resource, key inventory.Key) (metav1.Object, error) {
	current, err := a.member.getMeta(ctx, resource, key)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return current, nil
}

// checkScope catches a manifest whose namespace does not fit its kind, before the API server answers
// with an unhelpful 404.
func checkScope(desired *Desired, resource kinds.Resource, cluster string) *ObjectError {
	if resource.Namespaced == (desired.Namespace != "") {
		return nil
	}
	said := "is cluster-scoped: remove metadata.namespace"
	if resource.Namespaced {
		said = "is namespaced: set metadata.namespace"
	}
	err := fmt.Errorf("%s: kind %s of cluster %s %s", desired.Key, desired.Kind, cluster, said)
	return &ObjectError{Reason: ReasonBadManifest, Message: err.Error(), cause: err}
}

// removeRequest is one object to be deleted, or released.
type removeRequest struct {
	key     inventory.Key
	version string
	work    string
	// preserve takes our marks off the object and leaves it.
	preserve bool
}

// remove deletes an object that carries our marks; any other is left alone. The removal is done when
// err is nil, whether or not there was anything to do.
func (a *applier) remove(ctx context.Context, request removeRequest) error {
	err := a.tryRemove(ctx, request)
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return describe(err, request.key, a.cluster)
}

func (a *applier) tryRemove(ctx context.Context, request removeRequest) error {
	resource, ok := a.lookup(request.key.GroupKind().WithVersion(request.version))
	if !ok {
		if a.complete() {
			return nil // the kind is gone and its objects with it
		}
		err := fmt.Errorf("%s: cluster %s cannot tell whether it serves kind %s: %w", request.key, a.cluster, request.key.Kind, ErrUnknownKind)
		return &ObjectError{Reason: ReasonUnknownKind, Message: err.Error(), Transient: true, cause: err}
	}
	current, err := a.member.getMeta(ctx, resource, request.key)
	if err != nil {
		return err
	}
	if !deletable(current, request.work, a.namespace) {
		return nil
	}
	if request.preserve {
		return a.release(ctx, resource, request.key, current)
	}
	if current.DeletionTimestamp != nil {
		return nil // on its way
	}
	return a.member.remove(ctx, resource, request.key, current.UID)
}

func marshal(content map[string]any) ([]byte, error) {
	raw, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return raw, nil
}
