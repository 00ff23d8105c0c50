package apiserver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// report sends observations as the agent of a cluster.
func report(t *testing.T, agent client.Client, cluster string, works ...agentv1alpha1.WorkObservation) []agentv1alpha1.RejectedObservation {
	t.Helper()
	r := &agentv1alpha1.StatusReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: names.ExecutionNamespace(cluster)},
		Spec:       agentv1alpha1.StatusReportSpec{Works: works},
	}
	require.NoError(t, agent.Create(t.Context(), r))
	return r.Status.Rejected
}

func observed(w *workv1alpha1.Work, status string) agentv1alpha1.WorkObservation {
	return agentv1alpha1.WorkObservation{
		Name: w.Name, UID: w.UID, Applied: true, Reason: "AppliedSuccessful", Health: "Healthy", Status: &runtime.RawExtension{Raw: []byte(status)},
	}
}

func TestReportsAreFolded(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	join(t, "fold-eu")
	join(t, "fold-ap")
	d, b := placed(t, ns, "web", "fold-eu", "fold-ap")
	eu, ap := clientFor(t, agentOf(t, "fold-eu")), clientFor(t, agentOf(t, "fold-ap"))
	inEU, inAP := workOf(t, d, "fold-eu"), workOf(t, d, "fold-ap")
	fully := func() *metav1.Condition {
		require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(b), b))
		return meta.FindStatusCondition(b.Status.Conditions, workv1alpha2.FullyApplied)
	}

	assert.Empty(t, report(t, eu, "fold-eu", observed(inEU, `{"replicas":1}`)))
	eventually(t, func() bool { c := fully(); return c != nil && strings.Contains(c.Message, "fold-ap") }, "it says who is waited for")
	failure := agentv1alpha1.WorkObservation{Name: inAP.Name, UID: inAP.UID, Reason: "AppliedFailed", Message: "Deployment default/web: spec.selector is immutable"}
	assert.Empty(t, report(t, ap, "fold-ap", failure))
	eventually(t, func() bool {
		c := fully()
		return c.Status == metav1.ConditionFalse && strings.Contains(c.Message, "immutable")
	}, "it says what failed")
	require.Len(t, b.Status.AggregatedStatus, 2)
	assert.Equal(t, "fold-ap", b.Status.AggregatedStatus[0].ClusterName, "sorted")

	assert.Empty(t, report(t, ap, "fold-ap", observed(inAP, `{"replicas":2}`)))
	eventually(t, func() bool { return fully().Status == metav1.ConditionTrue }, "all is well")
	assert.JSONEq(t, `{"replicas":2}`, string(b.Status.AggregatedStatus[0].Status.Raw))
	generation := b.Generation

	// The Work shows it, too.
	var w *workv1alpha1.Work
	eventually(t, func() bool {
		w = workOf(t, d, "fold-ap")
		return meta.IsStatusConditionTrue(w.Status.Conditions, workv1alpha1.WorkApplied)
	}, "the work's status follows the binding's")
	require.Len(t, w.Status.ManifestStatuses, 1)
	assert.Equal(t, "deployments", w.Status.ManifestStatuses[0].Identifier.Resource)

	// The same again costs nothing, however it is encoded.
	version := b.ResourceVersion
	assert.Empty(t, report(t, ap, "fold-ap", observed(inAP, `{ "replicas": 2 }`)))
	bad := observed(inAP, `{}`)
	bad.Health = "Fine"
	stale := observed(inAP, `{}`)
	stale.UID = "of-before"
	gone := observed(inAP, `{}`)
	gone.Name = "gone"
	assert.Equal(t, []agentv1alpha1.RejectedObservation{{Name: inAP.Name, Reason: "Invalid"}, {Name: inAP.Name, Reason: "Stale"}, {Name: "gone", Reason: "NotFound"}},
		report(t, ap, "fold-ap", bad, stale, gone))
	dry := &agentv1alpha1.StatusReport{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-fold-ap"}, Spec: agentv1alpha1.StatusReportSpec{Works: []agentv1alpha1.WorkObservation{failure}}}
	require.NoError(t, ap.Create(t.Context(), dry, client.DryRunAll))
	assert.Empty(t, report(t, eu, "fold-eu", observed(inEU, `{"replicas":9}`)))
	eventually(t, func() bool { fully(); return strings.Contains(string(b.Status.AggregatedStatus[1].Status.Raw), "9") }, "the next news")
	assert.Equal(t, generation, b.Generation)
	assert.Equal(t, metav1.ConditionTrue, fully().Status, "a dry run is not folded")
	assert.NotEqual(t, version, b.ResourceVersion)

	err := ap.Create(t.Context(), &agentv1alpha1.StatusReport{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-fold-eu"}})
	assert.True(t, apierrors.IsForbidden(err), "reports for another cluster: %v", err)
	err = fed.Create(t.Context(), &agentv1alpha1.StatusReport{ObjectMeta: metav1.ObjectMeta{Namespace: ns}})
	assert.True(t, apierrors.IsBadRequest(err), "reports elsewhere: %v", err)

	// A cluster that is taken away takes its status along.
	update(t, b, func(b *workv1alpha2.ResourceBinding) { b.Spec.Clusters = b.Spec.Clusters[:1] })
	eventually(t, func() bool { fully(); return len(b.Status.AggregatedStatus) == 1 }, "its status goes")
}

// Agents of the peer write works/status; it means the same.
func TestStatusOfWorksByTheOldWay(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	join(t, "old-eu")
	d, b := placed(t, ns, "web", "old-eu")
	agent := clientFor(t, agentOf(t, "old-eu"))
	list := &workv1alpha1.WorkList{}
	require.NoError(t, agent.List(t.Context(), list, client.InNamespace("karmada-es-old-eu")))
	var w *workv1alpha1.Work
	for i := range list.Items {
		if list.Items[i].Name == workOf(t, d, "old-eu").Name {
			w = &list.Items[i]
		}
	}
	require.NotNil(t, w)
	meta.SetStatusCondition(&w.Status.Conditions, metav1.Condition{Type: workv1alpha1.WorkApplied, Status: metav1.ConditionTrue, Reason: "AppliedSuccessful"})
	w.Status.ManifestStatuses = []workv1alpha1.ManifestStatus{{
		Identifier: workv1alpha1.ResourceIdentifier{Group: "apps", Version: "v1", Kind: "Deployment", Resource: "deployments", Namespace: ns, Name: "web"},
		Status:     &runtime.RawExtension{Raw: []byte(`{"replicas":1}`)}, Health: "Healthy",
	}}
	require.NoError(t, agent.Status().Update(t.Context(), w))
	eventually(t, func() bool {
		require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(b), b))
		return meta.IsStatusConditionTrue(b.Status.Conditions, workv1alpha2.FullyApplied)
	}, "folded")
	body := `{"status":{"manifestStatuses":[{"identifier":{"ordinal":0,"group":"apps","version":"v1","kind":"Deployment","resource":"deployments","name":"web"},"health":"Unhealthy"}]}}`
	require.NoError(t, agent.Status().Patch(t.Context(), w, client.RawPatch(types.MergePatchType, []byte(body))))
	eventually(t, func() bool {
		require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(b), b))
		return b.Status.AggregatedStatus[0].Health == workv1alpha2.ResourceUnhealthy
	}, "a patch is folded, too")
}

func TestStatusOfStoredWorks(t *testing.T) {
	t.Parallel()
	join(t, "ss-eu")
	agent := clientFor(t, agentOf(t, "ss-eu"))
	w := configMapWork("ss-eu", "mine")
	create(t, w)
	assert.Empty(t, report(t, agent, "ss-eu", observed(w, `{"a":1}`)))
	read := func() *workv1alpha1.Work {
		require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(w), w))
		return w
	}
	eventually(t, func() bool { return meta.IsStatusConditionTrue(read().Status.Conditions, workv1alpha1.WorkApplied) }, "applied")
	require.Len(t, w.Status.ManifestStatuses, 1)
	assert.Equal(t, workv1alpha1.ResourceHealth("Healthy"), w.Status.ManifestStatuses[0].Health)
	version := w.ResourceVersion
	assert.Empty(t, report(t, agent, "ss-eu", observed(w, `{"a":1}`)))
	assert.Equal(t, version, read().ResourceVersion, "said again, it is no write")

	long := agentv1alpha1.WorkObservation{Name: w.Name, UID: w.UID, Message: strings.Repeat("é", 40000)}
	assert.Empty(t, report(t, agent, "ss-eu", long), "a long message is cut, not refused")
	eventually(t, func() bool { return !meta.IsStatusConditionTrue(read().Status.Conditions, workv1alpha1.WorkApplied) }, "failed")

	another := observed(w, `{}`)
	another.UID = "of-before"
	assert.Len(t, report(t, agent, "ss-eu", another), 1)

	// An agent writes with the version its list has, though others change labels meanwhile.
	list := &workv1alpha1.WorkList{}
	mine := func() *workv1alpha1.Work {
		require.NoError(t, agent.List(t.Context(), list, client.InNamespace("karmada-es-ss-eu")))
		for i := range list.Items {
			if list.Items[i].Name == "mine" {
				return &list.Items[i]
			}
		}
		return nil
	}
	eventually(t, func() bool { return mine() != nil }, "listed")
	seen := mine()
	update(t, w, func(w *workv1alpha1.Work) { w.Labels = map[string]string{"a": "b"} })
	eventually(t, func() bool { return mine().Labels["a"] == "b" }, "relabelled")
	seen.Status.Conditions = []metav1.Condition{{Type: workv1alpha1.WorkApplied, Status: metav1.ConditionTrue, Reason: "AppliedSuccessful", LastTransitionTime: metav1.Now()}}
	require.NoError(t, agent.Status().Update(t.Context(), seen))
	assert.Equal(t, "b", read().Labels["a"])
}

// A binding that reports of many clusters hit at once is written few times.
func TestManyReportsFewWrites(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	clusters := make([]string, 8)
	for i := range clusters {
		clusters[i] = fmt.Sprintf("many-%d", i)
		join(t, clusters[i])
	}
	d, b := placed(t, ns, "web", clusters...)
	w, err := fed.dynamic.Resource(resourceBindings).Namespace(ns).Watch(t.Context(), metav1.ListOptions{ResourceVersion: b.ResourceVersion, FieldSelector: "metadata.name=" + b.Name})
	require.NoError(t, err)
	defer w.Stop()
	for round := range 3 {
		for _, c := range clusters {
			o := observed(workOf(t, d, c), fmt.Sprintf(`{"round":%d}`, round))
			if round < 2 {
				o.Health = "Unhealthy"
			}
			assert.Empty(t, report(t, fed.Client, c, o))
		}
	}
	writes := 0
	for {
		select {
		case e := <-w.ResultChan():
			writes++
			raw, err := json.Marshal(e.Object)
			require.NoError(t, err)
			if strings.Count(string(raw), `{"round":2}`) == len(clusters) {
				assert.LessOrEqual(t, writes, 6, "24 reports")
				return
			}
		case <-time.After(patience):
			require.FailNow(t, "the newest reports are not written")
		}
	}
}
