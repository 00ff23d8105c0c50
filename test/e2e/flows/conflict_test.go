package flows

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

const (
	identity = "--output=jsonpath={.metadata.uid}"
	// untouched is what a person's own object in a member looks like.
	untouched = "--output=jsonpath={.metadata.uid} {.metadata.generation} {.metadata.labels} {.spec.replicas}"
)

// collide puts a Deployment into eu by hand and then propagates one of that
// name to eu and ap. It returns what the one in eu looked like before.
func collide(t *testing.T, s *lab.Session, policy lab.Policy) (before string) {
	t.Helper()
	s.Shows("eu", "namespace/"+s.Namespace, "get", "namespace", s.Namespace, "--ignore-not-found", "--output=name")
	s.Apply("eu", lab.Deployment("web", 1))
	replicas(s, "eu", "web", "1")
	before = s.Run("eu", "get", "deployment", "web", untouched)
	s.Apply(lab.Fed, lab.Deployment("web", 2)+policy.String())
	replicas(s, "ap", "web", "2")
	return before
}

func TestAnObjectThatIsNotOursIsReportedAndLeftAlone(t *testing.T) {
	s := begin(t, "conflict")
	policy := lab.Policy{Name: "web", Selectors: []string{lab.AllDeployments}, Clusters: []string{"ap", "eu"}}
	before := collide(t, s, policy)

	reported := []string{"Deployment.apps conflict/web exists in cluster eu", "belongs to kubectl", "conflictResolution: Overwrite"}
	s.Mentions(lab.Fed, append(reported, "Warning", "SyncFailed"), "describe", "deployment", "web")
	s.Mentions(lab.Fed, reported, "get", "resourcebinding", "web-deployment",
		`--output=jsonpath={.status.aggregatedStatus[?(@.clusterName=="eu")].appliedMessage}`)
	s.Mentions(lab.Fed, append(reported, "False"), "get", "resourcebinding", "web-deployment",
		`--output=jsonpath={.status.conditions[?(@.type=="FullyApplied")].status} {.status.conditions[?(@.type=="FullyApplied")].message}`)
	require.Equal(t, before, s.Run("eu", "get", "deployment", "web", untouched))

	// Withdrawing the template must not take the person's object along.
	s.Run(lab.Fed, "delete", "deployment", "web")
	s.Gone("ap", "deployment", "web")
	require.Equal(t, before, s.Run("eu", "get", "deployment", "web", untouched))
}

func TestOverwriteTakesAnObjectOver(t *testing.T) {
	s := begin(t, "overwrite")
	policy := lab.Policy{Name: "web", Selectors: []string{lab.AllDeployments}, Clusters: []string{"ap", "eu"}}
	collide(t, s, policy)
	s.Mentions(lab.Fed, []string{"SyncFailed"}, "describe", "deployment", "web")
	uid := s.Run("eu", "get", "deployment", "web", identity)

	policy.Spec = []string{"conflictResolution: Overwrite"}
	s.Apply(lab.Fed, policy.String())
	replicas(s, "eu", "web", "2")
	replicas(s, lab.Fed, "web", "4")
	s.Shows(lab.Fed, "True", "get", "resourcebinding", "web-deployment",
		`--output=jsonpath={.status.conditions[?(@.type=="FullyApplied")].status}`)
	require.Equal(t, uid, s.Run("eu", "get", "deployment", "web", identity), "it is taken over, not replaced")
	require.Equal(t, "true", s.Run("eu", "get", "deployment", "web", `--output=jsonpath={.metadata.labels.karmada\.io/managed}`))
}

func TestAConflictEndsWhenTheObjectGoes(t *testing.T) {
	s := begin(t, "conflict-ends")
	policy := lab.Policy{Name: "web", Selectors: []string{lab.AllDeployments}, Clusters: []string{"ap", "eu"}}
	collide(t, s, policy)
	s.Mentions(lab.Fed, []string{"SyncFailed"}, "describe", "deployment", "web")
	s.Run("eu", "delete", "deployment", "web")
	replicas(s, "eu", "web", "2")
	replicas(s, lab.Fed, "web", "4")
}
