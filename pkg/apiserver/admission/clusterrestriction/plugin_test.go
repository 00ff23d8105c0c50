package clusterrestriction

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
)

// everything is what others than agents may do, in tests about agents.
var everything = authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionAllow, "", nil
})

func TestAgentsStayWithThemselves(t *testing.T) {
	agent := &user.DefaultInfo{Name: "system:cluster:eu", Groups: []string{names.AgentGroup}}
	admin := &user.DefaultInfo{Name: "admin", Groups: []string{"system:masters"}}
	cluster := func(name, generate string, refs ...string) *clusterv1alpha1.Cluster {
		c := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, GenerateName: generate}}
		if len(refs) > 0 && refs[0] != "" {
			c.Spec.SecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-cluster", Name: refs[0]}
		}
		if len(refs) > 1 {
			c.Spec.ImpersonatorSecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-cluster", Name: refs[1]}
		}
		return c
	}
	at := func(c *clusterv1alpha1.Cluster, change func(*clusterv1alpha1.ClusterSpec)) *clusterv1alpha1.Cluster {
		c.Spec.APIEndpoint = "https://eu:6443"
		change(&c.Spec)
		return c
	}
	same := func(*clusterv1alpha1.ClusterSpec) {}
	elsewhere := func(s *clusterv1alpha1.ClusterSpec) { s.APIEndpoint = "https://mine:6443" }
	marked := func(c *clusterv1alpha1.Cluster, label, annotation string) *clusterv1alpha1.Cluster {
		if label != "" {
			c.Labels = map[string]string{label: "x"}
		}
		if annotation != "" {
			c.Annotations = map[string]string{annotation: "x"}
		}
		return c
	}
	lease := func(name string) *coordinationv1.Lease {
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	clusters := schema.GroupResource{Group: "cluster.karmada.io", Resource: "clusters"}
	leases := schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
	tests := map[string]struct {
		reason   string
		user     user.Info
		resource schema.GroupResource
		obj, old runtime.Object
		want     bool
	}{
		"own cluster":              {"an agent registers itself", agent, clusters, cluster("eu", ""), nil, true},
		"another cluster":          {"it must not speak for others", agent, clusters, cluster("ap", ""), nil, false},
		"a cluster to be named":    {"nor for those to come", agent, clusters, cluster("", "eu"), nil, false},
		"own lease":                {"its heartbeat", agent, leases, lease("eu"), nil, true},
		"another lease":            {"it must not keep a dead cluster alive", agent, leases, lease("ap"), nil, false},
		"something else":           {"the authorizer decides", agent, schema.GroupResource{Resource: "configmaps"}, &corev1.ConfigMap{}, nil, true},
		"admin":                    {"people may do everything they are allowed to", admin, clusters, cluster("ap", "", "s"), nil, true},
		"credentials on create":    {"they could be those of another cluster", agent, clusters, cluster("eu", "", "secret-of-ap"), nil, false},
		"impersonator on create":   {"as above", agent, clusters, cluster("eu", "", "", "secret-of-ap"), nil, false},
		"credentials kept":         {"an agent writes its Cluster as it read it", agent, clusters, cluster("eu", "", "s", "i"), cluster("eu", "", "s", "i"), true},
		"credentials changed":      {"as on create", agent, clusters, cluster("eu", "", "secret-of-ap", "i"), cluster("eu", "", "s", "i"), false},
		"credentials added":        {"as on create", agent, clusters, cluster("eu", "", "s"), cluster("eu", ""), false},
		"credentials removed":      {"it would take its own cluster down, and that is not its to decide", agent, clusters, cluster("eu", ""), cluster("eu", "", "s"), false},
		"impersonator changed":     {"as on create", agent, clusters, cluster("eu", "", "s", "x"), cluster("eu", "", "s", "i"), false},
		"endpoint changed":         {"the impersonator's token would go there", agent, clusters, at(cluster("eu", "", "", "i"), elsewhere), at(cluster("eu", "", "", "i"), same), false},
		"endpoint changed, push":   {"the other token would", agent, clusters, at(cluster("eu", "", "s"), elsewhere), at(cluster("eu", "", "s"), same), false},
		"no check of certificates": {"anybody could take the token", agent, clusters, at(cluster("eu", "", "", "i"), func(s *clusterv1alpha1.ClusterSpec) { s.InsecureSkipTLSVerification = true }), at(cluster("eu", "", "", "i"), same), false},
		"proxy changed":            {"as above", agent, clusters, at(cluster("eu", "", "", "i"), func(s *clusterv1alpha1.ClusterSpec) { s.ProxyURL = "http://mine" }), at(cluster("eu", "", "", "i"), same), false},
		"proxy header changed":     {"as above", agent, clusters, at(cluster("eu", "", "", "i"), func(s *clusterv1alpha1.ClusterSpec) { s.ProxyHeader = map[string]string{"a": "b"} }), at(cluster("eu", "", "", "i"), same), false},
		"region changed":           {"policies select by it", agent, clusters, at(cluster("eu", ""), func(s *clusterv1alpha1.ClusterSpec) { s.Region = "x" }), at(cluster("eu", ""), same), false},
		"taint removed":            {"it would be sent what it should not have", agent, clusters, cluster("eu", ""), at(cluster("eu", ""), func(s *clusterv1alpha1.ClusterSpec) { s.APIEndpoint = ""; s.Taints = []corev1.Taint{{Key: "k"}} }), false},
		"label changed":            {"policies select by it", agent, clusters, marked(cluster("eu", ""), "env", ""), cluster("eu", ""), false},
		"foreign annotation":       {"it means something to somebody else", agent, clusters, marked(cluster("eu", ""), "", "example.org/x"), cluster("eu", ""), false},
		"own annotation":           {"what was confirmed is taken off", agent, clusters, marked(cluster("eu", ""), "", "agent.flotilla.io/x"), cluster("eu", ""), true},
		"id filled in":             {"by the member that joins", agent, clusters, at(cluster("eu", ""), func(s *clusterv1alpha1.ClusterSpec) { s.ID = "m" }), at(cluster("eu", ""), same), true},
		"id changed":               {"another member would take the name", agent, clusters, at(cluster("eu", ""), func(s *clusterv1alpha1.ClusterSpec) { s.ID = "n" }), at(cluster("eu", ""), func(s *clusterv1alpha1.ClusterSpec) { s.ID = "m" }), false},
		"admin relabels":           {"as people do", admin, clusters, marked(cluster("eu", ""), "env", ""), cluster("eu", ""), true},
		"admin moves the endpoint": {"as people do", admin, clusters, at(cluster("eu", "", "", "i"), elsewhere), at(cluster("eu", "", "", "i"), same), true},
		"admin changes references": {"as people do", admin, clusters, cluster("eu", "", "t"), cluster("eu", "", "s"), true},
		"own lease renewed":        {"every ten seconds", agent, leases, lease("eu"), lease("eu"), true},
		"no user":                  {"requests of the server itself", nil, clusters, cluster("ap", ""), nil, true},
	}
	plugins := admission.NewPlugins()
	Register(plugins)
	made, err := plugins.InitPlugin(PluginName, nil, admission.PluginInitializers{initializer.New(nil, nil, nil, everything, nil, nil, nil, nil)})
	require.NoError(t, err)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			op := admission.Create
			if tt.old != nil {
				op = admission.Update
			}
			require.True(t, made.Handles(op))
			a := admission.NewAttributesRecord(tt.obj, tt.old, schema.GroupVersionKind{}, "", "", tt.resource.WithVersion("v1"), "", op, nil, false, tt.user)
			err := made.(admission.ValidationInterface).Validate(t.Context(), a, nil)
			if tt.want {
				require.NoError(t, err, tt.reason)
				return
			}
			assert.True(t, apierrors.IsForbidden(err), "%s: %v", tt.reason, err)
		})
	}
}
