package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	certificatesv1 "k8s.io/api/certificates/v1"
)

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func rsaKey(t *testing.T, bits int) crypto.Signer {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0") // to make what is refused
	key, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	return key
}

func agentOf(cluster string) pkix.Name {
	return pkix.Name{CommonName: "system:cluster:" + cluster, Organization: []string{"system:clusters"}}
}

func request(t *testing.T, key crypto.Signer, template x509.CertificateRequest) Request {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	require.NoError(t, err)
	return Request{
		SignerName: "kubernetes.io/kube-apiserver-client", Usages: []string{"digital signature", "client auth"},
		PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
	}
}

func TestCheck(t *testing.T) {
	key := ecKey(t)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	subject := func(change func(*pkix.Name)) x509.CertificateRequest {
		name := agentOf("eu")
		change(&name)
		return x509.CertificateRequest{Subject: name}
	}
	isCA, err := asn1.Marshal(struct {
		IsCA bool `asn1:"optional"`
	}{true})
	require.NoError(t, err)
	good := x509.CertificateRequest{Subject: agentOf("eu")}
	uri, err := url.Parse("spiffe://x/y")
	require.NoError(t, err)

	tests := map[string]struct {
		reason   string
		key      crypto.Signer
		template x509.CertificateRequest
		cluster  string // eu by default
		change   func(*Request)
		want     string // part of the error; empty: none
	}{
		"EC key":                {reason: "what the agent asks for", template: good},
		"Ed25519 key":           {reason: "as good", key: edKey, template: good},
		"RSA key":               {reason: "old tools", key: rsaKey(t, 2048), template: good},
		"RSA with encipherment": {reason: "old tools ask for it", key: rsaKey(t, 2048), template: good, change: func(r *Request) { r.Usages = append(r.Usages, "key encipherment") }},
		"order of usages":       {reason: "it means nothing", template: good, change: func(r *Request) { r.Usages = []string{"client auth", "digital signature"} }},
		"short RSA key":         {reason: "it can be broken", key: rsaKey(t, 1024), template: good, want: "1024 bits"},
		"another name":          {reason: "the identity of another cluster", template: x509.CertificateRequest{Subject: agentOf("ap")}, want: "common name"},
		"longer name":           {reason: "the identity of another cluster", template: x509.CertificateRequest{Subject: agentOf("eu-2")}, want: "common name"},
		"name in capitals":      {reason: "names are compared as they are", template: subject(func(n *pkix.Name) { n.CommonName = "system:cluster:EU" }), want: "common name"},
		"an administrator":      {reason: "not an agent", template: subject(func(n *pkix.Name) { n.CommonName = "admin" }), want: "common name"},
		"no organization":       {reason: "it would be nobody", template: subject(func(n *pkix.Name) { n.Organization = nil }), want: "organizations"},
		"another organization":  {reason: "groups are rights", template: subject(func(n *pkix.Name) { n.Organization = []string{"system:masters"} }), want: "organizations"},
		"two organizations":     {reason: "the second one is a group, too", template: subject(func(n *pkix.Name) { n.Organization = append(n.Organization, "system:masters") }), want: "organizations"},
		"organization twice":    {reason: "exactly one", template: subject(func(n *pkix.Name) { n.Organization = append(n.Organization, "system:clusters") }), want: "organizations"},
		"organizational unit":   {reason: "nobody reads it today", template: subject(func(n *pkix.Name) { n.OrganizationalUnit = []string{"x"} }), want: "nothing else"},
		"user's UID": {reason: "Kubernetes reads it from the subject", template: subject(func(n *pkix.Name) {
			n.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57683, 2}, Value: "uid"}}
		}), want: "nothing else"},
		"DNS name":               {reason: "a certificate of a server", template: x509.CertificateRequest{Subject: agentOf("eu"), DNSNames: []string{"fed.example.com"}}, want: "alternative names"},
		"address":                {reason: "a certificate of a server", template: x509.CertificateRequest{Subject: agentOf("eu"), IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)}}, want: "alternative names"},
		"mail address":           {reason: "a certificate of a person", template: x509.CertificateRequest{Subject: agentOf("eu"), EmailAddresses: []string{"a@example.com"}}, want: "alternative names"},
		"URI":                    {reason: "a workload's identity", template: x509.CertificateRequest{Subject: agentOf("eu"), URIs: []*url.URL{uri}}, want: "alternative names"},
		"CA bit":                 {reason: "it could sign agents", template: x509.CertificateRequest{Subject: agentOf("eu"), ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: isCA}}}, want: "extension 2.5.29.19"},
		"another signer":         {reason: "not this controller's to approve", template: good, change: func(r *Request) { r.SignerName = "kubernetes.io/kubelet-serving" }, want: "signer"},
		"no signer":              {reason: "not this controller's to approve", template: good, change: func(r *Request) { r.SignerName = "" }, want: "signer"},
		"server auth":            {reason: "it could play the federation", template: good, change: func(r *Request) { r.Usages = []string{"digital signature", "server auth"} }, want: "usages"},
		"server auth, too":       {reason: "it could play the federation", template: good, change: func(r *Request) { r.Usages = append(r.Usages, "server auth") }, want: "usages"},
		"cert sign":              {reason: "it could sign", template: good, change: func(r *Request) { r.Usages = append(r.Usages, "cert sign") }, want: "usages"},
		"any":                    {reason: "it could do everything", template: good, change: func(r *Request) { r.Usages = []string{"any"} }, want: "usages"},
		"no usages":              {reason: "nothing to use it for", template: good, change: func(r *Request) { r.Usages = nil }, want: "usages"},
		"client auth alone":      {reason: "exactly the two", template: good, change: func(r *Request) { r.Usages = []string{"client auth"} }, want: "usages"},
		"encipherment for EC":    {reason: "EC keys do not encipher", template: good, change: func(r *Request) { r.Usages = append(r.Usages, "key encipherment") }, want: "usages"},
		"not PEM":                {reason: "damaged", template: good, change: func(r *Request) { r.PEM = []byte("?") }, want: "PEM"},
		"a certificate":          {reason: "not a request", template: good, change: func(r *Request) { r.PEM = []byte(strings.ReplaceAll(string(r.PEM), " REQUEST", "")) }, want: "PEM"},
		"empty cluster":          {reason: "would own the namespace of the prefix", template: subject(func(n *pkix.Name) { n.CommonName = "system:cluster:" }), cluster: "-", want: "no name of a cluster"},
		"cluster in capitals":    {reason: "no cluster can be called that", template: x509.CertificateRequest{Subject: agentOf("EU")}, cluster: "EU", want: "no name of a cluster"},
		"cluster with a dot":     {reason: "no cluster can be called that", template: x509.CertificateRequest{Subject: agentOf("a.b")}, cluster: "a.b", want: "no name of a cluster"},
		"name of 48 characters":  {reason: "the longest", template: x509.CertificateRequest{Subject: agentOf(strings.Repeat("a", 48))}, cluster: strings.Repeat("a", 48)},
		"name of 49 characters":  {reason: "namespaces are named after clusters", template: x509.CertificateRequest{Subject: agentOf(strings.Repeat("a", 49))}, cluster: strings.Repeat("a", 49), want: "no name of a cluster"},
		"signed with other key":  {reason: "somebody else's key", template: good, change: func(r *Request) { r.PEM = damaged(t, r.PEM) }, want: "does not have the key"},
		"challenge is not asked": {reason: "nothing in the request but what counts", template: good},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.key == nil {
				tt.key = key
			}
			if tt.cluster == "" {
				tt.cluster = "eu"
			}
			if tt.cluster == "-" {
				tt.cluster = ""
			}
			r := request(t, tt.key, tt.template)
			if tt.change != nil {
				tt.change(&r)
			}
			err := r.Check(tt.cluster)
			if tt.want == "" {
				require.NoError(t, err, tt.reason)
				return
			}
			require.ErrorContains(t, err, tt.want, tt.reason)
		})
	}
}

// damaged changes the last byte of a request, which is of its signature.
func damaged(t *testing.T, data []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(data)
	require.NotNil(t, block)
	block.Bytes[len(block.Bytes)-1] ^= 1
	return pem.EncodeToMemory(block)
}

func TestClaim(t *testing.T) {
	tests := map[string]struct {
		subject pkix.Name
		cluster string
		claims  bool
	}{
		"an agent":           {agentOf("eu"), "eu", true},
		"a name alone":       {pkix.Name{CommonName: "system:cluster:eu"}, "eu", true},
		"a group alone":      {pkix.Name{CommonName: "x", Organization: []string{"system:clusters"}}, "", true},
		"a group among some": {pkix.Name{CommonName: "x", Organization: []string{"devs", "system:clusters"}}, "", true},
		"somebody":           {pkix.Name{CommonName: "jane", Organization: []string{"devs"}}, "", false},
		"nobody":             {pkix.Name{}, "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cluster, claims, err := request(t, ecKey(t), x509.CertificateRequest{Subject: tt.subject}).Claim()
			require.NoError(t, err)
			assert.Equal(t, tt.claims, claims)
			assert.Equal(t, tt.cluster, cluster)
		})
	}
	_, _, err := Request{PEM: []byte("?")}.Claim()
	require.Error(t, err)
}

func TestRequestOf(t *testing.T) {
	r := RequestOf(&certificatesv1.CertificateSigningRequest{Spec: certificatesv1.CertificateSigningRequestSpec{
		SignerName: "s", Request: []byte("r"), Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth}}})
	assert.Equal(t, Request{SignerName: "s", PEM: []byte("r"), Usages: []string{"client auth"}}, r)
}

// Whatever is asked for, nothing but the one identity passes.
func FuzzCheck(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: agentOf("eu")}, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		r := Request{SignerName: "kubernetes.io/kube-apiserver-client", Usages: []string{"digital signature", "client auth"},
			PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})}
		if r.Check("eu") != nil {
			return
		}
		parsed, err := x509.ParseCertificateRequest(der)
		if err != nil || parsed.Subject.String() != "CN=system:cluster:eu,O=system:clusters" || len(parsed.Extensions) > 0 {
			t.Fatalf("passed: %v, %v", parsed, err)
		}
	})
}
