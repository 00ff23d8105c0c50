package fold

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// What a cluster says of a stub is taken, and is no part of the binding's status,
// good or bad. If it has become a share meanwhile, it is about that.
func TestStubsAreNoPartOfTheBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv("eu")
		defer e.stop()
		e.caller = "us"
		e.report("eu")
		e.reportOf("us", agentv1alpha1.WorkObservation{Reason: "Conflict", Message: "somebody else's"})
		pass(10 * window)
		require.Len(t, e.items(), 1)
		require.Equal(t, "eu", e.items()[0].ClusterName)
		require.Len(t, e.writes, 1)
		require.Equal(t, []workv1alpha2.AggregatedStatusItem{{ClusterName: "us", AppliedMessage: "somebody else's"}}, e.stubs)

		e.place("eu", "us") // caller stays us: it was looked up just before
		e.report("us")
		pass(10 * window)
		require.Len(t, e.items(), 2, "the report came too late to be about the stub")
		require.Len(t, e.stubs, 1)
	})
}
