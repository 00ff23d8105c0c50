package clusterrestriction

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/kubernetes/pkg/apis/certificates"
)

func TestAgentsAskForTheirOwnCertificates(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	request := func(name, cn string, organizations ...string) *certificates.CertificateSigningRequest {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn, Organization: organizations}}, key)
		require.NoError(t, err)
		return &certificates.CertificateSigningRequest{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: certificates.CertificateSigningRequestSpec{
				Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
				SignerName: "kubernetes.io/kube-apiserver-client", Usages: []certificates.KeyUsage{"digital signature", "client auth"},
			},
		}
	}
	changed := func(csr *certificates.CertificateSigningRequest, change func(*certificates.CertificateSigningRequest)) *certificates.CertificateSigningRequest {
		change(csr)
		return csr
	}
	own := func() *certificates.CertificateSigningRequest {
		return request("agent-eu-abcde", "system:cluster:eu", "system:clusters")
	}
	agent := &user.DefaultInfo{Name: "system:cluster:eu", Groups: []string{"system:clusters"}}
	tests := map[string]struct {
		reason string
		user   user.Info
		csr    *certificates.CertificateSigningRequest
		want   bool
	}{
		"its own":          {"it renews", agent, own(), true},
		"of another":       {"one member must not become another", agent, request("agent-eu-abcde", "system:cluster:ap", "system:clusters"), false},
		"administrator's":  {"nor more than it is", agent, request("agent-eu-abcde", "flotilla-admin"), false},
		"one more group":   {"groups are rights", agent, request("agent-eu-abcde", "system:cluster:eu", "system:clusters", "devs"), false},
		"another signer":   {"for something else", agent, changed(own(), func(c *certificates.CertificateSigningRequest) { c.Spec.SignerName = "kubernetes.io/kubelet-serving" }), false},
		"another usage":    {"it could play the federation", agent, changed(own(), func(c *certificates.CertificateSigningRequest) { c.Spec.Usages = append(c.Spec.Usages, "server auth") }), false},
		"name of another":  {"that one could not ask any more", agent, request("agent-ap-abcde", "system:cluster:eu", "system:clusters"), false},
		"name of a longer": {"as above", agent, request("agent-eu-2-abcde", "system:cluster:eu", "system:clusters"), false},
		"name at will":     {"it could not read the answer", agent, request("mine", "system:cluster:eu", "system:clusters"), false},
		"with a token":     {"it is denied later, and told why", &user.DefaultInfo{Name: "system:bootstrap:abcdef", Groups: []string{"system:bootstrappers:flotilla"}}, request("x", "system:cluster:eu", "system:clusters"), true},
		"by hand":          {"people ask for what they like", &user.DefaultInfo{Name: "jane"}, request("x", "system:cluster:eu", "system:clusters"), true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			resource := schema.GroupVersionResource{Group: "certificates.k8s.io", Version: "v1", Resource: "certificatesigningrequests"}
			a := admission.NewAttributesRecord(tt.csr, nil, schema.GroupVersionKind{}, "", tt.csr.Name, resource, "", admission.Create, nil, false, tt.user)
			err := plugin{admission.NewHandler(admission.Create, admission.Update)}.Validate(t.Context(), a, nil)
			if tt.want {
				require.NoError(t, err, tt.reason)
				return
			}
			assert.True(t, apierrors.IsForbidden(err), "%s: %v", tt.reason, err)
		})
	}
}
