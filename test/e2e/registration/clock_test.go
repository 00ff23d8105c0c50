package registration

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/keyutil"
	"k8s.io/utils/clock"

	"github.com/flotilla-io/flotilla/pkg/agent/identity"
	"github.com/flotilla-io/flotilla/pkg/playground/pki"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// sign makes a certificate of a cluster's agent that ends soon, with the federation's key.
func (s *site) sign(life time.Duration) identity.Bundle {
	s.Helper()
	ca, err := pki.LoadAuthority(s.Path("federation", "pki", "ca.crt"), s.Path("federation", "pki", "ca.key"))
	require.NoError(s, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(s, err)
	now := time.Now()
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), NotBefore: now.Add(-time.Second), NotAfter: now.Add(life),
		Subject:  pkix.Name{CommonName: "system:cluster:" + s.cluster, Organization: []string{"system:clusters"}},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca.Cert, key.Public(), ca.Key)
	require.NoError(s, err)
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	require.NoError(s, err)
	return identity.Bundle{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), Key: keyPEM, CA: ca.PEM}
}

func notAfter(t *testing.T, crt []byte) time.Time {
	t.Helper()
	block, _ := pem.Decode(crt)
	require.NotNil(t, block)
	parsed, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return parsed.NotAfter
}

func TestACertificateIsRenewedBeforeItEnds(t *testing.T) {
	s := newSite(t, "eu", "renewed")
	i := s.invite()
	s.fedctl(s.registration(i, "--timeout=0")...)
	s.fedctl("token", "delete", i.Token)
	b := s.sign(15 * time.Second)
	data := base64.StdEncoding.EncodeToString
	s.Apply("eu", fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: flotilla-agent-identity, namespace: flotilla-system}\ndata:\n  tls.crt: %s\n  tls.key: %s\n  ca.crt: %s\n",
		data(b.Certificate), data(b.Key), data(b.CA)))
	s.start()
	s.ready()
	s.propagate("renewal")
	first := notAfter(t, b.Certificate)
	s.Eventually("another one is stored", func() (string, bool) {
		crt, _ := s.stored()
		return s.agent.tail(), notAfter(t, crt).After(first)
	})
	crt, _ := s.stored()
	require.WithinDuration(t, time.Now().Add(720*time.Hour), notAfter(t, crt), time.Hour)
	require.True(t, time.Now().Before(first), "in time")
	require.NotContains(t, s.agent.said(), "No valid identity")
	require.Contains(t, shared.Session(t).Run(lab.Fed, "get", "csr", `--output=jsonpath={.items[?(@.spec.username=="system:cluster:renewed")].status.conditions[*].type}`), "Approved")

	s.Eventually("the first one has ended", func() (string, bool) {
		_, err := s.Try(s.with(b.Certificate, b.Key), "get", "cluster", "renewed")
		return errorText(err), err != nil
	})
	s.Run(lab.Fed, "scale", "deployment/web", "--replicas=2")
	s.Shows("eu", "2", "get", "deployment", "web", "--output=jsonpath={.spec.replicas}")
	s.ready()
}

// shifted is a machine whose clock is wrong, but goes.
type shifted struct {
	clock.RealClock
	by time.Duration
}

func (c shifted) Now() time.Time                  { return time.Now().Add(c.by) }
func (c shifted) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// whoami asks the federation, with the identity's certificate.
func whoami(t *testing.T, who *identity.Identity) (string, error) {
	t.Helper()
	client, err := rest.HTTPClientFor(who.Config())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, who.Config().Host+"/apis/authentication.k8s.io/v1/selfsubjectreviews",
		strings.NewReader(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func TestWrongClocks(t *testing.T) {
	for name, by := range map[string]time.Duration{"six hours slow": -6 * time.Hour, "six hours fast": 6 * time.Hour, "some minutes slow": -3 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "eu", "clock")
			i := s.invite()
			s.present(i.Token)
			store := identity.Files(filepath.Join(t.TempDir(), "identity"))
			opts := identity.Options{
				Cluster: "clock", Server: i.Server, CAHashes: i.CAHashes, TokenFile: s.tokenFile, Store: store, Clock: shifted{by: by},
			}
			if by < -time.Hour {
				// A federation that is set up before this machine thinks it is has certificates from the
				// future. Nothing but the clock can be set right then, and that is said.
				who := start(t, opts)
				s.Eventually("it says what is wrong", func() (string, bool) { return errorText(who.Trouble()), who.Trouble() != nil })
				require.ErrorContains(t, who.Trouble(), "set the clock")
				return
			}
			who := start(t, opts)
			said, err := whoami(t, who)
			require.NoError(t, err)
			require.Contains(t, said, "system:cluster:clock")
			require.NoError(t, who.Trouble())

			t.Log("Renewal goes by the federation's clock.")
			soon := s.sign(12 * time.Second)
			require.NoError(t, store.Save(t.Context(), soon))
			s.present("")
			who = start(t, opts)
			_, err = whoami(t, who)
			require.NoError(t, err)
			first := notAfter(t, soon.Certificate)
			s.Eventually("it is renewed", func() (string, bool) { return errorText(who.Trouble()), who.Expires().After(first) })
			require.True(t, time.Now().Before(first), "in time")
		})
	}
}

func TestAClockThatIsYearsAhead(t *testing.T) {
	s := newSite(t, "eu", "future")
	i := s.invite()
	s.present(i.Token)
	who := start(t, identity.Options{
		Cluster: "future", Server: i.Server, CAHashes: i.CAHashes, TokenFile: s.tokenFile,
		Store: identity.Files(t.TempDir()), Clock: shifted{by: 5 * 365 * 24 * time.Hour},
	})
	s.Eventually("it says what is wrong", func() (string, bool) { return errorText(who.Trouble()), who.Trouble() != nil })
	require.ErrorContains(t, who.Trouble(), "set the clock")
}

// start runs an identity until the test ends.
func start(t *testing.T, opts identity.Options) *identity.Identity {
	t.Helper()
	who, err := identity.New(opts)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); who.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return who
}
