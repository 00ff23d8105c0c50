package apiserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func gone(t *testing.T, obj client.Object) func() bool {
	t.Helper()
	return func() bool { return apierrors.IsNotFound(fed.Get(t.Context(), client.ObjectKeyFromObject(obj), obj)) }
}

func TestOwnersTakeWhatTheyOwnAlong(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	d := deployment(ns, "web")
	create(t, d)
	b := bind(t, d)
	owned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "c", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "apps/v1", Kind: "Deployment", Name: d.Name, UID: d.UID}}}}
	create(t, owned)
	require.NoError(t, fed.Delete(t.Context(), d))
	eventually(t, gone(t, b), "the binding of a Deployment")
	eventually(t, gone(t, owned), "a ConfigMap of a Deployment")

	orphaned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "o", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: "never-was", UID: "x"}}}}
	create(t, orphaned)
	eventually(t, gone(t, orphaned), "an owner that was never there")
}

func TestNamespacesEmpty(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	d := deployment(ns, "web")
	create(t, policy(ns, "p", allDeployments), d, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "s"}})
	b := bind(t, d)
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}
	require.NoError(t, fed.Delete(t.Context(), object))
	eventually(t, gone(t, object), "a namespace with templates, policies and bindings")
	require.True(t, gone(t, b)())
}

// The namespace of a cluster has Works nobody can delete. It goes all the same,
// also while the cluster is there; its controller makes it anew.
func TestExecutionNamespacesEmpty(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	c := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "leaving"}, Spec: clusterv1alpha1.ClusterSpec{SyncMode: "Pull"}}
	execution := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "karmada-es-leaving"}}
	create(t, c, execution)
	d, _ := placed(t, ns, "web", "leaving")
	computed := workOf(t, d, "leaving")
	stored := configMapWork("leaving", "mine")
	create(t, stored)

	require.NoError(t, fed.Delete(t.Context(), execution))
	eventually(t, gone(t, execution), "with the cluster registered")
	require.True(t, gone(t, stored)(), "what somebody made is gone")
	require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(computed), computed), "what is computed is not")

	execution = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "karmada-es-leaving"}}
	create(t, execution)
	assert.Empty(t, report(t, clientFor(t, agentOf(t, "leaving")), "leaving", observed(computed, `{}`)), "and the agent goes on")
	require.NoError(t, fed.Delete(t.Context(), c))
	require.NoError(t, fed.Delete(t.Context(), execution))
	eventually(t, gone(t, execution), "after the cluster has left")
	err := fed.List(t.Context(), &workv1alpha1.WorkList{}, client.InNamespace("karmada-es-leaving"))
	require.True(t, apierrors.IsNotFound(err), "%v", err)
}

func TestServiceAccounts(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	eventually(t, func() bool {
		_, err := fed.kube.CoreV1().ServiceAccounts(ns).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	}, "every namespace has a default service account")
	eventually(t, func() bool {
		cm, err := fed.kube.CoreV1().ConfigMaps(ns).Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
		return err == nil && cm.Data["ca.crt"] == string(fed.admin.CAData)
	}, "and the CA")

	answer, err := fed.kube.CoreV1().ServiceAccounts(ns).CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](600)}}, metav1.CreateOptions{})
	require.NoError(t, err)
	user := whoIs(t, answer.Status.Token)
	assert.Equal(t, "system:serviceaccount:"+ns+":default", user.Username)

	// The way of old: a Secret that asks for a token.
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "token", Annotations: map[string]string{corev1.ServiceAccountNameKey: "default"}},
		Type:       corev1.SecretTypeServiceAccountToken,
	}
	create(t, secret)
	eventually(t, func() bool {
		require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(secret), secret))
		return len(secret.Data[corev1.ServiceAccountTokenKey]) > 0
	}, "the token of a Secret")
	assert.Equal(t, user.Username, whoIs(t, string(secret.Data[corev1.ServiceAccountTokenKey])).Username)

	cfg := rest.AnonymousClientConfig(fed.admin)
	cfg.BearerToken = answer.Status.Token + "x"
	kube, err := kubernetes.NewForConfig(cfg)
	require.NoError(t, err)
	_, err = kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	require.True(t, apierrors.IsUnauthorized(err), "%v", err)
}

func whoIs(t *testing.T, token string) authenticationv1.UserInfo {
	t.Helper()
	cfg := rest.AnonymousClientConfig(fed.admin)
	cfg.BearerToken = token
	kube, err := kubernetes.NewForConfig(cfg)
	require.NoError(t, err)
	review, err := kube.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	require.NoError(t, err)
	return review.Status.UserInfo
}

func TestRBAC(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	kube, err := kubernetes.NewForConfig(as(t, "jane", "devs"))
	require.NoError(t, err)
	list := func() error {
		_, err := kube.AppsV1().Deployments(ns).List(t.Context(), metav1.ListOptions{})
		return err
	}
	require.True(t, apierrors.IsForbidden(list()))
	create(t,
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "devs"},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "devs"}}})
	eventually(t, func() bool { return list() == nil }, "bound to edit")
	_, err = kube.AppsV1().Deployments("default").List(t.Context(), metav1.ListOptions{})
	require.True(t, apierrors.IsForbidden(err))

	// A label makes something part of edit: ClusterRoles are aggregated.
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: ns + "-bindings", Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-edit": "true"}},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"work.karmada.io"}, Resources: []string{"resourcebindings"}, Verbs: []string{"*"}}},
	}
	jane := clientFor(t, as(t, "jane", "devs"))
	eventually(t, func() bool { return jane.Create(t.Context(), policy(ns, "p", allDeployments)) == nil }, "policies of a namespace are part of edit")
	none := &workv1alpha2.ResourceBinding{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "none"}}
	require.True(t, apierrors.IsForbidden(jane.Delete(t.Context(), none)))
	create(t, role)
	eventually(t, func() bool { return apierrors.IsNotFound(jane.Delete(t.Context(), none)) }, "aggregated")
	require.NoError(t, fed.Delete(t.Context(), role))

	anonymous, err := kubernetes.NewForConfig(rest.AnonymousClientConfig(fed.admin))
	require.NoError(t, err)
	_, err = anonymous.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	require.True(t, apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err), "%v", err)
	require.NoError(t, anonymous.Discovery().RESTClient().Get().AbsPath("/readyz").Do(t.Context()).Error(), "probes have no certificate")
}

// A certificate signing request of an agent, approved by a person.
func TestSigning(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	request := func(name string, subject pkix.Name) *certificatesv1.CertificateSigningRequest {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, key)
		require.NoError(t, err)
		return &certificatesv1.CertificateSigningRequest{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: certificatesv1.CertificateSigningRequestSpec{
				Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
				SignerName: certificatesv1.KubeAPIServerClientSignerName, Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
			},
		}
	}
	csr := request("agent-eu", pkix.Name{CommonName: "system:cluster:eu", Organization: []string{names.AgentGroup}})
	create(t, csr)
	csr.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "me"}}
	_, err = fed.kube.CertificatesV1().CertificateSigningRequests().UpdateApproval(t.Context(), csr.Name, csr, metav1.UpdateOptions{})
	require.NoError(t, err)
	eventually(t, func() bool {
		require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(csr), csr))
		return len(csr.Status.Certificate) > 0
	}, "signed")
	der, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	cfg := rest.AnonymousClientConfig(fed.admin)
	cfg.CertData, cfg.KeyData = csr.Status.Certificate, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	kube, err := kubernetes.NewForConfig(cfg)
	require.NoError(t, err)
	_, err = kube.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	require.NoError(t, err, "the certificate is good")

	err = fed.Create(t.Context(), request("root", pkix.Name{CommonName: "x", Organization: []string{"system:masters"}}))
	require.True(t, apierrors.IsForbidden(err), "nobody gets all rights by a request: %v", err)
}

func TestFinishedJobsStay(t *testing.T) {
	// Nothing runs here: a Job is a template until members report.
	ns := newNamespace(t)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "j"}, Spec: batchv1.JobSpec{
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}}}}}
	create(t, job)
	assert.Zero(t, job.Status.Active)
	pods, err := fed.kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Empty(t, pods.Items)
}

func TestAgentsSpeakForThemselves(t *testing.T) {
	agent := clientFor(t, agentOf(t, "self"))
	c := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "self"}, Spec: clusterv1alpha1.ClusterSpec{SyncMode: "Pull", ID: "id"}}
	require.NoError(t, agent.Create(t.Context(), c))
	defer func() { require.NoError(t, fed.Delete(t.Context(), c)) }()
	c.Status.KubernetesVersion = "v1.36.3"
	require.NoError(t, agent.Status().Update(t.Context(), c))
	err := agent.Create(t.Context(), &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: c.Spec})
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	err = agent.Create(t.Context(), &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{GenerateName: "self-"}, Spec: c.Spec})
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	c.Spec.SecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-cluster", Name: "of-another"}
	err = agent.Update(t.Context(), c)
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	require.ErrorContains(t, err, "spec")
	require.True(t, apierrors.IsForbidden(agent.Delete(t.Context(), c)))
}
