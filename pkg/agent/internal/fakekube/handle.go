package fakekube

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

func typesUID(s string) types.UID { return types.UID(s) }

func setVersion(object map[string]any, version uint64) {
	(&unstructured.Unstructured{Object: object}).SetResourceVersion(strconv.FormatUint(version, 10))
}

// target is what a path names.
type target struct {
	resource    Resource
	namespace   string
	name        string
	subresource string
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	if s.Hook != nil {
		if err := s.Hook(r); err != nil {
			refuse(w, err)
			return
		}
	}
	switch r.URL.Path {
	case "/readyz":
		_, _ = io.WriteString(w, "ok")
		return
	case "/version":
		reply(w, 200, map[string]any{"gitVersion": "v1.36.0"})
		return
	case "/api", "/apis":
		reply(w, 200, s.discovery(r.URL.Path))
		return
	}
	t, ok := s.parse(r.URL.Path)
	if !ok {
		refuse(w, apierrors.NewGenericServerResponse(404, r.Method, t.resource.GroupResource(), "", "no such path", 0, true))
		return
	}
	s.serve(w, r, t)
}

func (s *Server) parse(path string) (target, bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var group, version string
	switch {
	case len(parts) > 2 && parts[0] == "api":
		version, parts = parts[1], parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		group, version, parts = parts[1], parts[2], parts[3:]
	default:
		return target{}, false
	}
	var t target
	if len(parts) > 2 && parts[0] == "namespaces" && parts[2] != "status" {
		t.namespace, parts = parts[1], parts[2:]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.resources {
		if r.Group == group && r.Version == version && r.Resource == parts[0] {
			t.resource = r
			if len(parts) > 1 {
				t.name = parts[1]
			}
			if len(parts) > 2 {
				t.subresource = parts[2]
			}
			return t, true
		}
	}
	return t, false
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, t target) {
	body, _ := io.ReadAll(r.Body)
	if r.Method == http.MethodGet && t.name == "" {
		if r.URL.Query().Get("watch") != "" {
			s.watch(w, r, t)
			return
		}
		s.list(w, r, t)
		return
	}
	s.mu.Lock()
	var out map[string]any
	var err error
	code := 200
	switch r.Method {
	case http.MethodGet:
		out, err = s.read(t)
	case http.MethodPost:
		code = 201
		out, err = s.create(t, body)
	case http.MethodPut:
		out, err = s.update(t, body)
	case http.MethodPatch:
		out, err = s.patch(t, r, body)
	case http.MethodDelete:
		out, err = s.delete(t, body)
	}
	if err == nil {
		out = (&unstructured.Unstructured{Object: out}).DeepCopy().Object
	}
	s.mu.Unlock()
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, code, shape(r, out))
}

// shape answers requests for metadata.
func shape(r *http.Request, object map[string]any) map[string]any {
	if !strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata") {
		return object
	}
	return map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"]}
}

func (s *Server) read(t target) (map[string]any, error) {
	o := s.objects[t.key()]
	if o == nil {
		return nil, apierrors.NewNotFound(t.resource.GroupResource(), t.name)
	}
	return o.object, nil
}

func (t target) key() key {
	return key{t.resource.Group, t.resource.Resource, t.namespace, t.name}
}

func (s *Server) create(t target, body []byte) (map[string]any, error) {
	object := map[string]any{}
	if err := utiljson.Unmarshal(body, &object); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	u := &unstructured.Unstructured{Object: object}
	if t.namespace != "" {
		u.SetNamespace(t.namespace)
	}
	t.name = u.GetName()
	if s.OnCreate != nil {
		if answer := s.OnCreate(t.resource, u); answer != nil {
			return answer.Object, nil
		}
	}
	if s.objects[t.key()] != nil {
		return nil, apierrors.NewAlreadyExists(t.resource.GroupResource(), t.name)
	}
	if err := s.needNamespace(t); err != nil {
		return nil, err
	}
	s.put(t.resource, object, "ADDED")
	return object, nil
}

func (s *Server) needNamespace(t target) error {
	if !t.resource.Namespaced || t.resource.Group != "" && t.resource.Group != "apps" {
		return nil
	}
	if s.objects[key{"", "namespaces", "", t.namespace}] == nil {
		return apierrors.NewNotFound(Namespaces.GroupResource(), t.namespace)
	}
	return nil
}

func (s *Server) update(t target, body []byte) (map[string]any, error) {
	object := map[string]any{}
	if err := utiljson.Unmarshal(body, &object); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	old, err := s.read(t)
	if err != nil {
		return nil, err
	}
	was, u := &unstructured.Unstructured{Object: old}, &unstructured.Unstructured{Object: object}
	if rv := u.GetResourceVersion(); rv != "" && rv != was.GetResourceVersion() {
		return nil, apierrors.NewConflict(t.resource.GroupResource(), t.name, fmt.Errorf("it changed"))
	}
	next := was.DeepCopy().Object
	if t.subresource == "status" {
		next["status"] = object["status"]
	} else {
		status := next["status"]
		next = object
		next["status"] = status
	}
	s.put(t.resource, next, "MODIFIED")
	return next, nil
}

func (s *Server) delete(t target, body []byte) (map[string]any, error) {
	old, err := s.read(t)
	if err != nil {
		return nil, err
	}
	var options metav1.DeleteOptions
	_ = json.Unmarshal(body, &options)
	u := &unstructured.Unstructured{Object: old}
	if p := options.Preconditions; p != nil && p.UID != nil && *p.UID != u.GetUID() {
		return nil, apierrors.NewConflict(t.resource.GroupResource(), t.name, fmt.Errorf("another UID"))
	}
	s.remove(t.resource, t.key())
	return map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"}, nil
}

func matches(object map[string]any, selector labels.Selector) bool {
	return object != nil && selector.Matches(labels.Set((&unstructured.Unstructured{Object: object}).GetLabels()))
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, t target) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		refuse(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	s.mu.Lock()
	items := []any{}
	for _, k := range s.sorted(t.resource, t.namespace) {
		if object := s.objects[k].object; matches(object, selector) {
			items = append(items, shape(r, (&unstructured.Unstructured{Object: object}).DeepCopy().Object))
		}
	}
	version := strconv.FormatUint(s.version, 10)
	s.mu.Unlock()
	out := map[string]any{
		"apiVersion": t.resource.GroupVersion().String(), "kind": t.resource.Kind + "List",
		"metadata": map[string]any{"resourceVersion": version}, "items": items,
	}
	if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList") {
		out["apiVersion"], out["kind"] = "meta.k8s.io/v1", "PartialObjectMetadataList"
	}
	reply(w, 200, out)
}

func (s *Server) watch(w http.ResponseWriter, r *http.Request, t target) {
	query := r.URL.Query()
	if query.Get("sendInitialEvents") != "" {
		refuse(w, apierrors.NewBadRequest("sendInitialEvents is not served"))
		return
	}
	selector, err := labels.Parse(query.Get("labelSelector"))
	since, _ := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
	s.mu.Lock()
	expired, closing := since < s.oldest || since > s.version, s.closing
	s.mu.Unlock()
	if err != nil {
		refuse(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	if expired {
		refuse(w, apierrors.NewResourceExpired("too old"))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush := w.(http.Flusher)
	flush.Flush()
	for {
		s.mu.Lock()
		events := s.since(since)
		wake := s.wake
		s.mu.Unlock()
		for _, e := range events {
			since = e.version
			kind := e.kind
			was, is := matches(e.before, selector), matches(e.object, selector)
			switch {
			case e.resource != t.resource.GroupResource():
				continue
			case t.namespace != "" && (&unstructured.Unstructured{Object: e.object}).GetNamespace() != t.namespace:
				continue
			case kind == "DELETED" && !was, !was && !is:
				continue
			case was && !is:
				kind = "DELETED"
			case !was && is:
				kind = "ADDED"
			}
			raw, err := json.Marshal(map[string]any{"type": kind, "object": shape(r, e.object)})
			if err != nil {
				panic(err)
			}
			_, _ = w.Write(append(raw, '\n'))
		}
		flush.Flush()
		select {
		case <-wake:
		case <-closing:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (s *Server) since(version uint64) []event {
	i, _ := slices.BinarySearchFunc(s.history, version+1, func(e event, v uint64) int {
		switch {
		case e.version < v:
			return -1
		case e.version > v:
			return 1
		}
		return 0
	})
	out := make([]event, 0, len(s.history)-i)
	for _, e := range s.history[i:] {
		e.object = (&unstructured.Unstructured{Object: e.object}).DeepCopy().Object
		if e.before != nil {
			e.before = (&unstructured.Unstructured{Object: e.before}).DeepCopy().Object
		}
		out = append(out, e)
	}
	return out
}

func (s *Server) discovery(path string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	groups := map[string]map[string][]any{}
	for _, r := range s.resources {
		if (path == "/api") != (r.Group == "") {
			continue
		}
		if s.Withhold != nil && s.Withhold(r) {
			continue
		}
		if groups[r.Group] == nil {
			groups[r.Group] = map[string][]any{}
		}
		scope := "Cluster"
		if r.Namespaced {
			scope = "Namespaced"
		}
		groups[r.Group][r.Version] = append(groups[r.Group][r.Version], map[string]any{
			"resource": r.Resource, "scope": scope, "verbs": []any{"list", "get", "delete", "watch"},
			"responseKind": map[string]any{"group": r.Group, "version": r.Version, "kind": r.Kind},
		})
	}
	items := []any{}
	for name, versions := range groups {
		list := []any{}
		for version, resources := range versions {
			list = append(list, map[string]any{"version": version, "freshness": "Current", "resources": resources})
		}
		items = append(items, map[string]any{"metadata": map[string]any{"name": name}, "versions": list})
	}
	return map[string]any{"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": items}
}
