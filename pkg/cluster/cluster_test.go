package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

// world is a federation with the cluster eu, and a Reconciler that works on it.
type world struct {
	*Reconciler
	clock      *clocktesting.FakePassiveClock
	cluster    *clusterv1alpha1.Cluster
	namespaces map[string]*metav1.ObjectMeta
	secrets    map[string]*corev1.Secret
	hosted     string // fingerprint of the agent that runs; empty: none
	log        []string
	conflicts  int
}

func newWorld(mode clusterv1alpha1.ClusterSyncMode) *world {
	w := &world{
		clock: clocktesting.NewFakePassiveClock(time.Unix(1000, 0)),
		cluster: &clusterv1alpha1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Name: "eu", UID: "1"},
			Spec:       clusterv1alpha1.ClusterSpec{SyncMode: mode},
		},
		namespaces: map[string]*metav1.ObjectMeta{},
		secrets:    map[string]*corev1.Secret{},
	}
	patch := func(what string) func(context.Context, *clusterv1alpha1.Cluster, *clusterv1alpha1.Cluster) error {
		return func(_ context.Context, _, to *clusterv1alpha1.Cluster) error {
			if w.conflicts > 0 {
				w.conflicts--
				return apierrors.NewConflict(schema.GroupResource{}, "eu", nil)
			}
			w.log = append(w.log, what)
			w.cluster = to.DeepCopy()
			if !to.DeletionTimestamp.IsZero() && len(to.Finalizers) == 0 {
				w.cluster = nil
			}
			return nil
		}
	}
	w.Reconciler = &Reconciler{
		Cluster: func(context.Context, string) (*clusterv1alpha1.Cluster, error) {
			if w.cluster == nil {
				return nil, nil
			}
			return w.cluster.DeepCopy(), nil
		},
		Patch: patch("patch"), PatchStatus: patch("patch status"),
		Namespace: func(_ context.Context, name string) (metav1.Object, error) {
			if ns, ok := w.namespaces[name]; ok {
				return ns, nil
			}
			return nil, nil
		},
		CreateNamespace: func(_ context.Context, name string) error {
			w.log = append(w.log, "create "+name)
			w.namespaces[name] = &metav1.ObjectMeta{Name: name}
			return nil
		},
		DeleteNamespace: func(_ context.Context, name string) (bool, error) {
			ns := w.namespaces[name]
			if ns != nil && ns.DeletionTimestamp == nil {
				w.log = append(w.log, "delete "+name)
				ns.DeletionTimestamp = &metav1.Time{Time: w.clock.Now()}
			}
			return ns == nil, nil
		},
		DeleteLease: func(_ context.Context, cluster string) error {
			w.log = append(w.log, "delete lease "+cluster)
			return nil
		},
		Secret: func(_ context.Context, namespace, name string) (*corev1.Secret, error) {
			if s, ok := w.secrets[namespace+"/"+name]; ok {
				return s, nil
			}
			return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
		},
		EnsureHosted: func(_ *clusterv1alpha1.Cluster, _ *rest.Config, fingerprint string) (bool, error) {
			if w.hosted != fingerprint {
				w.log = append(w.log, "host")
			}
			w.hosted = fingerprint
			return true, nil
		},
		StopHosted: func(string) {
			if w.hosted != "" {
				w.log = append(w.log, "stop")
			}
			w.hosted = ""
		},
		Grace: 40 * time.Second, DetachGrace: 5 * time.Second, Clock: w.clock,
	}
	return w
}

func (w *world) run(t *testing.T) reconcile.Result {
	t.Helper()
	res, err := w.Reconcile(t.Context(), requestFor("eu"))
	require.NoError(t, err)
	return res
}

// took gives what was written since the last call.
func (w *world) took() []string {
	out := w.log
	w.log = nil
	return out
}

func (w *world) pass(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

// agentSays is what an agent writes.
func (w *world) agentSays(status metav1.ConditionStatus) {
	meta.SetStatusCondition(&w.cluster.Status.Conditions, metav1.Condition{
		Type: clusterv1alpha1.ClusterConditionReady, Status: status, Reason: "AgentSaysSo",
	})
}

func (w *world) ready() metav1.Condition {
	if c := meta.FindStatusCondition(w.cluster.Status.Conditions, clusterv1alpha1.ClusterConditionReady); c != nil {
		return *c
	}
	return metav1.Condition{}
}

func (w *world) taints() (out []string) {
	for _, t := range w.cluster.Spec.Taints {
		out = append(out, t.Key+":"+string(t.Effect))
	}
	return out
}

// beat delivers a renewed lease and tells whether the cluster is to be looked at.
func (w *world) beat(renewed time.Time) bool {
	q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer q.ShutDown()
	at := metav1.NewMicroTime(renewed)
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "eu"}, Spec: coordinationv1.LeaseSpec{RenewTime: &at}}
	w.leaseHandler().Update(context.Background(), event.UpdateEvent{ObjectOld: lease, ObjectNew: lease}, q)
	return q.Len() > 0
}

func TestJoin(t *testing.T) {
	w := newWorld(clusterv1alpha1.Pull)
	w.run(t)
	assert.Equal(t, []string{"create karmada-cluster", "create karmada-es-eu", "patch"}, w.took())
	assert.Contains(t, w.cluster.Finalizers, names.ClusterFinalizer)
	w.run(t)
	assert.Empty(t, w.took(), "nothing differs, so nothing is written")

	delete(w.namespaces, "karmada-es-eu")
	w.run(t)
	assert.Equal(t, []string{"create karmada-es-eu"}, w.took(), "a lost namespace is made again")

	w.namespaces["karmada-es-eu"].DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	assert.Equal(t, retryNamespace, w.run(t).RequeueAfter, "one that is still going is waited for")
}

func TestSilence(t *testing.T) {
	w := newWorld(clusterv1alpha1.Pull)
	w.beat(time.Unix(5, 0)) // the agent's clock is far behind; it does not matter
	w.agentSays(metav1.ConditionTrue)
	res := w.run(t)
	w.took()
	assert.Equal(t, 40*time.Second, res.RequeueAfter, "looked at when it could have fallen silent")

	w.pass(39 * time.Second)
	assert.Equal(t, time.Second, w.run(t).RequeueAfter)
	assert.Empty(t, w.took())

	assert.False(t, w.beat(time.Unix(44, 0)), "a renewal in time is no reason to look")
	w.pass(39 * time.Second)
	w.beat(time.Unix(44, 0)) // the same renewal delivered again is no sign of life
	w.pass(time.Second)
	w.run(t)
	assert.Equal(t, []string{"patch status", "patch"}, w.took())
	assert.Equal(t, metav1.ConditionUnknown, w.ready().Status)
	assert.Equal(t, ReasonAgentSilent, w.ready().Reason)
	assert.Contains(t, w.ready().Message, "--cluster-name eu", "the way out")
	assert.Equal(t, []string{names.TaintClusterUnreachable + ":NoSchedule"}, w.taints())

	w.pass(time.Hour)
	w.run(t)
	assert.Empty(t, w.took(), "still silent is no news")

	assert.True(t, w.beat(time.Unix(4000, 0)), "the first renewal after a silence is")
	w.agentSays(metav1.ConditionTrue)
	w.run(t)
	assert.Equal(t, []string{"patch"}, w.took())
	assert.Empty(t, w.taints())
	assert.Equal(t, metav1.ConditionTrue, w.ready().Status)
}

func TestAClusterWithoutAnAgentTurnsUnknown(t *testing.T) {
	w := newWorld(clusterv1alpha1.Pull)
	w.run(t)
	assert.Empty(t, w.ready().Status, "it gets the grace period first")
	w.pass(40 * time.Second)
	w.run(t)
	assert.Equal(t, metav1.ConditionUnknown, w.ready().Status)
}

func TestTaints(t *testing.T) {
	notReady, unreachable := names.TaintClusterNotReady+":NoSchedule", names.TaintClusterUnreachable+":NoSchedule"
	cases := map[string]struct {
		reason string
		status metav1.ConditionStatus
		had    []corev1.Taint
		want   []string
	}{
		"Ready":    {"a ready cluster has none", metav1.ConditionTrue, []corev1.Taint{{Key: names.TaintClusterNotReady, Effect: "NoSchedule"}}, nil},
		"NotReady": {"the member is unhealthy", metav1.ConditionFalse, nil, []string{notReady}},
		"Unknown":  {"nothing is heard of it", metav1.ConditionUnknown, nil, []string{unreachable}},
		"Changed":  {"one replaces the other", metav1.ConditionUnknown, []corev1.Taint{{Key: names.TaintClusterNotReady, Effect: "NoSchedule"}}, []string{unreachable}},
		"Others":   {"other taints stay", metav1.ConditionTrue, []corev1.Taint{{Key: "mine", Effect: "NoExecute"}}, []string{"mine:NoExecute"}},
		"OtherEffect": {"evicting is somebody else's decision", metav1.ConditionTrue,
			[]corev1.Taint{{Key: names.TaintClusterNotReady, Effect: "NoExecute"}}, []string{names.TaintClusterNotReady + ":NoExecute"}},
		"NothingKnown": {"nothing is changed", "", []corev1.Taint{{Key: names.TaintClusterNotReady, Effect: "NoSchedule"}}, []string{notReady}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(clusterv1alpha1.Pull)
			w.cluster.Spec.Taints = tc.had
			if tc.status != "" {
				w.agentSays(tc.status)
			}
			w.run(t)
			assert.Equal(t, tc.want, w.taints(), tc.reason)
			w.took()
			w.run(t)
			assert.Empty(t, w.took())
		})
	}
}

func TestTaintsAreStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &clusterv1alpha1.Cluster{}
		for range rapid.IntRange(0, 4).Draw(t, "taints") {
			c.Spec.Taints = append(c.Spec.Taints, corev1.Taint{
				Key:    rapid.SampledFrom([]string{"a", names.TaintClusterNotReady, names.TaintClusterUnreachable}).Draw(t, "key"),
				Effect: rapid.SampledFrom([]corev1.TaintEffect{"NoSchedule", "NoExecute"}).Draw(t, "effect"),
			})
		}
		meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{
			Type:   clusterv1alpha1.ClusterConditionReady,
			Status: rapid.SampledFrom([]metav1.ConditionStatus{"True", "False", "Unknown"}).Draw(t, "ready"),
		})
		before := c.DeepCopy()
		once := taintsFor(c, time.Unix(1, 0))
		assert.Equal(t, before, c, "the Cluster itself is not touched")
		c.Spec.Taints = once
		assert.Equal(t, once, taintsFor(c, time.Unix(2, 0)), "the second look changes nothing, the time included")
		count := 0
		for _, taint := range once {
			if ours(taint) {
				count++
			}
		}
		if ready := c.Status.Conditions[0].Status == "True"; ready && count != 0 || !ready && count == 0 {
			t.Fatalf("%d of our taints on a cluster whose Ready is %s", count, c.Status.Conditions[0].Status)
		}
	})
}

func TestLeave(t *testing.T) {
	w := newWorld(clusterv1alpha1.Pull)
	w.run(t)
	w.took()
	w.cluster.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} // by a clock far behind
	w.hosted = "x"

	res := w.run(t)
	assert.Equal(t, []string{"stop"}, w.took(), "first of all nobody works for it any more")
	assert.Equal(t, 5*time.Second, res.RequeueAfter, "then the API servers stop serving its agent")
	w.pass(5 * time.Second)
	res = w.run(t)
	assert.Equal(t, []string{"delete karmada-es-eu"}, w.took())
	assert.NotZero(t, res.RequeueAfter, "a namespace takes its time to go")
	w.run(t)
	assert.Empty(t, w.took())
	assert.NotNil(t, w.cluster, "the name is not free before, or who joins under it finds a namespace that is going")

	delete(w.namespaces, "karmada-es-eu")
	w.run(t)
	assert.Equal(t, []string{"delete lease eu", "patch"}, w.took())
	assert.Nil(t, w.cluster)
	w.run(t)
	assert.Empty(t, w.took())
}

func TestLeaveWithoutOurFinalizer(t *testing.T) {
	w := newWorld(clusterv1alpha1.Pull)
	w.cluster.Finalizers = []string{"example.io/other"}
	w.cluster.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	w.run(t)
	assert.Empty(t, w.took(), "our part is done")
}

func TestConflict(t *testing.T) {
	w := newWorld(clusterv1alpha1.Pull)
	w.conflicts = 1
	assert.Equal(t, retryConflict, w.run(t).RequeueAfter)
	w.run(t)
	assert.Contains(t, w.cluster.Finalizers, names.ClusterFinalizer)
}

func TestPush(t *testing.T) {
	w := newWorld(clusterv1alpha1.Push)
	credentials := func(token string) {
		w.secrets["karmada-cluster/eu"] = &corev1.Secret{Data: map[string][]byte{secretToken: []byte(token), secretCABundle: testCA(t)}}
	}
	unusable := func(part string) {
		t.Helper()
		w.run(t)
		assert.Equal(t, metav1.ConditionFalse, w.ready().Status)
		assert.Equal(t, ReasonCredentialsUnusable, w.ready().Reason)
		assert.Contains(t, w.ready().Message, part)
		assert.Empty(t, w.hosted)
	}
	unusable("spec.secretRef is empty")
	assert.Equal(t, []string{names.TaintClusterNotReady + ":NoSchedule"}, w.taints())
	w.cluster.Spec.SecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-cluster", Name: "eu"}
	unusable("Secret karmada-cluster/eu does not exist")
	credentials("a")
	unusable("spec.apiEndpoint is empty")

	w.cluster.Spec.APIEndpoint = "https://eu.example:6443"
	w.took()
	res := w.run(t)
	assert.Equal(t, []string{"host"}, w.took())
	assert.LessOrEqual(t, res.RequeueAfter, credentialsInterval)
	w.run(t)
	assert.Empty(t, w.took(), "the same credentials, the same agent")

	credentials("b")
	w.run(t)
	assert.Equal(t, []string{"host"}, w.took(), "new credentials, a new agent")

	clear(w.secrets)
	unusable("does not exist")

	credentials("b")
	w.run(t)
	w.cluster.Spec.SyncMode = clusterv1alpha1.Pull
	w.run(t)
	assert.Empty(t, w.hosted, "a Pull cluster has an agent of its own")
}

func TestGoneClustersHaveNoAgent(t *testing.T) {
	w := newWorld(clusterv1alpha1.Push)
	w.hosted = "x"
	w.cluster = nil
	w.run(t)
	assert.Equal(t, []string{"stop"}, w.took())
}
