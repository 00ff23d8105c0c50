package cluster

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apiserver/pkg/authentication/user"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
)

func TestProxyForwards(t *testing.T) {
	l := newLab(t, echoing)
	tests := map[string]struct {
		reason, method, path string
		base                 string
		want                 string
	}{
		"path and query":  {"as they are", "GET", "/proxy/api/v1/nodes?limit=1&watch=true", "", "GET /api/v1/nodes limit=1&watch=true"},
		"root":            {"no redirect: the path of a member is never empty", "GET", "/proxy", "", "GET / "},
		"root, slash":     {"as above", "GET", "/proxy/", "", "GET / "},
		"trailing slash":  {"some handlers care", "GET", "/proxy/openapi/", "", "GET /openapi/ "},
		"endpoint's path": {"an endpoint may be behind a path", "GET", "/proxy/api", "/clusters/c-1", "GET /clusters/c-1/api "},
		"its root":        {"as above", "GET", "/proxy", "/clusters/c-1/", "GET /clusters/c-1/ "},
		"escaped":         {"names with percent signs stay what they are", "GET", "/proxy/a%2520b", "", "GET /a%20b "},
		"PUT":             {"every method", "PUT", "/proxy/x", "", "PUT /x "},
		"PATCH":           {"every method", "PATCH", "/proxy/x", "", "PATCH /x "},
		"DELETE":          {"every method", "DELETE", "/proxy/x", "", "DELETE /x "},
		"POST":            {"every method", "POST", "/proxy/x", "", "POST /x "},
		"OPTIONS":         {"every method", "OPTIONS", "/proxy/x", "", "OPTIONS /x "},
	}
	endpoint := l.cluster.Spec.APIEndpoint
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l.cluster.Spec.APIEndpoint = endpoint + tt.base
			got := l.ask(tt.method, tt.path, nil)
			assert.Equal(t, tt.want, fmt.Sprintf("%s %s %s", got.Method, got.Path, got.Query), tt.reason)
			assert.Equal(t, "HTTP/2.0", got.Proto, "one connection for all")
			assert.Contains(t, endpoint, got.Host, "the member's own name, not ours")
		})
	}
}

func TestProxyStaysInside(t *testing.T) {
	l := newLab(t, echoing)
	l.cluster.Spec.APIEndpoint += "/clusters/c-1"
	for _, path := range []string{"/proxy/../c-2/api", "/proxy/api/../../c-2", "/proxy/%2e%2e/c-2", "/proxy/.."} {
		code, body := l.do(http.MethodGet, path, nil)
		assert.Equal(t, http.StatusBadRequest, code, "%s: %s", path, body)
	}
	assert.Equal(t, "/clusters/c-1/..api", l.ask(http.MethodGet, "/proxy/..api", nil).Path, "dots are no crime")
}

func TestProxyRefuses(t *testing.T) {
	tests := map[string]struct {
		reason string
		change func(*lab)
		code   int
		want   string
	}{
		"no cluster":         {"as for a get", func(l *lab) { l.cluster.Name = "ap" }, 404, `"eu" not found`},
		"nobody":             {"there is no identity to go under", func(l *lab) { l.caller = nil }, 401, "who you are"},
		"empty name":         {"it would be the impersonator's own identity", func(l *lab) { l.caller = &user.DefaultInfo{} }, 401, "who you are"},
		"no endpoint":        {"an agent connects to us", func(l *lab) { l.cluster.Spec.APIEndpoint = "" }, 400, "cluster eu is in Pull mode and names no spec.apiEndpoint"},
		"no impersonator":    {"the other token may do everything", func(l *lab) { l.cluster.Spec.ImpersonatorSecretRef = nil }, 400, "cluster eu names no spec.impersonatorSecretRef"},
		"no CA":              {"the system's roots are nobody's choice", func(l *lab) { l.cluster.Spec.SecretRef = nil }, 400, "cluster eu names no spec.secretRef"},
		"no such Secret":     {"it may come", func(l *lab) { delete(l.secrets, "eu-impersonator") }, 503, "spec.impersonatorSecretRef: Secret karmada-cluster/eu-impersonator does not exist"},
		"no CA Secret":       {"it may come", func(l *lab) { delete(l.secrets, "eu") }, 503, "spec.secretRef: Secret karmada-cluster/eu does not exist"},
		"no token":           {"it may come", func(l *lab) { l.secrets["eu-impersonator"] = map[string][]byte{"token": []byte("\n")} }, 503, "has no key token"},
		"no bundle":          {"it may come", func(l *lab) { delete(l.secrets["eu"], "caBundle") }, 503, "has no key caBundle"},
		"no certificate":     {"it may be corrected", func(l *lab) { l.secrets["eu"]["caBundle"] = []byte("x") }, 503, "holds no certificate"},
		"another CA":         {"the member is not the one it should be", func(l *lab) { l.secrets["eu"]["caBundle"] = anotherCA(l.t) }, 503, "cannot be reached at spec.apiEndpoint"},
		"nobody there":       {"the member is down", func(l *lab) { l.cluster.Spec.APIEndpoint = "https://127.0.0.1:1" }, 503, "cannot be reached at spec.apiEndpoint https://127.0.0.1:1"},
		"proxy of no use":    {"validation refuses it, but it may have been stored before", func(l *lab) { l.cluster.Spec.ProxyURL = "ftp://u:pass@h" }, 503, `scheme "ftp"`},
		"nobody at proxyURL": {"the way is down", func(l *lab) { l.cluster.Spec.ProxyURL = "http://u:pass@127.0.0.1:1" }, 503, "proxy 127.0.0.1:1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, echoing)
			tt.change(l)
			for _, header := range []http.Header{nil, {"Connection": {"Upgrade"}, "Upgrade": {"SPDY/3.1"}}} {
				code, body := l.do(http.MethodGet, "/proxy/api", header)
				assert.Equal(t, tt.code, code, tt.reason)
				assert.Contains(t, body, jsonText(tt.want), tt.reason)
				assert.NotContains(t, body, testToken)
				assert.NotContains(t, body, "pass", "no secrets in errors")
			}
		})
	}
}

func TestSecretsAreReadWhenUsed(t *testing.T) {
	l := newLab(t, echoing)
	l.ask(http.MethodGet, "/proxy/api", nil)
	assert.Equal(t, []string{"karmada-cluster/eu", "karmada-cluster/eu-impersonator"}, l.reads)

	l.reads, l.cluster.Spec.InsecureSkipTLSVerification, l.cluster.Spec.SecretRef = nil, true, nil
	l.secrets["eu-impersonator"]["token"] = []byte("renewed")
	assert.Equal(t, "Bearer renewed", l.ask(http.MethodGet, "/proxy/api", nil).Header.Get("Authorization"), "nothing remembers the old one")
	assert.Equal(t, []string{"karmada-cluster/eu-impersonator"}, l.reads)

	plain := httptest.NewServer(echoing)
	defer plain.Close()
	l.cluster.Spec.InsecureSkipTLSVerification, l.cluster.Spec.APIEndpoint = false, plain.URL
	l.ask(http.MethodGet, "/proxy/api", nil)
}

func TestConnectionsAreShared(t *testing.T) {
	l := newLab(t, echoing)
	transport := func() *http.Transport {
		m, err := l.proxy.member(t.Context(), l.cluster)
		require.NoError(t, err)
		return m.transport
	}
	first := transport()
	l.cluster.Spec.Region = "europe"
	l.secrets["eu-impersonator"]["token"] = []byte("another")
	assert.Same(t, first, transport(), "identities are in the requests")
	l.cluster.Spec.InsecureSkipTLSVerification = true
	second := transport()
	assert.NotSame(t, first, second, "made from something else")
	for _, change := range []func(*clusterv1alpha1.ClusterSpec){
		func(s *clusterv1alpha1.ClusterSpec) { s.ProxyURL = "http://p:3128" },
		func(s *clusterv1alpha1.ClusterSpec) { s.ProxyHeader = map[string]string{"a": "b"} },
		func(s *clusterv1alpha1.ClusterSpec) { s.APIEndpoint += "/x" },
	} {
		before := transport()
		change(&l.cluster.Spec)
		assert.NotSame(t, before, transport())
	}
	l.cluster = nil
	code, _ := l.do(http.MethodGet, "/proxy/api", nil)
	assert.Equal(t, http.StatusNotFound, code)
	assert.Empty(t, l.proxy.pool.members, "a cluster that left is forgotten")
}

func TestWatchesStream(t *testing.T) {
	next, ended := make(chan string), make(chan struct{})
	l := newLab(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		defer close(ended)
		for {
			select {
			case line := <-next:
				_, _ = fmt.Fprintln(w, line)
				w.(http.Flusher).Flush()
			case <-req.Context().Done():
				return
			}
		}
	}))
	go func() { next <- "first" }()
	resp, err := http.Get(l.front.URL + "/proxy/api/v1/pods?watch=true")
	require.NoError(t, err)
	lines := bufio.NewReader(resp.Body)
	for _, want := range []string{"first", "second", "third"} {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, want+"\n", line, "each as soon as it is written")
		if want != "third" {
			next <- map[string]string{"first": "second", "second": "third"}[want]
		}
	}
	require.NoError(t, resp.Body.Close())
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the member still serves a watch that nobody reads")
	}
}

func TestMembersToken(t *testing.T) {
	l := newLab(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	code, body := l.do(http.MethodGet, "/proxy/api", nil)
	assert.Equal(t, http.StatusServiceUnavailable, code, "it is not the caller who has to log in")
	assert.Contains(t, body, "does not accept the token in Secret karmada-cluster/eu-impersonator")
	code, _ = l.do(http.MethodGet, "/proxy/api/v1/namespaces/x/services/y/proxy/login", nil)
	assert.Equal(t, http.StatusUnauthorized, code, "a service in the member speaks for itself")
}

func TestRedirectsAreRefused(t *testing.T) {
	l := newLab(t, http.RedirectHandler("/api/v1/secrets", http.StatusFound))
	code, _ := l.do(http.MethodGet, "/proxy/api", nil)
	assert.Equal(t, http.StatusBadGateway, code)
}

func TestPathParameter(t *testing.T) {
	options, subpath, key := newProxy(nil, nil).NewConnectOptions()
	assert.True(t, subpath)
	require.NoError(t, registry.ParameterCodec.DecodeParameters(url.Values{key: {"/api/v1/nodes"}, "watch": {"1"}}, clusterv1alpha1.GroupVersion, options))
	assert.Equal(t, &clusterv1alpha1.ClusterProxyOptions{Path: "/api/v1/nodes"}, options)
}
