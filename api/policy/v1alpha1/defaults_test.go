package v1alpha1

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSetDefaultsPlacementSpreadConstraints(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     SpreadConstraint
		want   SpreadConstraint
	}{
		"Empty": {
			reason: "A constraint that groups by nothing counts clusters.",
			in:     SpreadConstraint{},
			want:   SpreadConstraint{SpreadByField: SpreadByFieldCluster, MinGroups: 1},
		},
		"OnlyMax": {
			reason: "At least one group is needed, or nothing would be placed.",
			in:     SpreadConstraint{SpreadByField: SpreadByFieldRegion, MaxGroups: 2},
			want:   SpreadConstraint{SpreadByField: SpreadByFieldRegion, MinGroups: 1, MaxGroups: 2},
		},
		"Label": {
			reason: "A label is a grouping of its own, no field is added.",
			in:     SpreadConstraint{SpreadByLabel: "rack", MinGroups: 2},
			want:   SpreadConstraint{SpreadByLabel: "rack", MinGroups: 2},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := &Placement{SpreadConstraints: []SpreadConstraint{tc.in}}
			SetDefaults_Placement(p)
			if diff := cmp.Diff(tc.want, p.SpreadConstraints[0]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			again := p.DeepCopy()
			SetDefaults_Placement(again)
			if diff := cmp.Diff(p, again); diff != "" {
				t.Errorf("Defaulting twice must change nothing:\n%s", diff)
			}
		})
	}
}

func TestSetDefaultsPlacementReplicaScheduling(t *testing.T) {
	cases := map[string]struct {
		reason   string
		in, want ReplicaSchedulingStrategy
	}{
		"Empty": {
			reason: "Replicas are divided, by weights.",
			want:   ReplicaSchedulingStrategy{ReplicaSchedulingType: ReplicaSchedulingTypeDivided, ReplicaDivisionPreference: ReplicaDivisionPreferenceWeighted},
		},
		"Divided": {
			reason: "Weights may be given without saying so.",
			in:     ReplicaSchedulingStrategy{ReplicaSchedulingType: ReplicaSchedulingTypeDivided, WeightPreference: &ClusterPreferences{StaticWeightList: []StaticClusterWeight{{Weight: 1}}}},
			want: ReplicaSchedulingStrategy{ReplicaSchedulingType: ReplicaSchedulingTypeDivided, ReplicaDivisionPreference: ReplicaDivisionPreferenceWeighted,
				WeightPreference: &ClusterPreferences{StaticWeightList: []StaticClusterWeight{{Weight: 1}}}},
		},
		"Aggregated": {
			reason: "What is said stays.",
			in:     ReplicaSchedulingStrategy{ReplicaDivisionPreference: ReplicaDivisionPreferenceAggregated},
			want:   ReplicaSchedulingStrategy{ReplicaSchedulingType: ReplicaSchedulingTypeDivided, ReplicaDivisionPreference: ReplicaDivisionPreferenceAggregated},
		},
		"Duplicated": {
			reason: "What is not divided has no way of dividing.",
			in:     ReplicaSchedulingStrategy{ReplicaSchedulingType: ReplicaSchedulingTypeDuplicated},
			want:   ReplicaSchedulingStrategy{ReplicaSchedulingType: ReplicaSchedulingTypeDuplicated},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := &Placement{ReplicaScheduling: &tc.in}
			for range 2 {
				SetDefaults_Placement(p)
				if diff := cmp.Diff(&tc.want, p.ReplicaScheduling); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
				}
			}
		})
	}
}
