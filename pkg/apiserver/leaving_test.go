package apiserver

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func TestDepartures(t *testing.T) {
	placed := func(clusters ...string) *workv1alpha2.ResourceBinding {
		b := &workv1alpha2.ResourceBinding{}
		for _, c := range clusters {
			b.Spec.Clusters = append(b.Spec.Clusters, workv1alpha2.TargetCluster{Name: c})
		}
		return b
	}
	eu := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu", UID: types.UID("1")}}
	leaving := eu.DeepCopy()
	leaving.DeletionTimestamp = &metav1.Time{}
	again := eu.DeepCopy()
	again.UID = "2"
	leavingAgain := leaving.DeepCopy()
	leavingAgain.UID = "3"
	notFound := apierrors.NewNotFound(clusterv1alpha1.Resource("clusters"), "eu")

	for name, test := range map[string]struct {
		reason        string
		before, after *workv1alpha2.ResourceBinding
		answers       []any // what the store says, one after the other
		removed       bool
	}{
		"policy moved it": {
			reason: "the cluster is there, so the workload is to be deleted in it",
			before: placed("eu", "ap"), after: placed("ap"), answers: []any{eu},
		},
		"cluster is leaving": {
			reason: "the scheduler saw the departure before the projection did",
			before: placed("eu", "ap"), after: placed("ap"), answers: []any{leaving}, removed: true,
		},
		"cluster has left": {
			reason: "the same, later",
			before: placed("eu"), after: placed(), answers: []any{notFound}, removed: true,
		},
		"has left and joined again": {
			reason: "who is there now is not the one that had the workload",
			before: placed("eu"), after: placed(), answers: []any{again}, removed: true,
		},
		"has joined again and is leaving": {
			reason: "likewise",
			before: placed("eu"), after: placed(), answers: []any{leavingAgain}, removed: true,
		},
		"store does not answer at first": {
			reason: "nothing is passed on before it is known",
			before: placed("eu"), after: placed(), answers: []any{errors.New("etcd is away"), leaving}, removed: true,
		},
		"nothing lost": {
			reason: "no read without need",
			before: placed("eu"), after: placed("eu", "ap"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			get := func(context.Context, string, *metav1.GetOptions) (runtime.Object, error) {
				require.NotEmpty(t, test.answers, test.reason)
				answer := test.answers[0]
				test.answers = test.answers[1:]
				if err, failed := answer.(error); failed {
					return nil, err
				}
				return answer.(runtime.Object), nil
			}
			serves := served{}
			d := newDepartures(get, serves.set, serves.remove)
			require.True(t, d.saw(eu))
			d.check(t.Context(), "binding", lost(test.before, test.after))
			require.Equal(t, test.removed, len(serves) == 0, test.reason)
			require.Empty(t, test.answers)
			require.Equal(t, !test.removed, d.saw(eu), "an older event must not bring a cluster back")
			require.Equal(t, test.removed, len(serves) == 0)
			require.True(t, d.saw(again), "one of the same name that joins later is another")
			require.Equal(t, served{"eu": "2"}, serves)
		})
	}
}

// served are the clusters in a projection.
type served map[string]types.UID

func (s served) set(c *clusterv1alpha1.Cluster) { s[c.Name] = c.UID }
func (s served) remove(name string)             { delete(s, name) }

// A cluster that joins while the end of the one before it is looked at is no part of
// that end.
func TestDepartureOfTheOneBefore(t *testing.T) {
	eu := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu", UID: "1"}}
	again := eu.DeepCopy()
	again.UID = "2"
	serves := served{}
	var d *departures
	get := func(context.Context, string, *metav1.GetOptions) (runtime.Object, error) {
		require.True(t, d.saw(again), "after the store has answered, and before that is acted on")
		return nil, apierrors.NewNotFound(clusterv1alpha1.Resource("clusters"), "eu")
	}
	d = newDepartures(get, serves.set, serves.remove)
	require.True(t, d.saw(eu))
	d.check(t.Context(), "binding", []string{"eu"})
	require.Equal(t, served{"eu": "2"}, serves)
	require.True(t, d.saw(again), "it has not left")
	require.Equal(t, served{"eu": "2"}, serves)
}

// After a new list, one that has joined again is seen in place of the one that left.
// Who watches the Works of that one must not be told what becomes of the other's.
func TestAnotherInPlaceOfACluster(t *testing.T) {
	eu := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu", UID: "1"}}
	again := eu.DeepCopy()
	again.UID = "2"
	var happened []string
	var d *departures
	note := func(what string) {
		happened = append(happened, what)
		require.False(t, d.mu.TryLock(), "nobody decides otherwise meanwhile")
	}
	d = newDepartures(nil, func(c *clusterv1alpha1.Cluster) { note("set " + string(c.UID)) }, func(string) { note("remove") })
	require.True(t, d.saw(eu))
	happened = nil
	require.True(t, d.saw(eu))
	require.True(t, d.saw(again))
	require.Equal(t, []string{"set 1", "remove", "set 2"}, happened)
	d.depart("eu", "1")
	require.Equal(t, []string{"set 1", "remove", "set 2"}, happened)
	d.depart("eu", "2")
	require.Equal(t, []string{"set 1", "remove", "set 2", "remove"}, happened)
}
