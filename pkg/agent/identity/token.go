package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"strings"
)

var (
	// ErrNoToken means that a bootstrap token is needed and there is none.
	ErrNoToken = errors.New("no bootstrap token")
	// ErrTokenRefused means that the federation does not know the bootstrap token, or not any more.
	ErrTokenRefused = errors.New("the bootstrap token is refused")
	// ErrCertificateRefused means that the federation does not accept the certificate any more.
	ErrCertificateRefused = errors.New("the certificate is refused")
)

var tokenForm = regexp.MustCompile(`^([a-z0-9]{6})\.[a-z0-9]{16}$`)

// Token is a bootstrap token. Only its ID may be shown.
type Token string

// ParseToken checks the form of a bootstrap token, <6>.<16> small letters and digits. The error does not
// repeat it.
func ParseToken(text string) (Token, error) {
	text = strings.TrimSpace(text)
	if !tokenForm.MatchString(text) {
		return "", fmt.Errorf("%w: what is there does not look like one: 6 and 16 small letters and digits with a dot between", ErrNoToken)
	}
	return Token(text), nil
}

// ID is the part of the token that is no secret.
func (t Token) ID() string {
	id, _, _ := strings.Cut(string(t), ".")
	return id
}

// String hides the secret part from messages.
func (t Token) String() string { return t.ID() + ".****************" }

func readToken(path string) (Token, error) {
	if path == "" {
		return "", fmt.Errorf("%w: --bootstrap-token-file is not set", ErrNoToken)
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: %s does not exist", ErrNoToken, path)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoToken, err)
	}
	token, err := ParseToken(string(raw))
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return token, nil
}

// bearer sends a token along.
type bearer struct {
	token Token
	http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+string(b.token))
	return b.RoundTripper.RoundTrip(request)
}

// Reveal is the whole token.
func (t Token) Reveal() string { return string(t) }
