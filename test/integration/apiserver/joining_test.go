package apiserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
	"github.com/flotilla-io/flotilla/pkg/identity"
)

// tokenFor makes a bootstrap token for a cluster, and returns a client with it.
func tokenFor(t *testing.T, id, cluster string, expires time.Time) *rest.Config {
	t.Helper()
	secret := "0123456789abcdef"
	create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "bootstrap-token-" + id},
		Type:       corev1.SecretTypeBootstrapToken,
		StringData: map[string]string{
			"token-id": id, "token-secret": secret, "usage-bootstrap-authentication": "true",
			"expiration": expires.UTC().Format(time.RFC3339), "description": "for a test",
			"auth-extra-groups": names.BootstrapGroup + "," + names.BootstrapGroupPrefix + cluster,
		},
	})
	cfg := rest.AnonymousClientConfig(fed.admin)
	cfg.BearerToken = id + "." + secret
	return cfg
}

// requestOf is what an agent asks for, with its key.
func requestOf(t *testing.T, cluster string, life time.Duration) (*certificatesv1.CertificateSigningRequest, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: names.AgentUserPrefix + cluster, Organization: []string{names.AgentGroup}}}, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: names.RequestPrefix(cluster)},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: certificatesv1.KubeAPIServerClientSignerName, ExpirationSeconds: ptr.To(int32(life.Seconds())),
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
		},
	}, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
}

// sign approves a request, as the controllers would, and returns a client with the
// certificate.
func sign(t *testing.T, csr *certificatesv1.CertificateSigningRequest, key []byte) *rest.Config {
	t.Helper()
	csr.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Test"}}
	_, err := fed.kube.CertificatesV1().CertificateSigningRequests().UpdateApproval(t.Context(), csr.Name, csr, metav1.UpdateOptions{})
	require.NoError(t, err)
	eventually(t, func() bool {
		csr, err = fed.kube.CertificatesV1().CertificateSigningRequests().Get(t.Context(), csr.Name, metav1.GetOptions{})
		require.NoError(t, err)
		return len(csr.Status.Certificate) > 0
	}, "%s is signed", csr.Name)
	cfg := rest.AnonymousClientConfig(fed.admin)
	cfg.CertData, cfg.KeyData = csr.Status.Certificate, key
	return cfg
}

// ask posts a request under somebody's name.
func ask(t *testing.T, cfg *rest.Config, csr *certificatesv1.CertificateSigningRequest) (*certificatesv1.CertificateSigningRequest, error) {
	t.Helper()
	kube, err := kubernetes.NewForConfig(cfg)
	require.NoError(t, err)
	made, err := kube.CertificatesV1().CertificateSigningRequests().Create(t.Context(), csr, metav1.CreateOptions{})
	if err == nil {
		t.Cleanup(func() {
			_ = fed.kube.CertificatesV1().CertificateSigningRequests().Delete(context.Background(), made.Name, metav1.DeleteOptions{})
		})
	}
	return made, err
}

func TestJoiningWithAToken(t *testing.T) {
	t.Parallel()
	cfg := tokenFor(t, "joinaa", "joining", time.Now().Add(time.Hour))
	csr, key := requestOf(t, "joining", 720*time.Hour)
	var made *certificatesv1.CertificateSigningRequest
	eventually(t, func() (ok bool) { // the authenticator has to hear of the token
		var err error
		made, err = ask(t, cfg, csr)
		return err == nil
	}, "the token is known")
	assert.Equal(t, "system:bootstrap:joinaa", made.Spec.Username)
	assert.Contains(t, made.Spec.Groups, "system:bootstrappers:flotilla:joining")

	joiner, err := kubernetes.NewForConfig(cfg)
	require.NoError(t, err)
	_, err = joiner.CertificatesV1().CertificateSigningRequests().Get(t.Context(), made.Name, metav1.GetOptions{})
	require.NoError(t, err, "it reads the answer")
	for what, err := range map[string]error{
		"Secrets":             second(joiner.CoreV1().Secrets("kube-system").List(t.Context(), metav1.ListOptions{})),
		"namespaces":          second(joiner.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})),
		"ConfigMaps":          second(joiner.CoreV1().ConfigMaps("kube-public").List(t.Context(), metav1.ListOptions{})),
		"approving":           second(joiner.CertificatesV1().CertificateSigningRequests().UpdateApproval(t.Context(), made.Name, made, metav1.UpdateOptions{})),
		"deleting a request":  joiner.CertificatesV1().CertificateSigningRequests().Delete(t.Context(), made.Name, metav1.DeleteOptions{}),
		"changing a request":  second(joiner.CertificatesV1().CertificateSigningRequests().Update(t.Context(), made, metav1.UpdateOptions{})),
		"works of its own":    clientFor(t, cfg).List(t.Context(), newList("work.karmada.io/v1alpha1", "WorkList"), inNamespace("karmada-es-joining")),
		"creating a Cluster":  clientFor(t, cfg).Create(t.Context(), clusterNamed("joining")),
		"another API's token": second(joiner.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", nil, metav1.CreateOptions{})),
	} {
		assert.True(t, apierrors.IsForbidden(err), "a token is for asking: %s: %v", what, err)
	}

	agent := sign(t, made, key)
	kube, err := kubernetes.NewForConfig(agent)
	require.NoError(t, err)
	_, err = kube.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	require.NoError(t, err, "and then it is an agent")
}

func TestExpiredAndUnknownTokens(t *testing.T) {
	t.Parallel()
	expired := tokenFor(t, "expire", "late", time.Now().Add(-time.Minute))
	unknown := rest.CopyConfig(expired)
	unknown.BearerToken = "nobody.0123456789abcdef"
	wrong := tokenFor(t, "wrongs", "wrong", time.Now().Add(time.Hour))
	wrong.BearerToken = "wrongs.fedcba9876543210"
	for name, cfg := range map[string]*rest.Config{"expired": expired, "unknown": unknown, "wrong secret": wrong} {
		csr, _ := requestOf(t, "late", time.Hour)
		_, err := ask(t, cfg, csr)
		assert.True(t, apierrors.IsUnauthorized(err), "%s: %v", name, err)
	}
}

// Whoever wants to join reads one ConfigMap, and that is all that nobody may read.
func TestDiscoveryWithoutAnIdentity(t *testing.T) {
	t.Parallel()
	nobody, err := kubernetes.NewForConfig(rest.AnonymousClientConfig(fed.admin))
	require.NoError(t, err)
	read := func() *corev1.ConfigMap {
		info, err := nobody.CoreV1().ConfigMaps("kube-public").Get(t.Context(), "cluster-info", metav1.GetOptions{})
		if err != nil {
			return nil
		}
		return info
	}
	var info *corev1.ConfigMap
	eventually(t, func() bool { info = read(); return info != nil }, "cluster-info")
	config, err := clientcmd.Load([]byte(info.Data["kubeconfig"]))
	require.NoError(t, err)
	require.Len(t, config.Clusters, 1)
	assert.Empty(t, config.AuthInfos)
	for _, cluster := range config.Clusters {
		assert.Equal(t, fed.admin.Host, cluster.Server)
		assert.Equal(t, string(fed.admin.CAData), string(cluster.CertificateAuthorityData))
	}
	for what, err := range map[string]error{
		"all of the namespace":  second(nobody.CoreV1().ConfigMaps("kube-public").List(t.Context(), metav1.ListOptions{})),
		"watching it":           second(nobody.CoreV1().ConfigMaps("kube-public").Watch(t.Context(), metav1.ListOptions{})),
		"the other one there":   second(nobody.CoreV1().ConfigMaps("kube-public").Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})),
		"one of that name":      second(nobody.CoreV1().ConfigMaps("default").Get(t.Context(), "cluster-info", metav1.GetOptions{})),
		"deleting it":           nobody.CoreV1().ConfigMaps("kube-public").Delete(t.Context(), "cluster-info", metav1.DeleteOptions{}),
		"changing it":           second(nobody.CoreV1().ConfigMaps("kube-public").Update(t.Context(), info, metav1.UpdateOptions{})),
		"asking to be an agent": second(ask(t, rest.AnonymousClientConfig(fed.admin), first(requestOf(t, "nobody", time.Hour)))),
	} {
		assert.True(t, apierrors.IsForbidden(err), "%s: %v", what, err)
	}

	require.NoError(t, fed.kube.CoreV1().ConfigMaps("kube-public").Delete(t.Context(), "cluster-info", metav1.DeleteOptions{}))
	eventually(t, func() bool { info = read(); return info != nil && info.Data["kubeconfig"] != "" }, "cluster-info is back")
}

// The roles that everything hangs on are there after a start.
func TestBootstrappedRoles(t *testing.T) {
	t.Parallel()
	can := func(cfg *rest.Config, verb, group, resource, namespace string) bool {
		attributes := &rest.Config{}
		*attributes = *cfg
		return allowed(t, attributes, verb, group, resource, namespace)
	}
	ns := newNamespace(t)
	for _, name := range []string{"flotilla-viewer", "flotilla-editor", "flotilla-admin"} {
		binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "test-" + name},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}, Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}}}
		create(t, binding)
		t.Cleanup(func() { _ = fed.Delete(context.Background(), binding) })
	}
	for _, name := range []string{"view", "edit"} {
		create(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}, Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "k8s-" + name}}})
	}
	viewer, editor, admin := as(t, "flotilla-viewer"), as(t, "flotilla-editor"), as(t, "flotilla-admin")
	view, edit := as(t, "k8s-view"), as(t, "k8s-edit")
	scheduler, controllers := as(t, pki.SchedulerUser), as(t, pki.ControllerManagerUser)
	eventually(t, func() bool {
		return can(admin, "delete", "cluster.karmada.io", "clusters", "") && can(edit, "create", "policy.karmada.io", "propagationpolicies", ns)
	}, "roles are put together")
	tests := []struct {
		who                              *rest.Config
		name, verb, group, resource, nsp string
		want                             bool
	}{
		{viewer, "viewer", "list", "policy.karmada.io", "propagationpolicies", "", true},
		{viewer, "viewer", "watch", "cluster.karmada.io", "clusters", "", true},
		{viewer, "viewer", "get", "work.karmada.io", "resourcebindings", ns, true},
		{viewer, "viewer", "create", "policy.karmada.io", "propagationpolicies", ns, false},
		{viewer, "viewer", "get", "work.karmada.io", "works", "karmada-es-eu", false}, // they hold Secrets
		{viewer, "viewer", "get", "cluster.karmada.io", "clusters/proxy", "", false},
		{viewer, "viewer", "list", "", "secrets", ns, false},
		{viewer, "viewer", "list", "mesh.flotilla.io", "meshes", "", true},
		{viewer, "viewer", "list", "mesh.flotilla.io", "meshmembers", "karmada-es-eu", true},
		{viewer, "viewer", "create", "mesh.flotilla.io", "meshes", "", false},
		{editor, "editor", "get", "mesh.flotilla.io", "meshes", "", true},
		{editor, "editor", "update", "mesh.flotilla.io", "meshes", "", false},
		{admin, "admin", "create", "mesh.flotilla.io", "meshes", "", true},
		{admin, "admin", "update", "mesh.flotilla.io", "meshmembers", "karmada-es-eu", false},
		{admin, "admin", "update", "mesh.flotilla.io", "meshes/status", "", false},
		{admin, "admin", "get", "", "secrets", "karmada-system", false},
		{editor, "editor", "list", "policy.karmada.io", "clusterpropagationpolicies", "", true},
		{editor, "editor", "create", "policy.karmada.io", "clusterpropagationpolicies", "", true},
		{editor, "editor", "delete", "cluster.karmada.io", "clusters", "", false},
		{editor, "editor", "get", "work.karmada.io", "works", "karmada-es-eu", false},
		{admin, "admin", "get", "policy.karmada.io", "overridepolicies", ns, true},
		{admin, "admin", "update", "cluster.karmada.io", "clusters", "", true},
		{admin, "admin", "create", "work.karmada.io", "works", "karmada-es-eu", true},
		{admin, "admin", "get", "cluster.karmada.io", "clusters/proxy", "", true},
		{admin, "admin", "create", "", "secrets", "kube-system", false},
		{admin, "admin", "create", "rbac.authorization.k8s.io", "clusterrolebindings", "", false},
		{view, "view", "get", "policy.karmada.io", "propagationpolicies", ns, true},
		{view, "view", "get", "policy.karmada.io", "propagationpolicies", "default", false},
		{view, "view", "update", "policy.karmada.io", "propagationpolicies", ns, false},
		{edit, "edit", "update", "policy.karmada.io", "overridepolicies", ns, true},
		{edit, "edit", "create", "policy.karmada.io", "clusterpropagationpolicies", "", false},
		{scheduler, "scheduler", "update", "work.karmada.io", "resourcebindings/schedule", ns, true},
		{scheduler, "scheduler", "update", "work.karmada.io", "resourcebindings", ns, false},
		{scheduler, "scheduler", "list", "", "secrets", "", false},
		{scheduler, "scheduler", "list", "apps", "deployments", "", false},
		{controllers, "controllers", "patch", "apps", "deployments", ns, true},
		{controllers, "controllers", "create", "apps", "deployments", ns, false},
		{controllers, "controllers", "delete", "apps", "deployments", ns, false},
		{controllers, "controllers", "create", "rbac.authorization.k8s.io", "clusterrolebindings", "", false},
		{controllers, "controllers", "create", "", "serviceaccounts/token", "kube-system", false},
		{controllers, "controllers", "create", "mesh.flotilla.io", "meshes", "", false},
		{controllers, "controllers", "update", "mesh.flotilla.io", "meshes", "", true},
		{controllers, "controllers", "update", "mesh.flotilla.io", "meshes/status", "", true},
		{controllers, "controllers", "delete", "mesh.flotilla.io", "meshes", "", false},
		{controllers, "controllers", "delete", "mesh.flotilla.io", "meshmembers", "karmada-es-eu", true},
		{controllers, "controllers", "update", "mesh.flotilla.io", "meshmembers/status", "karmada-es-eu", false}, // what an agent has seen
		{controllers, "controllers", "create", "work.karmada.io", "works", "karmada-es-eu", true},
		{controllers, "controllers", "create", "", "secrets", "karmada-system", true},
		{controllers, "controllers", "update", "", "secrets", "karmada-system", true},
		{controllers, "controllers", "delete", "", "secrets", "karmada-system", false},
		{controllers, "controllers", "create", "", "secrets", "karmada-es-eu", false},
		{controllers, "controllers", "delete", "", "secrets", "karmada-es-eu", false}, // of readers only, by name
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, can(tt.who, tt.verb, tt.group, tt.resource, tt.nsp), "%s: %s %s %s in %q", tt.name, tt.verb, tt.group, tt.resource, tt.nsp)
	}

	speak := rest.CopyConfig(controllers)
	speak.Impersonate = rest.ImpersonationConfig{UserName: "system:cluster:eu", Groups: []string{"system:clusters"}}
	assert.True(t, can(speak, "get", "work.karmada.io", "works", "karmada-es-eu"), "the controllers speak for agents")
	assert.False(t, can(speak, "get", "work.karmada.io", "works", "karmada-es-ap"))
	for _, other := range []rest.ImpersonationConfig{{UserName: "jane"}, {UserName: "system:cluster:eu", Groups: []string{"system:masters"}}, {UserName: "system:kube-controller-manager"}} {
		speak.Impersonate = other
		kube, err := kubernetes.NewForConfig(speak)
		require.NoError(t, err)
		_, err = kube.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
		assert.True(t, apierrors.IsForbidden(err), "and for nobody else: %v: %v", other, err)
	}
}

// The signer dates certificates back; revocation takes that into account.
func TestWhenCertificatesWereIssued(t *testing.T) {
	t.Parallel()
	for _, life := range []time.Duration{10 * time.Minute, 7 * time.Hour, 9 * time.Hour, 720 * time.Hour, 365 * 24 * time.Hour} {
		csr, key := requestOf(t, "issued", life)
		made, err := ask(t, fed.admin, csr)
		require.NoError(t, err)
		before := time.Now().Truncate(time.Second)
		cfg := sign(t, made, key)
		after := time.Now()
		block, _ := pem.Decode(cfg.CertData)
		cert, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		issued := identity.IssuedAt(cert)
		assert.False(t, issued.Before(before) || issued.After(after), "life %s: issued between %s and %s, taken for %s: has Kubernetes' signer changed?", life, before, after, issued)
	}
}

// Whoever administers clusters does not get Secrets by having them sent somewhere.
func TestClustersNameReadableSecrets(t *testing.T) {
	t.Parallel()
	const who = "cluster-person"
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "test-" + who},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "flotilla-admin"}, Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: who}}}
	create(t, binding)
	t.Cleanup(func() { _ = fed.Delete(context.Background(), binding) })
	person := as(t, who)
	eventually(t, func() bool { return allowed(t, person, "create", "cluster.karmada.io", "clusters", "") }, "the role is bound")
	lure := clusterNamed("lure")
	lure.Spec.APIEndpoint = "https://mine.example.com"
	lure.Spec.SecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: "kube-system", Name: "bootstrap-token-abcdef"}
	err := clientFor(t, person).Create(t.Context(), lure)
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	require.ErrorContains(t, err, "kube-system/bootstrap-token-abcdef")
	require.NoError(t, fed.Create(t.Context(), lure), "an administrator of everything may")
	t.Cleanup(func() { _ = fed.Delete(context.Background(), lure) })
	lure.Spec.APIEndpoint = "https://other.example.com"
	err = clientFor(t, person).Update(t.Context(), lure)
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	lure.Spec.APIEndpoint, lure.Labels = "https://mine.example.com", map[string]string{"env": "test"}
	require.NoError(t, clientFor(t, person).Update(t.Context(), lure), "what sends nothing elsewhere goes on")
}
