package remotesecret

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/tools/clientcmd"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// testCA is a certificate that can be read; whose it is makes no difference.
func testCA(t *testing.T) []byte {
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

func TestSecret(t *testing.T) {
	token := &Token{Bearer: "a.b.c", CA: testCA(t), Server: "https://203.0.113.7:6443", Expires: epoch}
	secret, err := Secret("mesh1", "ap", token)
	if err != nil {
		t.Fatal(err)
	}
	if secret.Namespace != "istio-system" || secret.Name != "istio-remote-secret-ap" ||
		secret.Labels["istio/multiCluster"] != "true" || secret.Annotations["networking.istio.io/cluster"] != "ap" {
		t.Errorf("istiod would not find it: %s/%s %v %v", secret.Namespace, secret.Name, secret.Labels, secret.Annotations)
	}
	if len(secret.Data) != 1 {
		t.Errorf("each key is a cluster for istiod; there are %d", len(secret.Data))
	}
	config, err := clientcmd.Load(secret.Data["ap"])
	if err != nil {
		t.Fatal(err)
	}
	if err := clientcmd.Validate(*config); err != nil {
		t.Errorf("istiod refuses it: %v", err)
	}
	rest, err := clientcmd.NewDefaultClientConfig(*config, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	if rest.BearerToken != "a.b.c" || rest.Host != token.Server || rest.Insecure || string(rest.CAData) != string(token.CA) {
		t.Errorf("connects to %s, insecure: %v", rest.Host, rest.Insecure)
	}
	// What istiod refuses, and what would be a credential of somebody else.
	user := config.AuthInfos["ap"]
	if user.Exec != nil || user.AuthProvider != nil || user.TokenFile != "" || user.ClientCertificate != "" || user.ClientKey != "" ||
		len(user.ClientCertificateData) > 0 || len(user.ClientKeyData) > 0 || user.Password != "" || user.Impersonate != "" {
		t.Error("there is more in it than the reader's token")
	}
	again, err := Secret("mesh1", "ap", token)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := SecretHash("ap", again.Data), SecretHash("ap", secret.Data); got != want || got == "" {
		t.Errorf("the same token gives %s and %s", got, want)
	}
	if got := SecretHash("us", secret.Data); got != "" {
		t.Errorf("there is nothing of us in it, got %s", got)
	}
}

func TestParseToken(t *testing.T) {
	ca := testCA(t)
	// Ends a second before the time that is said, as a token may.
	claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, epoch.Unix()-1))
	key := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("x")}))
	valid := &Token{Bearer: "a." + claims + ".c", CA: ca, Server: "https://203.0.113.7:6443", Expires: epoch}
	cases := map[string]struct {
		reason string
		key    string
		text   string
		want   error
	}{
		"Valid":      {reason: "It comes back as it was."},
		"NoToken":    {reason: "istiod would come as anonymous.", key: meshv1alpha1.ReaderTokenKey, want: ErrToken},
		"TwoLines":   {reason: "That is no token.", key: meshv1alpha1.ReaderTokenKey, text: "a\nb", want: ErrToken},
		"NoCA":       {reason: "The token would go to whoever answers.", key: meshv1alpha1.ReaderCAKey, text: "x", want: ErrToken},
		"PlainHTTP":  {reason: "Everybody on the way could read the token.", key: meshv1alpha1.ReaderServerKey, text: "http://203.0.113.7", want: ErrToken},
		"NoServer":   {reason: "There is nobody to ask.", key: meshv1alpha1.ReaderServerKey, want: ErrToken},
		"LongToken":  {reason: "It would fill what all peers get.", key: meshv1alpha1.ReaderTokenKey, text: strings.Repeat("a", 16<<10+1), want: ErrToken},
		"BytesToken": {reason: "It goes into a header.", key: meshv1alpha1.ReaderTokenKey, text: "a\x00b", want: ErrToken},
		"Opaque":     {reason: "It need not say when it ends.", key: meshv1alpha1.ReaderTokenKey, text: "abc"},
		"LongCA":     {reason: "So would a CA.", key: meshv1alpha1.ReaderCAKey, text: strings.Repeat(string(ca), 64<<10/len(ca)+1), want: ErrToken},
		"KeyInCA":    {reason: "All peers would read it.", key: meshv1alpha1.ReaderCAKey, text: string(ca) + key, want: ErrToken},
		"Bundle":     {reason: "A CA that is being changed is two.", key: meshv1alpha1.ReaderCAKey, text: string(ca) + "# the next one\n" + string(ca)},
		"LongURL":    {reason: "And a URL.", key: meshv1alpha1.ReaderServerKey, text: "https://a/" + strings.Repeat("a", 2<<10), want: ErrToken},
		"Query":      {reason: "Paths are put after it.", key: meshv1alpha1.ReaderServerKey, text: "https://203.0.113.7?", want: ErrToken},
		"Fragment":   {reason: "Paths after it would be dropped.", key: meshv1alpha1.ReaderServerKey, text: "https://203.0.113.7#a", want: ErrToken},
		"Password":   {reason: "It would take the place of the token.", key: meshv1alpha1.ReaderServerKey, text: "https://a:b@203.0.113.7", want: ErrToken},
		"Year10000":  {reason: "It could not be stored.", key: meshv1alpha1.ReaderExpiresKey, text: "9999-12-31T23:59:59-12:00", want: ErrToken},
		"NeverEnds":  {reason: "It would be in use for ever.", key: meshv1alpha1.ReaderExpiresKey, text: "2200-01-01T00:00:00Z", want: ErrToken},
		"Later":      {reason: "The token says when it ends.", key: meshv1alpha1.ReaderExpiresKey, text: epoch.Add(time.Hour).Format(time.RFC3339), want: ErrToken},
		"NoEnd":      {reason: "It could not be renewed in time.", key: meshv1alpha1.ReaderExpiresKey, text: "soon", want: ErrToken},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			data := valid.Data()
			if tc.key != "" {
				data[tc.key] = []byte(tc.text)
			}
			got, err := ParseToken(data)
			if !errors.Is(err, tc.want) {
				t.Fatalf("%s Got error %v", tc.reason, err)
			}
			if err == nil && tc.key == "" {
				if diff := cmp.Diff(valid, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
				}
			}
		})
	}
}

// TestReader: the reader can do nothing but read, sees Secrets if that was asked
// for, and of ConfigMaps the one with the mesh's configuration.
func TestReader(t *testing.T) {
	for _, secrets := range []meshv1alpha1.MeshSecretAccess{meshv1alpha1.SecretsRead, meshv1alpha1.SecretsNone, ""} {
		t.Run(string(secrets), func(t *testing.T) { testReader(t, secrets) })
	}
}

func testReader(t *testing.T, secrets meshv1alpha1.MeshSecretAccess) {
	seen := false
	for revision, configMap := range map[string]string{"": "istio", "default": "istio", "1-31": "istio-1-31"} {
		for _, object := range Reader("mesh1", revision, secrets) {
			var rules []rbacv1.PolicyRule
			switch o := object.(type) {
			case *corev1.ServiceAccount:
				if o.Name == "istio-reader-service-account" {
					t.Error("that one is bound to a role of Istio that can do more")
				}
			case *rbacv1.ClusterRole:
				rules = o.Rules
			case *rbacv1.Role:
				rules = o.Rules
			case *rbacv1.ClusterRoleBinding:
				if o.RoleRef.Name != ReaderName || o.Subjects[0].Name != ReaderName || o.Subjects[0].Namespace != "istio-system" {
					t.Errorf("binds %v to %v", o.RoleRef, o.Subjects)
				}
			case *rbacv1.RoleBinding:
				if o.RoleRef.Name != ReaderName || o.Subjects[0].Name != ReaderName || o.Namespace != "istio-system" {
					t.Errorf("binds %v to %v in %s", o.RoleRef, o.Subjects, o.Namespace)
				}
			}
			for _, rule := range rules {
				for _, verb := range rule.Verbs {
					if !slices.Contains([]string{"get", "list", "watch"}, verb) {
						t.Errorf("may %s %v", verb, rule.Resources)
					}
				}
				for _, resource := range rule.Resources {
					if resource == "*" {
						t.Error("may read everything")
					}
					seen = seen || resource == "secrets"
					if resource == "configmaps" && !slices.Equal(rule.ResourceNames, []string{configMap}) {
						t.Errorf("may read ConfigMaps %v", rule.ResourceNames)
					}
				}
			}
		}
	}
	if want := secrets == meshv1alpha1.SecretsRead; seen != want {
		t.Errorf("may read Secrets: %v, want %v", seen, want)
	}
}
