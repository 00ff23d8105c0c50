package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/clock"

	"github.com/flotilla-io/flotilla/api/names"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(20 * 365 * 24 * time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	return &authority{cert: cert, key: key}
}

func (a *authority) pem() []byte  { return encode([]*x509.Certificate{a.cert}) }
func (a *authority) hash() string { return HashOf(a.cert).String() }

func (a *authority) sign(template *x509.Certificate, public any) ([]byte, error) {
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), nil
}

// federation is a server that knows tokens, signs requests and recognizes certificates.
type federation struct {
	*httptest.Server
	*authority
	clock clock.PassiveClock

	mu          sync.Mutex
	tokens      map[string]string // token to cluster
	revoked     map[string]time.Time
	requests    map[string]*certificatesv1.CertificateSigningRequest
	made        []string // who asked for certificates
	silent      bool     // nobody approves
	deny        string
	lifetime    time.Duration // of what is issued, if not 0
	showCA      []byte
	live        map[net.Conn]bool
	former      []*x509.Certificate // of CAs that were replaced; certificates of theirs count
	serving     *tls.Config
	discoveries int // how often the CA was asked for
}

func newFederation(t *testing.T, c clock.PassiveClock) *federation {
	t.Helper()
	f := &federation{
		authority: newAuthority(t, "federation"), clock: c, tokens: map[string]string{}, revoked: map[string]time.Time{},
		requests: map[string]*certificatesv1.CertificateSigningRequest{}, live: map[net.Conn]bool{},
	}
	f.showCA = f.pem()
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.serveWith(t, f.authority)
	f.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.serving, nil
	}}
	f.EnableHTTP2 = true
	f.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.live[conn] = state != http.StateClosed
	}
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

// serveWith makes the server show a certificate of a CA on new connections.
func (f *federation) serveWith(t *testing.T, by *authority) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	serving, err := by.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "federation"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: f.clock.Now().Add(-time.Hour), NotAfter: f.clock.Now().Add(365 * 24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, key.Public())
	require.NoError(t, err)
	block, _ := pem.Decode(serving)
	f.set(func() {
		f.serving = &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: key}}, ClientAuth: tls.RequestClientCert,
			NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12,
		}
	})
}

// replaceCA begins to sign with another CA, and shows these.
func (f *federation) replaceCA(t *testing.T, by *authority, show ...*authority) {
	t.Helper()
	f.serveWith(t, by)
	f.set(func() {
		f.former = append(f.former, f.cert)
		f.authority = by
		f.showCA = nil
		for _, a := range show {
			f.showCA = append(f.showCA, a.pem()...)
		}
	})
	f.CloseClientConnections()
}

// knows tells whether a certificate is of this federation.
func (f *federation) knows(leaf *x509.Certificate) bool {
	for _, ca := range append([]*x509.Certificate{f.cert}, f.former...) {
		if leaf.CheckSignatureFrom(ca) == nil {
			return true
		}
	}
	return false
}

func (f *federation) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *federation) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.made...)
}

func (f *federation) connections() (open int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, live := range f.live {
		if live {
			open++
		}
	}
	return open
}

// user authenticates a request: by a token, or by a certificate at the server's time.
func (f *federation) user(r *http.Request) (string, bool) {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		cluster, ok := f.tokens[token]
		return "system:bootstrap:" + cluster, ok
	}
	if len(r.TLS.PeerCertificates) == 0 {
		return "anonymous", true
	}
	leaf := r.TLS.PeerCertificates[0]
	now := f.clock.Now()
	if !f.knows(leaf) || now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return "", false
	}
	cluster := strings.TrimPrefix(leaf.Subject.CommonName, names.AgentUserPrefix)
	if at, ok := f.revoked[cluster]; ok && !leaf.NotBefore.After(at) {
		return "", false
	}
	return leaf.Subject.CommonName, true
}

func (f *federation) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Date", f.clock.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/json")
	user, ok := f.user(r)
	if !ok {
		answer(w, http.StatusUnauthorized, &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: "Unauthorized", Code: 401, Message: "Unauthorized"})
		return
	}
	const requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	name, isRequest := strings.CutPrefix(r.URL.Path, requests+"/")
	switch {
	case r.URL.Path == discoveryPath:
		f.discoveries++
		config := clientcmdapi.NewConfig()
		config.Clusters[""] = &clientcmdapi.Cluster{Server: f.URL, CertificateAuthorityData: f.showCA}
		raw, err := clientcmd.Write(*config)
		if err != nil {
			panic(err)
		}
		answer(w, http.StatusOK, map[string]any{"data": map[string]string{discoveryKey: string(raw)}})
	case r.URL.Path == requests && r.Method == http.MethodPost:
		request := &certificatesv1.CertificateSigningRequest{}
		if err := json.NewDecoder(r.Body).Decode(request); err != nil {
			panic(err)
		}
		request.Name = fmt.Sprintf("%s%d", request.GenerateName, len(f.requests))
		f.made = append(f.made, user)
		f.requests[request.Name] = request
		f.handle(request)
		answer(w, http.StatusCreated, request)
	case isRequest && f.requests[name] != nil:
		f.handle(f.requests[name])
		answer(w, http.StatusOK, f.requests[name])
	case r.URL.Path == "/whoami":
		answer(w, http.StatusOK, user)
	default:
		http.NotFound(w, r)
	}
}

// handle approves and signs, as the controllers of a federation do.
func (f *federation) handle(request *certificatesv1.CertificateSigningRequest) {
	if f.silent || len(request.Status.Certificate) > 0 {
		return
	}
	if f.deny != "" {
		request.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateDenied, Reason: "NotYours", Message: f.deny}}
		return
	}
	block, _ := pem.Decode(request.Spec.Request)
	wanted, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		panic(err)
	}
	lifetime := time.Duration(*request.Spec.ExpirationSeconds) * time.Second
	if f.lifetime != 0 {
		lifetime = f.lifetime
	}
	now := f.clock.Now()
	request.Status.Certificate, err = f.sign(&x509.Certificate{
		Subject: wanted.Subject, NotBefore: now, NotAfter: now.Add(lifetime), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, wanted.PublicKey)
	if err != nil {
		panic(err)
	}
}

func answer(w http.ResponseWriter, code int, body any) {
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}
