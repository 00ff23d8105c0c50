package apiserver

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/sets"
	validatingadmissionpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	mutatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/mutating"
	validatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/validating"
	kubeoptions "k8s.io/kubernetes/pkg/kubeapiserver/options"

	"github.com/flotilla-io/flotilla/pkg/apiserver/admission/clusterrestriction"
	"github.com/flotilla-io/flotilla/pkg/apiserver/admission/propagation"
	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
)

func TestFlags(t *testing.T) {
	tests := map[string]struct {
		reason string
		args   []string
		want   string // in the error; empty for none
	}{
		"least":             {"everything else has a default", nil, ""},
		"no directory":      {"there is no good default for certificates", []string{"--data-dir="}, "--data-dir"},
		"port 0":            {"clients outside have to know it", []string{"--secure-port=0"}, "--secure-port"},
		"port too high":     {"there are 65535", []string{"--secure-port=70000"}, "--secure-port"},
		"no range":          {"it is a CIDR", []string{"--service-cluster-ip-range=10.0.0.1"}, "--service-cluster-ip-range"},
		"half a client":     {"a certificate is of no use without its key", []string{"--etcd-servers=https://e:2379", "--etcd-certfile=x"}, "--etcd-keyfile"},
		"CA of nothing":     {"the embedded etcd has no certificates", []string{"--etcd-cafile=x"}, "--etcd-servers"},
		"external etcd":     {"with everything", []string{"--etcd-servers=https://e:2379", "--etcd-cafile=a", "--etcd-certfile=b", "--etcd-keyfile=c"}, ""},
		"window 0":          {"statuses would be written without end", []string{"--status-window=0"}, "--status-window"},
		"public URL":        {"a path would be lost on the way", []string{"--public-url=https://fed.example.com/a"}, "--public-url"},
		"public http":       {"certificates are for TLS", []string{"--public-url=http://fed.example.com"}, "--public-url"},
		"no address":        {"an address is not a name", []string{"--bind-address=localhost"}, "bind-address"},
		"several at a time": {"all are told at once", []string{"--secure-port=0", "--status-window=-1s"}, "--status-window"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := NewOptions()
			fs := pflag.NewFlagSet("", pflag.ContinueOnError)
			fs.SetOutput(&strings.Builder{})
			o.AddFlags(fs)
			err := fs.Parse(append([]string{"--data-dir=/d"}, tt.args...))
			if err == nil {
				err = o.Validate()
			}
			if tt.want == "" {
				require.NoError(t, err, tt.reason)
				return
			}
			require.ErrorContains(t, err, tt.want, tt.reason)
		})
	}
}

func TestAddresses(t *testing.T) {
	o := NewOptions()
	o.BindAddress, o.SecurePort = net.ParseIP("127.0.0.1"), 5443
	url, err := o.URL()
	require.NoError(t, err)
	assert.Equal(t, "https://127.0.0.1:5443", url)

	o.AdvertiseAddress, o.TLSSANs = "fed.example.com", []string{"other", "fed.example.com"}
	url, err = o.URL()
	require.NoError(t, err)
	assert.Equal(t, "https://fed.example.com:5443", url)
	hosts, err := o.hosts()
	require.NoError(t, err)
	assert.Equal(t, []string{"localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "fed.example.com", "other"}, hosts)

	o.PublicURL = "https://public.example.com:32443/"
	url, err = o.URL()
	require.NoError(t, err)
	assert.Equal(t, "https://public.example.com:32443", url)
	hosts, err = o.hosts()
	require.NoError(t, err)
	assert.Contains(t, hosts, "public.example.com")
	assert.Contains(t, hosts, "fed.example.com", "inside, it has its old name")

	o.BindAddress, o.AdvertiseAddress, o.PublicURL = net.ParseIP("2001:db8::1"), "", ""
	url, err = o.URL()
	require.NoError(t, err)
	assert.Equal(t, "https://[2001:db8::1]:5443", url)
	hosts, err = o.hosts()
	require.NoError(t, err)
	assert.Contains(t, hosts, "2001:db8::1")
}

// The claim comes after everything that may change labels, and before what
// validates.
func TestAdmissionOrder(t *testing.T) {
	order := admissionOrder()
	at := func(name string) int {
		t.Helper()
		for i, n := range order {
			if n == name {
				return i
			}
		}
		t.Fatalf("%s is not there", name)
		return -1
	}
	assert.Len(t, order, len(kubeoptions.AllOrderedPlugins)+2)
	assert.Less(t, at(mutatingwebhook.PluginName), at(propagation.PluginName))
	assert.Less(t, at(propagation.PluginName), at(validatingadmissionpolicy.PluginName))
	assert.Less(t, at(clusterrestriction.PluginName), at(validatingwebhook.PluginName))
	all := sets.New(order...)
	for name := range admissionPlugins() {
		assert.True(t, all.Has(name), "%s is switched on and unknown", name)
	}
}

func TestDataDirIsLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first, err := lockDataDir(dir)
	require.NoError(t, err)
	_, err = lockDataDir(dir)
	require.ErrorIs(t, err, ErrDataDirInUse)
	require.ErrorContains(t, err, dir)
	require.NoError(t, first.Close())
	again, err := lockDataDir(dir)
	require.NoError(t, err, "a file that is left does not lock")
	require.NoError(t, again.Close())

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = lockDataDir(file)
	require.ErrorContains(t, err, "--data-dir")
}

// What an operator may get wrong must not leave anything behind that keeps the
// next start from working.
func TestNewFailsCleanly(t *testing.T) {
	o := NewOptions()
	_, err := New(t.Context(), o)
	require.ErrorContains(t, err, "--data-dir")

	o.DataDir, o.BindAddress = t.TempDir(), net.IPv4(127, 0, 0, 1)
	files, err := pki.Ensure(o.leafDir(), []string{"localhost"}, time.Now())
	require.NoError(t, err)
	require.NoError(t, os.Remove(files.CAKey()))
	_, err = New(t.Context(), o)
	require.ErrorIs(t, err, pki.ErrKeyLost)
	lock, err := lockDataDir(o.DataDir)
	require.NoError(t, err, "the directory is free again")
	require.NoError(t, lock.Close())
}
