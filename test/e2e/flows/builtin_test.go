package flows

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// builtin are the kinds in testdata/kinds.yaml.
var builtin = []string{
	"apps/v1 StatefulSet", "apps/v1 DaemonSet", "apps/v1 ReplicaSet", "batch/v1 Job", "batch/v1 CronJob",
	"v1 Pod", "v1 Service", "networking.k8s.io/v1 Ingress", "v1 ConfigMap", "v1 Secret", "v1 PersistentVolumeClaim",
	"policy/v1 PodDisruptionBudget", "autoscaling/v2 HorizontalPodAutoscaler", "v1 ServiceAccount",
	"rbac.authorization.k8s.io/v1 Role", "rbac.authorization.k8s.io/v1 RoleBinding",
	"networking.k8s.io/v1 NetworkPolicy", "v1 LimitRange", "v1 ResourceQuota",
}

// TestBuiltInKindsTravelAndSettle finds kinds that a member or the federation
// refuses, and those over which two of them write each other's changes back.
func TestBuiltInKindsTravelAndSettle(t *testing.T) {
	s := begin(t, "kinds")
	manifests, err := os.ReadFile("testdata/kinds.yaml")
	require.NoError(t, err)
	policy := lab.Policy{Name: "all", Clusters: []string{"ap", "eu"}}
	var plurals []string
	for _, kind := range builtin {
		version, name, _ := strings.Cut(kind, " ")
		policy.Selectors = append(policy.Selectors, "{apiVersion: "+version+", kind: "+name+"}")
		plurals = append(plurals, strings.ToLower(name))
	}
	objects := strings.Join(plurals, ",")
	made := strings.Count(s.Apply(lab.Fed, string(manifests)), " created\n")
	s.Apply(lab.Fed, policy.String())
	s.Eventually("every object is applied", func() (string, bool) {
		out := s.Run(lab.Fed, "get", "resourcebindings",
			`--output=jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="FullyApplied")].status}{"\n"}{end}`)
		return out, strings.Count(out, " True\n") == made && strings.Count(out, "\n") == made
	})
	for _, sum := range []struct{ object, path, want string }{
		{"statefulset/sts", "{.status.readyReplicas}", "8"},
		{"daemonset/ds", "{.status.numberReady}", "2"},
		{"replicaset/rs", "{.status.readyReplicas}", "8"},
		{"job/job", "{.status.succeeded}", "6"},
		{"pod/pod", "{.status.phase}", "Running"},
	} {
		s.Shows(lab.Fed, sum.want, "get", sum.object, "--output=jsonpath="+sum.path)
	}

	const versions = `--output=jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}`
	look := func() (all string) {
		for _, where := range []string{lab.Fed, "ap", "eu"} {
			all += s.Run(where, "get", objects, versions)
		}
		return all + s.Run(lab.Fed, "get", "resourcebindings", versions)
	}
	last, since := look(), time.Now()
	s.Eventually("nothing is written for 6 s", func() (string, bool) {
		if now := look(); now != last {
			last, since = now, time.Now()
		}
		return last, time.Since(since) > 6*time.Second
	})

	s.Run(lab.Fed, "delete", objects, "--all", "--wait=false")
	for _, m := range policy.Clusters {
		// Others make service accounts and secrets of their own.
		s.Gone(m, objects, "--selector=karmada.io/managed=true")
	}
	s.Gone(lab.Fed, "resourcebindings")
}
