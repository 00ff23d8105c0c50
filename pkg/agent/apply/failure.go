package apply

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

// Reasons for which an object is not applied.
const (
	ReasonApplied              = "AppliedSuccessful"
	ReasonFailed               = "AppliedFailed"
	ReasonConflict             = "Conflict"
	ReasonInvalid              = "Invalid"
	ReasonImmutable            = "ImmutableField"
	ReasonForbidden            = "Forbidden"
	ReasonUnknownKind          = "UnknownKind"
	ReasonNamespaceMissing     = "NamespaceMissing"
	ReasonNamespaceTerminating = "NamespaceTerminating"
	ReasonUnreachable          = "MemberUnreachable"
	ReasonBadManifest          = "BadManifest"
)

// ObjectError is why an object is not as its work wants it, in words for the user.
type ObjectError struct {
	// Reason is one of the constants above.
	Reason string
	// Message names object, field and cluster, and says what to do.
	Message string
	// Transient failures say nothing about the manifest; they are reported only when they last.
	Transient bool

	cause error
}

// Error implements error.
func (f *ObjectError) Error() string { return f.Message }

// Unwrap returns what the API server answered.
func (f *ObjectError) Unwrap() error { return f.cause }

// ErrConflict is in the chain of failures about objects that are someone else's.
var ErrConflict = errors.New("the object belongs to someone else")

// ErrUnknownKind is in the chain of failures about kinds that the member does not serve.
var ErrUnknownKind = errors.New("the cluster does not serve this kind")

func conflictFailure(key inventory.Key, cluster, owner string) *ObjectError {
	message := fmt.Sprintf("%s exists in cluster %s and belongs to %s. Delete it there, or take it over with conflictResolution: Overwrite in the policy (annotation %s: %s on the template)",
		key, cluster, owner, names.ConflictResolutionAnnotation, overwrite)
	if strings.HasPrefix(owner, "work ") && !strings.HasSuffix(owner, "federation") {
		message = fmt.Sprintf("%s in cluster %s is already delivered by %s. Remove it from one of the two", key, cluster, owner)
	}
	return &ObjectError{Reason: ReasonConflict, Message: message, cause: ErrConflict}
}

// unknownKindFailure is about a kind that is not served in the manifest's version. other is a version in
// which it is; empty when there is none.
func unknownKindFailure(d *Desired, cluster, other string) *ObjectError {
	wayOut := ". Install or propagate its CustomResourceDefinition"
	if other != "" {
		wayOut = fmt.Sprintf(", but in version %s. Serve %s there again, or let the federation's API server prefer %s", other, d.Version, other)
	}
	return &ObjectError{
		Reason:  ReasonUnknownKind,
		Message: fmt.Sprintf("%s: cluster %s does not serve kind %s%s; the object follows by itself", d.Key, cluster, d.GroupVersionKind(), wayOut),
		cause:   ErrUnknownKind,
	}
}

// describe turns an answer of the member's API into a failure.
func describe(err error, key inventory.Key, cluster string) *ObjectError {
	var already *ObjectError
	if errors.As(err, &already) {
		return already
	}
	f := &ObjectError{Reason: ReasonFailed, cause: err}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		f.Reason, f.Transient = ReasonUnreachable, true
		f.Message = fmt.Sprintf("%s: the API of cluster %s does not answer: %v. It will be tried again", key, cluster, err)
		return f
	}
	said := status.Status()
	switch {
	case missingNamespace(said):
		f.Reason = ReasonNamespaceMissing
		f.Message = fmt.Sprintf("%s: namespace %s does not exist in cluster %s. Propagate the namespace or create it; the object follows by itself", key, key.Namespace, cluster)
	case terminatingNamespace(said):
		f.Reason = ReasonNamespaceTerminating
		f.Message = fmt.Sprintf("%s: namespace %s of cluster %s is being deleted. The object follows when it is there again", key, key.Namespace, cluster)
	case apierrors.IsInvalid(err):
		f.Reason, f.Message = ReasonInvalid, invalidMessage(said, key, cluster)
		if immutable(said) {
			f.Reason = ReasonImmutable
			f.Message += ". The field cannot be changed on an existing object: set it back, or delete the object in the cluster and it is created anew"
		}
	case apierrors.IsConflict(err):
		f.Reason = ReasonConflict
		f.Message = fmt.Sprintf("%s in cluster %s: %s", key, cluster, said.Message)
	case apierrors.IsForbidden(err):
		f.Reason = ReasonForbidden
		if r, ok := missingRight(err); ok {
			f.Message = fmt.Sprintf("%s: the agent may not %s %s in cluster %s. %s", key, r.verb, r.resource, cluster, r.wayOut())
			break
		}
		f.Message = fmt.Sprintf("%s: cluster %s refuses it: %s. Give the agent's identity the permission, or lift the quota or policy named", key, cluster, said.Message)
	case said.Code == http.StatusTooManyRequests, said.Code >= http.StatusInternalServerError, apierrors.IsTimeout(err), apierrors.IsUnauthorized(err):
		f.Transient = true
		f.Message = fmt.Sprintf("%s: cluster %s answers: %s. It will be tried again", key, cluster, said.Message)
	default:
		f.Message = fmt.Sprintf("%s: cluster %s refuses it: %s", key, cluster, said.Message)
	}
	return f
}

func missingNamespace(status metav1.Status) bool {
	return status.Reason == metav1.StatusReasonNotFound && status.Details != nil && status.Details.Kind == "namespaces"
}

func terminatingNamespace(status metav1.Status) bool {
	return hasCause(status, func(c metav1.StatusCause) bool { return c.Type == corev1.NamespaceTerminatingCause })
}

// immutable recognises refusals to change a field. API servers have no reason of their own for it:
// most say so in words, and a few forbid "updates to" a part of the spec.
func immutable(status metav1.Status) bool {
	return hasCause(status, func(c metav1.StatusCause) bool {
		text := strings.ToLower(c.Message)
		return strings.Contains(text, "immutable") || strings.Contains(text, "updates to") ||
			strings.Contains(text, "may not change") || strings.Contains(text, "may not be changed")
	})
}

func hasCause(status metav1.Status, match func(metav1.StatusCause) bool) bool {
	if status.Details == nil {
		return false
	}
	for _, cause := range status.Details.Causes {
		if match(cause) {
			return true
		}
	}
	return false
}

func invalidMessage(status metav1.Status, key inventory.Key, cluster string) string {
	var fields []string
	if status.Details != nil {
		for _, cause := range status.Details.Causes {
			fields = append(fields, strings.TrimPrefix(cause.Field+": "+shorten(cause.Message), ": "))
		}
	}
	said := strings.Join(fields, "; ")
	if said == "" {
		said = shorten(status.Message)
	}
	return fmt.Sprintf("%s: cluster %s refuses it: %s", key, cluster, said)
}

// shorten cuts the dumps of whole structs that validation errors carry.
func shorten(text string) string {
	const limit = 300
	if len(text) <= limit {
		return text
	}
	// The reason stands at the end, the offending value at the start.
	return strings.ToValidUTF8(text[:limit/3]+" ... "+text[len(text)-2*limit/3:], "")
}
