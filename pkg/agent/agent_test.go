package agent

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/apply"
	"github.com/flotilla-io/flotilla/pkg/agent/heartbeat"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
)

func TestRolloutDriftAndPrune(t *testing.T) {
	e := newEnv(t)
	e.member.Put(fakekube.Nodes, "", object{"metadata": object{"name": "n1"}, "status": object{
		"allocatable": object{"cpu": "2", "memory": "4Gi", "pods": "110"},
		"conditions":  []any{object{"type": "Ready", "status": "True"}},
	}})
	e.work("hello", nil, deployment("hello", 3))
	e.start()

	e.applied("hello")
	live := e.deployment("hello")
	require.NotNil(t, live)
	require.Equal(t, "true", live.GetLabels()[names.ManagedLabel])
	require.Equal(t, "hello", live.GetAnnotations()[names.WorkNameAnnotation])
	require.Equal(t, es, live.GetAnnotations()[names.WorkNamespaceAnnotation])

	e.eventually("the cluster is registered and ready", func() bool {
		c, ready := e.cluster(), e.condition("Ready")
		return c != nil && ready != nil && ready.Status == metav1.ConditionTrue && c.Status.KubernetesVersion == "v1.36.0" &&
			c.Status.NodeSummary != nil && c.Status.NodeSummary.ReadyNum == 1
	})
	c := e.cluster()
	require.Equal(t, "member-1", c.Spec.ID)
	require.Equal(t, "europe", c.Spec.Region)
	require.Equal(t, "2", c.Status.ResourceSummary.Allocatable.Cpu().String())
	require.NotEmpty(t, c.Status.APIEnablements)
	e.eventually("there is a lease", func() bool { return e.fed.Get(leases, names.ClusterNamespace, "eu") != nil })

	e.member.Edit(fakekube.Deployments, "default", "hello", func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, int64(7), "spec", "replicas")
	})
	e.eventually("someone's scale is taken back", func() bool { return e.replicas("hello") == 3 })

	uid := e.deployment("hello").GetUID()
	e.member.Remove(fakekube.Deployments, "default", "hello")
	e.eventually("a deleted object is back", func() bool { u := e.deployment("hello"); return u != nil && u.GetUID() != uid })

	e.member.Edit(fakekube.Deployments, "default", "hello", func(u *unstructured.Unstructured) { u.SetLabels(nil) })
	e.eventually("a label that was taken off is back", func() bool {
		return e.deployment("hello").GetLabels()[names.ManagedLabel] == "true"
	})

	e.member.Edit(fakekube.Deployments, "default", "hello", func(u *unstructured.Unstructured) {
		u.Object["status"] = object{"replicas": int64(3), "readyReplicas": int64(3)}
	})
	e.eventually("the status is reported", func() bool {
		s := e.report("hello").Status
		return s != nil && strings.Contains(string(s.Raw), `"readyReplicas":3`)
	})

	e.work("hello", nil, deployment("hello", 5))
	e.eventually("the new manifest is applied", func() bool { return e.replicas("hello") == 5 })
	e.unwork("hello")
	e.eventually("the object goes with its work", func() bool { return e.deployment("hello") == nil })
}

func TestConflictAndAdoption(t *testing.T) {
	e := newEnv(t)
	e.member.Put(fakekube.ConfigMaps, "helm", configMap("theirs", "old"))
	e.work("theirs", nil, configMap("theirs", "new"))
	e.start()
	e.eventually("the conflict is reported", func() bool { return e.report("theirs").Reason == apply.ReasonConflict })
	report := e.report("theirs")
	require.False(t, report.Applied)
	for _, part := range []string{"ConfigMap default/theirs", "cluster eu", "helm", "Overwrite"} {
		require.Contains(t, report.Message, part)
	}
	value := func() string {
		v, _, _ := unstructured.NestedString(e.member.Get(fakekube.ConfigMaps, "default", "theirs").Object, "data", "key")
		return v
	}
	require.Equal(t, "old", value())

	e.work("theirs", nil, annotate(configMap("theirs", "new"), names.ConflictResolutionAnnotation, "overwrite"))
	e.applied("theirs")
	require.Equal(t, "new", value())
}

func TestUnmanagedNamespaceStays(t *testing.T) {
	e := newEnv(t)
	e.work("ns", nil, object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": "default"}})
	e.work("new", nil, object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": "fresh"}})
	in := configMap("in", "v")
	in["metadata"].(object)["namespace"] = "fresh"
	e.work("in", nil, in)
	e.start()
	e.applied("ns")
	e.applied("new")
	e.applied("in")
	require.Empty(t, e.member.Get(fakekube.Namespaces, "", "default").GetLabels())
	require.Equal(t, "true", e.member.Get(fakekube.Namespaces, "", "fresh").GetLabels()[names.ManagedLabel])

	e.unwork("ns")
	e.unwork("in")
	e.unwork("new")
	e.eventually("our own namespace goes", func() bool { return e.member.Get(fakekube.Namespaces, "", "fresh") == nil })
	require.NotNil(t, e.member.Get(fakekube.Namespaces, "", "default"))
}

func TestPreserveSuspendUnrendered(t *testing.T) {
	e := newEnv(t)
	e.work("keep", object{"preserveResourcesOnDeletion": true}, configMap("keep", "v"))
	e.work("still", nil, configMap("still", "1"))
	e.work("bad", nil, configMap("bad", "1"))
	e.start()
	e.applied("keep")
	e.applied("still")
	e.applied("bad")

	e.unwork("keep")
	e.eventually("the marks are off", func() bool {
		u := e.member.Get(fakekube.ConfigMaps, "default", "keep")
		return u != nil && len(u.GetLabels()) == 0 && u.GetAnnotations()[names.WorkNameAnnotation] == "" && len(u.GetManagedFields()) == 0
	})

	e.work("still", object{"suspendDispatching": true}, configMap("still", "2"))
	e.fed.Put(works, "", object{
		"metadata": object{"name": "bad", "namespace": es}, "spec": object{},
		"status": object{"conditions": []any{object{"type": "Rendered", "status": "False", "reason": "x", "message": "x", "lastTransitionTime": "2024-01-01T00:00:00Z"}}},
	})
	e.work("mark", nil, configMap("mark", "v")) // after the two, so they were taken in
	e.applied("mark")
	value := func(name string) string {
		v, _, _ := unstructured.NestedString(e.member.Get(fakekube.ConfigMaps, "default", name).Object, "data", "key")
		return v
	}
	require.Equal(t, "1", value("still"))
	require.Equal(t, "1", value("bad"), "the last good manifest stays in force")
	e.member.Remove(fakekube.ConfigMaps, "default", "bad")
	e.eventually("and is repaired", func() bool { return e.member.Get(fakekube.ConfigMaps, "default", "bad") != nil })

	e.work("still", nil, configMap("still", "2"))
	e.eventually("resumed", func() bool { return value("still") == "2" })
}

func TestRestartWithoutFederation(t *testing.T) {
	e := newEnv(t)
	e.work("hello", nil, deployment("hello", 3))
	e.start()
	e.applied("hello")
	e.halt()
	e.fed.Close()
	e.member.Remove(fakekube.Deployments, "default", "hello")
	e.start()
	e.eventually("drift is repaired from the inventory", func() bool { return e.replicas("hello") == 3 })
}

func TestGuardHoldsShortLists(t *testing.T) {
	e := newEnv(t)
	e.many(10)
	e.start()
	e.eventually("all applied", func() bool { return e.configMaps() == 10 })
	e.halt()
	for i := range 8 {
		e.unwork("cm-" + string(rune('0'+i)))
	}
	e.start()
	e.eventually("the deletions are held", func() bool {
		c := e.condition(names.ConditionDeletionsHeld)
		return c != nil && c.Status == metav1.ConditionTrue
	})
	require.Equal(t, 10, e.configMaps())
	c := e.condition(names.ConditionDeletionsHeld)
	require.Contains(t, c.Message, "8 objects")
	there, held := e.agent.brought("cm-")
	require.Len(t, there, 10, "a mesh that the cluster leaves is told what it still has")
	require.True(t, held)

	e.unwork("cm-9") // asked for
	e.eventually("a single deletion goes through", func() bool { return e.configMaps() == 9 })

	// What is held stays held, whatever the numbers become.
	for i := range 20 {
		e.work(fmt.Sprintf("more-%d", i), nil, configMap(fmt.Sprintf("more-%d", i), "v"))
	}
	e.eventually("more works", func() bool { return e.configMaps() == 29 })
	e.halt()
	e.forgetReports()
	e.start()
	e.applied("more-0")
	require.Equal(t, 29, e.configMaps())

	e.fed.Edit(clusters, "", "eu", func(u *unstructured.Unstructured) {
		u.SetAnnotations(map[string]string{ConfirmDeletionsAnnotation: "wrong"})
	})
	e.fed.Requests()
	e.eventually("the cluster was read again", func() bool {
		for _, r := range e.fed.Requests() {
			if r == "GET /apis/cluster.karmada.io/v1alpha1/clusters/eu" {
				return true
			}
		}
		return false
	})
	require.Equal(t, 29, e.configMaps(), "a wrong token confirms nothing")

	e.confirmDeletions()
	e.eventually("confirmed deletions are carried out", func() bool { return e.configMaps() == 21 })
	e.eventually("the condition goes", func() bool { return e.condition(names.ConditionDeletionsHeld) == nil })
	// The member is rid of an object a moment before the agent hears of it.
	e.eventually("one work is left", func() bool {
		there, held = e.agent.brought("cm-")
		return slices.Equal(there, []string{"cm-8"}) && !held
	})
	e.eventually("and the used annotation", func() bool { return e.fed.Get(clusters, "", "eu").GetAnnotations()[ConfirmDeletionsAnnotation] == "" })
}

func TestLostStateDirectory(t *testing.T) {
	e := newEnv(t)
	e.many(8)
	e.start()
	e.eventually("all applied", func() bool { return e.configMaps() == 8 })
	e.halt()
	e.unwork("cm-0")
	// A controller's copy of our marks is not ours.
	e.member.Put(fakekube.ConfigMaps, "controller", object{"metadata": object{
		"name": "copy", "namespace": "default", "labels": object{names.ManagedLabel: "true"},
		"annotations":     object{names.WorkNameAnnotation: "gone", names.WorkNamespaceAnnotation: es},
		"ownerReferences": []any{object{"apiVersion": "v1", "kind": "X", "name": "x", "uid": "x", "controller": true}},
	}})
	e.opts.StateDir = t.TempDir()
	e.start()
	e.eventually("the orphan is pruned", func() bool { return e.member.Get(fakekube.ConfigMaps, "default", "cm-0") == nil })
	require.NotNil(t, e.member.Get(fakekube.ConfigMaps, "default", "copy"))
	require.Equal(t, 8, e.configMaps())
}

func TestOtherFederationIsRefused(t *testing.T) {
	e := newEnv(t)
	e.many(3)
	e.start()
	e.eventually("all applied", func() bool { return e.configMaps() == 3 })
	e.halt()
	e.federate("federation-2")
	e.work("new", nil, configMap("new", "v"))
	e.start()
	e.eventually("the refusal is a condition", func() bool {
		c := e.condition(ConditionFederationAccepted)
		return c != nil && c.Status == metav1.ConditionFalse && strings.Contains(c.Message, "--accept-federation-uid=federation-2")
	})
	e.eventually("and the cluster is not ready", func() bool {
		c := e.condition("Ready")
		return c != nil && c.Status == metav1.ConditionFalse && c.Reason == ReasonOtherFederation
	})
	require.Equal(t, 3, e.configMaps())
	e.halt()

	e.opts.AcceptFederationUID = "federation-2"
	e.start()
	e.applied("new")
	e.eventually("the condition goes", func() bool { return e.condition(ConditionFederationAccepted) == nil })
	e.eventually("what the other one brought is held", func() bool { return e.condition(names.ConditionDeletionsHeld) != nil })
	require.Equal(t, 4, e.configMaps())
	e.confirmDeletions()
	e.eventually("confirmed deletions are carried out", func() bool { return e.configMaps() == 1 })
}

func TestJoiningAgainDeletesNothing(t *testing.T) {
	for name, lost := range map[string]bool{"with its state": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.many(3)
			e.start()
			e.eventually("all applied", func() bool { return e.configMaps() == 3 })
			e.eventually("the stay is remembered", func() bool {
				_, err := os.Stat(filepath.Join(e.opts.StateDir, "cluster.json"))
				return err == nil
			})
			uid := func(name string) types.UID { return e.member.Get(fakekube.ConfigMaps, "default", name).GetUID() }
			before := uid("cm-1")
			e.halt()

			e.fed.Remove(clusters, "", "eu")
			for i := range 3 {
				e.unwork(fmt.Sprintf("cm-%d", i))
			}
			if lost {
				e.opts.StateDir = t.TempDir()
			}
			e.start()
			e.eventually("what no list names is held", func() bool {
				c := e.condition(names.ConditionDeletionsHeld)
				return c != nil && strings.Contains(c.Message, "3 objects")
			})
			there, held := e.agent.brought("cm-")
			require.Equal(t, []string{"cm-0", "cm-1", "cm-2"}, there, "as works or as orphans")
			require.True(t, held)
			there, held = e.agent.brought("mesh.")
			require.Empty(t, there)
			require.False(t, held)
			e.work("cm-1", nil, configMap("cm-1", "again"))
			e.eventually("a work that is scheduled again takes its object up", func() bool {
				value, _, _ := unstructured.NestedString(e.member.Get(fakekube.ConfigMaps, "default", "cm-1").Object, "data", "key")
				return value == "again"
			})
			require.Equal(t, before, uid("cm-1"))

			// Nor is another start of the agent a reason to believe the list.
			e.halt()
			e.forgetReports()
			e.start()
			e.applied("cm-1")
			e.eventually("the others are still held", func() bool {
				c := e.condition(names.ConditionDeletionsHeld)
				return c != nil && strings.Contains(c.Message, "2 objects")
			})
			require.Equal(t, 3, e.configMaps())
			e.confirmDeletions()
			e.eventually("confirmed deletions are carried out", func() bool { return e.configMaps() == 1 })
		})
	}
}

func TestEverythingIsReportedAgainInANewEpoch(t *testing.T) {
	e := newEnv(t)
	e.many(3)
	e.start()
	for _, name := range []string{"cm-0", "cm-1", "cm-2"} {
		e.applied(name)
	}
	e.forgetReports()
	e.fed.Restart(2)
	for _, name := range []string{"cm-0", "cm-1", "cm-2"} {
		e.applied(name)
	}
}

func TestCanonicalValuesCauseNoLoop(t *testing.T) {
	e := newEnv(t)
	e.member.Mutate = func(_ fakekube.Resource, u *unstructured.Unstructured) {
		if v, _, _ := unstructured.NestedString(u.Object, "data", "key"); v == "1000m" {
			_ = unstructured.SetNestedField(u.Object, "1", "data", "key")
		}
	}
	e.work("cpu", nil, configMap("cpu", "1000m"))
	e.start()
	e.applied("cpu")
	e.member.Requests()
	e.member.Edit(fakekube.ConfigMaps, "default", "cpu", func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, "x", "data", "theirs")
	})
	e.work("mark", nil, configMap("mark", "v"))
	e.applied("mark")
	for _, r := range e.member.Requests() {
		require.NotEqual(t, "PATCH /api/v1/namespaces/default/configmaps/cpu", r)
	}
	e.member.Edit(fakekube.ConfigMaps, "default", "cpu", func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, "2", "data", "key")
	})
	e.eventually("real drift is still repaired", func() bool {
		v, _, _ := unstructured.NestedString(e.member.Get(fakekube.ConfigMaps, "default", "cpu").Object, "data", "key")
		return v == "1"
	})
}

func TestRetainedReplicas(t *testing.T) {
	e := newEnv(t)
	retain := func(n int) object { return label(deployment("web", n), names.RetainReplicasLabel, "true") }
	e.work("web", nil, retain(3))
	e.start()
	e.applied("web")
	require.EqualValues(t, 3, e.replicas("web"))
	e.member.Edit(fakekube.Deployments, "default", "web", func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, int64(9), "spec", "replicas")
	})
	next := retain(4)
	next["spec"].(object)["paused"] = true
	e.work("web", nil, next)
	e.eventually("the rest of the manifest is applied", func() bool {
		paused, _, _ := unstructured.NestedBool(e.deployment("web").Object, "spec", "paused")
		return paused
	})
	require.EqualValues(t, 9, e.replicas("web"), "the member's own replicas stay")
}

func TestUnknownKindFollowsItsDefinition(t *testing.T) {
	widgets := fakekube.Resource{
		GroupVersionResource: schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}, Kind: "Widget", Namespaced: true,
	}
	e := newEnv(t)
	e.work("w", nil, object{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": object{"name": "w", "namespace": "default"}})
	e.start()
	e.eventually("the unknown kind is reported", func() bool { return e.report("w").Reason == apply.ReasonUnknownKind })
	e.member.Serve(widgets)
	e.member.Put(fakekube.Definitions, "", object{"metadata": object{"name": "widgets.example.com"}})
	e.applied("w")
}

func TestOneObjectTwoWorks(t *testing.T) {
	e := newEnv(t)
	e.work("one", nil, configMap("cm", "1"))
	e.start()
	e.applied("one")
	e.work("two", nil, configMap("cm", "2"))
	e.eventually("the second is told", func() bool { return strings.Contains(e.report("two").Message, "karmada-es-eu/one") })
	e.unwork("one")
	e.applied("two")
	v, _, _ := unstructured.NestedString(e.member.Get(fakekube.ConfigMaps, "default", "cm").Object, "data", "key")
	require.Equal(t, "2", v, "it moved to the second work and was not deleted")
}

func TestImmutableField(t *testing.T) {
	e := newEnv(t)
	var refusing atomic.Bool
	refusing.Store(true)
	e.member.Hook = func(r *http.Request) error {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/frozen") && refusing.Load() {
			return apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "frozen", field.ErrorList{
				field.Invalid(field.NewPath("data"), "x", "field is immutable when `immutable` is set"),
			})
		}
		return nil
	}
	e.work("frozen", nil, configMap("frozen", "v"))
	e.start()
	e.eventually("it is reported", func() bool { return e.report("frozen").Reason == apply.ReasonImmutable })
	require.Contains(t, e.report("frozen").Message, "data:")
	require.Contains(t, e.report("frozen").Message, "delete the object in the cluster")
	refusing.Store(false)
	e.applied("frozen")
}

func TestNameTaken(t *testing.T) {
	e := newEnv(t)
	e.fed.Put(clusters, "", object{"metadata": object{"name": "eu"}, "spec": object{"id": "other", "syncMode": "Pull"}})
	a, err := New(e.opts)
	require.NoError(t, err)
	require.ErrorIs(t, a.Run(t.Context()), heartbeat.ErrNameTaken)
}

func TestStateOfAnotherCluster(t *testing.T) {
	e := newEnv(t)
	e.work("hello", nil, deployment("hello", 3))
	e.start()
	e.applied("hello")
	e.halt()
	other := fakekube.New("member-2")
	t.Cleanup(other.Close)
	other.Put(fakekube.Namespaces, "", object{"metadata": object{"name": "default"}})
	e.opts.Member = other.Config()
	a, err := New(e.opts)
	require.NoError(t, err)
	err = a.Run(t.Context())
	require.ErrorIs(t, err, ErrOtherMember)
	require.ErrorContains(t, err, "--state-dir")
	require.Empty(t, other.List(fakekube.Deployments), "one cluster's workloads do not go into another")
}

func TestNothingIsDoneTwice(t *testing.T) {
	e := newEnv(t)
	e.many(5)
	e.start()
	e.eventually("all applied", func() bool { return e.configMaps() == 5 })
	for i := range 5 {
		e.applied("cm-" + string(rune('0'+i)))
	}
	e.halt()
	e.member.Requests()
	e.mu.Lock()
	sent := e.sent
	e.mu.Unlock()
	e.start()
	e.eventually("reported after the restart", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.sent >= sent+5 })
	e.fed.Restart(3) // a list of the same works
	e.eventually("and in the new epoch", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.sent >= sent+10 })
	for _, r := range e.member.Requests() {
		require.False(t, strings.HasPrefix(r, "PATCH") || strings.HasPrefix(r, "DELETE"), "unneeded %s", r)
	}
}
