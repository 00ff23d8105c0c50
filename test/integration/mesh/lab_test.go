package mesh

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/meshlinktest"
)

// lab is a Mesh of some clusters.
type lab struct {
	t       *testing.T
	clock   *offset
	mesh    string
	members map[string]*meshlinktest.Member
	silent  map[string]bool // agents that are cut off
	writes  int             // of the agents
}

func newLab(t *testing.T, mesh string, clusters ...string) *lab {
	t.Helper()
	l := &lab{t: t, clock: &offset{}, mesh: mesh, members: map[string]*meshlinktest.Member{}, silent: map[string]bool{}}
	for _, name := range clusters {
		c := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{names.ClusterFinalizer}}, Spec: clusterv1alpha1.ClusterSpec{SyncMode: clusterv1alpha1.Pull}}
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names.ExecutionNamespace(name)}}
		require.NoError(t, fed.Create(t.Context(), c))
		require.NoError(t, fed.Create(t.Context(), ns))
		l.heard(name, metav1.ConditionTrue)
		m := meshlinktest.NewMember(name)
		m.Restarts = true
		l.members[name] = m
		t.Cleanup(func() {
			l.unjoin(name)
			// What is in it is deleted by and by, and would be among the writes that
			// the next test counts.
			require.Eventually(t, func() bool {
				return apierrors.IsNotFound(fed.Get(context.WithoutCancel(t.Context()), client.ObjectKeyFromObject(ns), ns))
			}, time.Minute, 50*time.Millisecond, "namespace %s is gone", ns.Name)
		})
	}
	return l
}

// create makes the Mesh, of all clusters of the lab.
func (l *lab) create(change func(*meshv1alpha1.MeshSpec)) *meshv1alpha1.Mesh {
	l.t.Helper()
	mesh := &meshv1alpha1.Mesh{ObjectMeta: metav1.ObjectMeta{Name: l.mesh}}
	affinity := &policyv1alpha1.ClusterAffinity{}
	for name := range l.members {
		affinity.ClusterNames = append(affinity.ClusterNames, name)
	}
	slices.Sort(affinity.ClusterNames)
	mesh.Spec.ClusterAffinity = affinity
	if change != nil {
		change(&mesh.Spec)
	}
	require.NoError(l.t, fed.Create(l.t.Context(), mesh))
	return mesh
}

// unjoin does what the cluster controller does at the end of a Cluster.
func (l *lab) unjoin(name string) {
	l.t.Helper()
	ctx, c := context.Background(), &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	require.NoError(l.t, client.IgnoreNotFound(fed.Delete(ctx, c)))
	require.NoError(l.t, client.IgnoreNotFound(fed.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names.ExecutionNamespace(name)}})))
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	require.NoError(l.t, client.IgnoreNotFound(fed.Patch(ctx, c, patch)))
}

// heard is what the cluster controller says about a cluster.
func (l *lab) heard(name string, ready metav1.ConditionStatus) {
	l.t.Helper()
	c := &clusterv1alpha1.Cluster{}
	l.eventually(func() bool {
		require.NoError(l.t, fed.Get(l.t.Context(), client.ObjectKey{Name: name}, c))
		meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{
			Type: clusterv1alpha1.ClusterConditionReady, Status: ready, Reason: "Test", LastTransitionTime: metav1.NewTime(l.clock.Now()),
		})
		return l.taken(fed.Status().Update(l.t.Context(), c))
	}, "the condition of cluster %s", name)
}

// taken says whether a write was made, not whether somebody else came first.
func (l *lab) taken(err error) bool {
	l.t.Helper()
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return false
	}
	require.NoError(l.t, err)
	return true
}

func (l *lab) eventually(condition func() bool, what string, args ...any) {
	l.t.Helper()
	require.Eventually(l.t, condition, 60*time.Second, 20*time.Millisecond, append([]any{what}, args...)...)
}

// agents has all agents look once.
func (l *lab) agents() {
	l.t.Helper()
	for name := range l.members {
		if !l.silent[name] {
			l.apply(name)
			l.look(name)
		}
	}
}

func (l *lab) apply(name string) {
	l.t.Helper()
	list := &workv1alpha1.WorkList{}
	err := fed.List(l.t.Context(), list, client.InNamespace(names.ExecutionNamespace(name)), client.MatchingLabels{meshv1alpha1.MeshLabel: l.mesh})
	if err != nil {
		return // not served, or not yet
	}
	var works []*workv1alpha1.Work
	for i := range list.Items {
		works = append(works, &list.Items[i])
	}
	failures := l.members[name].Apply(works)
	for _, w := range works {
		condition := metav1.Condition{Type: workv1alpha1.WorkApplied, Status: metav1.ConditionTrue, Reason: workv1alpha1.AppliedSuccessfulReason}
		if words, failed := failures[w.Name]; failed {
			condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, workv1alpha1.AppliedFailedReason, words
		}
		if meta.SetStatusCondition(&w.Status.Conditions, condition) && l.taken(fed.Status().Update(l.t.Context(), w)) {
			l.writes++
		}
	}
	l.members[name].Reload(l.clock.Now())
}

func (l *lab) look(name string) {
	l.t.Helper()
	ctx, namespace := l.t.Context(), names.ExecutionNamespace(name)
	member := &meshv1alpha1.MeshMember{}
	if err := fed.Get(ctx, client.ObjectKey{Namespace: namespace, Name: l.mesh}, member); err != nil {
		require.True(l.t, apierrors.IsNotFound(err), "%v", err)
		return
	}
	status, data := l.members[name].Run(member, func(peer string) *meshlinktest.Member {
		if l.silent[peer] {
			return nil
		}
		return l.members[peer]
	}, l.clock.Now())
	if data != nil {
		l.secret(namespace, data)
	}
	if !apiequality.Semantic.DeepEqual(member.Status, *status) {
		member.Status = *status
		if l.taken(fed.Status().Update(ctx, member)) {
			l.writes++
		}
	}
}

func (l *lab) secret(namespace string, data map[string][]byte) {
	l.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: meshv1alpha1.ReaderSecretName(l.mesh), Labels: map[string]string{meshv1alpha1.MeshLabel: l.mesh},
	}, Type: meshv1alpha1.ReaderSecretType}
	err := fed.Get(l.t.Context(), client.ObjectKeyFromObject(secret), secret)
	switch {
	case apierrors.IsNotFound(err):
		secret.Data = data
		require.NoError(l.t, fed.Create(l.t.Context(), secret))
		l.writes++
	case err != nil:
		require.NoError(l.t, err)
	case !apiequality.Semantic.DeepEqual(secret.Data, data):
		secret.Data = data
		require.NoError(l.t, fed.Update(l.t.Context(), secret))
		l.writes++
	}
}

// get is the Mesh as it is; nil when there is none.
func (l *lab) get() *meshv1alpha1.Mesh {
	l.t.Helper()
	mesh := &meshv1alpha1.Mesh{}
	if err := fed.Get(l.t.Context(), client.ObjectKey{Name: l.mesh}, mesh); err != nil {
		require.True(l.t, apierrors.IsNotFound(err), "%v", err)
		return nil
	}
	return mesh
}

// edit is a person's change.
func (l *lab) edit(change func(*meshv1alpha1.MeshSpec)) {
	l.t.Helper()
	l.eventually(func() bool {
		mesh := l.get()
		change(&mesh.Spec)
		return l.taken(fed.Update(l.t.Context(), mesh))
	}, "edit of the Mesh")
}

// until has agents look until a condition of the Mesh holds.
func (l *lab) until(what string, condition func(*meshv1alpha1.Mesh) bool) {
	l.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		mesh := l.get()
		if condition(mesh) {
			return
		}
		if time.Now().After(deadline) {
			require.FailNow(l.t, "it does not happen: "+what, "%+v", mesh)
		}
		l.agents()
		<-time.After(50 * time.Millisecond)
	}
}

func ready(mesh *meshv1alpha1.Mesh) bool {
	return mesh != nil && mesh.Status.ObservedGeneration == mesh.Generation &&
		meta.IsStatusConditionTrue(mesh.Status.Conditions, meshv1alpha1.ConditionReady)
}

// steady has agents look until nothing was written for a while, and gives the
// revision.
func (l *lab) steady() int64 {
	l.t.Helper()
	last, since := fed.Revision(l.t), time.Now()
	deadline := time.Now().Add(60 * time.Second)
	for time.Since(since) < 2*time.Second {
		require.True(l.t, time.Now().Before(deadline), "writes go on")
		l.agents()
		<-time.After(50 * time.Millisecond)
		if now := fed.Revision(l.t); now != last {
			last, since = now, time.Now()
		}
	}
	return last
}
