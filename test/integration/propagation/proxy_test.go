package propagation

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

// asked is what the API server of the member saw.
type asked struct {
	Method, URI, User, Token string
	Groups                   []string
}

// proxied registers a cluster whose API server tells what it is asked, and
// returns the path to its proxy.
func proxied(t *testing.T, name string) string {
	t.Helper()
	member := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Get("watch") != "" {
			_, _ = fmt.Fprintln(w, "an event")
			w.(http.Flusher).Flush()
			<-req.Context().Done()
			return
		}
		_ = json.NewEncoder(w).Encode(asked{
			req.Method, req.URL.RequestURI(), req.Header.Get("Impersonate-User"), req.Header.Get("Authorization"), req.Header["Impersonate-Group"],
		})
	}))
	t.Cleanup(member.Close)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names.ClusterNamespace}}
	if err := fed.Create(t.Context(), ns); !apierrors.IsAlreadyExists(err) {
		require.NoError(t, err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: name},
		Data: map[string][]byte{
			"caBundle": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: member.Certificate().Raw}),
			"token":    []byte("impersonator"),
		},
	}
	ref := &clusterv1alpha1.LocalSecretReference{Namespace: ns.Name, Name: name}
	cluster := &clusterv1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       clusterv1alpha1.ClusterSpec{SyncMode: clusterv1alpha1.Pull, APIEndpoint: member.URL, SecretRef: ref, ImpersonatorSecretRef: ref},
	}
	create(t, secret, cluster)
	t.Cleanup(func() {
		assert.NoError(t, client.IgnoreNotFound(fed.Delete(context.WithoutCancel(t.Context()), secret)))
	})
	unjoin(t, cluster)
	return "/apis/cluster.karmada.io/v1alpha1/clusters/" + name + "/proxy"
}

// as is a client of the federation that acts as somebody.
func as(t *testing.T, name string, groups ...string) rest.Interface {
	t.Helper()
	cfg := rest.CopyConfig(fed.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: groups}
	c, err := kubernetes.NewForConfig(cfg)
	require.NoError(t, err)
	return c.RESTClient()
}

func TestProxyToMember(t *testing.T) {
	path := proxied(t, "proxied")
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "proxied-reader"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"cluster.karmada.io"}, Resources: []string{"clusters/proxy"}, ResourceNames: []string{"proxied"}, Verbs: []string{"get"}}},
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: role.ObjectMeta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "alice"}},
	}
	require.NoError(t, fed.Create(t.Context(), role))
	require.NoError(t, fed.Create(t.Context(), binding))

	read := func(c rest.Interface, uri string) (asked, error) {
		raw, err := c.Get().RequestURI(uri).DoRaw(t.Context())
		var got asked
		if err == nil {
			require.NoError(t, json.Unmarshal(raw, &got), "%s", raw)
		}
		return got, err
	}
	alice := as(t, "alice", "dev", "ops")
	var got asked
	eventually(t, func() bool {
		var err error
		got, err = read(alice, path+"/api/v1/nodes?limit=2")
		return err == nil
	}, "the role must take effect")
	assert.Equal(t, asked{"GET", "/api/v1/nodes?limit=2", "alice", "Bearer impersonator", []string{"dev", "ops"}}, got)

	got, err := read(as(t, "flotilla-admin", "system:masters"), path+"/version")
	require.NoError(t, err)
	assert.Equal(t, asked{"GET", "/version", "flotilla-admin", "Bearer impersonator", []string{"system:masters"}}, got)

	_, err = alice.Post().RequestURI(path + "/api/v1/namespaces").Body([]byte("{}")).DoRaw(t.Context())
	require.True(t, apierrors.IsForbidden(err), "a verb she does not have: %v", err)
	for _, agent := range []string{"proxied", "eu"} {
		c := as(t, names.AgentUserPrefix+agent, names.AgentGroup)
		_, err = read(c, path+"/api")
		require.True(t, apierrors.IsForbidden(err), "agents have no business there: %v", err)
		_, err = c.Post().RequestURI(path + "/api").DoRaw(t.Context())
		require.True(t, apierrors.IsForbidden(err), "%v", err)
	}

	stream, err := alice.Get().RequestURI(path + "/api/v1/pods?watch=true").Stream(t.Context())
	require.NoError(t, err)
	line, err := bufio.NewReader(stream).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "an event\n", line)
	require.NoError(t, stream.Close())
}

func TestProxyToNowhere(t *testing.T) {
	admin := as(t, "flotilla-admin", "system:masters")
	get := func(cluster string) error {
		return admin.Get().RequestURI("/apis/cluster.karmada.io/v1alpha1/clusters/" + cluster + "/proxy/api").Do(t.Context()).Error()
	}
	require.True(t, apierrors.IsNotFound(get("nowhere")))

	err := get("eu")
	require.True(t, apierrors.IsBadRequest(err), "%v", err)
	require.ErrorContains(t, err, "cluster eu is in Pull mode and names no spec.apiEndpoint")

	proxied(t, "unsecret")
	require.NoError(t, fed.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: names.ClusterNamespace, Name: "unsecret"}}))
	err = get("unsecret")
	require.True(t, apierrors.IsServiceUnavailable(err), "%v", err)
	assert.ErrorContains(t, err, "Secret karmada-cluster/unsecret does not exist")
}
