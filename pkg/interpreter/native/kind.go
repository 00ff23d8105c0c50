package native

import (
	"errors"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// ErrMalformed is wrapped by every error about a field that does not hold what
// its API says it holds.
var ErrMalformed = errors.New("malformed field")

// Kind says how to interpret one kind. A function that is nil says that the
// question does not arise for the kind; each field tells what that means.
type Kind struct {
	// Replicas gives the desired count and what one replica needs. Nil: the
	// kind cannot be divided.
	Replicas func(obj *unstructured.Unstructured) (int32, *workv1alpha2.ReplicaRequirements, error)

	// ReviseReplicas sets the desired count in place. Nil together with
	// Replicas.
	ReviseReplicas func(obj *unstructured.Unstructured, replicas int32) error

	// ReflectStatus extracts from an object in a member what the federation
	// wants to know about it. Nil: the kind has no status worth reporting.
	ReflectStatus func(obj *unstructured.Unstructured) (*runtime.RawExtension, error)

	// Health judges an object in a member. Nil: it is healthy once it exists.
	Health func(obj *unstructured.Unstructured) (workv1alpha2.ResourceHealth, error)

	// AggregateStatus writes what the clusters report into the template's
	// status. Clusters whose report cannot be read count as not having
	// reported, and are named in the error; the others are merged all the
	// same. Nil: the template's status belongs to somebody else.
	AggregateStatus func(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error)

	// Prune takes off, in place, what this kind must not carry into a member.
	// The metadata that every kind has is none of its business. Nil: nothing.
	Prune func(obj *unstructured.Unstructured)
}

// For returns the interpretation of a kind, whatever version it is written in,
// or false for a kind that is not native.
func For(kind schema.GroupKind) (Kind, bool) {
	k, ok := kinds[kind]
	return k, ok
}

// kinds is the registry. It is never written after initialization.
var kinds = map[schema.GroupKind]Kind{
	{Group: "apps", Kind: "Deployment"}:  deployment,
	{Group: "apps", Kind: "StatefulSet"}: statefulSet,
	{Group: "apps", Kind: "DaemonSet"}:   daemonSet,
	{Group: "apps", Kind: "ReplicaSet"}:  replicaSet,

	{Group: "batch", Kind: "Job"}:     job,
	{Group: "batch", Kind: "CronJob"}: cronJob,

	{Kind: "Pod"}:                   pod,
	{Kind: "Service"}:               service,
	{Kind: "ConfigMap"}:             {},
	{Kind: "Secret"}:                secret,
	{Kind: "ServiceAccount"}:        serviceAccount,
	{Kind: "PersistentVolumeClaim"}: volumeClaim,
	{Kind: "PersistentVolume"}:      volume,
	{Kind: "Namespace"}:             namespace,

	{Group: "networking.k8s.io", Kind: "Ingress"}: ingress,

	{Group: "policy", Kind: "PodDisruptionBudget"}:          disruptionBudget,
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}: autoscaler,

	{Group: "rbac.authorization.k8s.io", Kind: "Role"}:               {},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:        clusterRole,
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:        {},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}: {},

	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: customResourceDefinition,
}
