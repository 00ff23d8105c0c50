package istiod

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakeistiod"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newCA(t *testing.T, name string) *fakeistiod.CA {
	t.Helper()
	ca, err := fakeistiod.NewCA(name)
	require.NoError(t, err)
	return ca
}

// start runs an istiod, and connects to it.
func start(t *testing.T, answers fakeistiod.Answers) (*fakeistiod.Server, *Client) {
	t.Helper()
	if answers.CA == nil {
		answers.CA = newCA(t, "root")
	}
	server, err := fakeistiod.New(answers.CA, answers)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return server, connect(t, server, fakeistiod.PEM(answers.CA.Root), func(context.Context) (string, error) { return "a token", nil })
}

func connect(t *testing.T, server *fakeistiod.Server, roots string, token func(context.Context) (string, error)) *Client {
	t.Helper()
	secure, _ := server.Ports()
	client, err := Connect(net.JoinHostPort("127.0.0.1", strconv.Itoa(int(secure))), []byte(roots), token)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

var node = Node{ClusterID: "eu", Network: "network-eu", ServiceAccount: "reader"}

func open(t *testing.T, client *Client) *Session {
	t.Helper()
	session, err := client.Open(t.Context(), t.Context(), node)
	require.NoError(t, err)
	t.Cleanup(session.Close)
	return session
}

func TestSession(t *testing.T) {
	hello := ClusterName("hello.default.svc.cluster.local", 80)
	server, client := start(t, fakeistiod.Answers{
		Pages: map[string]string{
			"clusterz": `[{"id":"eu","syncStatus":"synced"},{"id":"ap","secretName":"istio-system/s","syncStatus":"syncing"}]`,
			"networkz": `[{"Network":"network-ap","Cluster":"ap","Addr":"1.2.3.4","Port":15443}]`,
		},
		Endpoints: map[string][]string{hello: {"10.0.0.1:8080 eu", "1.2.3.4:15443"}},
	})
	session := open(t, client)
	for range 2 {
		// What comes from a subscription that was ended is no answer.
		server.Push(hello, "10.9.9.9:8080")
		clusters, err := session.Clusters(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []Cluster{{ID: "eu", SyncStatus: "synced"}, {ID: "ap", SecretName: "istio-system/s", SyncStatus: "syncing"}}, clusters)
		gateways, err := session.Gateways(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []Gateway{{Network: "network-ap", Cluster: "ap", Addr: "1.2.3.4", Port: 15443}}, gateways)

		endpoints, err := session.Endpoints(t.Context(), []string{hello, ClusterName("none", 1)})
		require.NoError(t, err)
		assert.Equal(t, map[string][]Endpoint{hello: {{"10.0.0.1:8080", "eu"}, {"1.2.3.4:15443", ""}}, ClusterName("none", 1): {}}, endpoints)
	}
	assert.Eventually(t, func() bool { return server.Asked("unsubscribe") == 2 }, 5*time.Second, time.Millisecond, "nothing is watched in between")
	tokens, nodes := server.Seen()
	require.Len(t, nodes, 1)
	assert.Equal(t, []string{"a token"}, tokens)
	assert.Equal(t, "router~192.0.2.1~flotilla-agent.istio-system~istio-system.svc.cluster.local", nodes[0].Id)
	assert.Equal(t, "network-eu", nodes[0].Metadata.Fields["NETWORK"].GetStringValue())
}

func TestPagesThatCannotBeRead(t *testing.T) {
	_, client := start(t, fakeistiod.Answers{Pages: map[string]string{"clusterz": "null", "networkz": "null"}})
	session := open(t, client)
	clusters, err := session.Clusters(t.Context())
	require.NoError(t, err)
	assert.Empty(t, clusters)
	gateways, err := session.Gateways(t.Context())
	require.NoError(t, err)
	assert.Empty(t, gateways)

	server, client := start(t, fakeistiod.Answers{})
	session = open(t, client)
	_, err = session.Clusters(t.Context())
	require.ErrorIs(t, err, ErrPage)
	require.ErrorContains(t, err, "ENABLE_DEBUG_ON_HTTP")
	server.Set(func(a *fakeistiod.Answers) { a.Pages = map[string]string{"networkz": `{"x": 1}`} })
	_, err = session.Gateways(t.Context())
	require.ErrorIs(t, err, ErrPage)
}

// An istiod that hangs holds nobody up for longer than he wants to wait.
func TestHang(t *testing.T) {
	server, client := start(t, fakeistiod.Answers{Pages: map[string]string{"clusterz": "[]"}})
	session := open(t, client)
	_, err := session.Clusters(t.Context())
	require.NoError(t, err)
	server.Set(func(a *fakeistiod.Answers) { a.Hang = true })
	short := func() (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("patience"))
	}
	ctx, cancel := short()
	defer cancel()
	_, err = session.Clusters(ctx)
	require.ErrorContains(t, err, "does not answer: patience")
	_, err = session.Clusters(t.Context())
	require.Error(t, err, "an answer that comes late would be taken for one to another question")

	ctx, cancel = short()
	defer cancel()
	request, err := NewRequest()
	require.NoError(t, err)
	_, err = client.Sign(ctx, request)
	require.Error(t, err)
}

// Nobody accepts the connection, and nobody says so.
func TestOpenDoesNotWaitForEver(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	client, err := Connect(listener.Addr().String(), []byte(fakeistiod.PEM(newCA(t, "root").Root)), func(context.Context) (string, error) { return "a token", nil })
	require.NoError(t, err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = client.Open(ctx, t.Context(), node)
	require.Error(t, err)
	assert.Less(t, time.Since(began), 10*time.Second)
}

func TestWhoIsAsked(t *testing.T) {
	server, client := start(t, fakeistiod.Answers{Refuse: true})
	request, err := NewRequest()
	require.NoError(t, err)
	_, err = client.Sign(t.Context(), request)
	assert.True(t, Unauthenticated(err), "%v", err)
	_, err = open(t, client).Clusters(t.Context())
	assert.True(t, Unauthenticated(err), "%v", err)

	// Somebody else, to whom the token is not shown.
	stranger := connect(t, server, fakeistiod.PEM(newCA(t, "another root").Root), func(context.Context) (string, error) { return "a token", nil })
	_, err = stranger.Sign(t.Context(), request)
	require.ErrorContains(t, err, "unknown authority")
	tokens, _ := server.Seen()
	assert.Empty(t, tokens)

	_, err = Connect("127.0.0.1:1", []byte("no certificate"), nil)
	require.Error(t, err, "nobody is trusted blindly")
}

func TestEffect(t *testing.T) {
	first, second := newCA(t, "first"), newCA(t, "second")
	fingerprint := func(c *x509.Certificate) string { return string(trust.FingerprintOf(c)) }
	server, client := start(t, fakeistiod.Answers{CA: first})
	request, err := NewRequest()
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		ca     *fakeistiod.CA
		roots  []*x509.Certificate
		signer string
		broken bool
	}{
		"OneRoot":     {ca: first, roots: []*x509.Certificate{first.Root}, signer: fingerprint(first.Root)},
		"Both":        {ca: first, roots: []*x509.Certificate{second.Root, first.Root}, signer: fingerprint(first.Root)},
		"OtherSigner": {ca: second, roots: []*x509.Certificate{second.Root, first.Root}, signer: fingerprint(second.Root)},
		"WrongRoot":   {ca: second, roots: []*x509.Certificate{first.Root}, broken: true},
		"SelfSigned":  {ca: &fakeistiod.CA{}, signer: fingerprint(first.Intermediate)},
	} {
		t.Run(name, func(t *testing.T) {
			self := name == "SelfSigned" // istiod without cacerts: what signs is the root
			if self {
				tc.ca, tc.roots = first, []*x509.Certificate{first.Intermediate}
			}
			server.Set(func(a *fakeistiod.Answers) { a.CA, a.Roots = tc.ca, tc.roots })
			signed, err := client.Sign(t.Context(), request)
			require.NoError(t, err)
			effect, broken := signed.Effect()
			assert.Equal(t, tc.broken, broken != "", broken)
			var roots []string
			for _, root := range tc.roots {
				roots = append(roots, fingerprint(root))
			}
			assert.Equal(t, roots, effect.Roots, "in istiod's order")
			assert.Equal(t, tc.signer, effect.Signer)
			if tc.broken {
				return
			}
			intermediate := fingerprint(tc.ca.Intermediate)
			if self {
				intermediate = ""
			}
			assert.Equal(t, intermediate, effect.Intermediate)
			assert.Equal(t, tc.ca.Intermediate.NotAfter, effect.Expires.Time)
			_, err = signed.Certificate.Leaf.Verify(x509.VerifyOptions{Roots: signed.Pool(), Intermediates: pool(tc.ca.Intermediate), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
			if !self {
				require.NoError(t, err)
			}
		})
	}
}

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

func TestVersion(t *testing.T) {
	server, _ := start(t, fakeistiod.Answers{})
	_, monitoring := server.Ports()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	version, err := Version(t.Context(), client, fmt.Sprintf("127.0.0.1:%d", monitoring))
	require.NoError(t, err)
	assert.Equal(t, "1.31.1", version)
	for text, want := range map[string]string{"1.31.0-rc.1-abc-Clean": "1.31.0-rc.1", "1.31.1": "1.31.1", "unknown-unknown-unknown\n": "unknown", "": ""} {
		assert.Equal(t, want, parseVersion(text))
	}
}

// Whoever is in between can answer what he likes. He sends the agent nowhere with it, and
// puts nothing before people but a version.
func TestVersionOfSomebodyElse(t *testing.T) {
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { elsewhere++; _, _ = w.Write([]byte("secret")) }))
	t.Cleanup(other.Close)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for name, answer := range map[string]http.HandlerFunc{
		"Redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/version", http.StatusFound)
		},
		"Escapes": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("1.31.1\x1b[2Kall is well")) },
		"Long":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("1"), 1<<20)) },
		"Nothing": func(http.ResponseWriter, *http.Request) {},
		"Page":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>-a-b")) },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(answer)
			t.Cleanup(server.Close)
			version, err := Version(t.Context(), client, server.Listener.Addr().String())
			require.ErrorIs(t, err, ErrPage)
			assert.Empty(t, version)
		})
	}
	assert.Zero(t, elsewhere)
}

func TestLocate(t *testing.T) {
	service := func(name, revision string, change ...func(*corev1.Service)) corev1.Service {
		s := corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "istio-system", Labels: map[string]string{}}}
		if revision != "" {
			s.Labels["istio.io/rev"] = revision
		}
		s.Spec.Ports = []corev1.ServicePort{{Name: "grpc-xds", Port: 15010}, {Name: "https-dns", Port: 15012}, {Name: "http-monitoring", Port: 15014}}
		for _, c := range change {
			c(&s)
		}
		return s
	}
	balanced := func(s *corev1.Service) { s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "1.2.3.4"}} }
	numbered := func(s *corev1.Service) { s.Spec.Ports = []corev1.ServicePort{{Name: "x", Port: 15012}} }
	none := func(s *corev1.Service) { s.Spec.Ports = nil }
	cases := map[string]struct {
		reason   string
		services []corev1.Service
		outside  bool
		want     Location
		err      error
	}{
		"InCluster":  {reason: "By its name.", services: []corev1.Service{service("istiod", "default")}, want: Location{Secure: "istiod.istio-system.svc:15012", Monitoring: "istiod.istio-system.svc:15014"}},
		"Default":    {reason: "The revision that is used without a label.", services: []corev1.Service{service("istiod-a", "a"), service("istiod", "default")}, want: Location{Secure: "istiod.istio-system.svc:15012", Monitoring: "istiod.istio-system.svc:15014"}},
		"NoRevision": {reason: "As installed before revisions.", services: []corev1.Service{service("istiod-a", "a"), service("istiod-z", "")}, want: Location{Secure: "istiod-z.istio-system.svc:15012", Monitoring: "istiod-z.istio-system.svc:15014"}},
		"First":      {reason: "Always the same one.", services: []corev1.Service{service("istiod-b", "b"), service("istiod-a", "a")}, want: Location{Secure: "istiod-a.istio-system.svc:15012", Monitoring: "istiod-a.istio-system.svc:15014"}},
		"Outside":    {reason: "Where the load balancer is.", services: []corev1.Service{service("istiod", "", balanced)}, outside: true, want: Location{Secure: "1.2.3.4:15012", Monitoring: "1.2.3.4:15014"}},
		"NotOutside": {reason: "Names of the cluster mean nothing there.", services: []corev1.Service{service("istiod", "")}, outside: true, err: ErrNoAddress},
		"ByNumber":   {reason: "The port has another name, and there is no other.", services: []corev1.Service{service("istiod", "", numbered)}, want: Location{Secure: "istiod.istio-system.svc:15012"}},
		"NoPort":     {reason: "It is something else.", services: []corev1.Service{service("istiod", "", none)}, err: ErrNoAddress},
		"None":       {reason: "Istio is not there.", err: ErrNotInstalled},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Locate(tc.services, tc.outside)
			require.ErrorIs(t, err, tc.err, tc.reason)
			assert.Equal(t, tc.want, got, tc.reason)
		})
	}
}

func TestReady(t *testing.T) {
	var all []Slice
	require.NoError(t, json.Unmarshal([]byte(`[
		{"endpoints": [{"addresses": ["10.0.0.2"], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": "istiod-b"}}, {"addresses": ["10.0.0.1"], "conditions": {}}, {"addresses": ["10.0.0.3"], "conditions": {"ready": false}}],
		 "ports": [{"name": "https-dns", "port": 15012}, {"name": "http-monitoring", "port": 15014}]},
		{"endpoints": [{"addresses": ["10.0.0.2"], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": "istiod-b"}}, {"addresses": ["fd00::1"]}], "ports": [{"name": "https-dns", "port": 15012}]},
		{"endpoints": [{"addresses": ["fd00::2"], "targetRef": {"kind": "Pod", "name": "istiod-b"}}], "ports": [{"name": "https-dns", "port": 15012}, {"name": "http-monitoring", "port": 15014}]},
		{"endpoints": [{"addresses": ["10.0.0.9"]}], "ports": [{"name": "https-webhook", "port": 15017}]}
	]`), &all))
	var secure, known []string
	for _, at := range Ready(all) {
		secure, known = append(secure, at.Secure), append(known, at.String())
	}
	assert.Equal(t, []string{"10.0.0.1:15012", "10.0.0.2:15012", "[fd00::1]:15012"}, secure, "each that is ready, once, in order")
	assert.Equal(t, []string{"10.0.0.1:15012", "istiod-b", "[fd00::1]:15012"}, known, "by the pod's name, or else its address")
	assert.Empty(t, Ready(nil))
}
