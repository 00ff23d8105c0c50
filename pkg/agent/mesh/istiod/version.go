package istiod

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Version asks an istiod for its version, without showing who asks.
func Version(ctx context.Context, client *http.Client, monitoring string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+monitoring+"/version", nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
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
	return parseVersion(string(body)), nil
}

// parseVersion takes the version out of <version>-<revision>-<status>.
func parseVersion(text string) string {
	parts := strings.Split(strings.TrimSpace(text), "-")
	if len(parts) > 2 {
		parts = parts[:len(parts)-2]
	}
	return strings.Join(parts, "-")
}
