package cluster

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/transport"
)

// identity is who a request is made for in the member.
type identity struct{ transport.ImpersonationConfig }

// identityOf is the identity of a caller. It must survive being written into
// headers as it is: spaces around a name are lost there, which would make it the
// name of somebody else, and no name at all would make the caller the
// impersonator.
func identityOf(caller user.Info) (identity, error) {
	if caller == nil || caller.GetName() == "" {
		return identity{}, apierrors.NewUnauthorized("the cluster proxy needs to know who you are")
	}
	id := identity{transport.ImpersonationConfig{UserName: caller.GetName(), UID: caller.GetUID(), Extra: caller.GetExtra()}}
	for _, group := range caller.GetGroups() {
		// Members give these by themselves, whether asked or not.
		if group != user.AllAuthenticated && group != user.AllUnauthenticated {
			id.Groups = append(id.Groups, group)
		}
	}
	values := append([]string{id.UserName, id.UID}, id.Groups...)
	for _, extra := range id.Extra {
		values = append(values, extra...)
	}
	for _, v := range values {
		if v != strings.Trim(v, " \t") || !httpguts.ValidHeaderFieldValue(v) {
			return identity{}, apierrors.NewBadRequest(fmt.Sprintf("user %q: %q cannot be a header's value, so it cannot be told to a member; use an identity without control characters and without spaces around it", id.UserName, v))
		}
	}
	for key := range id.Extra {
		if key == "" {
			return identity{}, apierrors.NewBadRequest(fmt.Sprintf("user %q: an extra without a key cannot be told to a member", id.UserName))
		}
	}
	return id, nil
}

// wrap gives requests that next sends the identity. They must have none of their
// own, see withoutIdentity.
func (id identity) wrap(token string, next http.RoundTripper) http.RoundTripper {
	return transport.NewBearerAuthRoundTripper(token, transport.NewImpersonatingRoundTripper(id.ImpersonationConfig, next))
}

// Headers that may come in and must not go out: who the caller is for this
// server, and what is about the connection to it.
var (
	ownHeaders = []string{
		"Authorization", "Cookie",
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	}
	ownPrefixes = []string{"impersonate-", "x-remote-"}
)

const (
	protocolHeader = "Sec-Websocket-Protocol"
	// bearerProtocol begins a websocket protocol that is a token in disguise.
	bearerProtocol = "base64url.bearer.authorization.k8s.io."
)

// withoutIdentity copies a request without anything that says who makes it, or
// makes others on the way drop what says so. An upgrade stays one.
func withoutIdentity(req *http.Request) *http.Request {
	out := req.Clone(req.Context())
	upgrade := out.Header["Upgrade"]
	if !httpguts.HeaderValuesContainsToken(out.Header["Connection"], "Upgrade") {
		upgrade = nil
	}
	for _, named := range out.Header["Connection"] {
		for name := range strings.SplitSeq(named, ",") {
			out.Header.Del(strings.TrimSpace(name))
		}
	}
	for name := range out.Header {
		if isOwn(name) {
			delete(out.Header, name)
		}
	}
	out.Trailer = nil
	if upgrade != nil {
		out.Header["Upgrade"] = upgrade
		out.Header.Set("Connection", "Upgrade")
	}
	dropBearerProtocol(out.Header)
	return out
}

// isOwn knows a header by any spelling that something on the way may take for
// it: case does not matter, and some servers read _ as -.
func isOwn(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return slices.ContainsFunc(ownHeaders, func(own string) bool { return strings.EqualFold(own, name) }) ||
		slices.ContainsFunc(ownPrefixes, func(own string) bool { return strings.HasPrefix(name, own) })
}

func dropBearerProtocol(header http.Header) {
	var kept []string
	for _, line := range header[protocolHeader] {
		for protocol := range strings.SplitSeq(line, ",") {
			if protocol = strings.TrimSpace(protocol); !strings.HasPrefix(protocol, bearerProtocol) {
				kept = append(kept, protocol)
			}
		}
	}
	delete(header, protocolHeader)
	if len(kept) > 0 {
		header[protocolHeader] = []string{strings.Join(kept, ", ")}
	}
}
