package remotesecret

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"
	"time"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

const (
	// lastYear is long after the end of any token that Kubernetes makes. What has no
	// end could not be stored as a time, or would be in use for ever.
	lastYear = 2200
	// roundingUp is by how much a token may be said to last longer than it does.
	roundingUp = time.Minute
)

// ParseToken reads the Secret that the agent of a peer leaves in its execution
// namespace. ErrToken when something is missing in it or cannot be true, or when it is
// larger than what Kubernetes makes: it is copied to all peers.
func ParseToken(data map[string][]byte) (*Token, error) {
	token := &Token{
		Bearer: strings.TrimSpace(string(data[meshv1alpha1.ReaderTokenKey])),
		CA:     data[meshv1alpha1.ReaderCAKey],
		Server: string(data[meshv1alpha1.ReaderServerKey]),
	}
	var endProblem string
	token.Expires, endProblem = parseEnd(string(data[meshv1alpha1.ReaderExpiresKey]), token.Bearer)
	for _, found := range []struct{ key, problem string }{
		{meshv1alpha1.ReaderTokenKey, checkBearer(token.Bearer)},
		{meshv1alpha1.ReaderCAKey, checkCA(token.CA)},
		{meshv1alpha1.ReaderServerKey, checkServer(token.Server)},
		{meshv1alpha1.ReaderExpiresKey, endProblem},
	} {
		if found.problem != "" {
			return nil, fmt.Errorf("key %s: %w: %s", found.key, ErrToken, found.problem)
		}
	}
	return token, nil
}

func checkBearer(bearer string) string {
	switch {
	case bearer == "" || strings.ContainsFunc(bearer, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "it is empty or no token"
	case len(bearer) > meshv1alpha1.MaxReaderToken:
		return fmt.Sprintf("it has %d bytes, more than the %d of any token", len(bearer), meshv1alpha1.MaxReaderToken)
	}
	return ""
}

// checkCA wants certificates, and nothing else in PEM: what is in there all peers read.
func checkCA(ca []byte) string {
	if len(ca) > meshv1alpha1.MaxReaderCA {
		return fmt.Sprintf("it has %d bytes, more than the %d that peers take; give the API server's own CA alone", len(ca), meshv1alpha1.MaxReaderCA)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(ca) {
		return "there is no certificate in it; istiod would send the token to anybody"
	}
	for block, rest := pem.Decode(ca); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return fmt.Sprintf("there is a %s in it; only certificates belong there", block.Type)
		}
	}
	return ""
}

func checkServer(server string) string {
	const wayOut = "write one into spec.remoteAccess.servers of the Mesh"
	if len(server) > meshv1alpha1.MaxReaderServer {
		return fmt.Sprintf("it has %d bytes, more than the %d of any URL; %s", len(server), meshv1alpha1.MaxReaderServer, wayOut)
	}
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(server, "?#") {
		return "it is not the https URL of an API server, without user, query and fragment; " + wayOut
	}
	return ""
}

// parseEnd reads when a token ends, which the token itself says as well. Nobody has
// checked its signature: whoever lies there has a token that is not accepted.
func parseEnd(text, bearer string) (end time.Time, problem string) {
	end, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, "it is not a time (RFC 3339)"
	}
	if end.UTC().Year() >= lastYear || end.UTC().Year() < 0 {
		return time.Time{}, "no token is valid until then"
	}
	if told := tokenEnd(bearer); !told.IsZero() && end.After(told.Add(roundingUp)) {
		return time.Time{}, fmt.Sprintf("the token itself ends on %s, before that", told.UTC().Format(time.RFC3339))
	}
	return end, ""
}

// tokenEnd is the end in a JSON web token; zero when it is not one, or does not say.
func tokenEnd(bearer string) time.Time {
	parts := strings.Split(bearer, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		End int64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.End <= 0 {
		return time.Time{}
	}
	return time.Unix(claims.End, 0)
}
