package mesh

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/flotilla-io/flotilla/pkg/agent/mesh/reader"
)

// fakeFederation keeps what it gets.
type fakeFederation struct {
	reader.Federation

	data map[string][]byte
}

func (f *fakeFederation) Put(_ context.Context, data map[string][]byte) error {
	f.data = data
	return nil
}

// A token does not go to a federation that came in the place of the agent's own.
func TestTokensAreForTheOwnFederation(t *testing.T) {
	another := errors.New("another federation")
	fault := another
	there := &fakeFederation{}
	f := &admitted{there, func(context.Context) error { return fault }}
	require.ErrorIs(t, f.Put(t.Context(), map[string][]byte{"token": nil}), another)
	require.Nil(t, there.data)
	fault = nil
	require.NoError(t, f.Put(t.Context(), map[string][]byte{"token": nil}))
	assert.NotNil(t, there.data)
}

// A CA that was read over a connection that anybody could have answered is none.
func TestCAOverAnUnverifiedConnection(t *testing.T) {
	m := &member{config: &rest.Config{Host: "https://127.0.0.1:1", TLSClientConfig: rest.TLSClientConfig{Insecure: true}}}
	_, err := m.CA(t.Context())
	require.ErrorIs(t, err, errNoCA)
	require.ErrorContains(t, err, "certificate-authority-data")
	m.config.TLSClientConfig = rest.TLSClientConfig{CAData: []byte("a CA")}
	ca, err := m.CA(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "a CA", string(ca))
}
