package cluster

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fleet counts the agents a Host makes and runs.
type fleet struct {
	made, running, most atomic.Int32
	fail                error
	runErr              error
}

type hostedFunc func(context.Context) error

func (f hostedFunc) Run(ctx context.Context) error { return f(ctx) }

func (f *fleet) factory(*clusterv1alpha1.Cluster, *rest.Config) (Hosted, error) {
	if f.fail != nil {
		return nil, f.fail
	}
	f.made.Add(1)
	return hostedFunc(func(ctx context.Context) error {
		f.most.Store(max(f.most.Load(), f.running.Add(1)))
		defer f.running.Add(-1)
		if f.runErr != nil {
			return f.runErr
		}
		<-ctx.Done()
		return nil
	}), nil
}

func startHost(t *testing.T, h *Host) context.CancelFunc {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Start(ctx) }()
	stop := func() {
		cancel()
		require.NoError(t, <-done)
		close(done)
	}
	eu := &clusterv1alpha1.Cluster{}
	require.Eventually(t, func() bool {
		ready, err := h.Ensure(eu, nil, "probe")
		return ready && err == nil
	}, 10*time.Second, time.Millisecond)
	h.Stop("")
	return stop
}

func TestHost(t *testing.T) {
	f := &fleet{}
	h := NewHost(f.factory)
	eu := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu"}}
	ready, err := h.Ensure(eu, nil, "1")
	require.NoError(t, err)
	assert.False(t, ready, "not before Start")

	stop := startHost(t, h)
	f.made.Store(0)
	for _, fingerprint := range []string{"1", "1", "2"} {
		_, err := h.Ensure(eu, nil, fingerprint)
		require.NoError(t, err)
	}
	assert.Equal(t, int32(2), f.made.Load(), "one per fingerprint")
	require.Eventually(t, func() bool { return f.running.Load() == 1 }, 10*time.Second, time.Millisecond)
	assert.Equal(t, int32(1), f.most.Load(), "never two at a time")

	h.Stop("eu")
	assert.Zero(t, f.running.Load(), "Stop waits for the end")
	_, err = h.Ensure(eu, nil, "2")
	require.NoError(t, err)
	stop()
	assert.Zero(t, f.running.Load(), "so does the end of Start")
	ready, err = h.Ensure(eu, nil, "3")
	require.NoError(t, err)
	assert.False(t, ready, "none is started after the end")
}

func TestHostStartsAnotherAgentWhenOneEnds(t *testing.T) {
	f := &fleet{runErr: errors.New("no")}
	h := NewHost(f.factory)
	defer startHost(t, h)()
	f.made.Store(0)
	_, err := h.Ensure(&clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu"}}, nil, "1")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return f.made.Load() >= 2 }, 10*time.Second, time.Millisecond)
}

func TestHostReportsAgentsThatCannotBeMade(t *testing.T) {
	f := &fleet{}
	h := NewHost(f.factory)
	defer startHost(t, h)()
	f.fail = errors.New("no")
	_, err := h.Ensure(&clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu"}}, nil, "1")
	require.ErrorIs(t, err, f.fail)
}

func testCA(t *testing.T) []byte {
	t.Helper()
	pem, _, err := cert.GenerateSelfSignedCertKey("eu.example", nil, nil)
	require.NoError(t, err)
	return pem
}

func TestMemberConfig(t *testing.T) {
	ca := testCA(t)
	type change = func(c *clusterv1alpha1.Cluster, s *corev1.Secret)
	cases := map[string]struct {
		reason string
		change change
		bad    string // part of the message; empty: it works
	}{
		"Complete":   {"endpoint, token and CA", func(*clusterv1alpha1.Cluster, *corev1.Secret) {}, ""},
		"NoEndpoint": {"nowhere to go", func(c *clusterv1alpha1.Cluster, _ *corev1.Secret) { c.Spec.APIEndpoint = "" }, "spec.apiEndpoint"},
		"NoToken":    {"nobody to be", func(_ *clusterv1alpha1.Cluster, s *corev1.Secret) { delete(s.Data, "token") }, `"token"`},
		"NoCA":       {"nobody to trust", func(_ *clusterv1alpha1.Cluster, s *corev1.Secret) { delete(s.Data, "caBundle") }, `"caBundle"`},
		"BadCA":      {"no certificate", func(_ *clusterv1alpha1.Cluster, s *corev1.Secret) { s.Data["caBundle"] = []byte("x") }, "karmada-cluster/eu"},
		"Insecure": {"trust anybody", func(c *clusterv1alpha1.Cluster, s *corev1.Secret) {
			c.Spec.InsecureSkipTLSVerification = true
			s.Data["caBundle"] = []byte("x")
		}, ""},
		"BadProxy": {"no URL", func(c *clusterv1alpha1.Cluster, _ *corev1.Secret) { c.Spec.ProxyURL = "://" }, "spec.proxyURL"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu"}, Spec: clusterv1alpha1.ClusterSpec{APIEndpoint: "https://eu.example"}}
			s := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-cluster", Name: "eu"},
				Data:       map[string][]byte{"token": []byte("t"), "caBundle": ca},
			}
			tc.change(c, s)
			cfg, err := memberConfig(c, s)
			if tc.bad != "" {
				require.ErrorIs(t, err, ErrCredentials, tc.reason)
				assert.Contains(t, err.Error(), tc.bad)
				assert.Contains(t, err.Error(), "cluster eu")
				return
			}
			require.NoError(t, err, tc.reason)
			assert.Equal(t, "t", cfg.BearerToken)
		})
	}
}

func TestProxyHeader(t *testing.T) {
	shared := &http.Transport{}
	wrapped, ok := withProxyHeader(map[string]string{"X-A": "b"})(shared).(*http.Transport)
	require.True(t, ok)
	assert.Equal(t, "b", wrapped.ProxyConnectHeader.Get("X-A"))
	assert.Nil(t, shared.ProxyConnectHeader, "client-go shares transports between clients")
}
