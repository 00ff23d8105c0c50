package agent

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/apply"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
)

// held is the token of the condition DeletionsHeld; empty when nothing is held.
func (e *env) held() string {
	if c := e.condition(names.ConditionDeletionsHeld); c != nil && c.Status == metav1.ConditionTrue {
		_, token, _ := strings.Cut(c.Message, ConfirmDeletionsAnnotation+"=")
		return token
	}
	return ""
}

func TestAUsedTokenConfirmsNothingAgain(t *testing.T) {
	e := newEnv(t)
	// An older API server lets agents change no annotations.
	e.fed.Hook = func(r *http.Request) error {
		if r.Method == http.MethodPatch {
			return apierrors.NewForbidden(clusters.GroupResource(), "eu", nil)
		}
		return nil
	}
	short := func() {
		e.many(8)
		e.start()
		e.eventually("all applied", func() bool { return e.configMaps() == 8 })
		e.halt()
		for i := range 8 {
			e.unwork(fmt.Sprintf("cm-%d", i))
		}
		e.start()
		e.eventually("the deletions are held", func() bool { return e.held() != "" })
	}
	short()
	first := e.held()
	e.halt()
	e.start()
	e.work("mark", nil, configMap("mark", "v"))
	e.applied("mark")
	require.Equal(t, first, e.held(), "a token that was read holds across a restart")
	e.confirmDeletions()
	e.eventually("confirmed deletions are carried out", func() bool { return e.configMaps() == 1 })
	e.unwork("mark")
	e.eventually("all gone", func() bool { return e.configMaps() == 0 && e.held() == "" })
	e.halt()

	short()
	require.Equal(t, first, e.fed.Get(clusters, "", "eu").GetAnnotations()[ConfirmDeletionsAnnotation], "it is still there")
	require.NotEqual(t, first, e.held(), "the same objects, another time")
	e.fed.Requests()
	e.eventually("the cluster was read again", func() bool {
		for _, r := range e.fed.Requests() {
			if r == "GET /apis/cluster.karmada.io/v1alpha1/clusters/eu" {
				return true
			}
		}
		return false
	})
	require.Equal(t, 8, e.configMaps())
}

// What the scan for orphans found may be deleted before it is judged: it is not held with the rest, which
// would turn the token that was read into one that confirms nothing.
func TestWhatIsDeletedDuringTheScanIsNoOrphan(t *testing.T) {
	e := newEnv(t)
	e.many(9)
	e.start()
	e.eventually("all applied", func() bool { return e.configMaps() == 9 })
	e.halt()
	for i := range 8 {
		e.unwork(fmt.Sprintf("cm-%d", i))
	}
	var lists atomic.Int32
	again, judge := make(chan struct{}), make(chan struct{})
	e.fed.Hook = func(r *http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/works") && r.URL.Query().Get("watch") == "" && lists.Add(1) == 2 {
			close(again)
			select {
			case <-judge:
			case <-r.Context().Done():
			}
		}
		return nil
	}
	e.start()
	e.eventually("the deletions are held", func() bool { return e.held() != "" })
	<-again // the scan is done
	token := e.held()
	e.unwork("cm-8")
	e.eventually("what is asked for is done", func() bool { return e.configMaps() == 8 })
	close(judge)
	e.fed.Edit(clusters, "", "eu", func(u *unstructured.Unstructured) {
		u.SetAnnotations(map[string]string{ConfirmDeletionsAnnotation: token})
	})
	e.eventually("the token that was read lets them go", func() bool { return e.configMaps() == 0 && e.held() == "" })
}

func TestOnlyWhatWeAppliedIsAnOrphan(t *testing.T) {
	ingresses := func(group string) fakekube.Resource {
		return fakekube.Resource{
			GroupVersionResource: schema.GroupVersionResource{Group: group, Version: "v1", Resource: "ingresses"}, Kind: "Ingress", Namespaced: true,
		}
	}
	old, current := ingresses("extensions"), ingresses("networking.k8s.io")
	e := newEnv(t)
	e.member.Serve(old)
	e.member.Serve(current)
	e.many(2)
	e.work("web", nil, object{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": object{"name": "web", "namespace": "default"}})
	e.start()
	e.applied("cm-0")
	e.applied("cm-1")
	e.applied("web")
	e.halt()

	// kubectl get -o yaml | sed | kubectl apply
	made := e.member.Get(fakekube.ConfigMaps, "default", "cm-0")
	e.member.Put(fakekube.ConfigMaps, "kubectl-client-side-apply", object{
		"metadata": object{"name": "copy", "namespace": "default", "labels": asAny(made.GetLabels()), "annotations": asAny(made.GetAnnotations())},
		"data":     object{"key": "precious"},
	})
	// What one API group stores, another one serves, too.
	web := e.member.Get(current, "default", "web")
	require.NotNil(t, web)
	e.member.Put(old, "", object{"metadata": web.Object["metadata"]})
	require.Equal(t, web.GetUID(), e.member.Get(old, "default", "web").GetUID())

	e.unwork("cm-0")
	e.opts.StateDir = t.TempDir()
	e.start()
	e.eventually("the orphan is pruned", func() bool { return e.member.Get(fakekube.ConfigMaps, "default", "cm-0") == nil })
	e.work("mark", nil, configMap("mark", "v"))
	e.applied("mark")
	require.NotNil(t, e.member.Get(fakekube.ConfigMaps, "default", "copy"), "a copy is whose it is that made it")
	require.NotNil(t, e.member.Get(old, "default", "web"), "it is the object of a work")
	require.NotNil(t, e.member.Get(current, "default", "web"))
}

func asAny(in map[string]string) object {
	out := object{}
	for key, value := range in {
		out[key] = value
	}
	return out
}

// A list may come from an API server that is behind.
func TestWorksThatOneListLacksAreNotGone(t *testing.T) {
	e := newEnv(t)
	e.many(3)
	e.start()
	e.eventually("all applied", func() bool { return e.configMaps() == 3 })
	uid := e.member.Get(fakekube.ConfigMaps, "default", "cm-1").GetUID()
	var lists atomic.Int32
	e.fed.Hook = func(r *http.Request) error {
		if !strings.HasSuffix(r.URL.Path, "/works") || r.URL.Query().Get("watch") != "" {
			return nil
		}
		switch lists.Add(1) {
		case 1:
			e.unwork("cm-0")
			e.unwork("cm-1") // not yet, for this server
		case 2:
			e.work("cm-1", nil, configMap("cm-1", "v"))
		}
		return nil
	}
	e.halt()
	e.start()
	e.eventually("what two lists lack goes", func() bool { return e.member.Get(fakekube.ConfigMaps, "default", "cm-0") == nil })
	e.work("mark", nil, configMap("mark", "v"))
	e.applied("mark")
	require.GreaterOrEqual(t, lists.Load(), int32(2))
	u := e.member.Get(fakekube.ConfigMaps, "default", "cm-1")
	require.NotNil(t, u)
	require.Equal(t, uid, u.GetUID(), "what one of them lacks stays")
}

func TestDeletionThatPreserves(t *testing.T) {
	e := newEnv(t)
	e.work("keep", nil, configMap("keep", "v"))
	e.start()
	e.applied("keep")
	// The change and the deletion come as one event.
	e.fed.Vanish(works, es, "keep", func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, true, "spec", "preserveResourcesOnDeletion")
	})
	e.eventually("it is released", func() bool {
		return e.member.Get(fakekube.ConfigMaps, "default", "keep").GetAnnotations()[names.WorkNameAnnotation] == ""
	})
	require.NotNil(t, e.member.Get(fakekube.ConfigMaps, "default", "keep"))
}

func TestAFederationWithoutMemoryOfTheMemberTouchesNothingOfAnother(t *testing.T) {
	e := newEnv(t)
	e.work("app", nil, configMap("app", "first"))
	e.work("gone", nil, configMap("gone", "first"))
	e.start()
	e.applied("app")
	e.applied("gone")
	require.Equal(t, "federation-1", e.member.Get(fakekube.ConfigMaps, "default", "app").GetAnnotations()[names.FederationAnnotation])
	e.halt()

	e.opts.StateDir = ""
	e.forgetReports()
	e.federate("federation-2")
	e.work("app", nil, configMap("app", "second"))
	e.start()
	e.eventually("the conflict is reported", func() bool { return e.report("app").Reason == apply.ReasonConflict })
	require.Contains(t, e.report("app").Message, "federation-1")
	e.work("mark", nil, configMap("mark", "v"))
	e.applied("mark")
	require.NotNil(t, e.member.Get(fakekube.ConfigMaps, "default", "gone"))
	value := func() string {
		v, _, _ := unstructured.NestedString(e.member.Get(fakekube.ConfigMaps, "default", "app").Object, "data", "key")
		return v
	}
	require.Equal(t, "first", value())
	e.work("app", nil, annotate(configMap("app", "second"), names.ConflictResolutionAnnotation, "overwrite"))
	e.applied("app")
	require.Equal(t, "second", value())
}

func TestAnAgentWorksOnWithoutItsDirectory(t *testing.T) {
	e := newEnv(t)
	e.opts.StateDir = filepath.Join(t.TempDir(), "state")
	// As with a full disk: nothing can be created. Permissions would not stop root.
	e.beforeRun = func() { require.NoError(t, os.RemoveAll(e.opts.StateDir)) }
	e.work("app", nil, configMap("app", "v"))
	e.start()
	e.applied("app")
	e.eventually("it says so", func() bool {
		c := e.condition(ConditionStateKept)
		return c != nil && c.Status == metav1.ConditionFalse && strings.Contains(c.Message, "memory only")
	})
	require.NoError(t, os.MkdirAll(filepath.Join(e.opts.StateDir, "works"), 0o700))
	e.work("app", nil, configMap("app", "next"))
	e.eventually("what it remembers is written then", func() bool {
		_, err := os.Stat(filepath.Join(e.opts.StateDir, "works", "app.json"))
		return err == nil
	})
}
