package scheduler

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/snapshot"
)

// cluster is a member that takes Deployments and ConfigMaps; edits make it worse.
func cluster(name string, edits ...func(*clusterv1alpha1.Cluster)) *clusterv1alpha1.Cluster {
	c := &clusterv1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}},
		Status: clusterv1alpha1.ClusterStatus{
			Conditions: []metav1.Condition{
				{Type: clusterv1alpha1.ClusterConditionReady, Status: metav1.ConditionTrue, Reason: "ClusterReady"},
				{Type: clusterv1alpha1.ClusterConditionCompleteAPIEnablements, Status: metav1.ConditionTrue, Reason: "Complete"},
			},
			APIEnablements: []clusterv1alpha1.APIEnablement{
				{GroupVersion: "apps/v1", Resources: []clusterv1alpha1.APIResource{{Name: "deployments", Kind: "Deployment"}}},
				{GroupVersion: "v1", Resources: []clusterv1alpha1.APIResource{{Name: "configmaps", Kind: "ConfigMap"}}},
			},
		},
	}
	for _, edit := range edits {
		edit(c)
	}
	return c
}

func notReady(c *clusterv1alpha1.Cluster) {
	c.Status.Conditions[0].Status = metav1.ConditionFalse
	c.Status.Conditions[0].Reason = "LeaseExpired"
}

func leaving(c *clusterv1alpha1.Cluster) {
	at := metav1.NewTime(time.Unix(1, 0))
	c.DeletionTimestamp = &at
	c.Finalizers = []string{"test/keep"}
}

func labelled(key, value string) func(*clusterv1alpha1.Cluster) {
	return func(c *clusterv1alpha1.Cluster) { c.Labels[key] = value }
}

func tainted(key string) func(*clusterv1alpha1.Cluster) {
	return func(c *clusterv1alpha1.Cluster) {
		c.Spec.Taints = append(c.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule})
	}
}

func fleet(names ...string) *snapshot.Snapshot {
	clusters := make([]*clusterv1alpha1.Cluster, len(names))
	for i, name := range names {
		clusters[i] = cluster(name)
	}
	return snapshot.New(clusters...)
}

// evenUID and oddUID hash so that ties go up, and down, the alphabet.
const (
	evenUID = "a"
	oddUID  = ""
)

// specOf is a Deployment's binding with the placement.
func specOf(replicas int32, placement policyv1alpha1.Placement, held ...workv1alpha2.TargetCluster) *workv1alpha2.ResourceBindingSpec {
	return &workv1alpha2.ResourceBindingSpec{
		Resource:  workv1alpha2.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "default", Name: "hello", UID: evenUID},
		Replicas:  replicas,
		Clusters:  held,
		Placement: &placement,
	}
}

func targets(entries ...any) []workv1alpha2.TargetCluster {
	var out []workv1alpha2.TargetCluster
	for i := 0; i < len(entries); i += 2 {
		out = append(out, workv1alpha2.TargetCluster{Name: entries[i].(string), Replicas: int32(entries[i+1].(int))})
	}
	return out
}

func named(names ...string) *policyv1alpha1.ClusterAffinity {
	return &policyv1alpha1.ClusterAffinity{ClusterNames: names}
}

func group(name string, clusters ...string) policyv1alpha1.ClusterAffinityTerm {
	return policyv1alpha1.ClusterAffinityTerm{AffinityName: name, ClusterAffinity: *named(clusters...)}
}

func weight(n int64, clusters ...string) policyv1alpha1.StaticClusterWeight {
	return policyv1alpha1.StaticClusterWeight{TargetCluster: *named(clusters...), Weight: n}
}

// dividedBy shares replicas by static weights, equally if there are none.
func dividedBy(weights ...policyv1alpha1.StaticClusterWeight) *policyv1alpha1.ReplicaSchedulingStrategy {
	s := &policyv1alpha1.ReplicaSchedulingStrategy{
		ReplicaSchedulingType:     policyv1alpha1.ReplicaSchedulingTypeDivided,
		ReplicaDivisionPreference: policyv1alpha1.ReplicaDivisionPreferenceWeighted,
	}
	if len(weights) > 0 {
		s.WeightPreference = &policyv1alpha1.ClusterPreferences{StaticWeightList: weights}
	}
	return s
}

var duplicated = &policyv1alpha1.ReplicaSchedulingStrategy{ReplicaSchedulingType: policyv1alpha1.ReplicaSchedulingTypeDuplicated}

func spread(least, most int) []policyv1alpha1.SpreadConstraint {
	return []policyv1alpha1.SpreadConstraint{{SpreadByField: policyv1alpha1.SpreadByFieldCluster, MinGroups: least, MaxGroups: most}}
}
