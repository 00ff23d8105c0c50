package apiserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

// wire sends requests as they are, whatever a client library would say.
type wire struct {
	t      *testing.T
	client *http.Client
	host   string
}

func wireOf(t *testing.T, cfg *rest.Config) *wire {
	t.Helper()
	client, err := rest.HTTPClientFor(cfg)
	require.NoError(t, err)
	client.Timeout = patience
	return &wire{t: t, client: client, host: cfg.Host}
}

// send returns the status code. A body makes it JSON of the right kind.
func (w *wire) send(method, path, contentType string, body []byte, headers ...string) int {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.host+path, bytes.NewReader(body))
	require.NoError(w.t, err)
	req.Header.Set("Content-Type", contentType)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	answer, err := w.client.Do(req)
	require.NoError(w.t, err, "%s %s", method, path)
	_, err = io.Copy(io.Discard, answer.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, answer.Body.Close())
	return answer.StatusCode
}

// try is one way of doing something to a resource.
type try struct {
	verb, method, path, contentType string
	body                            []byte
}

// tries are all ways of doing something: to a collection, to an object in it, or to a
// subresource of that.
func tries(prefix string, r metav1.APIResource, apiVersion, namespace, name string) []try {
	resource, subresource, isSub := strings.Cut(r.Name, "/")
	collection := prefix
	if namespace != "" {
		collection += "/namespaces/" + namespace
	}
	collection += "/" + resource
	object := collection + "/" + name
	body, err := json.Marshal(map[string]any{"apiVersion": apiVersion, "kind": r.Kind, "metadata": map[string]any{"name": name, "namespace": namespace}})
	if err != nil {
		panic(err)
	}
	const plain, merge, apply = "application/json", "application/merge-patch+json", "application/apply-patch+yaml"
	if isSub {
		object += "/" + subresource
		return []try{
			{"get", http.MethodGet, object, plain, nil},
			{"create", http.MethodPost, object, plain, body},
			{"update", http.MethodPut, object, plain, body},
			{"patch", http.MethodPatch, object, merge, []byte(`{}`)},
			{"patch", http.MethodPatch, object + "?fieldManager=x&force=true", apply, body},
			{"delete", http.MethodDelete, object, plain, nil},
		}
	}
	return []try{
		{"list", http.MethodGet, collection, plain, nil},
		{"list", http.MethodGet, collection + "?fieldSelector=metadata.name%3D" + name, plain, nil},
		{"list", http.MethodGet, collection + "?labelSelector=a%3Db&limit=1", plain, nil},
		{"watch", http.MethodGet, collection + "?watch=true&timeoutSeconds=1", plain, nil},
		{"watch", http.MethodGet, collection + "?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3D" + name, plain, nil},
		{"create", http.MethodPost, collection, plain, body},
		{"deletecollection", http.MethodDelete, collection, plain, nil},
		{"deletecollection", http.MethodDelete, collection + "?fieldSelector=metadata.name%3D" + name, plain, nil},
		{"get", http.MethodGet, object, plain, nil},
		{"get", http.MethodHead, object, plain, nil},
		{"update", http.MethodPut, object, plain, body},
		{"patch", http.MethodPatch, object, merge, []byte(`{}`)},
		{"patch", http.MethodPatch, object + "?fieldManager=x&force=true", apply, body},
		{"delete", http.MethodDelete, object, plain, nil},
	}
}

// everything is what the server serves.
func everything(t *testing.T) map[schema.GroupVersion][]metav1.APIResource {
	t.Helper()
	_, lists, err := fed.kube.Discovery().ServerGroupsAndResources()
	require.NoError(t, err)
	out := map[schema.GroupVersion][]metav1.APIResource{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(t, err)
		out[gv] = list.APIResources
	}
	require.Contains(t, out, schema.GroupVersion{Group: "work.karmada.io", Version: "v1alpha1"})
	return out
}

func prefixOf(gv schema.GroupVersion) string {
	if gv.Group == "" {
		return "/api/" + gv.Version
	}
	return "/apis/" + gv.String()
}

// Every verb, on everything there is: what is of another cluster, or of all.
func TestNoAgentReachesAnothersObjects(t *testing.T) {
	t.Parallel()
	join(t, "wall-a")
	join(t, "wall-b")
	ns := newNamespace(t)
	placed(t, ns, "web", "wall-a", "wall-b")
	token := readerToken("wall-b", "m")
	create(t, secretIn("karmada-es-wall-b", "wall-b"), configMapWork("wall-b", "wall-b"), token, meshMember("wall-b", "wall-b"))
	agent, n := wireOf(t, agentOf(t, "wall-a")), 0
	for gv, resources := range everything(t) {
		for _, r := range resources {
			// Everybody may ask who he is and what he may do.
			if strings.HasPrefix(r.Name, "selfsubject") {
				continue
			}
			places := []string{""}
			if r.Namespaced {
				places = []string{"karmada-es-wall-b", names.ClusterNamespace, "kube-system", "default", ns}
				if !strings.Contains(r.Name, "/") {
					places = append(places, "") // across namespaces
				}
			}
			for _, place := range places {
				all := tries(prefixOf(gv), r, gv.String(), place, "wall-b")
				if r.Name == "secrets" { // an agent may write one of that name in its own namespace
					all = append(all, tries(prefixOf(gv), r, gv.String(), place, token.Name)...)
				}
				for _, try := range all {
					if exempt(gv, r, try) {
						continue
					}
					if r.Namespaced && place == "" && !slices.Contains([]string{"list", "watch", "deletecollection"}, try.verb) {
						continue // there is no such path
					}
					n++
					assert.Equal(t, http.StatusForbidden, agent.send(try.method, try.path, try.contentType, try.body), "%s: %s %s", try.verb, try.method, try.path)
				}
			}
		}
	}
	assert.Greater(t, n, 3000, "everything was tried")
	// And nothing happened.
	assert.NoError(t, fed.Get(t.Context(), key("karmada-es-wall-b", "wall-b"), &corev1.Secret{}))
	now := &corev1.Secret{}
	require.NoError(t, fed.Get(t.Context(), key(token.Namespace, token.Name), now))
	assert.Equal(t, token.ResourceVersion, now.ResourceVersion)
}

func readerToken(cluster, mesh string) *corev1.Secret {
	s := secretIn(names.ExecutionNamespace(cluster), meshv1alpha1.ReaderSecretName(mesh))
	s.Type = meshv1alpha1.ReaderSecretType
	return s
}

func meshMember(cluster, mesh string) *meshv1alpha1.MeshMember {
	return &meshv1alpha1.MeshMember{
		ObjectMeta: metav1.ObjectMeta{Namespace: names.ExecutionNamespace(cluster), Name: mesh},
		Spec:       meshv1alpha1.MeshMemberSpec{MeshID: mesh, ClusterID: cluster, Network: meshv1alpha1.DefaultNetwork(cluster)},
	}
}

// exempt are requests that admission answers, which looks at whole objects: see
// TestWhatAdmissionRefusesAgents.
func exempt(gv schema.GroupVersion, r metav1.APIResource, try try) bool {
	return try.verb == "create" && slices.Contains([]string{"clusters.cluster.karmada.io", "leases.coordination.k8s.io", "certificatesigningrequests.certificates.k8s.io"}, r.Name+"."+gv.Group)
}

func TestWhatAdmissionRefusesAgents(t *testing.T) {
	t.Parallel()
	join(t, "gate-a")
	agent := wireOf(t, agentOf(t, "gate-a"))
	if err := fed.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names.ClusterNamespace}}); err != nil {
		require.True(t, apierrors.IsAlreadyExists(err), "%v", err)
	}
	encode := func(obj any) []byte {
		data, err := json.Marshal(obj)
		require.NoError(t, err)
		return data
	}
	cluster, lease := clusterNamed("gate-b"), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "gate-b"}}
	foreign, _ := requestOf(t, "gate-b", time.Hour)
	foreign.GenerateName = names.RequestPrefix("gate-a")
	named, _ := requestOf(t, "gate-a", time.Hour)
	named.GenerateName, named.Name = "", "gate-a"
	for path, body := range map[string]any{
		"/apis/cluster.karmada.io/v1alpha1/clusters":                                cluster,
		"/apis/coordination.k8s.io/v1/namespaces/karmada-cluster/leases":            lease,
		"/apis/certificates.k8s.io/v1/certificatesigningrequests":                   foreign,
		"/apis/certificates.k8s.io/v1/certificatesigningrequests?fieldManager=x":    named,
		"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases":                lease,
		"/apis/coordination.k8s.io/v1/namespaces/karmada-es-gate-a/leases":          lease,
		"/apis/coordination.k8s.io/v1/namespaces/karmada-cluster/leases?dryRun=All": lease,
	} {
		code := agent.send(http.MethodPost, path, "application/json", encode(body))
		assert.Equal(t, http.StatusForbidden, code, path)
	}
	assert.Equal(t, http.StatusForbidden, agent.send(http.MethodPatch, "/apis/cluster.karmada.io/v1alpha1/clusters/gate-b?fieldManager=x", "application/apply-patch+yaml", encode(cluster)), "creation by apply")
	assert.Equal(t, http.StatusForbidden, agent.send(http.MethodPut, "/apis/coordination.k8s.io/v1/namespaces/karmada-cluster/leases/gate-b", "application/json", encode(lease)))
}

// What an agent may do with its own is what docs/operations.md lists, and no more.
func TestWhatAgentsMayDoWithTheirOwn(t *testing.T) {
	t.Parallel()
	join(t, "own")
	ns := newNamespace(t)
	placed(t, ns, "web", "own")
	create(t, secretIn("karmada-es-own", "own"), configMapWork("own", "own"), meshMember("own", "own"))
	may := map[string][]string{
		"works.work.karmada.io":               {"get", "list", "watch"},
		"works/status.work.karmada.io":        {"get", "update", "patch"},
		"statusreports.agent.flotilla.io":     {"create"},
		"meshmembers.mesh.flotilla.io":        {"get", "list", "watch"},
		"meshmembers/status.mesh.flotilla.io": {"get", "update", "patch"},
		"secrets.":                            {"get", "list", "watch"},
	}
	agent := wireOf(t, agentOf(t, "own"))
	for gv, resources := range everything(t) {
		for _, r := range resources {
			if !r.Namespaced {
				continue
			}
			for _, try := range tries(prefixOf(gv), r, gv.String(), "karmada-es-own", "own") {
				code := agent.send(try.method, try.path, try.contentType, try.body)
				if slices.Contains(may[r.Name+"."+gv.Group], try.verb) {
					assert.NotEqual(t, http.StatusForbidden, code, "%s: %s %s", try.verb, try.method, try.path)
				} else if !exempt(gv, r, try) {
					assert.Equal(t, http.StatusForbidden, code, "%s: %s %s", try.verb, try.method, try.path)
				}
			}
		}
	}
	for path, want := range map[string]int{
		"/apis/cluster.karmada.io/v1alpha1/clusters/own":                                       http.StatusOK,
		"/apis/cluster.karmada.io/v1alpha1/clusters?fieldSelector=metadata.name%3Down":         http.StatusOK,
		"/apis/cluster.karmada.io/v1alpha1/clusters?fieldSelector=metadata.name%21%3Dother":    http.StatusForbidden,
		"/apis/cluster.karmada.io/v1alpha1/clusters":                                           http.StatusForbidden,
		"/apis/cluster.karmada.io/v1alpha1/clusters/own/proxy/api":                             http.StatusForbidden,
		"/api/v1/namespaces/kube-system":                                                       http.StatusOK,
		"/api/v1/namespaces/kube-public":                                                       http.StatusForbidden,
		"/api/v1/namespaces/karmada-es-own":                                                    http.StatusForbidden,
		"/metrics":                                                                             http.StatusForbidden,
		"/debug/pprof/":                                                                        http.StatusForbidden,
		"/api/v1/namespaces/karmada-es-own/secrets/../../karmada-es-wall-b/secrets":            http.StatusForbidden,
		"/apis/work.karmada.io/v1alpha1/namespaces/karmada-es-own/works/x/../../../../../apis": http.StatusForbidden,
	} {
		code := agent.send(http.MethodGet, path, "application/json", nil)
		if strings.Contains(path, "..") {
			assert.NotEqual(t, http.StatusOK, code, "paths are taken as they are: %s", path)
			continue
		}
		assert.Equal(t, want, code, path)
	}
}

// The token of a mesh's reader is the one Secret that an agent writes.
func TestAgentsAndTokensOfReaders(t *testing.T) {
	t.Parallel()
	join(t, "reader")
	agent := clientFor(t, agentOf(t, "reader"))
	token := readerToken("reader", "m")
	require.NoError(t, agent.Create(t.Context(), token))
	token.Data["token"] = []byte("another")
	require.NoError(t, agent.Update(t.Context(), token))
	require.NoError(t, agent.Patch(t.Context(), token, client.RawPatch(types.MergePatchType, []byte(`{"data":{"token":null}}`))))
	applied := []byte(`{"apiVersion":"v1","kind":"Secret","type":"mesh.flotilla.io/reader-token","metadata":{"name":"mesh-reader-n","namespace":"karmada-es-reader"}}`)
	w := wireOf(t, agentOf(t, "reader"))
	const path = "/api/v1/namespaces/karmada-es-reader/secrets"
	assert.Equal(t, http.StatusCreated, w.send(http.MethodPatch, path+"/mesh-reader-n?fieldManager=x", "application/apply-patch+yaml", applied))

	opaque, account, named, kept := readerToken("reader", "o"), readerToken("reader", "a"), readerToken("reader", "x"), readerToken("reader", "k")
	opaque.Type, named.Name, kept.Finalizers = corev1.SecretTypeOpaque, "x", []string{"example.org/x"}
	account.Type, account.Annotations = corev1.SecretTypeServiceAccountToken, map[string]string{corev1.ServiceAccountNameKey: "default"}
	generated := readerToken("reader", "x")
	generated.Name, generated.GenerateName = "", "token-"
	for _, other := range []*corev1.Secret{opaque, account, named, kept, generated} {
		err := agent.Create(t.Context(), other)
		assert.True(t, apierrors.IsForbidden(err), "%s %s: %v", other.Name, other.Type, err)
	}
	assert.Equal(t, http.StatusForbidden, w.send(http.MethodPatch, path+"/x?fieldManager=x", "application/apply-patch+yaml", bytes.ReplaceAll(applied, []byte("mesh-reader-n"), []byte("x"))))
	kept = token.DeepCopy()
	kept.Finalizers = []string{"example.org/x"}
	err := agent.Update(t.Context(), kept)
	assert.True(t, apierrors.IsForbidden(err), "%v", err)
	create(t, opaque)
	err = agent.Update(t.Context(), opaque)
	assert.True(t, apierrors.IsForbidden(err), "not the agent's: %v", err)

	require.NoError(t, agent.Delete(t.Context(), token))
	err = agent.DeleteAllOf(t.Context(), &corev1.Secret{}, client.InNamespace(token.Namespace))
	assert.True(t, apierrors.IsForbidden(err), "%v", err)
}

// What an agent is to do in a mesh it reads; what it has seen it writes.
func TestAgentsAndMeshMembers(t *testing.T) {
	t.Parallel()
	join(t, "meshed")
	member := meshMember("meshed", "m")
	create(t, member)
	agent := clientFor(t, agentOf(t, "meshed"))
	require.NoError(t, agent.Get(t.Context(), key(member.Namespace, member.Name), member))
	member.Status.Network, member.Spec.Leaving = "network-meshed", true
	require.NoError(t, agent.Status().Update(t.Context(), member))
	assert.Equal(t, "network-meshed", member.Status.Network)
	assert.False(t, member.Spec.Leaving)
	for what, err := range map[string]error{
		"update": agent.Update(t.Context(), member),
		"delete": agent.Delete(t.Context(), member),
		"create": agent.Create(t.Context(), meshMember("meshed", "n")),
		"mesh":   agent.Get(t.Context(), key("", "m"), &meshv1alpha1.Mesh{}),
	} {
		assert.True(t, apierrors.IsForbidden(err), "%s: %v", what, err)
	}
}

// One time that cannot be read back would make its kind unreadable for everybody, and
// agents write times.
func TestAgentsCannotWriteTimesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	join(t, "late")
	member := meshMember("late", "m")
	create(t, member)
	w := wireOf(t, agentOf(t, "late"))
	const tooLate, last = "9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z"
	for at, want := range map[string]int{tooLate: http.StatusUnprocessableEntity, last: http.StatusOK} {
		for path, status := range map[string]string{
			"/apis/mesh.flotilla.io/v1alpha1/namespaces/karmada-es-late/meshmembers/m/status": fmt.Sprintf(`{"status":{"ca":{"expires":%q}}}`, at),
			"/apis/cluster.karmada.io/v1alpha1/clusters/late/status":                          fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":"True","reason":"R","message":"","lastTransitionTime":%q}]}}`, at),
		} {
			assert.Equal(t, want, w.send(http.MethodPatch, path, "application/merge-patch+json", []byte(status)), "%s %s", path, at)
		}
	}
	require.NoError(t, fed.List(t.Context(), &meshv1alpha1.MeshMemberList{}))
	require.NoError(t, fed.List(t.Context(), &clusterv1alpha1.ClusterList{}))
}

// The next certificate is the agent's to ask for, its answer to read, nothing else.
func TestAgentsAndCertificateRequests(t *testing.T) {
	t.Parallel()
	cfg := agentOf(t, "renew")
	csr, key := requestOf(t, "renew", time.Hour)
	made, err := ask(t, cfg, csr)
	require.NoError(t, err)
	longer, _ := requestOf(t, "renew-2", time.Hour)
	others, err := ask(t, agentOf(t, "renew-2"), longer)
	require.NoError(t, err)
	const path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	agent := wireOf(t, cfg)
	get := func(path string) int { return agent.send(http.MethodGet, path, "application/json", nil) }
	assert.Equal(t, http.StatusOK, get(path+"/"+made.Name))
	assert.Equal(t, http.StatusOK, get(path+"?fieldSelector=metadata.name%3D"+made.Name))
	assert.Equal(t, http.StatusOK, get(path+"?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3D"+made.Name))
	assert.Equal(t, http.StatusForbidden, get(path))
	assert.Equal(t, http.StatusForbidden, get(path+"?watch=true&timeoutSeconds=1"))
	assert.Equal(t, http.StatusForbidden, get(path+"/"+others.Name))
	assert.Equal(t, http.StatusForbidden, get(path+"?fieldSelector=metadata.name%3D"+others.Name))

	made.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Me"}}
	body, err := json.Marshal(made)
	require.NoError(t, err)
	for _, sub := range []string{"", "/approval", "/status"} {
		assert.Equal(t, http.StatusForbidden, agent.send(http.MethodPut, path+"/"+made.Name+sub, "application/json", body), sub)
		assert.Equal(t, http.StatusForbidden, agent.send(http.MethodPatch, path+"/"+made.Name+sub, "application/merge-patch+json", body), sub)
	}
	assert.Equal(t, http.StatusForbidden, agent.send(http.MethodDelete, path+"/"+made.Name, "application/json", nil))

	made.Status.Conditions = nil
	renewed := sign(t, made, key)
	kube, err := kubernetes.NewForConfig(renewed)
	require.NoError(t, err)
	_, err = kube.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	require.NoError(t, err, "the next certificate is as good")
}

func TestAgentsSpeakForNobodyElse(t *testing.T) {
	t.Parallel()
	agent := wireOf(t, agentOf(t, "voice"))
	const path = "/api/v1/namespaces/kube-system"
	require.Equal(t, http.StatusOK, agent.send(http.MethodGet, path, "", nil))
	for i, headers := range [][]string{
		{"Impersonate-User", "system:cluster:other"},
		{"Impersonate-User", "system:cluster:other", "Impersonate-Group", "system:clusters"},
		{"Impersonate-User", "system:cluster:voice", "Impersonate-Group", "system:masters"},
		{"Impersonate-User", "system:cluster:voice", "Impersonate-Group", "system:clusters"},
		{"Impersonate-User", "flotilla-admin"},
		{"Impersonate-User", "system:flotilla:controller-manager"},
		{"Impersonate-User", "system:apiserver"},
		{"Impersonate-User", "system:serviceaccount:kube-system:default"},
		{"Impersonate-User", "system:cluster:voice", "Impersonate-Extra-Scopes", "all"},
		{"Impersonate-User", "system:cluster:voice", "Impersonate-Uid", "1"},
	} {
		assert.Equal(t, http.StatusForbidden, agent.send(http.MethodGet, path, "", nil, headers...), fmt.Sprint(i, headers))
	}
	// What front proxies say counts with the certificate of one only: the agent stays
	// who it is.
	assert.Equal(t, http.StatusForbidden, agent.send(http.MethodGet, "/api/v1/secrets", "", nil, "X-Remote-User", "flotilla-admin", "X-Remote-Group", "system:masters"))
}
