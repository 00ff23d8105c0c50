package fakekube

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// Resource is a kind that is served.
type Resource struct {
	schema.GroupVersionResource
	Kind       string
	Namespaced bool
}

// Server is an API server in memory. The fields may be set before the first request.
type Server struct {
	// Hook sees each request before it is served. An error is the answer.
	Hook func(*http.Request) error
	// OnCreate sees each object before it is stored; a non-nil answer is returned instead of storing.
	OnCreate func(Resource, *unstructured.Unstructured) *unstructured.Unstructured
	// Withhold keeps kinds out of discovery, once per answer.
	Withhold func(Resource) bool
	// Mutate changes objects after an apply, as admission does.
	Mutate func(Resource, *unstructured.Unstructured)

	http *httptest.Server

	mu        sync.Mutex
	resources []Resource
	objects   map[key]*stored
	version   uint64
	uids      int
	history   []event
	oldest    uint64 // watches from before it are gone
	wake      chan struct{}
	closing   chan struct{} // ends all watches
	requests  []string
}

type key struct {
	group, resource, namespace, name string
}

// stored is an object and what each manager applied to it.
type stored struct {
	object  map[string]any
	applied map[string]map[string]any
}

type event struct {
	version  uint64
	resource schema.GroupResource
	kind     string
	object   map[string]any
	before   map[string]any
}

// New starts a server with namespace kube-system, which holds the given UID.
func New(uid string, resources ...Resource) *Server {
	s := &Server{
		resources: append(slices.Clone(builtin), resources...),
		objects:   map[key]*stored{},
		version:   1,
		wake:      make(chan struct{}),
		closing:   make(chan struct{}),
	}
	s.http = httptest.NewServer(s)
	s.put(builtin[0], map[string]any{
		"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": "kube-system", "uid": uid},
	}, "ADDED")
	return s
}

var builtin = []Resource{
	Namespaces, ConfigMaps, Secrets, Nodes, Pods, Deployments, Definitions,
}

// Resources that every server has.
var (
	Namespaces  = Resource{schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}, "Namespace", false}
	ConfigMaps  = Resource{schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, "ConfigMap", true}
	Secrets     = Resource{schema.GroupVersionResource{Version: "v1", Resource: "secrets"}, "Secret", true}
	Nodes       = Resource{schema.GroupVersionResource{Version: "v1", Resource: "nodes"}, "Node", false}
	Pods        = Resource{schema.GroupVersionResource{Version: "v1", Resource: "pods"}, "Pod", true}
	Deployments = Resource{schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, "Deployment", true}
	Definitions = Resource{schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}, "CustomResourceDefinition", false}
)

// Config connects to the server.
func (s *Server) Config() *rest.Config {
	return &rest.Config{Host: s.http.URL}
}

// Close ends it.
func (s *Server) Close() {
	s.mu.Lock()
	close(s.closing)
	s.closing = make(chan struct{})
	s.mu.Unlock()
	s.http.CloseClientConnections()
	s.http.Close()
}

// Restart ends all watches and starts an epoch: resourceVersions of before are gone.
func (s *Server) Restart(epoch uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = uint64(epoch)<<32 + 1
	s.oldest, s.history = s.version, nil
	for _, o := range s.objects {
		setVersion(o.object, s.version)
	}
	close(s.closing)
	s.closing = make(chan struct{})
}

// Serve adds a kind.
func (s *Server) Serve(resource Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resources = append(s.resources, resource)
}

// Requests returns what was asked so far, as "METHOD /path", and forgets it.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

// Get returns a copy of an object, nil when there is none.
func (s *Server) Get(resource Resource, namespace, name string) *unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[key{resource.Group, resource.Resource, namespace, name}]
	if o == nil {
		return nil
	}
	return (&unstructured.Unstructured{Object: o.object}).DeepCopy()
}

// List returns copies of all objects of a kind.
func (s *Server) List(resource Resource) []*unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*unstructured.Unstructured
	for _, k := range s.sorted(resource, "") {
		out = append(out, (&unstructured.Unstructured{Object: s.objects[k].object}).DeepCopy())
	}
	return out
}

// Put stores an object as someone named manager does. Metadata that a server sets is filled in.
func (s *Server) Put(resource Resource, manager string, object map[string]any) *unstructured.Unstructured {
	object = (&unstructured.Unstructured{Object: object}).DeepCopy().Object
	u := &unstructured.Unstructured{Object: object}
	u.SetAPIVersion(resource.GroupVersion().String())
	u.SetKind(resource.Kind)
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := "ADDED"
	k := key{resource.Group, resource.Resource, u.GetNamespace(), u.GetName()}
	if old := s.objects[k]; old != nil {
		kind = "MODIFIED"
		was := &unstructured.Unstructured{Object: old.object}
		u.SetUID(was.GetUID())
	}
	if manager != "" {
		u.SetManagedFields(append(u.GetManagedFields(), metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate}))
	}
	s.put(resource, object, kind)
	return u.DeepCopy()
}

// Edit changes a stored object in place.
func (s *Server) Edit(resource Resource, namespace, name string, edit func(*unstructured.Unstructured)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[key{resource.Group, resource.Resource, namespace, name}]
	if o == nil {
		panic(fmt.Sprintf("no %s %s/%s", resource.Resource, namespace, name))
	}
	next := (&unstructured.Unstructured{Object: o.object}).DeepCopy()
	edit(next)
	s.put(resource, next.Object, "MODIFIED")
}

// Remove deletes an object.
func (s *Server) Remove(resource Resource, namespace, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(resource, key{resource.Group, resource.Resource, namespace, name})
}

// Vanish deletes an object that was edited right before: watches hear of both at once.
func (s *Server) Vanish(resource Resource, namespace, name string, edit func(*unstructured.Unstructured)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{resource.Group, resource.Resource, namespace, name}
	o := s.objects[k]
	if o == nil {
		panic(fmt.Sprintf("no %s %s/%s", resource.Resource, namespace, name))
	}
	next := (&unstructured.Unstructured{Object: o.object}).DeepCopy()
	edit(next)
	o.object = next.Object
	s.remove(resource, k)
}

// clock is the time in all servers: a second passes with each object.
var clock atomic.Int64

// put stores an object and tells watches. Called under the lock.
func (s *Server) put(resource Resource, object map[string]any, kind string) {
	u := &unstructured.Unstructured{Object: object}
	k := key{resource.Group, resource.Resource, u.GetNamespace(), u.GetName()}
	old := s.objects[k]
	s.version++
	setVersion(object, s.version)
	if u.GetUID() == "" {
		s.uids++
		u.SetUID(typesUID(fmt.Sprintf("uid-%d", s.uids)))
	}
	if old == nil {
		u.SetCreationTimestamp(metav1.Unix(clock.Add(1), 0))
	} else {
		u.SetCreationTimestamp((&unstructured.Unstructured{Object: old.object}).GetCreationTimestamp())
	}
	e := event{version: s.version, resource: resource.GroupResource(), kind: kind, object: object}
	if old != nil {
		e.before = old.object
		old.object = object
	} else {
		s.objects[k] = &stored{object: object, applied: map[string]map[string]any{}}
		generation := u.GetGeneration()
		u.SetGeneration(max(1, generation))
	}
	s.tell(e)
}

func (s *Server) remove(resource Resource, k key) {
	o := s.objects[k]
	if o == nil {
		return
	}
	delete(s.objects, k)
	s.version++
	gone := (&unstructured.Unstructured{Object: o.object}).DeepCopy().Object
	setVersion(gone, s.version)
	s.tell(event{version: s.version, resource: resource.GroupResource(), kind: "DELETED", object: gone, before: o.object})
	if resource.Kind == "Namespace" && resource.Group == "" {
		for other := range s.objects {
			if other.namespace == k.name {
				for _, r := range s.resources {
					if r.Group == other.group && r.Resource == other.resource {
						s.remove(r, other)
						break
					}
				}
			}
		}
	}
}

func (s *Server) tell(e event) {
	s.history = append(s.history, e)
	close(s.wake)
	s.wake = make(chan struct{})
}

func (s *Server) sorted(resource Resource, namespace string) []key {
	var out []key
	for k := range s.objects {
		if k.group == resource.Group && k.resource == resource.Resource && (namespace == "" || k.namespace == namespace) {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b key) int { return strings.Compare(a.namespace+"/"+a.name, b.namespace+"/"+b.name) })
	return out
}

func reply(w http.ResponseWriter, code int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(raw)
}

func refuse(w http.ResponseWriter, err error) {
	status, ok := err.(apierrors.APIStatus)
	if !ok {
		status = apierrors.NewInternalError(err)
	}
	said := status.Status()
	said.Kind, said.APIVersion = "Status", "v1"
	reply(w, int(said.Code), said)
}
