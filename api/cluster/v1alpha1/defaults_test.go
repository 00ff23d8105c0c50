package v1alpha1

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSetDefaultsClusterZones(t *testing.T) {
	cases := map[string]struct {
		reason string
		spec   ClusterSpec
		want   []string
	}{
		"None":     {reason: "Nothing is known, nothing is made up.", spec: ClusterSpec{}, want: nil},
		"OnlyZone": {reason: "The deprecated field is carried over.", spec: ClusterSpec{Zone: "a"}, want: []string{"a"}},
		"Both":     {reason: "The newer field is kept as it is.", spec: ClusterSpec{Zone: "a", Zones: []string{"b"}}, want: []string{"b"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := &Cluster{Spec: tc.spec}
			SetDefaults_Cluster(c)
			if diff := cmp.Diff(tc.want, c.Spec.Zones); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
