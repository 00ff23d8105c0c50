package division

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWebster(t *testing.T) {
	cases := map[string]struct {
		reason   string
		replicas int32
		clusters []Weighted
		order    TieOrder
		want     []Share
	}{
		"EvenThree": {
			reason:   "equal weights share a multiple equally",
			replicas: 3,
			clusters: []Weighted{{"eu", 1}, {"ap", 1}, {"us", 1}},
			want:     []Share{{"ap", 1}, {"eu", 1}, {"us", 1}},
		},
		"TenOverThreeAscending": {
			reason:   "the odd one goes to the first name",
			replicas: 10,
			clusters: []Weighted{{"eu", 1}, {"ap", 1}, {"us", 1}},
			want:     []Share{{"ap", 4}, {"eu", 3}, {"us", 3}},
		},
		"TenOverThreeDescending": {
			reason:   "the odd one goes to the last name",
			replicas: 10,
			clusters: []Weighted{{"eu", 1}, {"ap", 1}, {"us", 1}},
			order:    Descending,
			want:     []Share{{"ap", 3}, {"eu", 3}, {"us", 4}},
		},
		"TenOverTwoOneTwo": {
			reason:   "the example of the contract",
			replicas: 10,
			clusters: []Weighted{{"us", 2}, {"ap", 1}, {"eu", 2}},
			want:     []Share{{"ap", 2}, {"eu", 4}, {"us", 4}},
		},
		"FewerSeatsFirst": {
			reason:   "3/3 and 1/1 claim the same for the third replica; the one without a seat is served first, whatever the names",
			replicas: 2,
			clusters: []Weighted{{"a", 3}, {"b", 1}},
			want:     []Share{{"a", 1}, {"b", 1}},
		},
		"FewerSeatsFirstDescending": {
			reason:   "the order of names is asked only after the seats",
			replicas: 2,
			clusters: []Weighted{{"b", 3}, {"a", 1}},
			order:    Descending,
			want:     []Share{{"a", 1}, {"b", 1}},
		},
		"ZeroWeightDropped": {
			reason:   "a cluster without a claim gets nothing and is not listed",
			replicas: 4,
			clusters: []Weighted{{"eu", 1}, {"ap", 0}, {"us", 1}},
			want:     []Share{{"eu", 2}, {"us", 2}},
		},
		"NegativeWeightDropped": {
			reason:   "validation refuses it; should one get through, it is no claim",
			replicas: 4,
			clusters: []Weighted{{"eu", 1}, {"ap", -7}},
			want:     []Share{{"eu", 4}},
		},
		"AllZero": {
			reason:   "weights that say nothing count as equal",
			replicas: 4,
			clusters: []Weighted{{"eu", 0}, {"ap", 0}},
			want:     []Share{{"ap", 2}, {"eu", 2}},
		},
		"SmallClaimGetsNone": {
			reason:   "no zero entries",
			replicas: 2,
			clusters: []Weighted{{"big", 100}, {"small", 1}},
			want:     []Share{{"big", 2}},
		},
		"NoReplicas": {
			reason:   "nothing to divide",
			clusters: []Weighted{{"eu", 1}},
		},
		"NegativeReplicas": {
			reason:   "nothing to divide",
			replicas: -1,
			clusters: []Weighted{{"eu", 1}},
		},
		"NoClusters": {
			reason:   "nobody to give to",
			replicas: 3,
		},
		"HugeWeights": {
			reason:   "neither the sum nor a product of the greatest weights overflows",
			replicas: 1000,
			clusters: []Weighted{{"a", math.MaxInt64}, {"b", math.MaxInt64}, {"c", math.MaxInt64}, {"d", math.MaxInt64}},
			want:     []Share{{"a", 250}, {"b", 250}, {"c", 250}, {"d", 250}},
		},
		"ManyReplicas": {
			reason:   "the greatest count is divided without a step per replica",
			replicas: math.MaxInt32,
			clusters: []Weighted{{"a", 2}, {"b", 1}},
			want:     []Share{{"a", 1431655765}, {"b", 715827882}},
		},
		"SainteLagueTextbook": {
			reason:   "eight seats over 100, 80, 30 and 20 thousand votes, a well-known example",
			replicas: 8,
			clusters: []Weighted{{"A", 100000}, {"B", 80000}, {"C", 30000}, {"D", 20000}},
			want:     []Share{{"A", 3}, {"B", 3}, {"C", 1}, {"D", 1}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := Webster(tc.replicas, tc.clusters, tc.order)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestTieOrderFor(t *testing.T) {
	// fnv32a("") is 0x811c9dc5, fnv32a("a") is 0xe40c292c (the published test vectors).
	if got := TieOrderFor(""); got != Descending {
		t.Errorf("an odd hash: got %v, want Descending", got)
	}
	if got := TieOrderFor("a"); got != Ascending {
		t.Errorf("an even hash: got %v, want Ascending", got)
	}
}

func TestDuplicateAndEvery(t *testing.T) {
	want := []Share{{"ap", 3}, {"eu", 3}}
	if diff := cmp.Diff(want, Duplicate(3, []string{"eu", "ap"})); diff != "" {
		t.Errorf("every cluster gets the full count (-want +got):\n%s", diff)
	}
	want = []Share{{Name: "ap"}, {Name: "eu"}}
	if diff := cmp.Diff(want, Every([]string{"eu", "ap"})); diff != "" {
		t.Errorf("a kind without replicas carries no count (-want +got):\n%s", diff)
	}
}

func BenchmarkWebster(b *testing.B) {
	for _, size := range []struct {
		replicas int32
		clusters int
	}{{10, 3}, {1000, 30}, {100_000, 300}} {
		clusters := make([]Weighted, size.clusters)
		for i := range clusters {
			clusters[i] = Weighted{Name: fmt.Sprintf("cluster-%03d", i), Weight: int64(i%17 + 1)}
		}
		b.Run(fmt.Sprintf("replicas=%d/clusters=%d", size.replicas, size.clusters), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Webster(size.replicas, clusters, Ascending)
			}
		})
	}
}
