package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A CA of one's own has a key of the form that the tool at hand writes.
func TestKeysOfOthers(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	block := func(kind string, der []byte, err error) []byte {
		require.NoError(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	sec1, err := x509.MarshalECPrivateKey(ec)
	require.NoError(t, err)
	ecPKCS8, ecErr := x509.MarshalPKCS8PrivateKey(ec)
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	rsaPKCS8, rsaErr := x509.MarshalPKCS8PrivateKey(long)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	edPKCS8, edErr := x509.MarshalPKCS8PrivateKey(edwards)

	for name, tt := range map[string]struct {
		key  crypto.Signer
		pem  []byte
		says string
	}{
		"SEC 1":           {key: ec, pem: block("EC PRIVATE KEY", sec1, nil)},
		"openssl ecparam": {key: ec, pem: append(block("EC PARAMETERS", []byte{6, 5, 43, 129, 4, 0, 34}, nil), block("EC PRIVATE KEY", sec1, nil)...)},
		"PKCS 8, EC":      {key: ec, pem: block("PRIVATE KEY", ecPKCS8, ecErr)},
		"PKCS 1":          {key: long, pem: block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(long), nil)},
		"PKCS 8, RSA":     {key: long, pem: block("PRIVATE KEY", rsaPKCS8, rsaErr)},
		"Ed25519":         {key: edwards, pem: block("PRIVATE KEY", edPKCS8, edErr), says: "EC or RSA"},
		"passphrase":      {key: ec, pem: block("ENCRYPTED PRIVATE KEY", ecPKCS8, ecErr), says: "passphrase"},
		"no key":          {key: ec, pem: []byte("?"), says: "PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			made, err := newCA("ca", now)
			require.NoError(t, err)
			template := *made.Cert
			template.PublicKey, template.SignatureAlgorithm = nil, x509.UnknownSignatureAlgorithm
			der, err := x509.CreateCertificate(rand.Reader, &template, &template, tt.key.Public(), tt.key)
			require.NoError(t, err)
			files := map[string][]byte{"ca.crt": block("CERTIFICATE", der, nil), "ca.key": tt.pem, "sa.key": tt.pem}
			err = CompleteAuthorities("here", files, now)
			if tt.says != "" {
				require.ErrorContains(t, err, tt.says)
				require.ErrorContains(t, err, "here/ca.key")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.pem, files["ca.key"], "what is there is left as it is")
			assert.NotEmpty(t, files["sa.pub"])
			ca, err := Parse("ca", files["ca.crt"], files["ca.key"])
			require.NoError(t, err)
			leaf, err := Sign(ca, Leaf{CommonName: "jane", Usage: x509.ExtKeyUsageClientAuth}, now)
			require.NoError(t, err)
			assert.True(t, leaf.Good(ca, Leaf{CommonName: "jane"}, now))
		})
	}
}
