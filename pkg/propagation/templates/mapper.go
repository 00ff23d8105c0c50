package templates

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Mapper tells where a kind is served. What it knows may be old until Reset.
type Mapper interface {
	// RESTMapping answers, without versions, with the version that the API
	// server prefers. The error satisfies meta.IsNoMatchError when the kind is
	// not served.
	RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error)
	// Reset has it forget what it knows.
	Reset()
}

// NewMapper makes a Mapper of one that cannot forget: Reset has another one made.
// A CRD that stops serving a version would otherwise be looked for there until
// the process ends.
func NewMapper(create func() (meta.RESTMapper, error)) Mapper {
	return &resettable{create: create}
}

type resettable struct {
	create func() (meta.RESTMapper, error)

	mu      sync.Mutex
	current meta.RESTMapper
}

func (r *resettable) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	mapper, err := r.mapper()
	if err != nil {
		return nil, fmt.Errorf("finding out what the API server serves: %w", err)
	}
	return mapper.RESTMapping(gk, versions...)
}

func (r *resettable) mapper() (meta.RESTMapper, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == nil {
		mapper, err := r.create()
		if err != nil {
			return nil, err
		}
		r.current = mapper
	}
	return r.current, nil
}

func (r *resettable) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = nil
}
