package reader

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
)

var errCrash = errors.New("crash")

// world is a member and a federation. A call after the last one that is allowed fails, as
// do all later ones, until it is revived: a process that ends in between.
type world struct {
	t       *testing.T
	clock   *testingclock.FakeClock
	skew    time.Duration // of the member's clock
	secrets map[string]*corev1.Secret
	account *corev1.ServiceAccount
	ca      []byte
	granted time.Duration
	uids    int
	// bound are the Secrets of tokens, by token.
	bound map[string]string
	data  map[string][]byte // nil for none

	calls, allowed int
	// lostAnswer lets the call that fails have its effect.
	lostAnswer bool
}

func newWorld(t *testing.T) *world {
	return &world{
		t: t, clock: testingclock.NewFakeClock(noon), secrets: map[string]*corev1.Secret{}, bound: map[string]string{},
		account: &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{UID: "account"}}, allowed: -1,
		ca: testCA(t),
	}
}

func testCA(t *testing.T) []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: noon.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// call runs what a request does, or not.
func (w *world) call(do func() error) error {
	w.calls++
	if w.allowed >= 0 && w.calls > w.allowed {
		if w.lostAnswer && w.calls == w.allowed+1 {
			_ = do()
		}
		return errCrash
	}
	return do()
}

var secretResource = schema.GroupResource{Resource: "secrets"}

func (w *world) now() time.Time { return w.clock.Now().Add(w.skew) }

func (w *world) ServiceAccount(context.Context, string) (out *corev1.ServiceAccount, err error) {
	err = w.call(func() error {
		if w.account == nil {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "serviceaccounts"}, "reader")
		}
		out = w.account
		return nil
	})
	return out, err
}

func (w *world) SecretMetadata(_ context.Context, selector string) (out []metav1.PartialObjectMetadata, err error) {
	require.Equal(w.t, Label+"=mesh1", selector)
	err = w.call(func() error {
		for _, name := range slices.Sorted(maps.Keys(w.secrets)) {
			require.Equal(w.t, "mesh1", w.secrets[name].Labels[Label])
			out = append(out, metav1.PartialObjectMetadata{ObjectMeta: *w.secrets[name].ObjectMeta.DeepCopy()})
		}
		return nil
	})
	return out, err
}

func (w *world) CreateSecret(_ context.Context, s *corev1.Secret) (out *corev1.Secret, err error) {
	require.True(w.t, strings.HasPrefix(s.Name, "flotilla-mesh-reader-"))
	require.Empty(w.t, s.Data, "a token is not kept")
	err = w.call(func() error {
		w.uids++
		out = s.DeepCopy()
		out.UID, out.CreationTimestamp = types.UID(fmt.Sprint(w.uids)), metav1.NewTime(w.now())
		w.secrets[s.Name] = out
		return nil
	})
	return out, err
}

func (w *world) PatchSecret(_ context.Context, name string, patch []byte) error {
	return w.call(func() error {
		s, ok := w.secrets[name]
		if !ok {
			return apierrors.NewNotFound(secretResource, name)
		}
		var change struct {
			Metadata struct{ Annotations map[string]string }
		}
		require.NoError(w.t, json.Unmarshal(patch, &change))
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		maps.Copy(s.Annotations, change.Metadata.Annotations)
		return nil
	})
}

func (w *world) DeleteSecret(_ context.Context, name string, uid types.UID) error {
	return w.call(func() error {
		s, ok := w.secrets[name]
		if !ok {
			return apierrors.NewNotFound(secretResource, name)
		}
		require.Equal(w.t, s.UID, uid)
		delete(w.secrets, name)
		return nil
	})
}

func (w *world) CreateToken(_ context.Context, account string, r *authenticationv1.TokenRequest) (out *authenticationv1.TokenRequest, err error) {
	require.Equal(w.t, "reader", account)
	err = w.call(func() error {
		ref := r.Spec.BoundObjectRef
		require.Equal(w.t, w.secrets[ref.Name].UID, ref.UID, "bound to its own Secret")
		life := time.Duration(*r.Spec.ExpirationSeconds) * time.Second
		if w.granted > 0 {
			life = w.granted
		}
		out = r.DeepCopy()
		out.Status.Token = fmt.Sprintf("token-%d", len(w.bound))
		out.Status.ExpirationTimestamp = metav1.NewTime(w.now().Add(life))
		w.bound[out.Status.Token] = ref.Name
		return nil
	})
	return out, err
}

func (w *world) CA(context.Context) ([]byte, error) { return w.ca, nil }

func (w *world) Put(_ context.Context, data map[string][]byte) error {
	return w.call(func() error { w.data = data; return nil })
}

func (w *world) Get(context.Context) (out map[string][]byte, err error) {
	err = w.call(func() error {
		if w.data == nil {
			return apierrors.NewNotFound(secretResource, "mesh-reader-mesh1")
		}
		out = w.data
		return nil
	})
	return out, err
}

func (w *world) Delete(context.Context) error {
	return w.call(func() error { w.data = nil; return nil })
}

// keeper is that of a process that was just started.
func (w *world) keeper() *Keeper {
	w.calls, w.allowed = 0, -1
	return &Keeper{Mesh: "mesh1", Server: "https://eu.example.com", Member: w, Federation: w, Now: w.clock.Now}
}

// delivered is the token that the federation has; empty for none.
func (w *world) delivered() string { return string(w.data[meshv1alpha1.ReaderTokenKey]) }

// works tells whether the token that the federation has still works.
func (w *world) works() bool { return w.secrets[w.bound[w.delivered()]] != nil }

func hashOf(bearer string) string { return (&remotesecret.Token{Bearer: bearer}).Hash() }

func spec(inUse ...string) *meshv1alpha1.MemberReader {
	s := &meshv1alpha1.MemberReader{ServiceAccount: "reader", TokenTTL: metav1.Duration{Duration: 24 * time.Hour}}
	for _, bearer := range inUse {
		s.InUse = append(s.InUse, meshv1alpha1.TokenGeneration{Token: hashOf(bearer)})
	}
	return s
}
