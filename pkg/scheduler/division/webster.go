package division

import (
	"math/bits"
)

// Weighted is a cluster with its claim to a share of the replicas. The unit of
// a weight is arbitrary, only the proportions count.
type Weighted struct {
	Name   string
	Weight int64
}

// Webster divides replicas in proportion to the weights by the method of
// Webster and Sainte-Laguë (the divisors 1, 3, 5, ...; see Balinski and Young,
// "Fair Representation"): one replica after the other goes to the cluster with
// the largest weight/(2*seats+1), where seats is what it has been given so far.
// Of two equal claims the one with fewer seats wins, and then the name in the
// given order.
//
// A cluster whose weight is zero or less gets nothing. If that is true of all
// of them, the weights say nothing and every cluster counts as 1. Names must
// be unique. The result is ordered by name and holds no zero; it is empty if
// there is nothing to divide or nobody to give it to.
//
// The cost is O(k log k) for k clusters, whatever the number of replicas, and
// the arithmetic is exact for every int64 weight.
func Webster(replicas int32, clusters []Weighted, order TieOrder) []Share {
	if replicas <= 0 || len(clusters) == 0 {
		return nil
	}
	queue := newSeatQueue(clusters, order)
	for left := int64(replicas) - queue.seatInBulk(int64(replicas)); left > 0; left-- {
		queue.seatNext()
	}
	shares := make([]Share, 0, len(queue.parties))
	for _, p := range queue.parties {
		if p.seats > 0 {
			shares = append(shares, Share{Name: p.name, Replicas: int32(p.seats)})
		}
	}
	sortByName(shares)
	return shares
}

// party is a cluster in the queue. seats never exceeds an int32.
type party struct {
	name   string
	weight uint64
	seats  int64
}

// seatQueue is a binary heap of parties, the one that is next to get a seat at
// the top. It is written out rather than built on container/heap because that
// one allocates for every element it moves through an interface.
type seatQueue struct {
	parties []party
	order   TieOrder
}

func newSeatQueue(clusters []Weighted, order TieOrder) *seatQueue {
	q := &seatQueue{parties: make([]party, 0, len(clusters)), order: order}
	for _, c := range clusters {
		if c.Weight > 0 {
			q.parties = append(q.parties, party{name: c.Name, weight: uint64(c.Weight)})
		}
	}
	if len(q.parties) == 0 {
		for _, c := range clusters {
			q.parties = append(q.parties, party{name: c.Name, weight: 1})
		}
	}
	q.heapify()
	return q
}

// seatInBulk hands out, in one step, seats that every order of play would hand
// out first, and returns how many those were; at most one per party is left.
//
// All seats whose claim lies strictly above a threshold come before all others,
// so for any threshold they are a prefix of the sequence. With W the sum of the
// weights, k parties and n replicas, take W/(2n-k). Party w then gets the seats
// s with w/(2s+1) > W/(2n-k), which are ceil((w(2n-k)-W) / 2W) of them: less
// than w(2n-k)/2W + 1/2, and therefore no more than n in total.
func (q *seatQueue) seatInBulk(replicas int64) int64 {
	scale := 2*replicas - int64(len(q.parties))
	total, ok := q.totalWeight()
	if scale <= 0 || !ok {
		return 0
	}
	var given int64
	for i := range q.parties {
		p := &q.parties[i]
		hi, lo := bits.Mul64(p.weight, uint64(scale))
		if hi == 0 && lo <= total {
			continue
		}
		lo, borrow := bits.Sub64(lo, total, 0)
		hi -= borrow
		quotient, rest := bits.Div64(hi, lo, 2*total) // at most scale/2, since weight <= total
		if rest > 0 {
			quotient++
		}
		p.seats = int64(quotient)
		given += p.seats
	}
	q.heapify()
	return given
}

// totalWeight returns the sum, and false if twice the sum does not fit a uint64.
func (q *seatQueue) totalWeight() (uint64, bool) {
	var total uint64
	for _, p := range q.parties {
		sum, carry := bits.Add64(total, p.weight, 0)
		if carry != 0 || sum > 1<<62 {
			return 0, false
		}
		total = sum
	}
	return total, true
}

// seatNext gives one seat to the party at the top.
func (q *seatQueue) seatNext() {
	q.parties[0].seats++
	q.sink(0)
}

// first reports whether party i is served before party j. The claims are
// compared as products of 128 bits, which no weight and no count can overflow.
func (q *seatQueue) first(i, j int) bool {
	a, b := &q.parties[i], &q.parties[j]
	aHi, aLo := bits.Mul64(a.weight, uint64(2*b.seats+1))
	bHi, bLo := bits.Mul64(b.weight, uint64(2*a.seats+1))
	switch {
	case aHi != bHi:
		return aHi > bHi
	case aLo != bLo:
		return aLo > bLo
	case a.seats != b.seats:
		return a.seats < b.seats
	default:
		return q.order.before(a.name, b.name)
	}
}

func (q *seatQueue) heapify() {
	for i := len(q.parties)/2 - 1; i >= 0; i-- {
		q.sink(i)
	}
}

func (q *seatQueue) sink(i int) {
	for {
		best := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q.parties); child++ {
			if q.first(child, best) {
				best = child
			}
		}
		if best == i {
			return
		}
		q.parties[i], q.parties[best] = q.parties[best], q.parties[i]
		i = best
	}
}
