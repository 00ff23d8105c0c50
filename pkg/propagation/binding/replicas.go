package binding

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/propagation/templates"
)

// rememberedReplicas is of how many templates the replicas are remembered.
const rememberedReplicas = 16384

// replicaReader reads replicas of templates. A template that has not changed since
// (its generation says so) is not fetched again, and of kinds without replicas
// none is fetched at all.
type replicaReader struct {
	// fetch gets a whole template, not older than m.
	fetch func(ctx context.Context, key templates.Key, m *templates.Metadata) (*unstructured.Unstructured, error)
	// interpret is the interpreter's Replicas.
	interpret func(*unstructured.Unstructured) (int32, *workv1alpha2.ReplicaRequirements, bool, error)

	countable sync.Map   // schema.GroupKind -> bool
	known     *lru.Cache // types.UID -> replicasAt
}

type replicasAt struct {
	generation int64
	replicas   Replicas
}

func newReplicaReader(
	fetch func(context.Context, templates.Key, *templates.Metadata) (*unstructured.Unstructured, error),
	interpret func(*unstructured.Unstructured) (int32, *workv1alpha2.ReplicaRequirements, bool, error),
) *replicaReader {
	return &replicaReader{fetch: fetch, interpret: interpret, known: lru.New(rememberedReplicas)}
}

// Replicas gives the replicas of a template; none for a kind that has none.
func (r *replicaReader) Replicas(ctx context.Context, key templates.Key, m *templates.Metadata) (Replicas, error) {
	if !r.hasReplicas(key.GroupKind) {
		return Replicas{}, nil
	}
	if at, ok := r.remembered(m.UID); ok && at.generation == m.Generation && m.Generation > 0 {
		return at.replicas, nil
	}
	obj, err := r.fetch(ctx, key, m)
	if err != nil {
		return Replicas{}, err
	}
	count, requirements, ok, err := r.interpret(obj)
	if err != nil {
		return Replicas{}, fmt.Errorf("reading the replicas of template %s: %w", key, err)
	}
	if !ok {
		return Replicas{}, nil
	}
	out := Replicas{Count: count, Requirements: requirements}
	r.known.Add(obj.GetUID(), replicasAt{generation: obj.GetGeneration(), replicas: out})
	return out, nil
}

func (r *replicaReader) remembered(uid types.UID) (replicasAt, bool) {
	v, ok := r.known.Get(uid)
	if !ok {
		return replicasAt{}, false
	}
	return v.(replicasAt), true
}

// hasReplicas asks the interpreter about an empty object of the kind.
func (r *replicaReader) hasReplicas(gk schema.GroupKind) bool {
	if v, ok := r.countable.Load(gk); ok {
		return v.(bool)
	}
	probe := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
	probe.SetGroupVersionKind(gk.WithVersion("v1"))
	_, _, ok, err := r.interpret(probe)
	r.countable.Store(gk, ok || err != nil)
	return ok || err != nil
}

// Mark identifies the state of a template: by its generation, or where the kind
// counts none by a hash of everything but metadata and status.
func (r *replicaReader) Mark(ctx context.Context, key templates.Key, m *templates.Metadata) (string, error) {
	if m.Generation > 0 {
		return string(m.UID) + "/" + strconv.FormatInt(m.Generation, 10), nil
	}
	obj, err := r.fetch(ctx, key, m)
	if err != nil {
		return "", err
	}
	content := make(map[string]any, len(obj.Object))
	for k, v := range obj.Object {
		if k != "metadata" && k != "status" {
			content[k] = v
		}
	}
	data, err := json.Marshal(content)
	if err != nil {
		return "", fmt.Errorf("hashing template %s: %w", key, err)
	}
	sum := sha256.Sum256(data)
	return string(m.UID) + "/" + hex.EncodeToString(sum[:8]), nil
}

// notOlder asks for an object in any state that is not older than m, which the
// API server can answer from memory.
func notOlder(m *templates.Metadata) metav1.GetOptions {
	return metav1.GetOptions{ResourceVersion: m.ResourceVersion}
}
