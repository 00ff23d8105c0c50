package revocation

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/identity"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// request is one with a client certificate issued at a time.
func request(ctx context.Context, cn string, issued time.Time) *http.Request {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://fed/api", http.NoBody)
	if err != nil {
		panic(err)
	}
	if cn != "" {
		req.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{
			Subject: pkix.Name{CommonName: cn}, NotBefore: issued.Add(-5 * time.Minute), NotAfter: issued.Add(time.Hour),
		}}}
	}
	return req
}

// known authenticates everybody as this user.
func known(name string, groups ...string) authenticator.Request {
	return authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		return &authenticator.Response{User: &user.DefaultInfo{Name: name, Groups: groups}}, true, nil
	})
}

func TestWhoIsRefused(t *testing.T) {
	tests := map[string]struct {
		reason  string
		inner   authenticator.Request
		cert    string
		issued  time.Time
		refused bool
	}{
		"revoked":              {"issued before", known("system:cluster:eu", "system:clusters"), "system:cluster:eu", noon.Add(-time.Hour), true},
		"revoked, just then":   {"at or before", known("system:cluster:eu", "system:clusters"), "system:cluster:eu", noon, true},
		"joined again":         {"issued after", known("system:cluster:eu", "system:clusters"), "system:cluster:eu", noon.Add(time.Second), false},
		"another cluster":      {"nobody revoked it", known("system:cluster:ap", "system:clusters"), "system:cluster:ap", noon.Add(-time.Hour), false},
		"no agent":             {"people are not revoked like this", known("system:cluster:eu", "devs"), "system:cluster:eu", noon.Add(-time.Hour), false},
		"hosted":               {"the controllers speak for it, without a certificate", known("system:cluster:eu", "system:clusters"), "", noon, false},
		"by a front proxy":     {"the certificate is the proxy's", known("system:cluster:eu", "system:clusters"), "flotilla-front-proxy", noon.Add(-time.Hour), false},
		"more groups":          {"it is an agent all the same", known("system:cluster:eu", "devs", "system:clusters"), "system:cluster:eu", noon.Add(-time.Hour), true},
		"group alone, unnamed": {"no cluster is called that", known("eu", "system:clusters"), "eu", noon.Add(-time.Hour), true},
	}
	guard := New()
	guard.set(identity.Revocations{"eu": noon})
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			response, ok, err := guard.Wrap(tt.inner).AuthenticateRequest(request(t.Context(), tt.cert, tt.issued))
			if tt.refused {
				require.ErrorIs(t, err, ErrRevoked, tt.reason)
				assert.False(t, ok)
				assert.Nil(t, response)
				return
			}
			require.NoError(t, err, tt.reason)
			assert.True(t, ok)
			assert.NotNil(t, response)
		})
	}
}

func TestOthersErrorsAreTheirOwn(t *testing.T) {
	guard, broken := New(), errors.New("broken")
	_, ok, err := guard.Wrap(authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		return nil, false, broken
	})).AuthenticateRequest(request(t.Context(), "system:cluster:eu", noon))
	require.ErrorIs(t, err, broken)
	assert.False(t, ok)
	_, ok, err = guard.Wrap(authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		return nil, false, nil
	})).AuthenticateRequest(request(t.Context(), "system:cluster:eu", noon))
	require.NoError(t, err)
	assert.False(t, ok, "nobody is nobody")
}

func TestFailsClosed(t *testing.T) {
	guard := New()
	guard.patience = 10 * time.Millisecond
	agent := known("system:cluster:eu", "system:clusters")
	require.Error(t, guard.Check().Check(nil))
	_, ok, err := guard.Wrap(agent).AuthenticateRequest(request(t.Context(), "system:cluster:eu", noon))
	require.ErrorIs(t, err, ErrUnknown)
	assert.False(t, ok)
	_, ok, err = guard.Wrap(known("jane", "devs")).AuthenticateRequest(request(t.Context(), "jane", noon))
	require.NoError(t, err)
	assert.True(t, ok, "people do not wait")

	guard.patience = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = guard.Wrap(agent).AuthenticateRequest(request(ctx, "system:cluster:eu", noon))
	require.ErrorIs(t, err, ErrUnknown, "nobody waits for the answer")

	answered := make(chan error, 1)
	go func() {
		_, _, err := guard.Wrap(agent).AuthenticateRequest(request(t.Context(), "system:cluster:eu", noon))
		answered <- err
	}()
	guard.begin()
	require.NoError(t, <-answered, "what waited goes on")
	require.NoError(t, guard.Check().Check(nil))
}

func TestWhatIsSaidIsNotForgotten(t *testing.T) {
	guard := New()
	guard.set(identity.Revocations{"eu": noon})
	guard.begin()
	_, _, err := guard.Wrap(known("system:cluster:eu", "system:clusters")).AuthenticateRequest(request(t.Context(), "system:cluster:eu", noon))
	require.ErrorIs(t, err, ErrRevoked, "the news came before the end of the first list")
}

func TestRunFollowsTheConfigMap(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	client, guard := fake.NewClientset(), New()
	configMaps := client.CoreV1().ConfigMaps("kube-system")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- guard.Run(ctx, client) }()

	agent := guard.Wrap(known("system:cluster:eu", "system:clusters"))
	refused := func() bool {
		_, _, err := agent.AuthenticateRequest(request(t.Context(), "system:cluster:eu", noon))
		return errors.Is(err, ErrRevoked)
	}
	require.Eventually(t, func() bool { return guard.Check().Check(nil) == nil }, 10*time.Second, time.Millisecond, "there is none, and that is known")
	assert.False(t, refused())

	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: names.RevokedAgents}, Data: map[string]string{"eu": noon.Format(time.RFC3339)}}
	_, err := configMaps.Create(t.Context(), configMap, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, refused, 10*time.Second, time.Millisecond, "created")

	configMap.Data["eu"] = noon.Add(-time.Hour).Format(time.RFC3339)
	_, err = configMaps.Update(t.Context(), configMap, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !refused() }, 10*time.Second, time.Millisecond, "updated")

	configMap.Data["eu"] = "yesterday"
	_, err = configMaps.Update(t.Context(), configMap, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.Eventually(t, refused, 10*time.Second, time.Millisecond, "what cannot be read revokes")

	require.NoError(t, configMaps.Delete(t.Context(), names.RevokedAgents, metav1.DeleteOptions{}))
	require.Eventually(t, func() bool { return !refused() }, 10*time.Second, time.Millisecond, "deleted")
	cancel()
	require.NoError(t, <-done)
}
