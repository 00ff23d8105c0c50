package identity

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// User is who a token makes its bearer.
type User struct {
	Username string   `json:"username"`
	Groups   []string `json:"groups"`
}

// WhoIs asks a federation whom it takes the bearer of a token for. Nil without an error is a federation
// that does not say. An error that is ErrTokenRefused is about the token.
func WhoIs(ctx context.Context, server string, ca []byte, token Token) (*User, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	via := newTransport(tlsConfig(roots, time.Now))
	defer via.close()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body := []byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost,
		strings.TrimSuffix(server, "/")+"/apis/authentication.k8s.io/v1/selfsubjectreviews", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("federation %s: %w", server, err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := bearer{token, via}.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("federation %s: %w", server, explain(err, server, time.Now()))
	}
	defer func() { _ = response.Body.Close() }()
	switch response.StatusCode {
	case http.StatusUnauthorized:
		return nil, fmt.Errorf("%w: %s has expired, was deleted, or is of another federation", ErrTokenRefused, token)
	case http.StatusCreated, http.StatusOK:
	default:
		return nil, nil
	}
	var review struct {
		Status struct {
			UserInfo User `json:"userInfo"`
		} `json:"status"`
	}
	if err := json.NewDecoder(response.Body).Decode(&review); err != nil {
		return nil, nil // an answer that is not understood says nothing
	}
	return &review.Status.UserInfo, nil
}
