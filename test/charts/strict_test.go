package charts

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/action"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

var strict = serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()

// typed decodes an object into the Go type of its kind. A field that the type does
// not have, or that is there twice, is an error.
func typed(o *unstructured.Unstructured) (runtime.Object, error) {
	content, err := json.Marshal(o.Object)
	if err != nil {
		return nil, err
	}
	object, _, err := strict.Decode(content, nil, nil)
	return object, err
}

// serviceMonitor is what the chart uses of monitoring.coreos.com/v1, whose Go
// types would be a module more.
type serviceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port          string         `json:"port"`
			Scheme        string         `json:"scheme"`
			Interval      string         `json:"interval"`
			Authorization map[string]any `json:"authorization"`
			TLSConfig     map[string]any `json:"tlsConfig"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// A typing error in a template is found here and not by an API server.
func TestStrict(t *testing.T) {
	each(t, func(t *testing.T, r *rendering) {
		seen := map[string]bool{}
		for _, o := range r.objects {
			if o.GetKind() == "ServiceMonitor" {
				content, err := json.Marshal(o.Object)
				require.NoError(t, err)
				assert.NoError(t, yaml.UnmarshalStrict(content, &serviceMonitor{}), name(o))
			} else {
				_, err := typed(o)
				require.NoError(t, err, name(o))
			}
			assert.False(t, seen[name(o)], "%s is there twice", name(o))
			seen[name(o)] = true
		}
	})
}

// The check above can fail.
func TestStrictIsStrict(t *testing.T) {
	r, err := render(map[string]any{})
	require.NoError(t, err)
	o := r.get(t, "StatefulSet", "flotilla-apiserver")
	require.NoError(t, unstructured.SetNestedField(o.Object, "x", "spec", "template", "spec", "servceAccountName"))
	_, err = typed(o)
	require.ErrorContains(t, err, "servceAccountName")
}

// YAML takes some names and values for numbers, booleans or maps.
func TestOddNames(t *testing.T) {
	values := func(mode string) map[string]any {
		return parse(t, `{installMode: `+mode+`,
  image: {pullSecrets: ["1"]},
  etcd: {mode: external, external: {servers: ["http://[::1]:2379"], tlsSecret: "2"}},
  certs: {secretName: "3", auto: {hosts: ["::1", "*.example.com", "1"]}},
  apiServer: {bindAddress: "::", priorityClassName: "4", serviceType: LoadBalancer, loadBalancerIP: "::1"},
  agent: {clusterName: "007", server: "https://[::1]:1", caHash: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    bootstrapTokenSecret: "5", region: "yes", zones: ["1", "null"], provider: "a: b", clusterLabels: {a: "true"}, acceptFederationUID: "1e3",
    persistence: {enabled: true, size: "1", storageClass: "6", existingClaim: ""}}}`)
	}
	for _, mode := range []string{"host", "agent"} {
		r, err := render(values(mode), func(i *action.Install) { i.ReleaseName, i.Namespace = "1e3", "0007" })
		require.NoError(t, err)
		for _, o := range r.objects {
			_, err := typed(o)
			require.NoError(t, err, name(o))
			assert.Equal(t, "1e3", o.GetLabels()["app.kubernetes.io/instance"])
		}
	}
}
