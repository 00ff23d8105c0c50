package apiserver

import (
	"sync"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/propagation/projection"
)

// bindingCache finds bindings of both scopes by key. It shares the objects with
// the registries' watch caches.
type bindingCache struct {
	mu  sync.RWMutex
	all map[projection.Key]workv1alpha2.Binding
}

func newBindingCache() *bindingCache {
	return &bindingCache{all: map[projection.Key]workv1alpha2.Binding{}}
}

func (c *bindingCache) get(key projection.Key) (workv1alpha2.Binding, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	b, ok := c.all[key]
	return b, ok
}

func (c *bindingCache) set(b workv1alpha2.Binding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[projection.KeyOf(b)] = b
}

func (c *bindingCache) delete(key projection.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, key)
}
