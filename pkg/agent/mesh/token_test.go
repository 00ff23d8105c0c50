package mesh

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
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

func (f *fakeFederation) Delete(context.Context) error {
	f.data = nil
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

// A token that could not be ended may be valid: the status goes on telling it, also after a
// restart of the agent.
func TestTokensThatCannotBeEnded(t *testing.T) {
	token := &meshv1alpha1.MemberToken{Hash: "the token"}
	for name, tc := range map[string]struct {
		reason       string
		seen         *tokenSeen
		stored, want *meshv1alpha1.MemberToken
	}{
		"Seen":      {reason: "It was seen at the look before.", seen: &tokenSeen{token: token}, want: token},
		"Restarted": {reason: "The agent before has seen it.", stored: token, want: token},
		"Ended":     {reason: "It was ended since, and the status does not say so yet.", seen: &tokenSeen{left: true}, stored: token},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			var fault atomic.Bool
			fault.Store(true)
			p.kube.Hook = func(r *http.Request) error {
				if fault.Load() && strings.HasSuffix(r.URL.Path, "/secrets") {
					return apierrors.NewServiceUnavailable("not now")
				}
				return nil
			}
			w := p.worker
			w.keeper = &reader.Keeper{Mesh: "mesh1", Member: w.agent.member, Federation: &fakeFederation{}, Now: p.clock.Now}
			w.seen.token, p.object.Status.Token, p.object.Spec.Leaving = tc.seen, tc.stored, true
			require.True(t, w.lookAtToken(t.Context(), p.object).missing)
			status := report(p.object, w.view(), "eu", p.clock.Now())
			assert.Equal(t, tc.want, status.Token, tc.reason)
			assert.False(t, w.view().token.left)

			fault.Store(false)
			require.False(t, w.lookAtToken(t.Context(), p.object).missing)
			status = report(p.object, w.view(), "eu", p.clock.Now())
			assert.Nil(t, status.Token, "now it is ended")
			assert.True(t, w.view().token.left)
		})
	}
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
