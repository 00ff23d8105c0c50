package credentials

import (
	"bytes"
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
)

var (
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	opts  = Options{Namespace: "flotilla-system", PKISecret: "flotilla-pki", KubeconfigSecret: "flotilla-kubeconfig", Server: "https://fed.example.com:5443"}
)

const day = 24 * time.Hour

func secrets(t *testing.T, client *fake.Clientset) map[string]map[string][]byte {
	t.Helper()
	list, err := client.CoreV1().Secrets(opts.Namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	out := map[string]map[string][]byte{}
	for i := range list.Items {
		out[list.Items[i].Name] = maps.Clone(list.Items[i].Data)
	}
	return out
}

func writes(client *fake.Clientset) int {
	n := 0
	for _, action := range client.Actions() {
		if action.GetVerb() != "get" && action.GetVerb() != "list" {
			n++
		}
	}
	return n
}

// mounted reads a kubeconfig as a pod does that has the Secret in a directory.
func mounted(t *testing.T, data map[string][]byte) *rest.Config {
	t.Helper()
	dir := t.TempDir()
	for name, content := range data {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "kubeconfig"))
	require.NoError(t, err)
	require.NoError(t, rest.LoadTLSFiles(cfg))
	return cfg
}

// A component outlives its certificate: client-go reads files again, and what is
// in a kubeconfig but once. People copy one file.
func TestComponentsReadFiles(t *testing.T) {
	client := fake.NewClientset()
	public := opts
	public.PublicServer = "https://fed.example.com:443"
	require.NoError(t, Ensure(t.Context(), client.CoreV1(), public, start))
	for secret, data := range secrets(t, client) {
		if secret == "flotilla-pki" {
			continue
		}
		config, err := clientcmd.Load(data["kubeconfig"])
		require.NoError(t, err)
		admin := secret == "flotilla-kubeconfig"
		for _, user := range config.AuthInfos {
			assert.Equal(t, admin, len(user.ClientCertificateData) > 0, secret)
			assert.Equal(t, admin, user.ClientKey == "", secret)
		}
		for _, cluster := range config.Clusters {
			assert.Equal(t, admin, cluster.Server == public.PublicServer, secret)
		}
	}
}

func TestEverythingIsMadeOnce(t *testing.T) {
	client := fake.NewClientset()
	require.NoError(t, Ensure(t.Context(), client.CoreV1(), opts, start))
	made := secrets(t, client)
	require.Len(t, made, 4)
	for _, key := range []string{"ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub", "encryption.yaml"} {
		assert.NotEmpty(t, made["flotilla-pki"][key], key)
	}
	assert.Len(t, made["flotilla-pki"], 7)
	for secret, user := range map[string]string{
		"flotilla-kubeconfig":                    "flotilla-admin",
		"flotilla-controller-manager-kubeconfig": "system:flotilla:controller-manager",
		"flotilla-scheduler-kubeconfig":          "system:flotilla:scheduler",
	} {
		cfg := mounted(t, made[secret])
		assert.Equal(t, opts.Server, cfg.Host)
		assert.Equal(t, made["flotilla-pki"]["ca.crt"], cfg.CAData)
		pair, err := pki.Parse(secret, cfg.CertData, cfg.KeyData)
		require.NoError(t, err)
		assert.Equal(t, user, pair.Cert.Subject.CommonName)
	}

	before := writes(client)
	require.NoError(t, Ensure(t.Context(), client.CoreV1(), opts, start.Add(243*day)))
	assert.Equal(t, before, writes(client), "what is good is not written again")
	assert.Equal(t, made, secrets(t, client))
}

func TestKubeconfigsAreRenewed(t *testing.T) {
	other := opts
	other.Server = "https://other:5443"
	tests := map[string]struct {
		reason string
		opts   Options
		after  time.Duration
		secret string // flotilla-kubeconfig
		harm   func(data map[string][]byte)
		want   bool
	}{
		"good":           {reason: "more than a third of its life is left", opts: opts, after: 243 * day},
		"a third left":   {reason: "the next look may be a day later", opts: opts, after: 244 * day, want: true},
		"ended":          {reason: "nobody can use it", opts: opts, after: 400 * day, want: true},
		"another server": {reason: "it would lead nowhere", opts: other, want: true},
		"damaged":        {reason: "nobody can use it", opts: opts, harm: func(d map[string][]byte) { d["kubeconfig"] = []byte("?") }, want: true},
		"no certificate": {reason: "the component's kubeconfig names it", opts: opts, secret: "flotilla-scheduler-kubeconfig", harm: func(d map[string][]byte) { delete(d, "tls.crt") }, want: true},
		"inline":         {reason: "it would not be read again", opts: opts, secret: "flotilla-scheduler-kubeconfig", harm: func(d map[string][]byte) { d["kubeconfig"] = []byte("{}") }, want: true},
		"empty":          {reason: "nobody can use it", opts: opts, harm: func(d map[string][]byte) { delete(d, "kubeconfig") }, want: true},
		"something else": {reason: "other keys are somebody else's", opts: opts, harm: func(d map[string][]byte) { d["note"] = []byte("mine") }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			require.NoError(t, Ensure(t.Context(), client.CoreV1(), opts, start))
			name := cmp.Or(tt.secret, "flotilla-kubeconfig")
			if tt.harm != nil {
				secret, err := client.CoreV1().Secrets(opts.Namespace).Get(t.Context(), name, metav1.GetOptions{})
				require.NoError(t, err)
				tt.harm(secret.Data)
				_, err = client.CoreV1().Secrets(opts.Namespace).Update(t.Context(), secret, metav1.UpdateOptions{})
				require.NoError(t, err)
			}
			before := secrets(t, client)
			require.NoError(t, Ensure(t.Context(), client.CoreV1(), tt.opts, start.Add(tt.after)))
			after := secrets(t, client)
			assert.Equal(t, before["flotilla-pki"], after["flotilla-pki"], "never")
			assert.Equal(t, tt.want, !maps.EqualFunc(before[name], after[name], bytes.Equal), tt.reason)
			assert.Equal(t, before[name]["note"], after[name]["note"])
			assert.Equal(t, tt.opts.Server, mounted(t, after[name]).Host)
		})
	}
}

func TestAnotherCAMakesKubeconfigsAnew(t *testing.T) {
	client, other := fake.NewClientset(), fake.NewClientset()
	require.NoError(t, Ensure(t.Context(), client.CoreV1(), opts, start))
	require.NoError(t, Ensure(t.Context(), other.CoreV1(), opts, start))
	before := secrets(t, client)
	theirs, err := other.CoreV1().Secrets(opts.Namespace).Get(t.Context(), opts.PKISecret, metav1.GetOptions{})
	require.NoError(t, err)
	_, err = client.CoreV1().Secrets(opts.Namespace).Update(t.Context(), theirs, metav1.UpdateOptions{})
	require.NoError(t, err, "an administrator puts in another CA")
	require.NoError(t, Ensure(t.Context(), client.CoreV1(), opts, start))
	after := secrets(t, client)
	for _, name := range []string{"flotilla-kubeconfig", "flotilla-controller-manager-kubeconfig", "flotilla-scheduler-kubeconfig"} {
		assert.NotEqual(t, before[name], after[name], name)
		assert.Equal(t, theirs.Data["ca.crt"], mounted(t, after[name]).CAData)
	}
}

// New keys would cut off every agent, and nobody could read what is encrypted.
func TestALostSecretIsNotMadeAnew(t *testing.T) {
	kubeconfigs := []string{"flotilla-kubeconfig", "flotilla-controller-manager-kubeconfig", "flotilla-scheduler-kubeconfig"}
	for _, left := range kubeconfigs { // one of them tells
		for what, harm := range map[string]func(client corev1client.SecretInterface) error{
			"deleted": func(client corev1client.SecretInterface) error {
				return client.Delete(t.Context(), opts.PKISecret, metav1.DeleteOptions{})
			},
			"emptied": func(client corev1client.SecretInterface) error {
				_, err := client.Update(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: opts.PKISecret, Namespace: opts.Namespace}}, metav1.UpdateOptions{})
				return err
			},
		} {
			t.Run(left+" "+what, func(t *testing.T) {
				client := fake.NewClientset()
				require.NoError(t, Ensure(t.Context(), client.CoreV1(), opts, start))
				in := client.CoreV1().Secrets(opts.Namespace)
				require.NoError(t, harm(in))
				for _, name := range kubeconfigs {
					if name != left {
						require.NoError(t, in.Delete(t.Context(), name, metav1.DeleteOptions{}))
					}
				}
				before := secrets(t, client)
				err := Ensure(t.Context(), client.CoreV1(), opts, start)
				require.ErrorIs(t, err, pki.ErrKeyLost)
				require.ErrorContains(t, err, "flotilla-system/flotilla-pki")
				require.ErrorContains(t, err, left, "the way out, where it is meant")
				assert.Equal(t, before, secrets(t, client), "nothing was written")

				require.NoError(t, in.Delete(t.Context(), left, metav1.DeleteOptions{}))
				require.NoError(t, Ensure(t.Context(), client.CoreV1(), opts, start), "beginning anew")
			})
		}
	}
}

func TestRenewOnlyMakesNoKeys(t *testing.T) {
	client, renew := fake.NewClientset(), opts
	renew.RenewOnly = true
	err := Ensure(t.Context(), client.CoreV1(), renew, start)
	require.ErrorIs(t, err, pki.ErrKeyLost)
	require.ErrorContains(t, err, "--renew-only")
	assert.Empty(t, secrets(t, client))

	require.NoError(t, Ensure(t.Context(), client.CoreV1(), opts, start))
	before := secrets(t, client)
	require.NoError(t, Ensure(t.Context(), client.CoreV1(), renew, start.Add(300*day)))
	after := secrets(t, client)
	assert.Equal(t, before[opts.PKISecret], after[opts.PKISecret])
	assert.NotEqual(t, before[opts.KubeconfigSecret], after[opts.KubeconfigSecret])
	require.NoError(t, client.CoreV1().Secrets(opts.Namespace).Delete(t.Context(), opts.KubeconfigSecret, metav1.DeleteOptions{}))
	require.NoError(t, Ensure(t.Context(), client.CoreV1(), renew, start), "a kubeconfig is made")
}

func TestWhatIsLostIsNotReplaced(t *testing.T) {
	for key, want := range map[string]error{"ca.key": pki.ErrKeyLost, "sa.key": pki.ErrKeyLost, "front-proxy-ca.key": pki.ErrKeyLost, "encryption.yaml": ErrNoEncryptionKey} {
		t.Run(key, func(t *testing.T) {
			client := fake.NewClientset()
			require.NoError(t, Ensure(t.Context(), client.CoreV1(), opts, start))
			secret, err := client.CoreV1().Secrets(opts.Namespace).Get(t.Context(), opts.PKISecret, metav1.GetOptions{})
			require.NoError(t, err)
			delete(secret.Data, key)
			_, err = client.CoreV1().Secrets(opts.Namespace).Update(t.Context(), secret, metav1.UpdateOptions{})
			require.NoError(t, err)
			before := secrets(t, client)
			err = Ensure(t.Context(), client.CoreV1(), opts, start)
			require.ErrorIs(t, err, want)
			require.ErrorContains(t, err, key)
			require.ErrorContains(t, err, "flotilla-system/flotilla-pki")
			assert.Equal(t, before, secrets(t, client))
		})
	}
}

// Somebody else makes the Secret between the look and the creation, or changes
// it between the look and the update.
func TestRaces(t *testing.T) {
	first := fake.NewClientset()
	require.NoError(t, Ensure(t.Context(), first.CoreV1(), opts, start))
	theirs := secrets(t, first)

	client := fake.NewClientset()
	var creates, updates atomic.Int32
	client.PrependReactor("create", "secrets", func(a clienttesting.Action) (bool, runtime.Object, error) {
		secret := a.(clienttesting.CreateAction).GetObject().(*corev1.Secret)
		if secret.Name != opts.PKISecret || creates.Add(1) > 1 {
			return false, nil, nil
		}
		winner := secret.DeepCopy()
		winner.Data = maps.Clone(theirs[opts.PKISecret])
		require.NoError(t, client.Tracker().Add(winner))
		return true, nil, apierrors.NewAlreadyExists(schema.GroupResource{Resource: "secrets"}, secret.Name)
	})
	client.PrependReactor("update", "secrets", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if updates.Add(1) > 1 {
			return false, nil, nil
		}
		return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, "x", nil)
	})
	require.NoError(t, Ensure(t.Context(), client.CoreV1(), opts, start))
	assert.Equal(t, theirs[opts.PKISecret], secrets(t, client)[opts.PKISecret], "who came first counts")
	cfg, err := clientcmd.RESTConfigFromKubeConfig(secrets(t, client)[opts.KubeconfigSecret]["kubeconfig"])
	require.NoError(t, err)
	assert.Equal(t, theirs[opts.PKISecret]["ca.crt"], cfg.CAData, "for the kubeconfigs, too")

	require.NoError(t, Ensure(t.Context(), client.CoreV1(), opts, start.Add(300*day)))
	assert.Equal(t, int32(4), updates.Load(), "one conflict, three updates")
}

func TestOptions(t *testing.T) {
	require.NoError(t, opts.Validate())
	for name, change := range map[string]func(*Options){
		"--namespace":         func(o *Options) { o.Namespace = "" },
		"--pki-secret":        func(o *Options) { o.PKISecret = "A_b" },
		"--kubeconfig-secret": func(o *Options) { o.KubeconfigSecret = "" },
		"are the same":        func(o *Options) { o.KubeconfigSecret = o.PKISecret },
		"--public-url":        func(o *Options) { o.PublicServer = "fed.example.com" },
		"--server":            func(o *Options) { o.Server = "fed.example.com:5443" },
		`"http://`:            func(o *Options) { o.Server = "http://fed.example.com" },
	} {
		o := opts
		change(&o)
		require.ErrorContains(t, o.Validate(), name)
	}
	o := opts
	o.KubeconfigSecret = "admin"
	require.Equal(t, "admin-scheduler", o.secretOf(pki.Clients()[2]), "a name of one's own")
}
