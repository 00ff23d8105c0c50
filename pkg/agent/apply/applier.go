package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
	"github.com/flotilla-io/flotilla/pkg/agent/kinds"
	"github.com/flotilla-io/flotilla/pkg/notfound"
)

// applier brings one object at a time into the member. It keeps no state.
type applier struct {
	cluster   string
	namespace string // the execution namespace
	member    *Member
	kinds     *kinds.Kinds
	// federations are whom the agent works for now.
	federations func() federations
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
	// cautious requests rest on what was remembered: an object that is newer is left alone.
	cautious bool
}

// applyResult is what became of it.
type applyResult struct {
	// live is the object as the member holds it now; nil when it was left alone.
	live *unstructured.Unstructured
	// unmanaged is set when the object was there and serves as it is.
	unmanaged bool
	// ahead is set when a cautious request found a newer object than it would have made.
	ahead bool
}

// apply looks, decides and sends. Every error is a *ObjectError.
func (a *applier) apply(ctx context.Context, request applyRequest) (applyResult, error) {
	result, err := a.tryApply(ctx, request)
	if err != nil {
		return applyResult{}, a.failure(err, request.desired.Key)
	}
	return result, nil
}

func (a *applier) tryApply(ctx context.Context, request applyRequest) (applyResult, error) {
	desired := request.desired
	resource, ok := a.kinds.Lookup(desired.GroupVersionKind())
	if !ok {
		other, _ := a.kinds.Snapshot().AnyVersion(desired.GroupKind())
		return applyResult{}, unknownKindFailure(desired, a.cluster, other.Version)
	}
	content, err := desired.content()
	if err != nil {
		return applyResult{}, &ObjectError{Reason: ReasonBadManifest, Message: err.Error(), cause: err}
	}
	if failure := checkScope(desired, resource, a.cluster); failure != nil {
		return applyResult{}, failure
	}
	overwrite, retain := overwrites(content), retainsReplicas(content)
	sign(content, a.federations().current)
	if request.ours && request.uid != "" && !retain && !request.cautious {
		live, err := a.sendTo(ctx, request.uid, sendRequest{resource: resource, key: desired.Key, content: content, force: true})
		if !apierrors.IsConflict(err) {
			return applyResult{live: live}, err
		}
		// It is another object by now.
	}
	for attempt := 1; ; attempt++ {
		current, err := a.look(ctx, resource, desired.Key)
		if err != nil {
			return applyResult{}, err
		}
		verdict, owner := decide(claim{
			key: desired.Key, work: desired.Work, namespace: a.namespace, federations: a.federations(),
			overwrite: overwrite, uid: request.uid, stands: request.stands,
		}, current)
		switch {
		case verdict == leave:
			return applyResult{unmanaged: true}, nil
		case verdict == conflict:
			return applyResult{}, conflictFailure(desired.Key, a.cluster, owner)
		case request.cautious && current != nil && ahead(current, content):
			return applyResult{ahead: true}, nil
		}
		send := sendRequest{resource: resource, key: desired.Key, content: content}
		if verdict == create {
			// Without force, an object that someone creates right now shows as a conflict; the next try
			// looks at it.
			live, err := a.sendTo(ctx, "", send)
			return applyResult{live: live}, err
		}
		if retain {
			send.content = runtime.DeepCopyJSON(content)
			if err := a.releaseReplicas(ctx, resource, desired.Key, send.content, current.GetManagedFields()); err != nil {
				return applyResult{}, err
			}
		}
		send.force = true
		live, err := a.sendTo(ctx, current.GetUID(), send)
		if apierrors.IsConflict(err) && attempt < lookAttempts {
			continue // it was replaced after the look
		}
		return applyResult{live: live}, err
	}
}

// lookAttempts bounds how often an object is looked at that is another one each time.
const lookAttempts = 3

// sendTo sends a manifest to one very object: when there is none of that UID the answer is a conflict.
func (a *applier) sendTo(ctx context.Context, uid types.UID, r sendRequest) (*unstructured.Unstructured, error) {
	if uid != "" {
		meta := maps.Clone(r.content["metadata"].(map[string]any))
		meta["uid"] = string(uid)
		r.content = maps.Clone(r.content)
		r.content["metadata"] = meta
	}
	var err error
	if r.manifest, err = marshal(r.content); err != nil {
		return nil, err
	}
	return a.send(ctx, r)
}

// ahead tells whether an object was made from a newer state of the same template than a manifest.
func ahead(current metav1.Object, content map[string]any) bool {
	annotations, _ := content["metadata"].(map[string]any)["annotations"].(map[string]any)
	template, _ := annotations[names.TemplateUIDAnnotation].(string)
	ours, _ := annotations[names.TemplateGenerationAnnotation].(string)
	live := current.GetAnnotations()
	if template == "" || live[names.TemplateUIDAnnotation] != template {
		return false
	}
	wanted, err := strconv.ParseInt(ours, 10, 64)
	if err != nil {
		return false
	}
	there, err := strconv.ParseInt(live[names.TemplateGenerationAnnotation], 10, 64)
	return err == nil && there > wanted
}

// look reads the metadata of an object; nil when there is none.
func (a *applier) look(ctx context.Context, resource kinds.Resource, key inventory.Key) (metav1.Object, error) {
	current, err := a.member.getMeta(ctx, resource, key)
	if notfound.Object(err) {
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
	// orphan is the UID of an object that was found, not remembered: no other is meant.
	orphan types.UID
}

// remove deletes an object that is ours, see deletable; any other is left alone. The removal is done
// when err is nil, whether or not there was anything to do. known is the UID of the object as last
// applied; empty when that is not known. An error that is errKindMissing is for the caller to judge.
func (a *applier) remove(ctx context.Context, request removeRequest, known types.UID) error {
	err := a.tryRemove(ctx, request, known)
	if err == nil || notfound.Object(err) {
		return nil
	}
	return a.failure(err, request.key)
}

func (a *applier) tryRemove(ctx context.Context, request removeRequest, known types.UID) error {
	resource, err := a.serving(request)
	if err != nil {
		return err
	}
	current, err := a.member.getMeta(ctx, resource, request.key)
	if notfound.Path(err) && !resource.Listable {
		return nil // reviews, bindings: such a kind keeps no objects
	}
	if err != nil {
		return err
	}
	if !deletable(current, request.work, a.namespace, a.federations(), known) || request.orphan != "" && request.orphan != current.UID {
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
