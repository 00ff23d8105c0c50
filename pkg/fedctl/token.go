package fedctl

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/identity"
)

const (
	tokenAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	idLength      = 6
	secretLength  = 16
)

func randomBytes(b []byte) { _, _ = rand.Read(b) } // it never fails

// newToken makes a token. Bytes that would make some letters likelier than others are passed over.
func newToken(random func([]byte)) identity.Token {
	text := make([]byte, 0, idLength+secretLength)
	var b [1]byte
	for len(text) < cap(text) {
		random(b[:])
		if limit := 256 - 256%len(tokenAlphabet); int(b[0]) < limit {
			text = append(text, tokenAlphabet[int(b[0])%len(tokenAlphabet)])
		}
	}
	return identity.Token(text[:idLength]) + "." + identity.Token(text[idLength:])
}

// tokenSecret is how the API server knows a token. expires zero is never.
func tokenSecret(token identity.Token, cluster string, expires time.Time) *corev1.Secret {
	id, secret, _ := strings.Cut(string(token), ".")
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: bootstrapapi.BootstrapTokenSecretPrefix + id},
		Type:       bootstrapapi.SecretTypeBootstrapToken,
		Data: map[string][]byte{
			bootstrapapi.BootstrapTokenIDKey:               []byte(id),
			bootstrapapi.BootstrapTokenSecretKey:           []byte(secret),
			bootstrapapi.BootstrapTokenUsageAuthentication: []byte("true"),
			bootstrapapi.BootstrapTokenDescriptionKey:      []byte("Lets cluster " + cluster + " join"),
			bootstrapapi.BootstrapTokenExtraGroupsKey:      []byte(names.BootstrapGroup + "," + names.BootstrapGroupPrefix + cluster),
		},
	}
	if !expires.IsZero() {
		s.Data[bootstrapapi.BootstrapTokenExpirationKey] = []byte(expires.UTC().Format(time.RFC3339))
	}
	return s
}

// tokenInfo is what is told about a token.
type tokenInfo struct {
	ID      string
	Cluster string
	Expires time.Time // zero: never
}

// readTokenSecret is false for tokens that are not of an agent.
func readTokenSecret(s *corev1.Secret) (tokenInfo, bool) {
	info := tokenInfo{ID: string(s.Data[bootstrapapi.BootstrapTokenIDKey])}
	for _, group := range strings.Split(string(s.Data[bootstrapapi.BootstrapTokenExtraGroupsKey]), ",") {
		if cluster, ok := strings.CutPrefix(strings.TrimSpace(group), names.BootstrapGroupPrefix); ok {
			info.Cluster = cluster
		}
	}
	// What cannot be read is expired for the API server, too.
	if text := string(s.Data[bootstrapapi.BootstrapTokenExpirationKey]); text != "" {
		info.Expires = time.Unix(0, 0)
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			info.Expires = at
		}
	}
	return info, s.Type == bootstrapapi.SecretTypeBootstrapToken && info.Cluster != ""
}

func listTokens(ctx context.Context, f client.Client) ([]tokenInfo, error) {
	list := &corev1.SecretList{}
	if err := f.List(ctx, list, client.InNamespace(metav1.NamespaceSystem),
		client.MatchingFields{"type": string(bootstrapapi.SecretTypeBootstrapToken)}); err != nil {
		return nil, fmt.Errorf("list tokens, Secrets in kube-system: %w", err)
	}
	var out []tokenInfo
	for i := range list.Items {
		if info, ok := readTokenSecret(&list.Items[i]); ok {
			out = append(out, info)
		}
	}
	slices.SortFunc(out, func(a, b tokenInfo) int {
		return strings.Compare(a.Cluster+" "+a.ID, b.Cluster+" "+b.ID)
	})
	return out, nil
}

var (
	errTokenID  = errors.New("is not the ID of a token")
	tokenIDForm = regexp.MustCompile(`^[a-z0-9]{6}$`)
)

// deleteToken takes an ID, or a whole token.
func deleteToken(ctx context.Context, f client.Client, text string) (id string, err error) {
	id, _, _ = strings.Cut(text, ".")
	if !tokenIDForm.MatchString(id) {
		return "", fmt.Errorf("%q %w: it has six small letters and digits; see \"fedctl token list\"", id, errTokenID)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: bootstrapapi.BootstrapTokenSecretPrefix + id}}
	err = f.Delete(ctx, secret)
	if apierrors.IsNotFound(err) {
		return "", fmt.Errorf("token %s: there is none; see \"fedctl token list\"", id)
	}
	if err != nil {
		return "", fmt.Errorf("token %s: %w", id, err)
	}
	return id, nil
}

// deleteTokensOf deletes all tokens of a cluster and returns how many there were.
func deleteTokensOf(ctx context.Context, f client.Client, cluster string) (int, error) {
	tokens, err := listTokens(ctx, f)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, token := range tokens {
		if token.Cluster != cluster {
			continue
		}
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: bootstrapapi.BootstrapTokenSecretPrefix + token.ID}}
		if err := client.IgnoreNotFound(f.Delete(ctx, secret)); err != nil {
			return n, fmt.Errorf("token %s of cluster %s: %w", token.ID, cluster, err)
		}
		n++
	}
	return n, nil
}
