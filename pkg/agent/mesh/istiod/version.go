package istiod

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// version is what is taken for one. The answer came over the network in plain text and is
// shown to people.
var version = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._+-]{0,63}$`)

// Version asks an istiod for its version, without showing who asks. Nobody vouches for the
// answer, so it leads to no other place, and only what looks like a version is returned.
func Version(ctx context.Context, client *http.Client, monitoring string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+monitoring+"/version", nil)
	if err != nil {
		return "", err
	}
	here := *client
	here.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := here.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("version of istiod: %w: %s", ErrPage, response.Status)
	}
	found := parseVersion(string(body))
	if !version.MatchString(found) {
		return "", fmt.Errorf("version of istiod: %w: it is none", ErrPage)
	}
	return found, nil
}

// parseVersion takes the version out of <version>-<revision>-<status>.
func parseVersion(text string) string {
	parts := strings.Split(strings.TrimSpace(text), "-")
	if len(parts) > 2 {
		parts = parts[:len(parts)-2]
	}
	return strings.Join(parts, "-")
}
