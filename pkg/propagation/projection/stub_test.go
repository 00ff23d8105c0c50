package projection

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func service(name, spec string) *unstructured.Unstructured {
	out := map[string]any{}
	if err := json.Unmarshal([]byte(spec), &out); err != nil {
		panic(err)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Service",
		"metadata": map[string]any{"name": name, "namespace": "default", "uid": "uid-" + name, "generation": int64(1)},
		"spec":     out,
	}}
}

func serviceOn(name string, clusters ...string) *workv1alpha2.ResourceBinding {
	b := &workv1alpha2.ResourceBinding{
		ObjectMeta: metav1.ObjectMeta{
			Name: names.BindingName("Service", name), Namespace: "default", UID: types.UID("rb-service-" + name),
			Labels: map[string]string{names.ResourceBindingPermanentIDLabel: "pid-service-" + name},
		},
		Spec: workv1alpha2.ResourceBindingSpec{Resource: workv1alpha2.ObjectReference{APIVersion: "v1", Kind: "Service", Namespace: "default", Name: name}},
	}
	for _, c := range clusters {
		b.Spec.Clusters = append(b.Spec.Clusters, on(c, 0))
	}
	return b
}

// calls are links: "eu>ap" says that eu calls ap.
func calls(links ...string) map[string][]string {
	out := map[string][]string{}
	for _, l := range links {
		out[l[:2]] = append(out[l[:2]], l[3:])
	}
	return out
}

const webSpec = `{"ports":[{"port":80}],"selector":{"app":"web"},"type":"ClusterIP"}`

// clustersOf are the clusters with a Work of a Service: with a + those with a share.
func clustersOf(t require.TestingT, p *Projection) (out []string) {
	for _, w := range list(t, p, "").Items {
		cluster, _ := names.ClusterOf(w.Namespace)
		if w.Labels[meshv1alpha1.StubLabel] != "true" {
			cluster += "+"
		}
		out = append(out, cluster)
	}
	return out
}

func TestWhereStubsAre(t *testing.T) {
	all := calls("eu>ap", "eu>us", "ap>eu", "ap>us", "us>eu", "us>ap")
	for name, test := range map[string]struct {
		reason   string
		links    map[string][]string
		template *unstructured.Unstructured
		binding  *workv1alpha2.ResourceBinding
		want     []string
	}{
		"no mesh": {
			reason: "nobody asked for any", template: service("web", webSpec), binding: serviceOn("web", "eu"), want: []string{"eu+"},
		},
		"all linked": {
			reason: "whoever calls needs the name", links: all,
			template: service("web", webSpec), binding: serviceOn("web", "eu"), want: []string{"ap", "eu+", "us"},
		},
		"one way": {
			reason: "eu calls ap, and nobody calls eu", links: calls("eu>ap"),
			template: service("web", webSpec), binding: serviceOn("web", "eu"), want: []string{"eu+"},
		},
		"the other way": {
			reason: "the one that calls gets it", links: calls("ap>eu"),
			template: service("web", webSpec), binding: serviceOn("web", "eu"), want: []string{"ap", "eu+"},
		},
		"everywhere": {
			reason: "a share is more than a stub", links: all,
			template: service("web", webSpec), binding: serviceOn("web", "ap", "eu", "us"), want: []string{"ap+", "eu+", "us+"},
		},
		"nowhere": {
			reason: "nobody can be called", links: all, template: service("web", webSpec), binding: serviceOn("web"),
		},
		"not a chain": {
			reason: "a stub is not what others call", links: calls("ap>eu", "us>ap"),
			template: service("web", webSpec), binding: serviceOn("web", "eu"), want: []string{"ap", "eu+"},
		},
		"of a dependency": {
			reason: "it is placed, too", links: calls("ap>eu"), template: service("web", webSpec),
			binding: func() *workv1alpha2.ResourceBinding {
				b := serviceOn("web")
				b.Spec.RequiredBy = []workv1alpha2.BindingSnapshot{{Name: "x", Clusters: []workv1alpha2.TargetCluster{on("eu", 1)}}}
				return b
			}(), want: []string{"ap", "eu+"},
		},
		"ExternalName": {
			reason: "it leads elsewhere anyhow", links: all,
			template: service("web", `{"type":"ExternalName","externalName":"example.org"}`), binding: serviceOn("web", "eu"), want: []string{"eu+"},
		},
		"not wanted": {
			reason: "the owner says so", links: all, binding: serviceOn("web", "eu"), want: []string{"eu+"},
			template: func() *unstructured.Unstructured {
				s := service("web", webSpec)
				s.SetAnnotations(map[string]string{meshv1alpha1.StubLabel: "false"})
				return s
			}(),
		},
		"template unknown": {
			reason: "not to know it is no reason to take a Work away", links: calls("ap>eu"), binding: serviceOn("web", "eu"), want: []string{"ap", "eu+"},
		},
		"a cluster that is not registered": {
			reason: "it has no Works", links: calls("mars>eu", "ap>mars"),
			template: service("web", webSpec), binding: serviceOn("web", "eu"), want: []string{"eu+"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProjection("ap", "eu", "us")
			p.SetLinks(test.links)
			if test.template != nil {
				p.SetTemplate(test.template)
			}
			p.SetBinding(test.binding)
			require.Equal(t, test.want, clustersOf(t, p), test.reason)
			p.SetLinks(nil)
			p.SetLinks(test.links)
			require.Equal(t, test.want, clustersOf(t, p), "the same in whatever order it becomes known")
		})
	}
	t.Run("other kinds", func(t *testing.T) {
		p := newProjection("ap", "eu")
		p.SetLinks(all)
		p.SetTemplate(deployment("web", 1, "v1"))
		p.SetBinding(divided("web", on("eu", 1)))
		require.Equal(t, []string{"eu+"}, clustersOf(t, p))
	})
}

func TestWhatAStubIs(t *testing.T) {
	for name, test := range map[string]struct {
		reason, spec, want string
	}{
		"load balancer": {
			reason: "it is called within the cluster only",
			spec: `{"type":"LoadBalancer","selector":{"a":"b"},"externalIPs":["1.2.3.4"],"externalTrafficPolicy":"Local","healthCheckNodePort":30003,
				"loadBalancerIP":"1.2.3.5","loadBalancerSourceRanges":["10.0.0.0/8"],"loadBalancerClass":"x/y","allocateLoadBalancerNodePorts":false,
				"internalTrafficPolicy":"Cluster","sessionAffinity":"ClientIP","ports":[{"name":"http","port":80,"protocol":"TCP","nodePort":30001,"targetPort":8080}]}`,
			want: `{"type":"ClusterIP","selector":{"a":"b"},"internalTrafficPolicy":"Cluster","sessionAffinity":"ClientIP",
				"ports":[{"name":"http","port":80,"protocol":"TCP","targetPort":8080}]}`,
		},
		"headless": {
			reason: "the names of its pods are looked up",
			spec:   `{"type":"ClusterIP","clusterIP":"None","publishNotReadyAddresses":true,"ports":[{"port":80}]}`,
			want:   `{"type":"ClusterIP","clusterIP":"None","publishNotReadyAddresses":true,"ports":[{"port":80}]}`,
		},
		"without a type": {
			reason: "said aloud, so that the member changes it back from another",
			spec:   `{"ports":[{"port":80}]}`, want: `{"type":"ClusterIP","ports":[{"port":80}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProjection("ap", "eu")
			p.SetLinks(calls("ap>eu"))
			template := service("web", test.spec)
			template.SetLabels(map[string]string{"team": "a"})
			template.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "kubectl", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(
				`{"f:spec":{"f:healthCheckNodePort":{},"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{"f:nodePort":{}}}}}`)}})
			template.SetAnnotations(map[string]string{names.ConflictResolutionAnnotation: "overwrite", "mine": "x"})
			p.SetTemplate(template)
			b := serviceOn("web", "eu")
			b.Spec.ConflictResolution = policyv1alpha1.ConflictOverwrite
			p.SetBinding(b)
			share, stub := onlyWork(t, p, "eu"), onlyWork(t, p, "ap")
			require.Equal(t, share.Name, stub.Name)
			obj := manifestOf(t, stub)
			spec, err := json.Marshal(obj.Object["spec"])
			require.NoError(t, err)
			require.JSONEq(t, test.want, string(spec), test.reason)
			require.Equal(t, map[string]string{"team": "a", names.ManagedLabel: "true", meshv1alpha1.StubLabel: "true"}, obj.GetLabels())
			require.NotContains(t, obj.GetAnnotations(), names.ConflictResolutionAnnotation, "to take over was allowed where it is placed")
			require.Equal(t, "mine", obj.GetAnnotations()[names.ManagedAnnotationsAnnotation])
			require.Equal(t, "overwrite", manifestOf(t, share).GetAnnotations()[names.ConflictResolutionAnnotation])
			require.NotContains(t, manifestOf(t, share).GetLabels(), meshv1alpha1.StubLabel)
			if name == "load balancer" {
				require.Contains(t, string(share.Spec.Workload.Manifests[0].Raw), `"nodePort":30001`, "asked for, where it is placed")
			}
			require.Contains(t, stub.Labels, names.ResourceBindingPermanentIDLabel)
		})
	}
}

// A cluster gets a share, and loses it again: its Work changes, and that is all
// an agent sees.
func TestHandoverIsAChangeOfOneWork(t *testing.T) {
	p := newProjection("ap", "eu")
	var handed []workv1alpha2.AggregatedStatusItem
	p.OnHandover(func(key Key, item workv1alpha2.AggregatedStatusItem) {
		require.Equal(t, KeyOf(serviceOn("web")), key)
		handed = append(handed, item)
	})
	p.SetLinks(calls("ap>eu", "eu>ap"))
	p.SetTemplate(service("web", `{"type":"LoadBalancer","ports":[{"port":80}]}`))
	p.SetBinding(serviceOn("web", "eu"))
	stub := onlyWork(t, p, "ap")
	w := startWatch(t, p, "ap", WatchOptions{ResourceVersion: stub.ResourceVersion, SpecOnly: true})
	stubs := startWatch(t, p, "", WatchOptions{
		ResourceVersion: stub.ResourceVersion,
		Labels:          labels.SelectorFromSet(labels.Set{meshv1alpha1.StubLabel: "true"}),
	})
	applied := workv1alpha2.AggregatedStatusItem{ClusterName: "ap", Applied: true}
	there, news := p.ReportStub(stub.Name, applied)
	require.True(t, there && news)
	there, news = p.ReportStub(stub.Name, applied)
	require.True(t, there && !news)
	require.True(t, meta.IsStatusConditionTrue(onlyWork(t, p, "ap").Status.Conditions, workv1alpha1.WorkApplied))
	require.Equal(t, watch.Modified, next(t, stubs).Type, "by its status")
	p.SetBinding(serviceOn("web", "eu"))
	there, news = p.ReportStub(stub.Name, applied)
	require.True(t, there && !news, "a write of the binding is no news of the stub")

	p.SetBinding(serviceOn("web", "eu", "ap"))
	e := next(t, w)
	require.Equal(t, watch.Modified, e.Type)
	share := e.Object.(*workv1alpha1.Work)
	require.Equal(t, stub.UID, share.UID)
	require.Equal(t, "LoadBalancer", manifestOf(t, share).Object["spec"].(map[string]any)["type"])
	require.Equal(t, []workv1alpha2.AggregatedStatusItem{applied}, handed, "agents do not repeat it")
	require.Equal(t, watch.Deleted, next(t, stubs).Type, "it is a stub no longer")
	there, _ = p.ReportStub(stub.Name, applied)
	require.False(t, there)

	back := serviceOn("web", "eu")
	back.Status.AggregatedStatus = []workv1alpha2.AggregatedStatusItem{applied}
	p.SetBinding(back)
	e = next(t, w)
	require.Equal(t, watch.Modified, e.Type)
	require.True(t, meta.IsStatusConditionTrue(e.Object.(*workv1alpha1.Work).Status.Conditions, workv1alpha1.WorkApplied))
	p.SetBinding(serviceOn("web", "eu"))
	require.True(t, meta.IsStatusConditionTrue(onlyWork(t, p, "ap").Status.Conditions, workv1alpha1.WorkApplied),
		"also when the binding no longer has it")
	quiet(t, w)

	p.SetLinks(calls("eu>ap"))
	require.Equal(t, watch.Deleted, next(t, w).Type, "the mesh asked for it, and asks no longer")
}

func TestStubsFollowTheirBinding(t *testing.T) {
	yes := true
	p := newProjection("ap", "eu")
	p.SetLinks(calls("ap>eu"))
	p.SetTemplate(service("web", webSpec))
	b := serviceOn("web", "eu")
	b.Spec.Suspension = &workv1alpha2.Suspension{Suspension: policyv1alpha1.Suspension{Dispatching: &yes}}
	b.Spec.PreserveResourcesOnDeletion = &yes
	p.SetBinding(b)
	stub := onlyWork(t, p, "ap")
	require.True(t, *stub.Spec.SuspendDispatching)
	require.True(t, *stub.Spec.PreserveResourcesOnDeletion)
	byCluster := serviceOn("web", "eu")
	byCluster.Spec.Suspension = &workv1alpha2.Suspension{Suspension: policyv1alpha1.Suspension{
		DispatchingOnClusters: &policyv1alpha1.SuspendClusters{ClusterNames: []string{"ap"}},
	}}
	p.SetBinding(byCluster)
	require.True(t, *onlyWork(t, p, "ap").Spec.SuspendDispatching)
	require.Nil(t, onlyWork(t, p, "eu").Spec.SuspendDispatching)

	p.DeleteTemplate(TemplateKey{serviceKind, "default", "web"})
	require.Empty(t, onlyWork(t, p, "ap").Spec.Workload.Manifests, "agents leave it alone until the binding goes")
	from := list(t, p, "ap").ResourceVersion
	p.DeleteBinding(KeyOf(b))
	e := next(t, startWatch(t, p, "ap", WatchOptions{ResourceVersion: from}))
	require.Equal(t, watch.Deleted, e.Type)
	require.Equal(t, "true", e.Object.(*workv1alpha1.Work).Labels[meshv1alpha1.StubLabel])

	p.SetTemplate(service("web", webSpec))
	p.SetBinding(serviceOn("web", "eu"))
	p.RemoveCluster("ap")
	p.SetCluster(cluster("ap"))
	require.Len(t, list(t, p, "ap").Items, 1, "a cluster that comes gets its stubs")
}

// Overrides apply to stubs, and one that does not fit is no failure of the binding.
func TestOverriddenStubs(t *testing.T) {
	p := newProjection("ap", "eu")
	p.SetLinks(calls("ap>eu"))
	p.SetTemplate(service("web", webSpec))
	p.SetBinding(serviceOn("web", "eu"))
	override := registryOverride(1, nil, "x")
	override.Spec.ResourceSelectors = []policyv1alpha1.ResourceSelector{{APIVersion: "v1", Kind: "Service"}}
	override.Spec.OverrideRules = []policyv1alpha1.RuleWithCluster{
		{Overriders: policyv1alpha1.Overriders{LabelsOverrider: []policyv1alpha1.LabelAnnotationOverrider{{
			Operator: policyv1alpha1.OverriderOpAdd, Value: map[string]string{"by": "override"},
		}}}},
	}
	p.SetOverride(override)
	require.Equal(t, "override", manifestOf(t, onlyWork(t, p, "ap")).GetLabels()["by"])

	again := override.DeepCopy()
	again.Generation++
	again.Spec.OverrideRules = []policyv1alpha1.RuleWithCluster{{
		TargetCluster: &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"ap"}},
		Overriders: policyv1alpha1.Overriders{Plaintext: []policyv1alpha1.PlaintextOverrider{{
			Path: "/spec/type", Operator: policyv1alpha1.OverriderOpReplace, Value: apiextensionsv1.JSON{Raw: []byte(`"ExternalName"`)},
		}}},
	}}
	p.SetOverride(again)
	stub := onlyWork(t, p, "ap")
	require.Empty(t, stub.Spec.Workload.Manifests)
	require.Contains(t, meta.FindStatusCondition(stub.Status.Conditions, WorkRendered).Message, "Service default/web in cluster ap")
	require.Empty(t, p.Failures(KeyOf(serviceOn("web"))))
	require.NotEmpty(t, onlyWork(t, p, "eu").Spec.Workload.Manifests)
}

// Services of two groups give their Works one name. A stub does not keep another's
// share away, and comes back when that goes.
func TestShareGoesBeforeAStub(t *testing.T) {
	p := newProjection("ap", "eu")
	p.SetLinks(calls("ap>eu"))
	p.SetTemplate(service("web", webSpec))
	p.SetBinding(serviceOn("web", "eu"))
	other := service("web", webSpec)
	other.SetGroupVersionKind(schema.GroupVersionKind{Group: "serving.knative.dev", Version: "v1", Kind: "Service"})
	p.SetTemplate(other)
	b := serviceOn("web", "ap")
	b.Name, b.UID, b.Spec.Resource.APIVersion = "other", "other", "serving.knative.dev/v1"
	p.SetBinding(b)
	require.Equal(t, "serving.knative.dev/v1", manifestOf(t, onlyWork(t, p, "ap")).GetAPIVersion())
	p.SetBinding(serviceOn("web", "eu"))
	require.Equal(t, "serving.knative.dev/v1", manifestOf(t, onlyWork(t, p, "ap")).GetAPIVersion())
	p.DeleteBinding(KeyOf(b))
	require.Equal(t, "v1", manifestOf(t, onlyWork(t, p, "ap")).GetAPIVersion())
	require.Equal(t, []string{"ap", "eu+"}, clustersOf(t, p))
}

// A change of links costs nothing for what they are not about.
func TestLinksTouchOnlyWhatTheyAreAbout(t *testing.T) {
	p := newProjection("ap", "eu", "us")
	p.SetTemplate(service("web", webSpec))
	p.SetBinding(serviceOn("web", "eu"))
	before := p.counter
	p.SetLinks(calls("eu>ap", "eu>us"))
	require.Equal(t, before, p.counter)
	p.SetLinks(calls("eu>ap", "us>eu"))
	p.SetLinks(calls("eu>ap", "us>eu"))
	require.Equal(t, before+1, p.counter)
	require.True(t, slices.Equal([]string{"eu+", "us"}, clustersOf(t, p)))
}
