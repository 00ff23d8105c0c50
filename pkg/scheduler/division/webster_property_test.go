package division

import (
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// oneByOne is the definition, taken literally: each replica in turn, exact
// fractions, no heap and no shortcut.
func oneByOne(replicas int32, clusters []Weighted, order TieOrder) []Share {
	var claims []Weighted
	for _, c := range clusters {
		if c.Weight > 0 {
			claims = append(claims, c)
		}
	}
	if len(claims) == 0 {
		for _, c := range clusters {
			claims = append(claims, Weighted{c.Name, 1})
		}
	}
	seats := make(map[string]int64, len(claims))
	for range max(replicas, 0) {
		if len(claims) == 0 {
			break
		}
		best := claims[0]
		for _, c := range claims[1:] {
			claim := big.NewRat(c.Weight, 2*seats[c.Name]+1)
			top := big.NewRat(best.Weight, 2*seats[best.Name]+1)
			switch claim.Cmp(top) {
			case 1:
				best = c
			case 0:
				if s, t := seats[c.Name], seats[best.Name]; s < t || s == t && order.before(c.Name, best.Name) {
					best = c
				}
			}
		}
		seats[best.Name]++
	}
	var shares []Share
	for name, n := range seats {
		shares = append(shares, Share{name, int32(n)})
	}
	sortByName(shares)
	return shares
}

func drawClusters(t *rapid.T) []Weighted {
	// Small numbers make ties, large ones make overflows: both must come up.
	weight := rapid.OneOf(rapid.Int64Range(0, 5), rapid.Int64Range(0, 1000), rapid.Int64())
	clusters := make([]Weighted, rapid.IntRange(0, 12).Draw(t, "clusters"))
	for i := range clusters {
		clusters[i] = Weighted{Name: fmt.Sprintf("c%02d", i), Weight: weight.Draw(t, "weight")}
	}
	return clusters
}

func drawOrder(t *rapid.T) TieOrder {
	return rapid.SampledFrom([]TieOrder{Ascending, Descending}).Draw(t, "order")
}

func seatsOf(shares []Share) map[string]int64 {
	m := make(map[string]int64, len(shares))
	for _, s := range shares {
		m[s.Name] = int64(s.Replicas)
	}
	return m
}

func TestWebsterFollowsTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clusters, order := drawClusters(t), drawOrder(t)
		replicas := rapid.Int32Range(-1, 80).Draw(t, "replicas")
		want, got := oneByOne(replicas, clusters, order), Webster(replicas, clusters, order)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("Webster(%d, %v, %v) (-want +got):\n%s", replicas, clusters, order, diff)
		}
	})
}

// TestWebsterSmallWorld compares with the definition everywhere that ties are
// dense, where random inputs seldom land.
func TestWebsterSmallWorld(t *testing.T) {
	const greatest, most = 5, 12
	for a := int64(0); a <= greatest; a++ {
		for b := int64(0); b <= greatest; b++ {
			for c := int64(0); c <= greatest; c++ {
				clusters := []Weighted{{"a", a}, {"b", b}, {"c", c}}
				for replicas := int32(0); replicas <= most; replicas++ {
					for _, order := range []TieOrder{Ascending, Descending} {
						want, got := oneByOne(replicas, clusters, order), Webster(replicas, clusters, order)
						if !slices.Equal(want, got) {
							t.Fatalf("Webster(%d, %v, %v): got %v, want %v", replicas, clusters, order, got, want)
						}
					}
				}
			}
		}
	}
}

func TestWebsterSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clusters := drawClusters(t)
		replicas := rapid.Int32Range(0, 1_000_000).Draw(t, "replicas")
		var sum int64
		for _, s := range Webster(replicas, clusters, drawOrder(t)) {
			if s.Replicas <= 0 {
				t.Fatalf("%s holds %d replicas", s.Name, s.Replicas)
			}
			sum += int64(s.Replicas)
		}
		want := int64(replicas)
		if len(clusters) == 0 {
			want = 0
		}
		if sum != want {
			t.Fatalf("%d replicas were divided into %d", want, sum)
		}
	})
}

func TestWebsterHouseMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clusters, order := drawClusters(t), drawOrder(t)
		replicas := rapid.Int32Range(0, 1_000_000).Draw(t, "replicas")
		more := replicas + rapid.Int32Range(1, 500).Draw(t, "added")
		small, large := seatsOf(Webster(replicas, clusters, order)), seatsOf(Webster(more, clusters, order))
		for name, n := range small {
			if large[name] < n {
				t.Fatalf("growing from %d to %d took %s from %d to %d", replicas, more, name, n, large[name])
			}
		}
	})
}

// TestWebsterFair checks what characterises the method: moving one replica from
// any cluster to any other cannot serve the larger claim. In other words the
// last seat of each was worth at least as much as the next seat of every other.
func TestWebsterFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clusters := drawClusters(t)
		replicas := rapid.Int32Range(1, 1_000_000).Draw(t, "replicas")
		seats := seatsOf(Webster(replicas, clusters, drawOrder(t)))
		if !slices.ContainsFunc(clusters, func(c Weighted) bool { return c.Weight > 0 }) {
			return
		}
		for _, giver := range clusters {
			if seats[giver.Name] == 0 {
				continue
			}
			last := big.NewRat(giver.Weight, 2*seats[giver.Name]-1)
			for _, taker := range clusters {
				if taker.Name == giver.Name || taker.Weight <= 0 {
					continue
				}
				if next := big.NewRat(taker.Weight, 2*seats[taker.Name]+1); next.Cmp(last) > 0 {
					t.Fatalf("%s deserves one of the %d replicas of %s", taker.Name, seats[giver.Name], giver.Name)
				}
			}
		}
	})
}

func TestWebsterIgnoresTheOrderOfClusters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clusters, order := drawClusters(t), drawOrder(t)
		replicas := rapid.Int32Range(0, 10_000).Draw(t, "replicas")
		shuffled := rapid.Permutation(clusters).Draw(t, "shuffled")
		if diff := cmp.Diff(Webster(replicas, clusters, order), Webster(replicas, shuffled, order)); diff != "" {
			t.Fatalf("another order of the same clusters (-first +second):\n%s", diff)
		}
	})
}

// TestWebsterTies: with equal weights the remainder goes to the front of the
// order, one each.
func TestWebsterTies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weight := rapid.Int64Range(1, 1<<62).Draw(t, "weight")
		clusters := make([]Weighted, rapid.IntRange(1, 20).Draw(t, "clusters"))
		for i := range clusters {
			clusters[i] = Weighted{fmt.Sprintf("c%02d", i), weight}
		}
		order := drawOrder(t)
		replicas := rapid.Int32Range(0, 10_000).Draw(t, "replicas")
		seats := seatsOf(Webster(replicas, clusters, order))
		if order == Descending {
			slices.Reverse(clusters)
		}
		each, rest := int64(replicas)/int64(len(clusters)), int(replicas)%len(clusters)
		for i, c := range clusters {
			want := each
			if i < rest {
				want++
			}
			if seats[c.Name] != want {
				t.Fatalf("%s got %d, want %d", c.Name, seats[c.Name], want)
			}
		}
	})
}

func FuzzWebster(f *testing.F) {
	f.Add(int32(10), int64(2), int64(1), int64(2), false)
	f.Add(int32(77), int64(1<<62), int64(3), int64(1), true)
	f.Add(int32(-3), int64(0), int64(0), int64(0), true)
	f.Fuzz(func(t *testing.T, replicas int32, a, b, c int64, descending bool) {
		order := Ascending
		if descending {
			order = Descending
		}
		clusters := []Weighted{{"a", a}, {"b", b}, {"c", c}}
		shares := Webster(replicas, clusters, order)
		var sum int64
		for _, s := range shares {
			if s.Replicas <= 0 {
				t.Fatalf("%s holds %d replicas", s.Name, s.Replicas)
			}
			sum += int64(s.Replicas)
		}
		if want := int64(max(replicas, 0)); sum != want {
			t.Fatalf("%d replicas were divided into %d", want, sum)
		}
		if replicas <= 500 {
			if diff := cmp.Diff(oneByOne(replicas, clusters, order), shares); diff != "" {
				t.Fatalf("not what the definition gives (-want +got):\n%s", diff)
			}
		}
	})
}
