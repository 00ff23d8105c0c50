package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

const testToken = "s3cret-token"

// lab is a proxy behind a server of its own, in front of a member.
type lab struct {
	t       *testing.T
	cluster *clusterv1alpha1.Cluster
	secrets map[string]map[string][]byte // by name, all in karmada-cluster
	caller  user.Info
	proxy   *proxyREST
	front   *httptest.Server
	reads   []string // the Secrets that were read
}

// newLab puts a proxy in front of a member that answers with handler.
func newLab(t *testing.T, handler http.Handler) *lab {
	t.Helper()
	member := httptest.NewUnstartedServer(handler)
	member.EnableHTTP2 = true
	member.StartTLS()
	t.Cleanup(member.Close)
	l := &lab{
		t: t,
		cluster: &clusterv1alpha1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Name: "eu"},
			Spec: clusterv1alpha1.ClusterSpec{
				SyncMode:              clusterv1alpha1.Pull,
				APIEndpoint:           member.URL,
				SecretRef:             &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-cluster", Name: "eu"},
				ImpersonatorSecretRef: &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-cluster", Name: "eu-impersonator"},
			},
		},
		secrets: map[string]map[string][]byte{
			"eu":              {"caBundle": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: member.Certificate().Raw}), "token": []byte("for the control plane")},
			"eu-impersonator": {"token": []byte(testToken + "\n")},
		},
		caller: &user.DefaultInfo{Name: "alice", Groups: []string{"dev", "system:authenticated"}},
	}
	l.proxy = newProxy(l.getCluster, l.getSecret)
	l.front = httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(l.front.Close)
	t.Cleanup(l.proxy.Destroy)
	return l
}

func (l *lab) getCluster(_ context.Context, name string) (*clusterv1alpha1.Cluster, error) {
	if l.cluster == nil || name != l.cluster.Name {
		return nil, apierrors.NewNotFound(clusterv1alpha1.Resource("clusters"), name)
	}
	return l.cluster, nil
}

func (l *lab) getSecret(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	l.reads = append(l.reads, namespace+"/"+name)
	data, ok := l.secrets[name]
	if !ok || namespace != "karmada-cluster" {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
	}
	return &corev1.Secret{Data: data}, nil
}

// serve does what the API server does around a Connecter.
func (l *lab) serve(w http.ResponseWriter, req *http.Request) {
	ctx := req.Context()
	if l.caller != nil {
		ctx = genericapirequest.WithUser(ctx, l.caller)
	}
	path := strings.TrimPrefix(req.URL.Path, "/proxy")
	handler, err := l.proxy.Connect(ctx, "eu", &clusterv1alpha1.ClusterProxyOptions{Path: path}, answer{w})
	if err != nil {
		answer{w}.Error(err)
		return
	}
	handler.ServeHTTP(w, req.WithContext(ctx))
}

// answer is a rest.Responder.
type answer struct{ w http.ResponseWriter }

func (a answer) Object(int, runtime.Object) { panic("a proxy has no objects") }

func (a answer) Error(err error) {
	status := metav1.Status{Code: http.StatusInternalServerError, Message: err.Error()}
	var known apierrors.APIStatus
	if errors.As(err, &known) {
		status = known.Status()
	}
	a.w.WriteHeader(int(status.Code))
	_ = json.NewEncoder(a.w).Encode(status)
}

// do sends a request through the proxy and returns what came back.
func (l *lab) do(method, path string, header http.Header) (int, string) {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), method, l.front.URL+path, nil)
	require.NoError(l.t, err)
	if header != nil {
		req.Header = header
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	require.NoError(l.t, err)
	defer closing(resp.Body)
	body, err := io.ReadAll(resp.Body)
	require.NoError(l.t, err)
	return resp.StatusCode, string(body)
}

// echo is a member that tells what it was asked.
type echo struct {
	Method, Path, Query, Host, Proto string
	Header                           http.Header
}

var echoing = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
	_ = json.NewEncoder(w).Encode(echo{req.Method, req.URL.Path, req.URL.RawQuery, req.Host, req.Proto, req.Header})
})

// ask sends a request to an echoing member and returns what that saw.
func (l *lab) ask(method, path string, header http.Header) echo {
	l.t.Helper()
	code, body := l.do(method, path, header)
	require.Equal(l.t, http.StatusOK, code, body)
	var e echo
	require.NoError(l.t, json.Unmarshal([]byte(body), &e))
	return e
}

// anotherCA is a certificate that no member has.
func anotherCA(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// jsonText is how a text looks inside a JSON string.
func jsonText(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(raw[1 : len(raw)-1])
}

// closing is for defer, where what Close says is of no use.
func closing(c io.Closer) { _ = c.Close() }
