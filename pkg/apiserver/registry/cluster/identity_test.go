package cluster

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apiserver/pkg/authentication/user"
	"pgregory.net/rapid"
)

func TestTheMemberSeesTheCaller(t *testing.T) {
	l := newLab(t, echoing)
	tests := map[string]struct {
		reason string
		caller *user.DefaultInfo
		want   map[string]string
	}{
		"person": {
			"members add system:authenticated by themselves",
			&user.DefaultInfo{Name: "alice", UID: "u-1", Groups: []string{"dev", "system:authenticated", "ops"}, Extra: map[string][]string{"example.com/scopes": {"a", "b"}}},
			map[string]string{"User": "alice", "Uid": "u-1", "Group": "dev ops", "Extra-Example.com%2fscopes": "a b"},
		},
		"service account": {
			"it is the one of the same name in the member",
			&user.DefaultInfo{Name: "system:serviceaccount:ns:sa", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:ns"}},
			map[string]string{"User": "system:serviceaccount:ns:sa", "Group": "system:serviceaccounts system:serviceaccounts:ns"},
		},
		"admin":     {"members have this group, too", &user.DefaultInfo{Name: "admin", Groups: []string{"system:masters"}}, map[string]string{"User": "admin", "Group": "system:masters"}},
		"anonymous": {"if somebody lets them", &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}, map[string]string{"User": user.Anonymous}},
		"umlaut":    {"headers are bytes", &user.DefaultInfo{Name: "jörg"}, map[string]string{"User": "jörg"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l.caller = tt.caller
			got := l.ask(http.MethodGet, "/proxy/api", nil).Header
			assert.Equal(t, tt.want, impersonated(got), tt.reason)
			assert.Equal(t, []string{"Bearer " + testToken}, got["Authorization"], "and how the federation proves that it may say so")
		})
	}
}

// impersonated are the Impersonate headers, without that prefix.
func impersonated(h http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range h {
		if short, ok := strings.CutPrefix(name, "Impersonate-"); ok {
			out[short] = strings.Join(values, " ")
		}
	}
	return out
}

// What the caller writes about himself reaches the member in no way: not by any
// spelling, not as a token in a websocket protocol, and not by telling somebody
// on the way to drop what we say.
func TestNothingIsSmuggled(t *testing.T) {
	l := newLab(t, echoing)
	for name, header := range map[string]http.Header{
		"impersonation":        {"Impersonate-User": {"root"}, "Impersonate-Group": {"system:masters"}, "Impersonate-Uid": {"0"}, "Impersonate-Extra-Scopes": {"all"}},
		"a second user":        {"Impersonate-User": {"root", "alice"}},
		"lower case":           {"impersonate-user": {"root"}, "impersonate-group": {"system:masters"}},
		"underscores":          {"Impersonate_user": {"root"}, "Impersonate_Group": {"system:masters"}},
		"token":                {"Authorization": {"Bearer mine"}},
		"basic":                {"Authorization": {"Basic cm9vdDpyb290"}},
		"front proxy":          {"X-Remote-User": {"root"}, "X-Remote-Group": {"system:masters"}, "X-Remote-Extra-A": {"b"}, "X-Remote-Uid": {"0"}},
		"cookie":               {"Cookie": {"session=root"}},
		"protocol":             {"Sec-Websocket-Protocol": {"base64url.bearer.authorization.k8s.io.bWluZQ, v4.channel.k8s.io"}},
		"connection":           {"Connection": {"Impersonate-User, Authorization"}},
		"connection, many":     {"Connection": {"keep-alive", "Impersonate-Group,authorization"}},
		"credentials of ours":  {"Proxy-Authorization": {"Basic cm9vdDpyb290"}},
		"trailer":              {"Trailer": {"Impersonate-User"}, "Te": {"trailers"}},
		"an upgrade to nobody": {"Upgrade": {"websocket"}, "Impersonate-User": {"root"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := l.ask(http.MethodGet, "/proxy/api", header).Header
			assert.Equal(t, map[string]string{"User": "alice", "Group": "dev"}, impersonated(got))
			assert.Equal(t, []string{"Bearer " + testToken}, got["Authorization"])
			allowed := []string{"Accept-Encoding", "Authorization", "Impersonate-Group", "Impersonate-User", "Sec-Websocket-Protocol", "User-Agent", "X-Forwarded-For"}
			for name := range got {
				assert.Contains(t, allowed, name)
			}
			if values, ok := got["Sec-Websocket-Protocol"]; ok {
				assert.Equal(t, []string{"v4.channel.k8s.io"}, values)
			}
		})
	}
}

func TestOrdinaryHeadersTravel(t *testing.T) {
	l := newLab(t, echoing)
	header := http.Header{"Accept": {"application/json;as=Table;v=v1;g=meta.k8s.io"}, "Content-Type": {"application/apply-patch+yaml"}, "User-Agent": {"kubectl"}, "Accept-Encoding": {"gzip"}}
	got := l.ask(http.MethodPatch, "/proxy/x", maps.Clone(header)).Header
	for name, values := range header {
		assert.Equal(t, values, got[name])
	}
}

func TestIdentitiesThatHeadersWouldChange(t *testing.T) {
	l := newLab(t, echoing)
	for _, caller := range []*user.DefaultInfo{
		{Name: " root"}, {Name: "root\t"}, {Name: "root\r\nImpersonate-Group: system:masters"}, {Name: "a\x00b"},
		{Name: "alice", Groups: []string{"dev", " system:masters"}}, {Name: "alice", Groups: []string{"a\nb"}}, {Name: "alice", UID: "1 "},
		{Name: "alice", Extra: map[string][]string{"a": {"b "}}}, {Name: "alice", Extra: map[string][]string{"": {"b"}}},
	} {
		l.caller = caller
		code, body := l.do(http.MethodGet, "/proxy/api", nil)
		assert.Equal(t, http.StatusBadRequest, code, "%q: %s", caller, body)
	}
}

// Whatever the headers of a request are, what goes out has nothing of an
// identity, and is an upgrade only if it was one.
func TestWithoutIdentityProperty(t *testing.T) {
	names := []string{"Impersonate-User", "impersonate_group", "AUTHORIZATION", "Connection", "Upgrade", "Sec-Websocket-Protocol", "X-Remote-User", "x_remote_group", "Accept", "Te"}
	values := []string{"Upgrade", "upgrade, Impersonate-User", "websocket", "base64url.bearer.authorization.k8s.io.eA", "x", "", "keep-alive,Upgrade"}
	rapid.Check(t, func(t *rapid.T) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/", nil)
		require.NoError(t, err)
		for _, name := range rapid.SliceOf(rapid.SampledFrom(names)).Draw(t, "names") {
			value := rapid.SampledFrom(values).Draw(t, "value")
			if rapid.Bool().Draw(t, "canonical") {
				req.Header.Add(name, value)
			} else {
				req.Header[name] = append(req.Header[name], value)
			}
		}
		before := req.Header.Clone()
		out := withoutIdentity(req)
		require.Equal(t, before, req.Header, "the request that came in stays as it is, for the audit log")
		for name, values := range out.Header {
			lower := strings.ReplaceAll(strings.ToLower(name), "_", "-")
			require.False(t, strings.HasPrefix(lower, "impersonate-") || strings.HasPrefix(lower, "x-remote-") || lower == "authorization", name)
			if name == protocolHeader {
				require.NotContains(t, strings.Join(values, ","), "bearer")
			}
			if lower == "connection" {
				require.Equal(t, []string{"Upgrade"}, values)
				require.NotEmpty(t, out.Header["Upgrade"])
			}
		}
		require.Equal(t, before["Accept"], out.Header["Accept"])
		require.True(t, slices.Equal(withoutIdentity(out).Header["Upgrade"], out.Header["Upgrade"]), "twice is as good as once")
	})
}
