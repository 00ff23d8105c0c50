package plan_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
	"github.com/flotilla-io/flotilla/pkg/meshlink/meshlinktest"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// tester is what a federation needs of a test.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// federation is what the API server stores, and the members.
type federation struct {
	t       tester
	now     time.Time
	meshes  map[string]*meshv1alpha1.Mesh
	objects map[string]client.Object // but Meshes and Clusters
	fleet   map[string]*clusterv1alpha1.Cluster
	members map[string]*meshlinktest.Member
	// delivered is the MeshMember as the agent knows it.
	delivered map[string]*meshv1alpha1.MeshMember
	cut       map[string]bool
	began     time.Time       // when the controller was started last
	near      bool            // clusters that are cut off reach each other
	deaf      map[string]bool // agents that know no Meshes
	placed    []link.Placed
	held      []link.Ordered

	reverse bool            // writes are made in the wrong order
	failing map[string]bool // clusters for which nothing can be written

	version int
	writes  int                   // of the planner, but for statuses
	status  int                   // of the planner: statuses
	events  []plan.Event          // of the planner
	onWrite func(w plan.Write)    // before each write
	last    *plan.Plan            // of any mesh
	lastOf  map[string]*plan.Plan // by mesh
}

func newFederation(t tester, clusters ...string) *federation {
	f := &federation{
		t: t, now: epoch, meshes: map[string]*meshv1alpha1.Mesh{}, objects: map[string]client.Object{},
		fleet: map[string]*clusterv1alpha1.Cluster{}, members: map[string]*meshlinktest.Member{},
		delivered: map[string]*meshv1alpha1.MeshMember{}, cut: map[string]bool{}, deaf: map[string]bool{}, lastOf: map[string]*plan.Plan{},
	}
	for _, name := range clusters {
		f.join(name)
	}
	return f
}

func (f *federation) join(name string) {
	f.fleet[name] = &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{names.ClusterFinalizer}}, Spec: clusterv1alpha1.ClusterSpec{SyncMode: clusterv1alpha1.Pull}}
	f.heard(name, metav1.ConditionTrue)
	if f.members[name] == nil {
		m := meshlinktest.NewMember(name)
		m.Restarts = true
		f.members[name] = m
	}
}

// heard is what the cluster controller says about a cluster.
func (f *federation) heard(name string, ready metav1.ConditionStatus) {
	c := f.fleet[name].DeepCopy()
	meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{
		Type: clusterv1alpha1.ClusterConditionReady, Status: ready, Reason: "Test", LastTransitionTime: metav1.NewTime(f.now),
	})
	f.fleet[name] = c
}

func (f *federation) addMesh(name string, change func(*meshv1alpha1.MeshSpec)) *meshv1alpha1.Mesh {
	mesh := &meshv1alpha1.Mesh{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1, CreationTimestamp: metav1.NewTime(f.now), UID: types.UID("uid-" + name)}}
	meshv1alpha1.SetDefaults_Mesh(mesh)
	if change != nil {
		change(&mesh.Spec)
	}
	f.meshes[name] = mesh
	return mesh
}

func selecting(clusters ...string) func(*meshv1alpha1.MeshSpec) {
	return func(spec *meshv1alpha1.MeshSpec) {
		spec.ClusterAffinity = &policyv1alpha1.ClusterAffinity{ClusterNames: clusters}
	}
}

// edit is a person's change of a Mesh.
func (f *federation) edit(name string, change func(*meshv1alpha1.MeshSpec)) {
	mesh := f.meshes[name].DeepCopy()
	change(&mesh.Spec)
	mesh.Generation++
	f.meshes[name] = mesh
}

func id(obj client.Object) string {
	return fmt.Sprintf("%T %s/%s", obj, obj.GetNamespace(), obj.GetName())
}

func (f *federation) get(obj client.Object) client.Object { return f.objects[id(obj)] }

func (f *federation) member(cluster, mesh string) *meshv1alpha1.MeshMember {
	m, _ := f.get(&meshv1alpha1.MeshMember{ObjectMeta: metav1.ObjectMeta{Namespace: names.ExecutionNamespace(cluster), Name: mesh}}).(*meshv1alpha1.MeshMember)
	return m
}

func (f *federation) work(cluster, name string) *workv1alpha1.Work {
	w, _ := f.get(&workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Namespace: names.ExecutionNamespace(cluster), Name: name}}).(*workv1alpha1.Work)
	return w
}

func (f *federation) secret(namespace, name string) *corev1.Secret {
	s, _ := f.get(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}).(*corev1.Secret)
	return s
}

// put stores an object anew, with the next version.
func (f *federation) put(obj client.Object) {
	obj = stored(f.t, obj)
	f.version++
	obj.SetResourceVersion(fmt.Sprint(f.version))
	f.objects[id(obj)] = obj
}

// stored is an object as it comes back: what does not survive JSON is lost.
func stored(t tester, obj client.Object) client.Object {
	text, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	out := obj.DeepCopyObject().(client.Object)
	switch o := out.(type) {
	case *meshv1alpha1.MeshMember:
		*o = meshv1alpha1.MeshMember{}
	case *workv1alpha1.Work:
		*o = workv1alpha1.Work{}
	case *corev1.Secret:
		*o = corev1.Secret{}
	case *meshv1alpha1.Mesh:
		*o = meshv1alpha1.Mesh{}
	}
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func all[T client.Object](f *federation, namespace string) []T {
	var out []T
	for _, key := range slices.Sorted(maps.Keys(f.objects)) {
		if obj, ok := f.objects[key].(T); ok && (namespace == "" || obj.GetNamespace() == namespace) {
			out = append(out, obj)
		}
	}
	return out
}

// picture is what the controller reads.
func (f *federation) picture(mesh string) *plan.Picture {
	p := &plan.Picture{Mesh: f.meshes[mesh], Members: all[*meshv1alpha1.MeshMember](f, ""), Tokens: map[string]plan.Token{}, Placed: f.placed, Held: f.held, Began: f.began}
	for _, name := range slices.Sorted(maps.Keys(f.meshes)) {
		p.Meshes = append(p.Meshes, f.meshes[name])
	}
	for _, name := range slices.Sorted(maps.Keys(f.fleet)) {
		p.Clusters = append(p.Clusters, f.fleet[name])
	}
	for _, w := range all[*workv1alpha1.Work](f, "") {
		if cluster, _ := names.ClusterOf(w.Namespace); w.Labels[meshv1alpha1.MeshLabel] == mesh && f.fleet[cluster] != nil && f.fleet[cluster].DeletionTimestamp == nil {
			p.Works = append(p.Works, w)
		}
	}
	p.Trust = f.secret(names.SystemNamespace, meshv1alpha1.TrustSecretName(mesh))
	if ref := p.Mesh.Spec.Trust.SecretRef; ref != nil {
		p.External = f.secret(ref.Namespace, ref.Name)
	}
	for _, m := range p.Members {
		cluster, _ := names.ClusterOf(m.Namespace)
		if m.Name != mesh || m.Status.Token == nil {
			continue
		}
		secret := f.secret(m.Namespace, meshv1alpha1.ReaderSecretName(mesh))
		if secret == nil {
			continue
		}
		token, err := remotesecret.ParseToken(secret.Data)
		switch {
		case err != nil:
			p.Tokens[cluster] = plan.Token{Problem: err.Error()}
		case token.Hash() == m.Status.Token.Hash:
			p.Tokens[cluster] = plan.Token{Token: token}
		}
	}
	return p
}

// control is one reconcile of a Mesh that ends after at most so many writes, by a
// restart. It says whether it came to its end.
func (f *federation) control(mesh string, most int) bool {
	f.t.Helper()
	if f.meshes[mesh] == nil {
		return true
	}
	p, err := plan.Make(f.picture(mesh), f.now)
	if err != nil {
		f.t.Fatalf("plan of %s: %v", mesh, err)
	}
	f.last, f.lastOf[mesh] = p, p
	if f.reverse {
		slices.Reverse(p.Writes)
	}
	without := map[string]bool{}
	for i, w := range p.Writes {
		if i == most {
			return false
		}
		if w.Blocked(without) {
			continue
		}
		if f.failing[w.Cluster] {
			without[w.Cluster] = true
			continue
		}
		if f.onWrite != nil {
			f.onWrite(w)
		}
		f.writes++
		f.write(w)
	}
	p.Without(f.meshes[mesh], without)
	if p.Gone {
		if len(without) == 0 {
			delete(f.meshes, mesh)
		}
		return true
	}
	if !apiequality.Semantic.DeepEqual(f.meshes[mesh].Status, p.Status) {
		f.status++
		next := f.meshes[mesh].DeepCopy()
		next.Status = p.Status
		f.meshes[mesh] = stored(f.t, next).(*meshv1alpha1.Mesh)
		f.events = append(f.events, p.Events...)
	}
	return true
}

// workIn is the Work that a write brings.
func (f *federation) workIn(w plan.Write) *workv1alpha1.Work {
	work, ok := w.Object.(*workv1alpha1.Work)
	if !ok {
		f.t.Fatalf("%s is no Work", id(w.Object))
	}
	return work
}

func (f *federation) write(w plan.Write) {
	there := f.get(w.Object)
	switch w.Verb {
	case plan.Create:
		if there != nil {
			f.t.Fatalf("%s is created and is there", id(w.Object))
		}
		w.Object.SetGeneration(1)
		w.Object.SetCreationTimestamp(metav1.NewTime(f.now))
		w.Object.SetUID(types.UID(fmt.Sprint("uid-", f.version)))
		f.put(w.Object)
	case plan.Update:
		if mesh, ok := w.Object.(*meshv1alpha1.Mesh); ok {
			f.meshes[mesh.Name] = mesh
			return
		}
		if there == nil || there.GetResourceVersion() != w.Was.GetResourceVersion() {
			f.t.Fatalf("%s is updated from what it is not", id(w.Object))
		}
		if apiequality.Semantic.DeepEqual(there, w.Object) {
			f.t.Fatalf("the update of %s changes nothing", id(w.Object))
		}
		w.Object.SetGeneration(there.GetGeneration() + 1)
		f.put(w.Object)
	case plan.Delete:
		delete(f.objects, id(w.Object))
	}
}

// apply has the agent of a cluster apply its Works.
func (f *federation) apply(name string) {
	c := f.fleet[name]
	if f.cut[name] || c == nil || c.DeletionTimestamp != nil {
		return
	}
	works := all[*workv1alpha1.Work](f, names.ExecutionNamespace(name))
	failures := f.members[name].Apply(works)
	for _, w := range works {
		condition := metav1.Condition{Type: workv1alpha1.WorkApplied, Status: metav1.ConditionTrue, Reason: workv1alpha1.AppliedSuccessfulReason}
		if words, failed := failures[w.Name]; failed {
			condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, workv1alpha1.AppliedFailedReason, words
		}
		next := w.DeepCopy()
		if meta.SetStatusCondition(&next.Status.Conditions, condition) {
			next.Status.Conditions[0].LastTransitionTime = metav1.NewTime(f.now)
			f.put(next)
		}
	}
}

// deliver brings the MeshMember to the agent.
func (f *federation) deliver(name, mesh string) {
	if c := f.fleet[name]; !f.cut[name] && c != nil && c.DeletionTimestamp == nil {
		f.delivered[name+"/"+mesh] = f.member(name, mesh)
	}
}

// agent is one look of a cluster's agent, by what it knows of its MeshMember. It goes
// on when it is cut off, and then nobody hears of it.
func (f *federation) agent(name, mesh string) {
	knows := f.delivered[name+"/"+mesh]
	if knows == nil || f.deaf[name] {
		return
	}
	peer := func(name string) *meshlinktest.Member {
		if f.cut[name] && !f.near {
			return nil
		}
		return f.members[name]
	}
	there := f.member(name, mesh)
	if there != nil {
		knows = knows.DeepCopy()
		knows.Status = there.Status
	}
	status, data := f.members[name].Run(knows, peer, f.now)
	if c := f.fleet[name]; f.cut[name] || c == nil || c.DeletionTimestamp != nil || there == nil {
		return
	}
	namespace, secretName := names.ExecutionNamespace(name), meshv1alpha1.ReaderSecretName(mesh)
	if secret := f.secret(namespace, secretName); data != nil && (secret == nil || !apiequality.Semantic.DeepEqual(secret.Data, data)) {
		f.put(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: secretName}, Data: data})
	}
	if !apiequality.Semantic.DeepEqual(there.Status, *status) {
		next := there.DeepCopy()
		next.Status = *status
		f.put(next)
	}
}

// everybody does everything once.
func (f *federation) everybody() {
	f.t.Helper()
	for _, mesh := range slices.Sorted(maps.Keys(f.meshes)) {
		f.control(mesh, -1)
	}
	for _, name := range slices.Sorted(maps.Keys(f.members)) {
		f.apply(name)
		f.members[name].Reload(f.now)
	}
	for _, name := range slices.Sorted(maps.Keys(f.members)) {
		for _, mesh := range []string{"mesh1", "mesh2"} {
			f.deliver(name, mesh)
			f.agent(name, mesh)
		}
	}
}

// until lets everybody work until a condition holds, a second per round.
func (f *federation) until(what string, condition func() bool) {
	f.t.Helper()
	for range 60 {
		if condition() {
			return
		}
		f.everybody()
		f.now = f.now.Add(time.Second)
	}
	f.t.Fatalf("it does not happen: %s\n%s", what, f.explain())
}

func (f *federation) ready(mesh string) bool {
	return f.meshes[mesh] != nil && meta.IsStatusConditionTrue(f.meshes[mesh].Status.Conditions, meshv1alpha1.ConditionReady) &&
		f.meshes[mesh].Status.ObservedGeneration == f.meshes[mesh].Generation
}

// why is the message of a Mesh's Ready.
func (f *federation) why(mesh string) *metav1.Condition {
	c := meta.FindStatusCondition(f.meshes[mesh].Status.Conditions, meshv1alpha1.ConditionReady)
	if c == nil {
		return &metav1.Condition{}
	}
	return c
}

// settle lets everybody work until nothing is written any more.
func (f *federation) settle() {
	f.t.Helper()
	for range 60 {
		before := f.version + f.writes + f.status
		f.everybody()
		if f.version+f.writes+f.status == before {
			return
		}
		f.now = f.now.Add(time.Second)
	}
	f.t.Fatalf("writes do not end\n%s", f.explain())
}

func (f *federation) explain() string {
	out := ""
	for _, name := range slices.Sorted(maps.Keys(f.meshes)) {
		status := f.meshes[name].Status
		out += fmt.Sprintf("%s: %+v\n", name, f.why(name).Message)
		if status.Trust != nil {
			out += fmt.Sprintf("  trust: %s %s\n", status.Trust.Stage, status.Trust.Message)
		}
		for _, c := range status.Clusters {
			for _, condition := range c.Conditions {
				out += fmt.Sprintf("  %s %s=%s %s %s\n", c.Name, condition.Type, condition.Status, condition.Reason, condition.Message)
			}
		}
		for _, l := range status.Links {
			out += fmt.Sprintf("  %s>%s %s %s %s %s\n", l.From, l.To, l.Phase, l.Step, l.Reason, l.Message)
		}
	}
	return out
}
