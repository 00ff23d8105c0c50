package apiserver

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/openapi3"
	"k8s.io/client-go/restmapper"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// Every group version that is served at all is found by discovery, where kubectl
// looks: a priority that is missing takes a group out of it.
func TestWhatIsServedIsFound(t *testing.T) {
	raw, err := rawClient(t, fed.admin).Get().AbsPath("/").Do(t.Context()).Raw()
	require.NoError(t, err)
	var index struct{ Paths []string }
	require.NoError(t, json.Unmarshal(raw, &index))
	groups, err := fed.kube.Discovery().ServerGroups()
	require.NoError(t, err)
	var found []string
	for _, g := range groups.Groups {
		for _, v := range g.Versions {
			found = append(found, v.GroupVersion)
		}
	}
	served := 0
	for _, path := range index.Paths {
		parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
		if parts[0] == "apis" && len(parts) == 3 {
			served++
			assert.Contains(t, found, parts[1]+"/"+parts[2])
		}
	}
	assert.Greater(t, served, 20)
	for _, want := range []string{"v1", "apps/v1", "batch/v1", "networking.k8s.io/v1", "policy/v1", "autoscaling/v2", "storage.k8s.io/v1",
		"rbac.authorization.k8s.io/v1", "apiextensions.k8s.io/v1", "apiregistration.k8s.io/v1", "cluster.karmada.io/v1alpha1",
		"policy.karmada.io/v1alpha1", "work.karmada.io/v1alpha1", "work.karmada.io/v1alpha2", "agent.flotilla.io/v1alpha1", "mesh.flotilla.io/v1alpha1"} {
		assert.Contains(t, found, want)
	}

	// Every one answers, or kubectl warns at each command.
	_, err = fed.kube.Discovery().ServerPreferredResources()
	require.NoError(t, err)
	resources, err := restmapper.GetAPIGroupResources(fed.kube.Discovery())
	require.NoError(t, err)
	mapper := restmapper.NewDiscoveryRESTMapper(resources)
	gvr, err := mapper.ResourceFor(resourceBindings.GroupResource().WithVersion(""))
	require.NoError(t, err)
	assert.Equal(t, resourceBindings, gvr, "the version that is not deprecated comes first")
}

func TestNamesForKubectl(t *testing.T) {
	for _, tt := range []struct {
		groupVersion, resource, singular string
		short                            []string
		namespaced, categorized          bool
		verbs                            int
	}{
		{"cluster.karmada.io/v1alpha1", "clusters", "cluster", nil, false, false, 8},
		{"policy.karmada.io/v1alpha1", "propagationpolicies", "propagationpolicy", []string{"pp"}, true, true, 8},
		{"policy.karmada.io/v1alpha1", "clusterpropagationpolicies", "clusterpropagationpolicy", []string{"cpp"}, false, true, 8},
		{"policy.karmada.io/v1alpha1", "overridepolicies", "overridepolicy", []string{"op"}, true, true, 8},
		{"policy.karmada.io/v1alpha1", "clusteroverridepolicies", "clusteroverridepolicy", []string{"cop"}, false, true, 8},
		{"policy.karmada.io/v1alpha1", "federatedresourcequotas", "federatedresourcequota", nil, true, true, 8},
		{"policy.karmada.io/v1alpha1", "clustertaintpolicies", "clustertaintpolicy", nil, false, false, 8},
		{"work.karmada.io/v1alpha2", "resourcebindings", "resourcebinding", []string{"rb"}, true, true, 8},
		{"work.karmada.io/v1alpha2", "clusterresourcebindings", "clusterresourcebinding", []string{"crb"}, false, true, 8},
		{"work.karmada.io/v1alpha1", "resourcebindings", "resourcebinding", []string{"rb"}, true, true, 8},
		{"work.karmada.io/v1alpha1", "works", "work", []string{"wk"}, true, true, 8},
		{"mesh.flotilla.io/v1alpha1", "meshes", "mesh", nil, false, false, 8},
		{"mesh.flotilla.io/v1alpha1", "meshmembers", "meshmember", nil, true, false, 8},
		{"agent.flotilla.io/v1alpha1", "statusreports", "statusreport", nil, true, false, 1},
	} {
		list, err := fed.kube.Discovery().ServerResourcesForGroupVersion(tt.groupVersion)
		require.NoError(t, err)
		at := slices.IndexFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == tt.resource })
		require.GreaterOrEqual(t, at, 0, tt.resource)
		r := list.APIResources[at]
		assert.Equal(t, tt.singular, r.SingularName)
		assert.Equal(t, tt.short, r.ShortNames, tt.resource)
		assert.Equal(t, tt.namespaced, r.Namespaced, tt.resource)
		assert.Equal(t, tt.categorized, slices.Contains(r.Categories, "karmada-io"), tt.resource)
		assert.Len(t, r.Verbs, tt.verbs, "%s: %v", tt.resource, r.Verbs)
	}
}

// What needs a node or a running pod is a plain 404, and not in discovery.
func TestNothingRunsHere(t *testing.T) {
	ns := newNamespace(t)
	create(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "p"}, Spec: deployment(ns, "p").Spec.Template.Spec})
	list, err := fed.kube.Discovery().ServerResourcesForGroupVersion("v1")
	require.NoError(t, err)
	for _, gone := range []string{"pods/exec", "pods/attach", "pods/portforward", "pods/log", "pods/proxy", "pods/eviction", "pods/binding",
		"nodes/proxy", "services/proxy", "bindings", "componentstatuses"} {
		assert.False(t, slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == gone }), gone)
	}
	for _, kept := range []string{"pods", "pods/status", "pods/ephemeralcontainers", "pods/resize", "services", "services/status", "nodes", "serviceaccounts/token", "replicationcontrollers/scale"} {
		assert.True(t, slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == kept }), kept)
	}
	err = rawClient(t, fed.admin).Get().AbsPath("/api/v1/namespaces/" + ns + "/pods/p/log").Do(t.Context()).Error()
	assert.True(t, apierrors.IsNotFound(err), "%v", err)
	err = rawClient(t, fed.admin).Post().AbsPath("/api/v1/namespaces/" + ns + "/pods/p/exec").Do(t.Context()).Error()
	assert.True(t, apierrors.IsNotFound(err), "%v", err)
	services, err := fed.kube.CoreV1().Services("default").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Empty(t, services.Items, "no kubernetes Service: members have their own")
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	v2, err := fed.kube.Discovery().OpenAPISchema()
	require.NoError(t, err)
	described := map[string]bool{}
	for _, d := range v2.Definitions.AdditionalProperties {
		for _, ext := range d.Value.VendorExtension {
			if ext.Name == "x-kubernetes-group-version-kind" {
				described[d.Name] = true
			}
		}
	}
	root := openapi3.NewRoot(fed.kube.Discovery().OpenAPIV3())
	for gv, kinds := range map[string][]string{
		"cluster.karmada.io/v1alpha1": {"Cluster"},
		"policy.karmada.io/v1alpha1": {"PropagationPolicy", "ClusterPropagationPolicy", "OverridePolicy", "ClusterOverridePolicy",
			"FederatedResourceQuota", "ClusterTaintPolicy"},
		"work.karmada.io/v1alpha1":   {"Work", "ResourceBinding", "ClusterResourceBinding"},
		"work.karmada.io/v1alpha2":   {"ResourceBinding", "ClusterResourceBinding"},
		"mesh.flotilla.io/v1alpha1":  {"Mesh", "MeshMember"},
		"agent.flotilla.io/v1alpha1": {"StatusReport"},
		"apps/v1":                    {"Deployment", "StatefulSet", "DaemonSet"},
	} {
		version, err := schema.ParseGroupVersion(gv)
		require.NoError(t, err)
		spec, err := root.GVSpec(version)
		require.NoError(t, err, gv)
		for _, kind := range kinds {
			var name string
			for candidate, s := range spec.Components.Schemas {
				if gvks, ok := s.Extensions["x-kubernetes-group-version-kind"].([]any); ok {
					for _, gvk := range gvks {
						m, ok := gvk.(map[string]any)
						if ok && fmt.Sprintf("%s/%s", m["group"], m["version"]) == gv && m["kind"] == kind {
							name = candidate
						}
					}
				}
			}
			require.NotEmpty(t, name, "%s %s: kubectl explain would not find it", gv, kind)
			assert.True(t, described[name], "%s: old clients read version 2", name)
			s := spec.Components.Schemas[name]
			assert.NotEmpty(t, s.Description, "kubectl explain %s", kind)
			require.Contains(t, s.Properties, "spec", kind)
			for _, field := range []string{"apiVersion", "kind", "metadata"} {
				assert.Contains(t, s.Properties, field, kind)
			}
			assert.NotEmpty(t, s.Properties["spec"].Description, "kubectl explain %s.spec", kind)
		}
	}
}

// What kubectl get prints: it asks for tables.
func TestTables(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
	cluster := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "tables"}, Spec: clusterv1alpha1.ClusterSpec{SyncMode: "Pull"}}
	create(t, cluster, policy(ns, "p", allDeployments))
	defer func() { require.NoError(t, fed.Delete(t.Context(), cluster)) }()
	d := deployment(ns, "web")
	create(t, d)
	bind(t, d)
	for path, want := range map[string]string{
		"/apis/cluster.karmada.io/v1alpha1/clusters":                                           "NAME VERSION MODE READY AGE",
		"/apis/mesh.flotilla.io/v1alpha1/meshes":                                               "NAME CLUSTERS LINKS READY AGE",
		"/apis/mesh.flotilla.io/v1alpha1/meshmembers":                                          "NAME CLUSTER NETWORK ISTIOD LEAVING AGE",
		"/apis/policy.karmada.io/v1alpha1/namespaces/" + ns + "/propagationpolicies":           "NAME CONFLICT-RESOLUTION PRIORITY AGE",
		"/apis/policy.karmada.io/v1alpha1/clusterpropagationpolicies":                          "NAME CONFLICT-RESOLUTION PRIORITY AGE",
		"/apis/policy.karmada.io/v1alpha1/overridepolicies":                                    "NAME AGE",
		"/apis/policy.karmada.io/v1alpha1/federatedresourcequotas":                             "NAME OVERALL OVERALL_USED",
		"/apis/work.karmada.io/v1alpha2/namespaces/" + ns + "/resourcebindings":                "NAME SCHEDULED FULLYAPPLIED AGE",
		"/apis/work.karmada.io/v1alpha2/namespaces/" + ns + "/resourcebindings/web-deployment": "NAME SCHEDULED FULLYAPPLIED AGE",
		"/apis/work.karmada.io/v1alpha1/namespaces/" + ns + "/resourcebindings/web-deployment": "NAME SCHEDULED FULLYAPPLIED AGE",
		"/apis/work.karmada.io/v1alpha1/works":                                                 "NAME WORKLOAD-KIND APPLIED AGE",
		"/apis/apps/v1/namespaces/" + ns + "/deployments":                                      "NAME READY UP-TO-DATE AVAILABLE AGE",
	} {
		raw, err := rawClient(t, fed.admin).Get().AbsPath(path).SetHeader("Accept", accept).Do(t.Context()).Raw()
		require.NoError(t, err, path)
		table := &metav1.Table{}
		require.NoError(t, json.Unmarshal(raw, table))
		var columns []string
		for _, c := range table.ColumnDefinitions {
			if c.Priority == 0 {
				columns = append(columns, strings.ToUpper(c.Name))
			}
		}
		assert.Equal(t, want, strings.Join(columns, " "), path)
		for _, row := range table.Rows {
			assert.Len(t, row.Cells, len(table.ColumnDefinitions), path)
			meta := &metav1.PartialObjectMetadata{}
			require.NoError(t, json.Unmarshal(row.Object.Raw, meta))
			assert.NotEmpty(t, meta.Name, "kubectl get -w needs the object's metadata: %s", path)
		}
	}
}
