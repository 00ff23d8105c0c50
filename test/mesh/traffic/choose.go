package traffic

import (
	"math/rand/v2"

	"github.com/flotilla-io/flotilla/test/mesh/ads"
)

// choose picks one of the endpoints of the first priority, in proportion to
// their weights. False if there is none.
func choose(endpoints []ads.Endpoint) (ads.Endpoint, bool) {
	var total uint64
	var first []ads.Endpoint
	for _, e := range endpoints {
		switch {
		case len(first) > 0 && e.Priority > first[0].Priority:
			continue
		case len(first) > 0 && e.Priority < first[0].Priority:
			first, total = nil, 0
		}
		first = append(first, e)
		total += uint64(e.Weight)
	}
	if total == 0 {
		return ads.Endpoint{}, false
	}
	at := rand.Uint64N(total)
	for _, e := range first {
		if at < uint64(e.Weight) {
			return e, true
		}
		at -= uint64(e.Weight)
	}
	return ads.Endpoint{}, false
}
