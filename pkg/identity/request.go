package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/flotilla-io/flotilla/api/names"
)

const (
	// maxClusterName is the longest name of a cluster.
	maxClusterName = 48
	// minRSABits is the smallest RSA key that counts as safe today.
	minRSABits = 2048
)

// Request is a certificate signing request, whichever version of the API it came in.
type Request struct {
	SignerName string
	Usages     []string
	// PEM is the request in PEM.
	PEM []byte
}

// RequestOf takes what matters from an object of the API.
func RequestOf(csr *certificatesv1.CertificateSigningRequest) Request {
	r := Request{SignerName: csr.Spec.SignerName, PEM: csr.Spec.Request}
	for _, usage := range csr.Spec.Usages {
		r.Usages = append(r.Usages, string(usage))
	}
	return r
}

// Claim is the cluster whose agent the request wants to be. Anything in the subject
// that only agents have makes a claim; the name is empty when it is not said.
func (r Request) Claim() (cluster string, claims bool, err error) {
	parsed, err := parse(r.PEM)
	if err != nil {
		return "", false, err
	}
	cluster, named := strings.CutPrefix(parsed.Subject.CommonName, names.AgentUserPrefix)
	if !named {
		cluster = ""
	}
	return cluster, named || slices.Contains(parsed.Subject.Organization, names.AgentGroup), nil
}

// Check says why a request must not become the certificate of a cluster's agent.
func (r Request) Check(cluster string) error {
	if wrong := validation.IsDNS1123Label(cluster); len(wrong) > 0 || len(cluster) > maxClusterName {
		return fmt.Errorf("%q is no name of a cluster: want a DNS label of at most %d characters", cluster, maxClusterName)
	}
	if r.SignerName != certificatesv1.KubeAPIServerClientSignerName {
		return fmt.Errorf("signer is %s, want %s", r.SignerName, certificatesv1.KubeAPIServerClientSignerName)
	}
	parsed, err := parse(r.PEM)
	if err != nil {
		return err
	}
	if err := checkSubject(parsed, cluster); err != nil {
		return err
	}
	isRSA, err := checkKey(parsed)
	if err != nil {
		return err
	}
	return checkUsages(r.Usages, isRSA)
}

func parse(data []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("not a certificate request in PEM")
	}
	parsed, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("not a certificate request: %w", err)
	}
	return parsed, nil
}

func checkSubject(parsed *x509.CertificateRequest, cluster string) error {
	if want := names.AgentUserPrefix + cluster; parsed.Subject.CommonName != want {
		return fmt.Errorf("common name is %q, want %q", parsed.Subject.CommonName, want)
	}
	if !slices.Equal(parsed.Subject.Organization, []string{names.AgentGroup}) {
		return fmt.Errorf("organizations are %q, want %q alone: they are the groups of the user", parsed.Subject.Organization, names.AgentGroup)
	}
	if len(parsed.Subject.Names) != 2 {
		return fmt.Errorf("subject is %q, want a common name and an organization, and nothing else", parsed.Subject)
	}
	if len(parsed.DNSNames)+len(parsed.EmailAddresses)+len(parsed.IPAddresses)+len(parsed.URIs) > 0 {
		return errors.New("it has subject alternative names, want none: a client has no address")
	}
	// Constraints that make a CA are among them.
	if len(parsed.Extensions) > 0 {
		return fmt.Errorf("it asks for the extension %s, want none", parsed.Extensions[0].Id)
	}
	return nil
}

func checkKey(parsed *x509.CertificateRequest) (isRSA bool, err error) {
	if err := parsed.CheckSignature(); err != nil {
		return false, fmt.Errorf("whoever asks does not have the key: %w", err)
	}
	switch key := parsed.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSABits {
			return false, fmt.Errorf("RSA key of %d bits, want at least %d", key.N.BitLen(), minRSABits)
		}
		return true, nil
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return false, nil
	}
	return false, fmt.Errorf("key of type %s, want ECDSA, Ed25519 or RSA", parsed.PublicKeyAlgorithm)
}

func checkUsages(usages []string, isRSA bool) error {
	want := []string{string(certificatesv1.UsageClientAuth), string(certificatesv1.UsageDigitalSignature)}
	got := slices.Clone(usages)
	if isRSA {
		got = slices.DeleteFunc(got, func(u string) bool { return u == string(certificatesv1.UsageKeyEncipherment) })
	}
	slices.Sort(got)
	if !slices.Equal(slices.Compact(got), want) {
		return fmt.Errorf("usages are %q, want %q", usages, want)
	}
	return nil
}
