package flows

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

const boats = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.e2e.example.com}
spec:
  group: e2e.example.com
  scope: Namespaced
  names: {kind: Boat, plural: boats, singular: boat, listKind: BoatList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {length: {type: integer, minimum: 1}}}
          status: {type: object, properties: {afloat: {type: boolean}}}
`

func TestACustomResourceTravelsWithItsDefinition(t *testing.T) {
	s := begin(t, "boats")
	to := []string{"ap", "eu"}
	s.Apply(lab.Fed, boats+lab.Policy{
		Name: "e2e-boats", Cluster: true, Clusters: to,
		Selectors: []string{"{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, name: boats.e2e.example.com}"},
	}.String())
	t.Cleanup(func() {
		s.Run(lab.Fed, "delete", "customresourcedefinition", "boats.e2e.example.com")
		s.Run(lab.Fed, "delete", "clusterpropagationpolicy", "e2e-boats")
		for _, m := range to {
			s.Gone(m, "customresourcedefinition", "boats.e2e.example.com")
		}
	})
	s.Run(lab.Fed, "wait", "--for=condition=Established", "customresourcedefinition/boats.e2e.example.com", "--timeout=40s")
	boat := "---\napiVersion: e2e.example.com/v1\nkind: Boat\nmetadata: {name: rosa}\nspec: {length: %d}\n"
	s.Eventually("a boat is accepted", func() (string, bool) {
		out, err := s.TryApply(lab.Fed, fmt.Sprintf(boat, 12))
		return fmt.Sprint(out, err), err == nil
	})
	s.Apply(lab.Fed, lab.Policy{Name: "boats", Clusters: to, Selectors: []string{"{apiVersion: e2e.example.com/v1, kind: Boat}"}}.String())

	for _, m := range to {
		s.Shows(m, "12", "get", "boats.e2e.example.com", "rosa", "--output=jsonpath={.spec.length}")
	}
	require.Empty(t, s.Run("us", "get", "customresourcedefinition", "boats.e2e.example.com", "--ignore-not-found"))

	s.Run("eu", "patch", "boats.e2e.example.com", "rosa", "--subresource=status", "--type=merge", `--patch={"status":{"afloat":true}}`)
	s.Shows(lab.Fed, `{"afloat":true}`, "get", "resourcebinding", "rosa-boat",
		`--output=jsonpath={.status.aggregatedStatus[?(@.clusterName=="eu")].status}`)

	require.Contains(t, s.ApplyRefused(lab.Fed, fmt.Sprintf(boat, 0)), "spec.length")
	s.Apply(lab.Fed, fmt.Sprintf(boat, 15))
	s.Shows("eu", "15 true", "get", "boats.e2e.example.com", "rosa", "--output=jsonpath={.spec.length} {.status.afloat}")
	s.Run(lab.Fed, "delete", "boats.e2e.example.com", "rosa")
	for _, m := range to {
		s.Gone(m, "boats.e2e.example.com", "rosa")
	}
}

func TestAClusterRoleGoesWhereItsPolicySays(t *testing.T) {
	t.Parallel()
	s := shared.Session(t)
	role := func(verbs string) string {
		return "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: 'e2e:reader'}\n" +
			"rules: [{apiGroups: [''], resources: [pods], verbs: [" + verbs + "]}]\n"
	}
	policy := lab.Policy{
		Name: "e2e-reader", Cluster: true, Clusters: []string{"eu", "us"},
		Selectors: []string{"{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, name: 'e2e:reader'}"},
	}
	s.Apply(lab.Fed, role("get")+policy.String())
	t.Cleanup(func() { _, _ = s.Try(lab.Fed, "delete", "clusterpropagationpolicy", "e2e-reader") })
	verbs := []string{"get", "clusterrole", "e2e:reader", "--ignore-not-found", "--output=jsonpath={.rules[*].verbs[*]}"}
	for _, m := range policy.Clusters {
		s.Shows(m, "get", verbs...)
	}
	require.Empty(t, s.Run("ap", verbs...))
	s.Shows(lab.Fed, "True", "get", "clusterresourcebinding", "e2e.reader-clusterrole",
		`--output=jsonpath={.status.conditions[?(@.type=="FullyApplied")].status}`)

	s.Apply(lab.Fed, role("get, list"))
	policy.Clusters = []string{"us", "ap"}
	s.Apply(lab.Fed, policy.String())
	for _, m := range policy.Clusters {
		s.Shows(m, "get list", verbs...)
	}
	s.Gone("eu", "clusterrole", "e2e:reader")
	s.Run(lab.Fed, "delete", "clusterrole", "e2e:reader")
	for _, m := range policy.Clusters {
		s.Gone(m, "clusterrole", "e2e:reader")
	}
}
