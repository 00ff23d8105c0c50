package fedctl

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flotilla-io/flotilla/pkg/agent/identity"
)

func TestTokens(t *testing.T) {
	d := newDesk(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "bootstrap-token-kubead"}, Type: "bootstrap.kubernetes.io/token",
		Data: map[string][]byte{"token-id": []byte("kubead"), "auth-extra-groups": []byte("system:bootstrappers:kubeadm:default-node-token")},
	})
	out := d.types("token list")
	out += d.types("token create --cluster tokyo")
	out += d.types("token create --cluster tokyo") // the same bytes: it is there already
	out += d.types("token list")
	out += d.types("token delete abcdef.ghijklmnopqrstuv")
	out += d.types("token delete abcdef")
	out += d.types("token delete ABC")
	out += d.types("token create --cluster tokyo --ttl 0 --print-only-token")
	out += d.types("token list")
	out += d.types("token delete abcdef")
	out += d.types("token create --cluster tokyo --ttl 90m -o json")
	out += d.types("token create --cluster Tokyo")
	out += d.types("token create --cluster a-name-that-is-too-long-for-what-is-made-from-it-later")
	out += d.types("token create --cluster tokyo --ttl -1h")
	out += d.types("token create --cluster tokyo -o yaml")
	out += d.types("token create")
	d.broken["federation"] = errors.New("no route to host")
	out += d.types("token list")
	golden(t, "tokens", out)
}

func TestATokenIsForOneCluster(t *testing.T) {
	d := newDesk(t)
	d.types("token create --cluster tokyo --ttl 1h")
	s := &corev1.Secret{}
	require.NoError(t, d.federation.Get(t.Context(), client.ObjectKey{Namespace: "kube-system", Name: "bootstrap-token-abcdef"}, s))
	require.Equal(t, corev1.SecretType("bootstrap.kubernetes.io/token"), s.Type)
	got := map[string]string{}
	for k, v := range s.Data {
		got[k] = string(v)
	}
	require.Equal(t, map[string]string{
		"token-id": "abcdef", "token-secret": "ghijklmnopqrstuv", "usage-bootstrap-authentication": "true",
		"description": "Lets cluster tokyo join", "expiration": "2026-01-02T04:04:06Z",
		"auth-extra-groups": "system:bootstrappers:flotilla,system:bootstrappers:flotilla:tokyo",
	}, got)
}

func TestTokensAreWellFormedAndEven(t *testing.T) {
	seen := map[rune]int{}
	for range 500 {
		token := newToken(randomBytes)
		_, err := identity.ParseToken(token.Reveal())
		require.NoError(t, err)
		for _, r := range token.Reveal() {
			seen[r]++
		}
	}
	delete(seen, '.')
	require.Len(t, seen, len(tokenAlphabet))
	for r, n := range seen { // 306 on average, standard deviation 17
		require.InDelta(t, 306, n, 120, "%c", r)
	}
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "random")
		i := 0
		token := newToken(func(b []byte) {
			b[0] = byte(i) // never only what is passed over
			if i < len(bytes) {
				b[0] = bytes[i]
			}
			i++
		})
		if _, err := identity.ParseToken(token.Reveal()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestACAThatIsNotTrustedIsNotGivenOut(t *testing.T) {
	d := newDesk(t)
	other := newDesk(t)
	d.ca = other.ca // of the administrator's kubeconfig
	out := d.types("token create --cluster tokyo")
	require.Contains(t, out, "do not give out tokens before you know why")
	list := &corev1.SecretList{}
	require.NoError(t, d.federation.List(t.Context(), list))
	require.Empty(t, list.Items)
}

func TestRemaining(t *testing.T) {
	for want, left := range map[string]time.Duration{
		"expired": 0, "in less than a minute": time.Second, "in 90 minutes": 90 * time.Minute, "in 47 hours": 47*time.Hour + time.Minute, "in 3 days": 80 * time.Hour,
	} {
		require.Equal(t, want, remaining(start.Add(left), start))
	}
	require.Equal(t, "never", remaining(time.Time{}, start))
	broken, ok := readTokenSecret(&corev1.Secret{Type: "bootstrap.kubernetes.io/token", Data: map[string][]byte{
		"auth-extra-groups": []byte("system:bootstrappers:flotilla:eu"), "expiration": []byte("tomorrow"),
	}})
	require.True(t, ok)
	require.Equal(t, "expired", remaining(broken.Expires, start), "the API server does not take it either")
}
