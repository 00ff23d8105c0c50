package projection

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
)

func registryOverride(generation int64, clusters *policyv1alpha1.ClusterAffinity, registry string) *policyv1alpha1.OverridePolicy {
	return &policyv1alpha1.OverridePolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "mirror", Namespace: "default", UID: "op", Generation: generation},
		Spec: policyv1alpha1.OverrideSpec{
			ResourceSelectors: []policyv1alpha1.ResourceSelector{{APIVersion: "apps/v1", Kind: "Deployment", Name: "hello"}},
			OverrideRules: []policyv1alpha1.RuleWithCluster{{
				TargetCluster: clusters,
				Overriders: policyv1alpha1.Overriders{ImageOverrider: []policyv1alpha1.ImageOverrider{{
					Component: policyv1alpha1.Registry, Operator: policyv1alpha1.OverriderOpReplace, Value: registry,
				}}},
			}},
		},
	}
}

func imageOf(t *testing.T, w *workv1alpha1.Work) string {
	t.Helper()
	containers, _, err := unstructured.NestedSlice(manifestOf(t, w).Object, "spec", "template", "spec", "containers")
	require.NoError(t, err)
	return containers[0].(map[string]any)["image"].(string)
}

func TestOverridesReachTheirClustersOnly(t *testing.T) {
	p := newProjection("eu", "ap")
	p.SetTemplate(deployment("hello", 2, "web:1"))
	p.SetBinding(divided("hello", on("eu", 1), on("ap", 1)))
	from := list(t, p, "").ResourceVersion
	w := startWatch(t, p, "", WatchOptions{ResourceVersion: from})

	inEurope := &policyv1alpha1.ClusterAffinity{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"region": "europe"}}}
	p.SetOverride(registryOverride(1, inEurope, "mirror.eu"))
	europe := cluster("eu")
	europe.Labels = map[string]string{"region": "europe"}
	p.SetCluster(europe)

	require.Equal(t, "mirror.eu/web:1", imageOf(t, onlyWork(t, p, "eu")))
	require.Contains(t, manifestOf(t, onlyWork(t, p, "eu")).GetAnnotations(), names.AppliedOverridesAnnotation)
	require.Equal(t, "web:1", imageOf(t, onlyWork(t, p, "ap")))
	seen := map[string]bool{}
	for !seen["karmada-es-eu"] {
		e := next(t, w)
		require.Equal(t, watch.Modified, e.Type)
		seen[e.Object.(*workv1alpha1.Work).Namespace] = true
	}

	p.SetOverride(registryOverride(2, nil, "mirror"))
	require.Equal(t, "mirror/web:1", imageOf(t, onlyWork(t, p, "ap")))
	p.DeleteOverride(Key{"default", "mirror"})
	require.Equal(t, "web:1", imageOf(t, onlyWork(t, p, "eu")))
}

func TestBadOverrideHidesTheManifestAndSaysWhy(t *testing.T) {
	p := newProjection("eu")
	var told []Key
	p.OnOverridden(func(key Key) { told = append(told, key) })
	p.SetTemplate(deployment("hello", 1, "web:1"))
	p.SetBinding(divided("hello", on("eu", 1)))
	require.Empty(t, p.Failures(KeyOf(divided("hello"))))
	bad := registryOverride(1, nil, "")
	bad.Spec.OverrideRules[0].Overriders = policyv1alpha1.Overriders{Plaintext: []policyv1alpha1.PlaintextOverrider{{
		Path: "/spec/nothing/here", Operator: policyv1alpha1.OverriderOpRemove,
	}}}
	p.SetOverride(bad)
	w := onlyWork(t, p, "eu")
	require.Empty(t, w.Spec.Workload.Manifests)
	c := meta.FindStatusCondition(w.Status.Conditions, WorkRendered)
	require.NotNil(t, c)
	require.Contains(t, c.Message, "default/mirror")
	require.Contains(t, c.Message, "eu")

	require.Equal(t, []Key{KeyOf(divided("hello"))}, told)
	require.Equal(t, map[string]string{"eu": c.Message}, p.Failures(told[0]))
	p.DeleteOverride(Key{"default", "mirror"})
	require.Empty(t, p.Failures(told[0]))
}
