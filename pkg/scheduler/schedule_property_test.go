package scheduler

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/framework"
	"github.com/flotilla-io/flotilla/pkg/scheduler/plugins"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// drawFleet draws up to eight clusters, many of them with something amiss.
func drawFleet(t *rapid.T) []*clusterv1alpha1.Cluster {
	clusters := make([]*clusterv1alpha1.Cluster, rapid.IntRange(0, 8).Draw(t, "clusters"))
	for i := range clusters {
		c := cluster(fmt.Sprintf("c%d", i))
		for _, edit := range rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 0, 2, rapid.ID[int]).Draw(t, "edits") {
			switch edit {
			case 0:
				notReady(c)
			case 1:
				leaving(c)
			case 2:
				tainted("maintenance")(c)
			case 3:
				c.Spec.Taints = append(c.Spec.Taints, corev1.Taint{Key: "evacuate", Effect: corev1.TaintEffectNoExecute})
			case 4:
				c.Status.APIEnablements = nil
			case 5:
				labelled("tier", "gold")(c)
			}
		}
		clusters[i] = c
	}
	return clusters
}

func drawAffinity(t *rapid.T) *policyv1alpha1.ClusterAffinity {
	a := &policyv1alpha1.ClusterAffinity{}
	name := rapid.Map(rapid.IntRange(0, 9), func(i int) string { return fmt.Sprintf("c%d", i) })
	if rapid.Bool().Draw(t, "byName") {
		a.ClusterNames = rapid.SliceOfN(name, 1, 8).Draw(t, "names")
	}
	if rapid.Bool().Draw(t, "excluding") {
		a.ExcludeClusters = rapid.SliceOfN(name, 1, 3).Draw(t, "exclude")
	}
	return a
}

func drawSpec(t *rapid.T) *workv1alpha2.ResourceBindingSpec {
	spec := specOf(rapid.Int32Range(0, 40).Draw(t, "replicas"), policyv1alpha1.Placement{})
	p := spec.Placement
	switch rapid.IntRange(0, 2).Draw(t, "affinity") {
	case 1:
		p.ClusterAffinity = drawAffinity(t)
	case 2:
		for i := range rapid.IntRange(1, 3).Draw(t, "groups") {
			p.ClusterAffinities = append(p.ClusterAffinities, policyv1alpha1.ClusterAffinityTerm{
				AffinityName: fmt.Sprintf("g%d", i), ClusterAffinity: *drawAffinity(t)})
		}
	}
	if rapid.Bool().Draw(t, "tolerating") {
		p.ClusterTolerations = []corev1.Toleration{{Key: "maintenance", Operator: corev1.TolerationOpExists}}
	}
	if rapid.Bool().Draw(t, "spreading") {
		p.SpreadConstraints = spread(rapid.IntRange(0, 3).Draw(t, "least"), rapid.IntRange(0, 4).Draw(t, "most"))
	}
	switch rapid.IntRange(0, 2).Draw(t, "strategy") {
	case 1:
		p.ReplicaScheduling = duplicated
	case 2:
		var weights []policyv1alpha1.StaticClusterWeight
		for range rapid.IntRange(0, 4).Draw(t, "rules") {
			weights = append(weights, policyv1alpha1.StaticClusterWeight{
				TargetCluster: *drawAffinity(t), Weight: rapid.Int64Range(0, 9).Draw(t, "weight")})
		}
		p.ReplicaScheduling = dividedBy(weights...)
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "held") {
		spec.Clusters = append(spec.Clusters, workv1alpha2.TargetCluster{Name: fmt.Sprintf("c%d", 2*i), Replicas: 1})
	}
	if rapid.Bool().Draw(t, "evicting") {
		spec.GracefulEvictionTasks = []workv1alpha2.GracefulEvictionTask{{FromCluster: "c0", Reason: "Test"}}
	}
	return spec
}

// fits asks all filters about a cluster, in the group that was used.
func fits(spec *workv1alpha2.ResourceBindingSpec, group string, c *snapshot.Cluster) bool {
	request := framework.NewRequest(spec)
	for _, g := range affinityGroups(spec.Placement, "") {
		if g.name == group {
			request.Affinity = g.affinity
		}
	}
	for _, filter := range plugins.Filters() {
		if reason, err := filter.Check(request, c); err != nil || reason != "" {
			return false
		}
	}
	return true
}

// checkAnswer fails if an answer breaks a promise.
func checkAnswer(t interface{ Fatalf(string, ...any) }, snap *snapshot.Snapshot, q Question, decision Decision, reason string) {
	if decision.Made() != (reason == workv1alpha2.BindingReasonSuccess) {
		t.Fatalf("decided %v, reason %s", decision.Clusters, reason)
	}
	var sum int64
	for i, target := range decision.Clusters {
		c := snap.Get(target.Name)
		if c == nil || !fits(q.Spec, decision.Affinity, c) {
			t.Fatalf("%s was chosen and does not fit", target.Name)
		}
		if i > 0 && decision.Clusters[i-1].Name >= target.Name {
			t.Fatalf("not ordered by name: %v", decision.Clusters)
		}
		switch {
		case q.Spec.Replicas > 0 && target.Replicas <= 0:
			t.Fatalf("%s holds %d replicas", target.Name, target.Replicas)
		case !divided(q.Spec) && target.Replicas != q.Spec.Replicas:
			t.Fatalf("%s holds %d of %d duplicated replicas", target.Name, target.Replicas, q.Spec.Replicas)
		}
		sum += int64(target.Replicas)
	}
	if decision.Made() && divided(q.Spec) && sum != int64(q.Spec.Replicas) {
		t.Fatalf("%d replicas were divided into %d", q.Spec.Replicas, sum)
	}
	least, most := clusterBounds(q.Spec.Placement)
	if n := len(decision.Clusters); decision.Made() && (n < least || most > 0 && n > most) {
		t.Fatalf("%d clusters, wanted %d to %d", n, least, most)
	}
}

func TestScheduleKeepsItsPromises(t *testing.T) {
	decided := 0
	rapid.Check(t, func(t *rapid.T) {
		snap := snapshot.New(drawFleet(t)...)
		q := Question{Spec: drawSpec(t), Template: types.UID(rapid.StringN(0, 4, -1).Draw(t, "uid"))}
		decision, diagnosis := Schedule(snap, q)
		checkAnswer(t, snap, q, decision, diagnosis.Reason)
		if decision.Made() {
			decided++
		}
	})
	if decided == 0 {
		t.Error("no draw could be decided: the test tests nothing")
	}
}

func TestScheduleIsPure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clusters := drawFleet(t)
		q := Question{Spec: drawSpec(t), Template: evenUID}
		copied := Question{Spec: q.Spec.DeepCopy(), Template: evenUID}
		decision, diagnosis := Schedule(snapshot.New(clusters...), q)
		if diff := cmp.Diff(copied.Spec, q.Spec); diff != "" {
			t.Fatalf("the question was changed (-before +after):\n%s", diff)
		}
		// The same fleet, taken in another order, and an equal question.
		shuffled := slices.Clone(clusters)
		slices.Reverse(shuffled)
		for i := range shuffled {
			shuffled[i] = shuffled[i].DeepCopy()
		}
		again, diagnosisAgain := Schedule(snapshot.New(shuffled...), copied)
		if diff := cmp.Diff(decision, again); diff != "" {
			t.Fatalf("the same question got another answer (-first +second):\n%s", diff)
		}
		if diff := cmp.Diff(diagnosis.Message(), diagnosisAgain.Message()); diff != "" {
			t.Fatalf("the same question got another explanation (-first +second):\n%s", diff)
		}
	})
}

// TestScheduleSettles: what was decided, taken as held, is decided again. Without
// that a binding that follows the clusters would be written for ever.
func TestScheduleSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snap := snapshot.New(drawFleet(t)...)
		q := Question{Spec: drawSpec(t), Template: evenUID}
		decision, _ := Schedule(snap, q)
		if !decision.Made() {
			return
		}
		// What holds nothing any more can drop out once more: a cluster that was
		// passed only as a holder and got no share. After that it must be still.
		for range 2 {
			q.Spec.Clusters, q.Affinity = decision.Clusters, decision.Affinity
			decision, _ = Schedule(snap, q)
		}
		if diff := cmp.Diff(q.Spec.Clusters, decision.Clusters); diff != "" {
			t.Fatalf("the decision does not settle (-before +after):\n%s", diff)
		}
	})
}

func FuzzSchedule(f *testing.F) {
	seed := func(spec *workv1alpha2.ResourceBindingSpec) {
		text, err := json.Marshal(spec)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, uint8(3), uint16(0))
	}
	seed(specOf(10, policyv1alpha1.Placement{ReplicaScheduling: dividedBy(weight(2, "c0"), weight(1, "c1"))}))
	seed(specOf(3, policyv1alpha1.Placement{ClusterAffinity: named("c0", "mars"), SpreadConstraints: spread(1, 2)}))
	seed(specOf(0, policyv1alpha1.Placement{ClusterAffinities: []policyv1alpha1.ClusterAffinityTerm{group("a", "c1")}}))
	f.Fuzz(func(t *testing.T, text []byte, size uint8, sick uint16) {
		var spec workv1alpha2.ResourceBindingSpec
		if json.Unmarshal(text, &spec) != nil || spec.Placement == nil {
			return
		}
		var clusters []*clusterv1alpha1.Cluster
		for i := range int(size % 12) {
			c := cluster(fmt.Sprintf("c%d", i))
			if sick>>i&1 == 1 {
				notReady(c)
			}
			clusters = append(clusters, c)
		}
		snap, q := snapshot.New(clusters...), Question{Spec: &spec, Template: spec.Resource.UID}
		decision, diagnosis := Schedule(snap, q)
		checkAnswer(t, snap, q, decision, diagnosis.Reason)
		if again, second := Schedule(snap, q); !cmp.Equal(decision, again) || diagnosis.Message() != second.Message() {
			t.Fatalf("the same question got another answer: %v, then %v", decision, again)
		}
		if diagnosis.Message() == "" {
			t.Fatal("an answer without a word")
		}
	})
}

func BenchmarkSchedule(b *testing.B) {
	for _, n := range []int{3, 30, 300} {
		clusters := make([]*clusterv1alpha1.Cluster, n)
		clusterNames := make([]string, n)
		weights := make([]policyv1alpha1.StaticClusterWeight, n)
		for i := range clusters {
			clusters[i] = cluster(fmt.Sprintf("cluster-%03d", i))
			// About as many kinds as a real member lists, the template's not first.
			for v := range 30 {
				clusters[i].Status.APIEnablements = slices.Insert(clusters[i].Status.APIEnablements, 0,
					clusterv1alpha1.APIEnablement{GroupVersion: fmt.Sprintf("group%d.example/v1", v)})
			}
			clusterNames[i] = clusters[i].Name
			weights[i] = weight(int64(i%5+1), clusters[i].Name)
		}
		snap := snapshot.New(clusters...)
		spec := specOf(int32(10*n), policyv1alpha1.Placement{ClusterAffinity: named(clusterNames...), ReplicaScheduling: dividedBy(weights...)})
		b.Run(fmt.Sprintf("clusters=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if decision, diagnosis := Schedule(snap, Question{Spec: spec, Template: evenUID}); !decision.Made() {
					b.Fatal(diagnosis.Message())
				}
			}
		})
	}
}
