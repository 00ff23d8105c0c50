package clusterrestriction

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	core "k8s.io/kubernetes/pkg/apis/core"

	"github.com/flotilla-io/flotilla/api/names"
)

func TestWhichSecretsAgentsWrite(t *testing.T) {
	const token core.SecretType = "mesh.flotilla.io/reader-token"
	agent := &user.DefaultInfo{Name: "system:cluster:eu", Groups: []string{names.AgentGroup}}
	jane := &user.DefaultInfo{Name: "jane"}
	of := func(name string, secretType core.SecretType, finalizers ...string) *core.Secret {
		return &core.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-eu", Name: name, Finalizers: finalizers}, Type: secretType}
	}
	filled := func(size int) *core.Secret {
		secret := of("mesh-reader-m", token)
		secret.Data = map[string][]byte{"a": make([]byte, size/2), "b": make([]byte, size/2-2)}
		return secret
	}
	tests := map[string]struct {
		reason   string
		user     user.Info
		obj, old *core.Secret
		says     string // empty: allowed
	}{
		"a reader's token": {reason: "peers are to read the cluster", user: agent, obj: of("mesh-reader-m", token)},
		"the next one":     {reason: "tokens end", user: agent, obj: of("mesh-reader-m", token), old: of("mesh-reader-m", token)},
		"another name":     {reason: "it could be in somebody's place", user: agent, obj: of("x", token), says: "metadata.name"},
		"no name":          {reason: "the server has named it by now, or refuses it", user: agent, obj: of("", token), says: "metadata.name"},
		"no mesh":          {reason: "no Mesh has an empty name", user: agent, obj: of("mesh-reader-", token), says: "metadata.name"},
		"no type":          {reason: "the controllers look for the type", user: agent, obj: of("mesh-reader-m", core.SecretTypeOpaque), says: "type"},
		"a token of an account": {reason: "the API server would fill it in, and the agent can read it", user: agent,
			obj: of("mesh-reader-m", core.SecretTypeServiceAccountToken), says: "type"},
		"a token to join with": {reason: "it would let others in", user: agent, obj: of("mesh-reader-m", core.SecretTypeBootstrapToken), says: "type"},
		"somebody else's":      {reason: "whoever made it did not make it for the agent", user: agent, obj: of("mesh-reader-m", token), old: of("mesh-reader-m", core.SecretTypeOpaque), says: "type"},
		"kept":                 {reason: "it would keep its namespace after the cluster", user: agent, obj: of("mesh-reader-m", token, "example.org/x"), says: "metadata.finalizers"},
		"full":                 {reason: "a CA may be long", user: agent, obj: filled(96 << 10)},
		"too full":             {reason: "no token and CA are so long, and it is copied to all peers", user: agent, obj: filled(96<<10 + 2), says: "data"},
		"jane":                 {reason: "people write what they are allowed to", user: jane, obj: of("x", core.SecretTypeOpaque)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := &plugin{Handler: admission.NewHandler(admission.Create, admission.Update)}
			p.SetAuthorizer(everything)
			operation, old := admission.Create, runtime.Object(nil)
			if tt.old != nil {
				operation, old = admission.Update, tt.old
			}
			a := admission.NewAttributesRecord(tt.obj, old, schema.GroupVersionKind{}, tt.obj.Namespace, tt.obj.Name,
				schema.GroupVersionResource{Version: "v1", Resource: "secrets"}, "", operation, nil, false, tt.user)
			err := p.Validate(t.Context(), a, nil)
			if tt.says == "" {
				require.NoError(t, err, tt.reason)
				return
			}
			require.True(t, apierrors.IsForbidden(err), "%s: %v", tt.reason, err)
			assert.ErrorContains(t, err, tt.says+":", tt.reason)
		})
	}
}
