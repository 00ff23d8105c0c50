package templates

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/flotilla-io/flotilla/api/names"
)

// Metadata is what is known of a template.
type Metadata = metav1.PartialObjectMetadata

// ChangeFunc is told of a template that appeared (old is nil), changed or went
// (now is nil). It must not block.
type ChangeFunc func(gk schema.GroupKind, old, now *Metadata)

const claimIndex = "claim"

// Store holds the metadata of all templates that were ever claimed, of the kinds
// it was asked for.
type Store struct {
	client  metadata.Interface
	mapper  Mapper
	claimOf func(metav1.Object) string

	mu       sync.RWMutex
	ctx      context.Context //nolint:containedctx // of Start, for informers that come later; nil before it and after its end
	running  sync.WaitGroup
	kinds    map[schema.GroupKind]*kind
	lost     map[schema.GroupKind]lost // watched until forgotten
	onChange []ChangeFunc
}

type kind struct {
	mapping  *meta.RESTMapping
	informer cache.SharedIndexInformer
	stop     context.CancelFunc // nil before the informer runs
	looking  bool               // for another version
	before   []*Metadata        // of which it is to be told if they are gone: see tellGone
}

// known are the templates that are known, also those that were not listed again yet.
func (k *kind) known() []*Metadata {
	all := slices.DeleteFunc(slices.Clone(k.before), k.holds)
	for _, obj := range k.informer.GetStore().List() {
		if m, ok := obj.(*Metadata); ok {
			all = append(all, m)
		}
	}
	return all
}

// holds says whether a template is among those that were listed.
func (k *kind) holds(m *Metadata) bool {
	_, there, err := k.informer.GetStore().GetByKey(cache.MetaObjectToName(m).String())
	return there || err != nil
}

// lost is a kind that is watched no more.
type lost struct {
	resource schema.GroupResource
	known    []*Metadata
}

// firstLook is the pause before a kind is looked for again that was not served; it
// doubles looks times.
const firstLook, looks = 250 * time.Millisecond, 7

// NewStore makes a Store. claimOf names the policy that holds an object's claim,
// in any form; it is what ClaimedBy is asked with. Empty means unclaimed.
func NewStore(client metadata.Interface, mapper Mapper, claimOf func(metav1.Object) string) *Store {
	return &Store{client: client, mapper: mapper, claimOf: claimOf,
		kinds: map[schema.GroupKind]*kind{}, lost: map[schema.GroupKind]lost{}}
}

// Start runs the watches until ctx ends, and returns when all have stopped. It
// satisfies the controller manager's Runnable and runs on the leader only.
func (s *Store) Start(ctx context.Context) error {
	s.mu.Lock()
	s.ctx = ctx
	for gk, k := range s.kinds {
		s.run(gk, k)
	}
	s.mu.Unlock()

	<-ctx.Done()

	s.mu.Lock()
	s.ctx = nil // no new ones
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// run starts a kind's informer, if there is a context to run it under.
func (s *Store) run(gk schema.GroupKind, k *kind) {
	if s.ctx == nil || s.ctx.Err() != nil || k.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	k.stop = cancel
	s.running.Go(func() { k.informer.RunWithContext(ctx) })
	if len(k.before) > 0 {
		s.running.Go(func() { s.tellGone(ctx, gk, k) })
	}
}

// Ensure has a kind watched and tells where it is served. The error satisfies
// meta.IsNoMatchError when the API server does not serve the kind.
func (s *Store) Ensure(gk schema.GroupKind) (*meta.RESTMapping, error) {
	if k := s.lookup(gk); k != nil {
		return k.mapping, nil
	}
	mapping, err := s.mapper.RESTMapping(gk) // may ask the API server; no lock held
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.kinds[gk]; k != nil {
		return k.mapping, nil
	}
	if err := s.watch(gk, mapping, s.lost[gk].known); err != nil {
		return nil, err
	}
	return mapping, nil
}

// watch has a kind watched where it is served, and tells which of the templates that were
// known before are gone; s.mu is held.
func (s *Store) watch(gk schema.GroupKind, mapping *meta.RESTMapping, before []*Metadata) error {
	k := &kind{mapping: mapping, informer: s.newInformer(mapping), before: before}
	// Fails only on an informer that runs already.
	_ = k.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		klog.FromContext(ctx).V(2).Info("Watch of templates ended, will be resumed", "resource", mapping.Resource, "err", err)
		if apierrors.IsNotFound(err) {
			s.look(gk, k)
		}
	})
	for _, f := range s.onChange {
		if _, err := k.informer.AddEventHandler(handlerFor(gk, f)); err != nil {
			return fmt.Errorf("watching %s: %w", gk, err)
		}
	}
	s.kinds[gk] = k
	delete(s.lost, gk)
	s.run(gk, k)
	return nil
}

func (s *Store) lookup(gk schema.GroupKind) *kind {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.kinds[gk]
}

// Watched tells whether a kind is watched.
func (s *Store) Watched(gk schema.GroupKind) bool { return s.lookup(gk) != nil }

// Forget stops watching the kind of a resource that is no longer served, or no
// longer in that version. Revive takes it up again.
func (s *Store) Forget(resource schema.GroupResource) {
	s.mapper.Reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	for gk, k := range s.kinds {
		if k.mapping.Resource.GroupResource() == resource {
			if k.stop != nil {
				k.stop()
			}
			delete(s.kinds, gk)
			s.lost[gk] = lost{resource: resource, known: k.known()}
		}
	}
}

// Revive watches the kind of a forgotten resource again, when it is served again.
// It returns at once. To look for the kind goes on in the background, for what is
// said to exist shows up in discovery a little later.
func (s *Store) Revive(resource schema.GroupResource) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.ctx == nil || s.ctx.Err() != nil {
		return
	}
	ctx := s.ctx
	for gk, r := range s.lost {
		if r.resource == resource {
			s.running.Go(func() { s.revive(ctx, gk) })
		}
	}
}

func (s *Store) revive(ctx context.Context, gk schema.GroupKind) {
	backoff := wait.Backoff{Duration: firstLook, Factor: 2, Steps: looks, Jitter: 0.1}
	err := wait.ExponentialBackoffWithContext(ctx, backoff, func(context.Context) (bool, error) {
		s.mapper.Reset()
		_, err := s.Ensure(gk)
		return err == nil, nil
	})
	if err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).V(2).Info("Kind is not served again", "kind", gk)
	}
}

// OnChange has f told of every change, and first of everything that is there.
func (s *Store) OnChange(f ChangeFunc) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for gk, k := range s.kinds {
		if _, err := k.informer.AddEventHandler(handlerFor(gk, f)); err != nil {
			return fmt.Errorf("watching %s: %w", gk, err)
		}
	}
	s.onChange = append(s.onChange, f)
	return nil
}

func (s *Store) newInformer(mapping *meta.RESTMapping) cache.SharedIndexInformer {
	indexers := cache.Indexers{claimIndex: func(obj any) ([]string, error) {
		if m, ok := obj.(*Metadata); ok {
			if claim := s.claimOf(m); claim != "" {
				return []string{claim}, nil
			}
		}
		return nil, nil
	}}
	informer := metadatainformer.NewFilteredMetadataInformer(s.client, mapping.Resource, metav1.NamespaceAll, 0,
		indexers, func(o *metav1.ListOptions) {
			o.LabelSelector = labels.Set{names.LabelBound: "true"}.String()
		}).Informer()
	_ = informer.SetTransform(trim) // fails only on an informer that runs already
	return informer
}

// lastApplied repeats the whole manifest.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// trim drops what is large and of no use here.
func trim(obj any) (any, error) {
	if m, ok := obj.(*Metadata); ok {
		m.ManagedFields = nil
		delete(m.Annotations, lastApplied)
	}
	return obj, nil
}

func handlerFor(gk schema.GroupKind, f ChangeFunc) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			if m, ok := obj.(*Metadata); ok {
				f(gk, nil, m)
			}
		},
		UpdateFunc: func(old, now any) {
			m, ok := old.(*Metadata)
			n, ok2 := now.(*Metadata)
			if ok && ok2 {
				f(gk, m, n)
			}
		},
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if m, ok := obj.(*Metadata); ok {
				f(gk, m, nil)
			}
		},
	}
}

// ResourceOfCRD reads the resource from the name of a CustomResourceDefinition,
// which is <plural>.<group>.
func ResourceOfCRD(name string) schema.GroupResource {
	plural, group, _ := strings.Cut(name, ".")
	return schema.GroupResource{Group: group, Resource: plural}
}
