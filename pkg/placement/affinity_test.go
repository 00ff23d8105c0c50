package placement

import (
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

func eu() *clusterv1alpha1.Cluster {
	return &clusterv1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Name: "eu", Labels: map[string]string{"tier": "gold"}},
		Spec: clusterv1alpha1.ClusterSpec{
			Provider: "hetzner", Region: "europe", Zones: []string{"fsn1", "nbg1"},
		},
	}
}

func fields(key string, op corev1.NodeSelectorOperator, values ...string) *policyv1alpha1.FieldSelector {
	return &policyv1alpha1.FieldSelector{
		MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: op, Values: values}},
	}
}

func TestMatches(t *testing.T) {
	const in, notIn = corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn
	cases := map[string]struct {
		reason   string
		cluster  func(*clusterv1alpha1.Cluster)
		affinity *policyv1alpha1.ClusterAffinity
		want     bool
		invalid  bool
	}{
		"Nil":          {reason: "No affinity is no restriction.", affinity: nil, want: true},
		"Empty":        {reason: "An empty affinity is no restriction.", affinity: &policyv1alpha1.ClusterAffinity{}, want: true},
		"Named":        {reason: "The cluster is named.", affinity: &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"ap", "eu"}}, want: true},
		"OthersNamed":  {reason: "Only others are named.", affinity: &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"ap"}}},
		"Excluded":     {reason: "Exclusion goes before naming.", affinity: &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu"}, ExcludeClusters: []string{"eu"}}},
		"OthersExcl":   {reason: "Only others are excluded.", affinity: &policyv1alpha1.ClusterAffinity{ExcludeClusters: []string{"ap"}}, want: true},
		"Label":        {reason: "The label agrees.", affinity: &policyv1alpha1.ClusterAffinity{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "gold"}}}, want: true},
		"OtherLabel":   {reason: "The label differs.", affinity: &policyv1alpha1.ClusterAffinity{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "tin"}}}},
		"LabelAndName": {reason: "Everything must agree, and the name does not.", affinity: &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"ap"}, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "gold"}}}},
		"EmptyLabels":  {reason: "An empty selector selects everything.", affinity: &policyv1alpha1.ClusterAffinity{LabelSelector: &metav1.LabelSelector{}}, want: true},
		"BadLabel":     {reason: "An operator that does not exist is an error.", affinity: &policyv1alpha1.ClusterAffinity{LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}}, invalid: true},

		"ProviderIn":       {reason: "The provider is listed.", affinity: &policyv1alpha1.ClusterAffinity{FieldSelector: fields("provider", in, "hetzner")}, want: true},
		"ProviderNotIn":    {reason: "The provider is ruled out.", affinity: &policyv1alpha1.ClusterAffinity{FieldSelector: fields("provider", notIn, "hetzner")}},
		"RegionIn":         {reason: "The region is not listed.", affinity: &policyv1alpha1.ClusterAffinity{FieldSelector: fields("region", in, "asia")}},
		"RegionNotIn":      {reason: "The region is not ruled out.", affinity: &policyv1alpha1.ClusterAffinity{FieldSelector: fields("region", notIn, "asia")}, want: true},
		"NoRegionIn":       {reason: "A cluster without a region is in none.", cluster: func(c *clusterv1alpha1.Cluster) { c.Spec.Region = "" }, affinity: &policyv1alpha1.ClusterAffinity{FieldSelector: fields("region", in, "", "europe")}},
		"NoRegionNotIn":    {reason: "A cluster without a region is outside of all.", cluster: func(c *clusterv1alpha1.Cluster) { c.Spec.Region = "" }, affinity: &policyv1alpha1.ClusterAffinity{FieldSelector: fields("region", notIn, "europe")}, want: true},
		"AllZonesIn":       {reason: "Every zone of the cluster is listed.", affinity: &policyv1alpha1.ClusterAffinity{FieldSelector: fields("zone", in, "fsn1", "nbg1", "hel1")}, want: true},
		"SomeZonesIn":      {reason: "A replica could land in a zone that is not listed.", affinity: &policyv1alpha1.ClusterAffinity{FieldSelector: fields("zone", in, "fsn1")}},
		"SomeZonesNotIn":   {reason: "A replica could land in a zone that is ruled out.", affinity: &policyv1alpha1.ClusterAffinity{FieldSelector: fields("zone", notIn, "fsn1")}},
		"OtherZonesNotIn":  {reason: "No zone of the cluster is ruled out.", affinity: &policyv1alpha1.ClusterAffinity{FieldSelector: fields("zone", notIn, "hel1")}, want: true},
		"DeprecatedZone":   {reason: "A cluster that was not defaulted has its zone in the old field.", cluster: func(c *clusterv1alpha1.Cluster) { c.Spec.Zones, c.Spec.Zone = nil, "hel1" }, affinity: &policyv1alpha1.ClusterAffinity{FieldSelector: fields("zone", in, "hel1")}, want: true},
		"UnknownKey":       {reason: "There is no such field.", affinity: &policyv1alpha1.ClusterAffinity{FieldSelector: fields("planet", in, "earth")}, invalid: true},
		"UnknownOperator":  {reason: "There is no such operator on fields.", affinity: &policyv1alpha1.ClusterAffinity{FieldSelector: fields("region", corev1.NodeSelectorOpGt, "1")}, invalid: true},
		"ExcludedAndWrong": {reason: "An excluded cluster is out, whatever else is written.", affinity: &policyv1alpha1.ClusterAffinity{ExcludeClusters: []string{"eu"}, FieldSelector: fields("planet", in, "earth")}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cluster := eu()
			if tc.cluster != nil {
				tc.cluster(cluster)
			}
			got, err := Matches(cluster, tc.affinity)
			if tc.invalid != errors.Is(err, ErrInvalidAffinity) || !tc.invalid && err != nil {
				t.Fatalf("%s Got error %v", tc.reason, err)
			}
			if got != tc.want {
				t.Errorf("%s Got %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}

// TestMatchesNarrows: adding a restriction never admits a cluster that was not
// admitted before, and an excluded cluster is never admitted.
func TestMatchesNarrows(t *testing.T) {
	name := rapid.SampledFrom([]string{"eu", "ap", "us"})
	region := rapid.SampledFrom([]string{"", "europe", "asia"})
	rapid.Check(t, func(t *rapid.T) {
		cluster := eu()
		cluster.Name, cluster.Spec.Region = name.Draw(t, "name"), region.Draw(t, "region")
		affinity := &policyv1alpha1.ClusterAffinity{
			ClusterNames:    rapid.SliceOfN(name, 0, 2).Draw(t, "names"),
			ExcludeClusters: rapid.SliceOfN(name, 0, 2).Draw(t, "exclude"),
		}
		wide, err := Matches(cluster, affinity)
		if err != nil {
			t.Fatal(err)
		}
		op := rapid.SampledFrom([]corev1.NodeSelectorOperator{corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn}).Draw(t, "op")
		values := rapid.SliceOf(region).Draw(t, "values")
		affinity.FieldSelector = fields("region", op, values...)
		narrow, err := Matches(cluster, affinity)
		if err != nil {
			t.Fatal(err)
		}
		if narrow && !wide {
			t.Fatal("a restriction admitted the cluster")
		}
		if narrow && slices.Contains(affinity.ExcludeClusters, cluster.Name) {
			t.Fatal("an excluded cluster was admitted")
		}
	})
}
