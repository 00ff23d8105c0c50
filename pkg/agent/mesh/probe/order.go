package probe

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// What Order returns at most.
const (
	// maxNames is how many names are tried at an address, and maxKnown how many of them
	// are of services that have pods there.
	maxNames, maxKnown = 8, 5
	// step is how far a turn moves on.
	step = 3
)

// Candidate is a server name that may be tried.
type Candidate struct {
	Name string
	// HTTP is true when the port speaks a protocol in which the client begins to talk:
	// what is behind does not notice a handshake without a request.
	HTTP bool
}

// Choice is what to choose names from.
type Choice struct {
	// From and To are the clusters.
	From, To string
	// Known have pods there, Guessed are services of the own cluster.
	Known, Guessed []Candidate
	// Lucky is the name that answered last, and Failed those that last went wrong.
	Lucky  string
	Failed []string
	// Turn counts attempts at which no name has answered.
	Turn int
}

// Order are the names to try, in this order, and how many of the names that are known.
// Each pair of clusters has its own order, so that not all of them try the same service,
// and each turn begins elsewhere. Names that went wrong come last.
func Order(c *Choice) (names, known []string) {
	var lucky, first, second, third, fourth, last []string
	put := func(candidates []Candidate, http, plain *[]string) {
		for _, x := range candidates {
			switch {
			case slices.Contains(c.Failed, x.Name):
				last = append(last, x.Name)
			case x.Name == c.Lucky:
				lucky = []string{x.Name}
			case x.HTTP:
				*http = append(*http, x.Name)
			default:
				*plain = append(*plain, x.Name)
			}
		}
	}
	pick := c.turned(c.Known, maxKnown)
	for i := range pick {
		known = append(known, pick[i].Name)
	}
	put(pick, &first, &third)
	put(c.turned(c.Guessed, len(c.Guessed)), &second, &fourth)
	room := maxNames - len(known) // for guesses, so that all that are known are tried
	for _, name := range slices.Concat(lucky, first, second, third, fourth, last) {
		if slices.Contains(names, name) {
			continue
		}
		if !slices.Contains(known, name) {
			if room == 0 {
				continue
			}
			room--
		}
		names = append(names, name)
	}
	return names, known
}

// turned are some of the candidates in the order of this pair of clusters, from where it
// is their turn. Those whose ports speak HTTP come first.
func (c *Choice) turned(candidates []Candidate, most int) []Candidate {
	type ranked struct {
		Candidate
		rank uint64
	}
	var http, plain []ranked
	for _, x := range candidates {
		h := fnv.New64a()
		for _, part := range []string{c.From, c.To, x.Name} {
			_, _ = h.Write([]byte(part + "\x00")) // does not fail
		}
		r := ranked{x, h.Sum64()}
		if x.HTTP {
			http = append(http, r)
		} else {
			plain = append(plain, r)
		}
	}
	var all []Candidate
	for _, group := range [][]ranked{http, plain} {
		slices.SortFunc(group, func(a, b ranked) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Name, b.Name)) })
		for i := range group {
			all = append(all, group[(i+step*c.Turn)%len(group)].Candidate)
		}
	}
	return all[:min(len(all), most)]
}
