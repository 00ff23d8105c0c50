package apiserver

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWorthTrimming(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct {
		reason      string
		before, now heap
		want        bool
	}{
		"idle with slack": {
			reason: "nothing happened and much could be given back",
			before: heap{allocated: 100 * mib}, now: heap{allocated: 101 * mib, live: 100 * mib, resident: 200 * mib}, want: true,
		},
		"busy": {
			reason: "what is given back now is needed again at once",
			before: heap{allocated: 100 * mib}, now: heap{allocated: 400 * mib, live: 100 * mib, resident: 200 * mib},
		},
		"idle and lean": {
			reason: "a collection would free next to nothing",
			before: heap{allocated: 100 * mib}, now: heap{allocated: 101 * mib, live: 100 * mib, resident: 110 * mib},
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, worthTrimming(test.before, test.now), test.reason)
		})
	}
	now := readHeap()
	require.NotZero(t, now.allocated)
	require.NotZero(t, now.resident, "the metrics exist in this version of Go")
}
