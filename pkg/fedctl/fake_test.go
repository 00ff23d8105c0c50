package fedctl

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/flotilla-io/flotilla/api/scheme"
	"github.com/flotilla-io/flotilla/pkg/agent/identity"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	fedURL    = "https://fed.example.com:5443"
	memberURL = "https://member.example.com:6443"
)

// start is the servers' time when a test begins. Each question about the time is a second later, so that
// what waits for it ends.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// desk is a person at the terminal, with a federation and a member in memory.
type desk struct {
	t                  *testing.T
	federation, member client.Client
	in                 string
	ca                 []byte
	now                time.Time
	broken             map[string]error
}

func newDesk(t *testing.T, federation ...client.Object) *desk {
	t.Helper()
	d := &desk{t: t, now: start, broken: map[string]error{}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fed"}, IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	d.ca, err = cert.EncodeCertificates(parsed)
	require.NoError(t, err)
	config := clientcmdapi.NewConfig()
	config.Clusters["fed"] = &clientcmdapi.Cluster{Server: fedURL, CertificateAuthorityData: d.ca}
	info, err := clientcmd.Write(*config)
	require.NoError(t, err)
	d.federation = d.newClient(append(federation,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "uid-fed"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-public", Name: "cluster-info"}, Data: map[string]string{"kubeconfig": string(info)}},
	)...)
	d.member = d.newClient(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "uid-member"}})
	return d
}

// newClient fills tokens into Secrets of service accounts, as a controller-manager does.
func (d *desk) newClient(objects ...client.Object) client.Client {
	return fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(objects...).
		WithIndex(&corev1.Secret{}, "type", func(o client.Object) []string { return []string{string(o.(*corev1.Secret).Type)} }).
		WithInterceptorFuncs(interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				if s, ok := o.(*corev1.Secret); ok && s.Type == corev1.SecretTypeServiceAccountToken {
					s.Data = map[string][]byte{"token": []byte("token of " + s.Name)}
				}
				return c.Create(ctx, o, opts...)
			},
		}).Build()
}

func (d *desk) hash() string {
	certificates, err := cert.ParseCertsPEM(d.ca)
	require.NoError(d.t, err)
	return identity.HashOf(certificates[0]).String()
}

func (d *desk) tick() time.Time {
	d.now = d.now.Add(time.Second)
	return d.now
}

func (d *desk) dial(what string, _ *genericclioptions.ConfigFlags) (*cluster, error) {
	if err := d.broken[what]; err != nil {
		return nil, err
	}
	c := &cluster{Client: d.federation, config: &rest.Config{Host: fedURL}, clock: &serverClock{local: d.tick}}
	c.config.CAData = d.ca
	if what == "member" {
		c.Client, c.config = d.member, &rest.Config{Host: memberURL}
		c.config.CAData = []byte("member's CA")
	}
	return c, nil
}

// types runs a command line. What changes from run to run is replaced in the output.
func (d *desk) types(line string) string {
	d.t.Helper()
	var out bytes.Buffer
	n := byte(0)
	c := &cli{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(d.in), Out: &out, ErrOut: &out},
		name:      "fedctl", dial: d.dial,
		random: func(b []byte) {
			for i := range b {
				b[i] = n
				n++
			}
		},
	}
	cmd := newCommand(c)
	cmd.SetArgs(strings.Fields(line))
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	defer cancel()
	if err := cmd.ExecuteContext(ctx); err != nil {
		out.WriteString("Error: " + err.Error() + "\n")
	}
	return "$ fedctl " + line + "\n" + strings.ReplaceAll(out.String(), d.hash(), "sha256:HASH")
}

// golden compares with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run with -update")
	require.Equal(t, string(want), got)
}
