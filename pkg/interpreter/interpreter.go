package interpreter

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/interpreter/native"
)

var (
	// ErrMalformed is wrapped by errors about a field that does not hold what
	// its API says it holds.
	ErrMalformed = native.ErrMalformed

	// ErrNoReplicas is wrapped by the error about setting the replicas of a
	// kind that has none.
	ErrNoReplicas = errors.New("kind has no replicas")
)

// Interpreter knows what objects mean. The errors of its methods name the
// object and the field.
type Interpreter interface {
	// Replicas returns how many replicas a template wants and what one of
	// them needs. ok is false for a kind that has no replicas to divide.
	Replicas(obj *unstructured.Unstructured) (replicas int32, req *workv1alpha2.ReplicaRequirements, ok bool, err error)

	// ReviseReplicas sets the number of replicas, in place. Of a Job it sets
	// the parallelism; for its completions see ReviseCompletions. The error
	// wraps ErrNoReplicas for a kind for which Replicas says ok=false.
	ReviseReplicas(obj *unstructured.Unstructured, replicas int32) error

	// ReflectStatus returns what the federation wants to know about an object
	// in a member, as JSON; nil if there is nothing to tell. The status of a
	// kind whose controllers observe generations also holds `generation`, that
	// of the object in the member, and `resourceTemplateGeneration`, that of
	// the template it was made from.
	ReflectStatus(obj *unstructured.Unstructured) (*runtime.RawExtension, error)

	// Health judges an object in a member; Unknown goes with an error.
	Health(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error)

	// AggregateStatus writes what the clusters report into template.status, in
	// place, and tells whether that changed anything that matters; if not, the
	// template is untouched.
	//
	// items must hold an entry for every cluster the template is placed in,
	// without a status for those that have not reported: only so can it tell
	// that all have observed the newest template, or that a Job is complete,
	// which cannot be taken back.
	//
	// A report that cannot be read counts as none and is named in the error.
	// The others are merged nevertheless, so changed can be true together with
	// an error.
	AggregateStatus(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (changed bool, err error)

	// Prune takes off, in place, what must not travel into a member: what the
	// federation's API server, its admission or its controllers set, and the
	// status. The labels and annotations of federation itself stay. What was
	// allocated is told from what was asked for by metadata.managedFields, which
	// goes, too; where it is missing, both go.
	Prune(obj *unstructured.Unstructured)
}

// New returns the interpreter of native kinds, which passes every other kind
// through.
func New() Interpreter { return interpreter{} }

type interpreter struct{}

func kindOf(obj *unstructured.Unstructured) (native.Kind, bool) {
	return native.For(obj.GroupVersionKind().GroupKind())
}

func (interpreter) Replicas(obj *unstructured.Unstructured) (int32, *workv1alpha2.ReplicaRequirements, bool, error) {
	kind, _ := kindOf(obj)
	if kind.Replicas == nil {
		return 0, nil, false, nil
	}
	replicas, req, err := kind.Replicas(obj)
	if err != nil {
		return 0, nil, true, fmt.Errorf("replicas of %s: %w", describe(obj), err)
	}
	return replicas, req, true, nil
}

func (interpreter) ReviseReplicas(obj *unstructured.Unstructured, replicas int32) error {
	kind, _ := kindOf(obj)
	if kind.ReviseReplicas == nil {
		return fmt.Errorf("setting replicas of %s, use replicaScheduling Duplicated for it: %w", describe(obj), ErrNoReplicas)
	}
	if replicas < 0 {
		return fmt.Errorf("setting replicas of %s: %d is negative: %w", describe(obj), replicas, ErrMalformed)
	}
	if err := kind.ReviseReplicas(obj, replicas); err != nil {
		return fmt.Errorf("setting replicas of %s: %w", describe(obj), err)
	}
	return nil
}

func (interpreter) ReflectStatus(obj *unstructured.Unstructured) (*runtime.RawExtension, error) {
	reflect := reflectPassedThrough
	if kind, ok := kindOf(obj); ok {
		if kind.ReflectStatus == nil {
			return nil, nil
		}
		reflect = kind.ReflectStatus
	}
	status, err := reflect(obj)
	if err != nil {
		return nil, fmt.Errorf("status of %s: %w", describe(obj), err)
	}
	return status, nil
}

func (interpreter) Health(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error) {
	kind, ok := kindOf(obj)
	switch {
	case !ok:
		return healthOfPassedThrough(obj), nil
	case kind.Health == nil:
		return workv1alpha2.ResourceHealthy, nil
	}
	health, err := kind.Health(obj)
	if err != nil {
		return workv1alpha2.ResourceUnknown, fmt.Errorf("health of %s: %w", describe(obj), err)
	}
	return health, nil
}

func (interpreter) AggregateStatus(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error) {
	aggregate := aggregatePassedThrough
	if kind, ok := kindOf(template); ok {
		if kind.AggregateStatus == nil {
			return false, nil
		}
		aggregate = kind.AggregateStatus
	}
	changed, err := aggregate(template, items)
	if err != nil {
		return changed, fmt.Errorf("aggregated status of %s: %w", describe(template), err)
	}
	return changed, nil
}

// describe names an object for an error: apps/Deployment default/web.
func describe(obj *unstructured.Unstructured) string {
	kind := obj.GroupVersionKind().GroupKind()
	return kindName(kind) + " " + objectName(obj)
}

func kindName(kind schema.GroupKind) string {
	if kind.Group == "" {
		return kind.Kind
	}
	return kind.Group + "/" + kind.Kind
}

func objectName(obj *unstructured.Unstructured) string {
	if ns := obj.GetNamespace(); ns != "" {
		return ns + "/" + obj.GetName()
	}
	return obj.GetName()
}
