package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/flotilla-io/flotilla/pkg/identity"
)

var asked = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// csrOf is a request as the API server stores it: user and groups are the server's
// word.
func csrOf(t *testing.T, template x509.CertificateRequest, username string, groups ...string) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	require.NoError(t, err)
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "agent-eu-abcde", CreationTimestamp: metav1.NewTime(asked)},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: "kubernetes.io/kube-apiserver-client",
			Usages:     []certificatesv1.KeyUsage{"digital signature", "client auth"},
			Username:   username, Groups: groups,
		},
	}
}

func agentNamed(cluster string, more ...string) x509.CertificateRequest {
	return x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:cluster:" + cluster, Organization: append([]string{"system:clusters"}, more...)}}
}

const (
	approve = string(certificatesv1.CertificateApproved)
	deny    = string(certificatesv1.CertificateDenied)
	leave   = ""
)

func TestWhichRequestsAreApproved(t *testing.T) {
	token := func(groups ...string) []string {
		return append([]string{"system:bootstrap:abcdef", "system:bootstrappers", "system:bootstrappers:flotilla", "system:authenticated"}, groups...)
	}
	forEu := token("system:bootstrappers:flotilla:eu")
	eu := []string{"system:cluster:eu", "system:clusters", "system:authenticated"}
	isCA, err := asn1.Marshal(struct{ IsCA bool }{true})
	require.NoError(t, err)
	type request = *certificatesv1.CertificateSigningRequest

	tests := map[string]struct {
		reason   string
		template x509.CertificateRequest
		who      []string
		change   func(request)
		want     string
		message  string
	}{
		"first certificate":               {reason: "the token is for this name", template: agentNamed("eu"), who: forEu, want: approve, message: "cluster eu"},
		"renewal":                         {reason: "it is this agent", template: agentNamed("eu"), who: eu, want: approve, message: "cluster eu"},
		"token of another cluster":        {reason: "one member must not become another", template: agentNamed("ap"), who: forEu, want: deny, message: "fedctl token create --cluster ap"},
		"token of a longer name":          {reason: "names are compared whole", template: agentNamed("eu"), who: token("system:bootstrappers:flotilla:eu-2"), want: deny, message: "cluster eu-2"},
		"token of a shorter name":         {reason: "names are compared whole", template: agentNamed("eu-2"), who: forEu, want: deny, message: "cluster eu"},
		"token of no cluster":             {reason: "nobody said which", template: agentNamed("eu"), who: token(), want: deny, message: "no cluster"},
		"token of the empty cluster":      {reason: "no cluster is called that", template: agentNamed(""), who: token("system:bootstrappers:flotilla:"), want: deny, message: "no name of a cluster"},
		"token of kubeadm":                {reason: "for something else", template: agentNamed("eu"), who: []string{"system:bootstrap:abcdef", "system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token"}, want: leave},
		"group without a token":           {reason: "a person in a group of that name has no token", template: agentNamed("eu"), who: []string{"jane", "system:bootstrappers:flotilla", "system:bootstrappers:flotilla:eu"}, want: leave},
		"renewal under another name":      {reason: "one member must not become another", template: agentNamed("ap"), who: eu, want: deny, message: "may not become that of ap"},
		"renewal under a longer name":     {reason: "names are compared whole", template: agentNamed("eu-2"), who: eu, want: deny, message: "may not become"},
		"agent's name without the group":  {reason: "not an agent: a person decides", template: agentNamed("eu"), who: []string{"system:cluster:eu", "system:authenticated"}, want: leave},
		"agent's group, another name":     {reason: "not an agent: a person decides", template: agentNamed("eu"), who: []string{"eu", "system:clusters"}, want: leave},
		"administrator":                   {reason: "whoever asks by hand approves by hand", template: agentNamed("eu"), who: []string{"flotilla-admin", "system:masters"}, want: leave},
		"anonymous":                       {reason: "RBAC would not let him", template: agentNamed("eu"), who: []string{"system:anonymous", "system:unauthenticated"}, want: leave},
		"somebody else's identity":        {reason: "not an agent's: nobody approves it unasked", template: x509.CertificateRequest{Subject: pkix.Name{CommonName: "jane", Organization: []string{"devs"}}}, who: forEu, want: leave},
		"controllers' identity":           {reason: "not an agent's: nobody approves it unasked", template: x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:flotilla:controller-manager"}}, who: forEu, want: leave},
		"two organizations":               {reason: "the second one is a group, too", template: agentNamed("eu", "system:masters"), who: forEu, want: deny, message: "organizations"},
		"two organizations, renewal":      {reason: "the second one is a group, too", template: agentNamed("eu", "system:masters"), who: eu, want: deny, message: "organizations"},
		"group without the name":          {reason: "a member of the group that is no agent", template: x509.CertificateRequest{Subject: pkix.Name{CommonName: "jane", Organization: []string{"system:clusters"}}}, who: forEu, want: deny, message: "no name of a cluster"},
		"name without the group":          {reason: "it would be nobody", template: x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:cluster:eu"}}, who: forEu, want: deny, message: "organizations"},
		"alternative names":               {reason: "a certificate of a server", template: x509.CertificateRequest{Subject: agentNamed("eu").Subject, DNSNames: []string{"fed.example.com"}}, who: forEu, want: deny, message: "alternative names"},
		"CA bit":                          {reason: "it could sign agents", template: x509.CertificateRequest{Subject: agentNamed("eu").Subject, ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Value: isCA}}}, who: forEu, want: deny, message: "extension"},
		"another signer of Kubernetes":    {reason: "kubelets' certificates are for servers", template: agentNamed("eu"), who: forEu, change: func(r request) { r.Spec.SignerName = "kubernetes.io/kubelet-serving" }, want: deny, message: "signer"},
		"a signer of somebody's":          {reason: "its approver decides", template: agentNamed("eu"), who: forEu, change: func(r request) { r.Spec.SignerName = "example.com/mine" }, want: leave},
		"server auth":                     {reason: "it could play the federation", template: agentNamed("eu"), who: forEu, change: func(r request) { r.Spec.Usages = append(r.Spec.Usages, "server auth") }, want: deny, message: "usages"},
		"client auth missing":             {reason: "nothing to use it for", template: agentNamed("eu"), who: forEu, change: func(r request) { r.Spec.Usages = r.Spec.Usages[:1] }, want: deny, message: "usages"},
		"damaged":                         {reason: "the API server lets none through", template: agentNamed("eu"), who: forEu, change: func(r request) { r.Spec.Request = []byte("?") }, want: deny, message: "PEM"},
		"approved":                        {reason: "once is enough", template: agentNamed("eu"), who: forEu, change: with(certificatesv1.CertificateApproved), want: leave},
		"denied":                          {reason: "somebody said no", template: agentNamed("eu"), who: forEu, change: with(certificatesv1.CertificateDenied), want: leave},
		"failed":                          {reason: "the signer gave up", template: agentNamed("eu"), who: forEu, change: with(certificatesv1.CertificateFailed), want: leave},
		"signed":                          {reason: "nothing is left to decide", template: agentNamed("eu"), who: forEu, change: func(r request) { r.Status.Certificate = []byte("x") }, want: leave},
		"token of two clusters, one asks": {reason: "somebody made it for both", template: agentNamed("ap"), who: append(forEu, "system:bootstrappers:flotilla:ap"), want: approve},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			csr := csrOf(t, tt.template, tt.who[0], tt.who[1:]...)
			if tt.change != nil {
				tt.change(csr)
			}
			before := len(csr.Status.Conditions)
			var written *certificatesv1.CertificateSigningRequest
			approver := &Approver{
				Request:     func(context.Context, string) (*certificatesv1.CertificateSigningRequest, error) { return csr, nil },
				Revocations: func(context.Context) (identity.Revocations, error) { return nil, nil },
				UpdateApproval: func(_ context.Context, c *certificatesv1.CertificateSigningRequest) error {
					written = c
					return nil
				},
			}
			_, err := approver.Reconcile(t.Context(), requestFor(csr.Name))
			require.NoError(t, err)
			if tt.want == leave {
				assert.Nil(t, written, tt.reason)
				return
			}
			require.NotNil(t, written, tt.reason)
			require.Len(t, written.Status.Conditions, before+1)
			got := written.Status.Conditions[before]
			assert.Equal(t, tt.want, string(got.Type), "%s: %s", tt.reason, got.Message)
			assert.Contains(t, got.Message, tt.message)
			assert.NotEmpty(t, got.Reason)
		})
	}
}

func with(kind certificatesv1.RequestConditionType) func(*certificatesv1.CertificateSigningRequest) {
	return func(csr *certificatesv1.CertificateSigningRequest) {
		csr.Status.Conditions = append(csr.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{Type: kind})
	}
}

func TestRevokedAgentsDoNotRenew(t *testing.T) {
	tests := map[string]struct {
		reason  string
		who     []string
		revoked identity.Revocations
		want    string
	}{
		"asked before":       {"what would be signed now would be newer than the revocation", []string{"system:cluster:eu", "system:clusters"}, identity.Revocations{"eu": asked.Add(time.Second)}, deny},
		"asked in that time": {"as above", []string{"system:cluster:eu", "system:clusters"}, identity.Revocations{"eu": asked}, deny},
		"asked after":        {"whoever asks has a newer certificate", []string{"system:cluster:eu", "system:clusters"}, identity.Revocations{"eu": asked.Add(-time.Second)}, approve},
		"another cluster":    {"not this one", []string{"system:cluster:eu", "system:clusters"}, identity.Revocations{"ap": asked.Add(time.Hour)}, approve},
		"with a token":       {"an administrator let it join again", []string{"system:bootstrap:abcdef", "system:bootstrappers:flotilla", "system:bootstrappers:flotilla:eu"}, identity.Revocations{"eu": asked.Add(time.Hour)}, approve},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			csr := csrOf(t, agentNamed("eu"), tt.who[0], tt.who[1:]...)
			approver := &Approver{
				Request:        func(context.Context, string) (*certificatesv1.CertificateSigningRequest, error) { return csr, nil },
				Revocations:    func(context.Context) (identity.Revocations, error) { return tt.revoked, nil },
				UpdateApproval: func(context.Context, *certificatesv1.CertificateSigningRequest) error { return nil },
			}
			_, err := approver.Reconcile(t.Context(), requestFor(csr.Name))
			require.NoError(t, err)
			require.Len(t, csr.Status.Conditions, 1)
			assert.Equal(t, tt.want, string(csr.Status.Conditions[0].Type), tt.reason)
		})
	}
}

func TestApproverErrors(t *testing.T) {
	broken := errors.New("broken")
	resource := schema.GroupResource{Resource: "certificatesigningrequests"}
	tests := map[string]struct {
		reason                      string
		read, revocations, approval error
		missing                     bool
		want                        error
		again                       bool
	}{
		"gone":                 {reason: "nothing to do", missing: true},
		"cannot be read":       {reason: "it is tried again", read: broken, want: broken},
		"revocations unknown":  {reason: "nothing is approved unless they are known", revocations: broken, want: broken},
		"somebody was faster":  {reason: "the next look is at what he wrote", approval: apierrors.NewConflict(resource, "x", nil), again: true},
		"gone while deciding":  {reason: "nothing to do", approval: apierrors.NewNotFound(resource, "x")},
		"cannot be written":    {reason: "it is tried again", approval: broken, want: broken},
		"everything goes well": {reason: "and nothing is tried again"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			wrote := false
			approver := &Approver{
				Request: func(context.Context, string) (*certificatesv1.CertificateSigningRequest, error) {
					if tt.missing || tt.read != nil {
						return nil, tt.read
					}
					return csrOf(t, agentNamed("eu"), "system:cluster:eu", "system:clusters"), nil
				},
				Revocations: func(context.Context) (identity.Revocations, error) { return nil, tt.revocations },
				UpdateApproval: func(context.Context, *certificatesv1.CertificateSigningRequest) error {
					wrote = true
					return tt.approval
				},
			}
			result, err := approver.Reconcile(t.Context(), requestFor("x"))
			require.ErrorIs(t, err, tt.want, tt.reason)
			assert.Equal(t, tt.again, result.RequeueAfter > 0, tt.reason)
			assert.Equal(t, !tt.missing && tt.read == nil && tt.revocations == nil, wrote)
		})
	}
}
