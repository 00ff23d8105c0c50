package native

import "testing"

func TestAggregateStorage(t *testing.T) {
	const (
		claim  = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c}\n"
		volume = "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: v}\n"
	)
	for name, c := range map[string]aggregateCase{
		"bound": {
			reason:   "bound everywhere; a pod finds at least the smallest of the volumes",
			template: claim + "status: {phase: Pending}",
			items: map[string]string{
				"eu": "{phase: Bound, capacity: {storage: 10Gi}, accessModes: [ReadWriteOnce, ReadOnlyMany]}",
				"ap": "{phase: Bound, capacity: {storage: 9Gi}, accessModes: [ReadWriteOnce]}",
			},
			want: "{phase: Bound, capacity: {storage: 9Gi}, accessModes: [ReadWriteOnce]}",
		},
		"pending": {
			reason:   "a cluster that has not reported is pending",
			template: claim + "status: {phase: Bound}",
			items:    map[string]string{"eu": "{phase: Bound}", "ap": ""},
			want:     "{phase: Pending}",
		},
		"lost": {
			reason:   "the worst phase shows",
			template: claim,
			items:    map[string]string{"eu": "{phase: Pending}", "ap": "{phase: Lost}"},
			want:     "{phase: Lost}",
		},
		"nowhere": {
			reason:   "a claim that no cluster has keeps the phase the API server gave it",
			template: claim + "status: {phase: Pending}",
			same:     true,
		},
		"volume failed": {
			reason:   "the worst phase shows, with its cluster",
			template: volume + "status: {phase: Available}",
			items:    map[string]string{"eu": "{phase: Failed, reason: Recycle, message: no plugin}", "ap": "{phase: Bound}"},
			want:     "{phase: Failed, reason: Recycle, message: 'eu: no plugin'}",
		},
		"volume bound": {
			reason:   "an old message goes with what it was about",
			template: volume + "status: {phase: Failed, reason: Recycle, message: 'eu: no plugin'}",
			items:    map[string]string{"eu": "{phase: Bound}", "ap": "{phase: Bound}"},
			want:     "{phase: Bound}",
		},
	} {
		t.Run(name, c.run)
	}
}
