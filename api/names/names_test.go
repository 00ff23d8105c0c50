package names

import (
	"hash/fnv"
	"regexp"
	"strconv"
	"testing"

	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"
)

func TestBindingName(t *testing.T) {
	cases := map[string]struct {
		reason, kind, name, want string
	}{
		"Plain":  {reason: "Name and kind, in lower case.", kind: "Deployment", name: "web", want: "web-deployment"},
		"Colons": {reason: "Roles have colons in their names, bindings may not.", kind: "ClusterRole", name: "system:Node", want: "system.node-clusterrole"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := BindingName(tc.kind, tc.name); got != tc.want {
				t.Errorf("%s Got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestWorkName(t *testing.T) {
	hashOf := func(s string) string {
		h := fnv.New32a()
		h.Write([]byte(s))
		return rand.SafeEncodeString(strconv.Itoa(int(h.Sum32())))
	}
	cases := map[string]struct {
		reason, kind, namespace, name, want string
	}{
		"Namespaced":    {reason: "The hash is over namespace, name and kind.", kind: "Deployment", namespace: "shop", name: "web", want: "web-" + hashOf("shop-web-deployment")},
		"ClusterScoped": {reason: "There is no namespace to hash.", kind: "Namespace", name: "shop", want: "shop-" + hashOf("shop-namespace")},
		"Colons":        {reason: "The readable part must be a valid name.", kind: "ClusterRole", name: "a:B", want: "a.b-" + hashOf("a.b-clusterrole")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := WorkName(tc.kind, tc.namespace, tc.name); got != tc.want {
				t.Errorf("%s Got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
	// The value itself, so that a change of algorithm does not pass unseen:
	// names are stored in members and must stay the same from release to release.
	if got, want := WorkName("Deployment", "default", "nginx"), "nginx-687f7fb96f"; got != want {
		t.Errorf("WorkName changed: got %q, want %q", got, want)
	}
}

// regexpDots finds what would leave an empty label between dots.
var regexpDots = regexp.MustCompile(`[.:-]{2,}`)

func TestNamesAreValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-zA-Z0-9]([a-zA-Z0-9:.-]{0,40}[a-zA-Z0-9])?`).Draw(t, "name")
		name = regexpDots.ReplaceAllString(name, "x")
		for _, got := range []string{BindingName("Role", name), WorkName("Role", "ns", name)} {
			if errs := validation.IsDNS1123Subdomain(got); len(errs) > 0 {
				t.Fatalf("%q: %v", got, errs)
			}
		}
		if WorkName("Role", "ns", name) == WorkName("Role", "other", name) {
			t.Fatal("namespaces are not told apart")
		}
	})
}

func TestExecutionNamespace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cluster := rapid.StringMatching(`[a-z]([a-z0-9-]{0,46}[a-z0-9])?`).Draw(t, "cluster")
		ns := ExecutionNamespace(cluster)
		if got, ok := ClusterOf(ns); !ok || got != cluster {
			t.Fatalf("ClusterOf(%q) = %q, %v", ns, got, ok)
		}
		if !IsReservedNamespace(ns) {
			t.Fatalf("%q is not reserved", ns)
		}
	})
	for _, ns := range []string{"", "default", "karmada-es-", "karmada-cluster"} {
		if cluster, ok := ClusterOf(ns); ok || cluster != "" {
			t.Errorf("ClusterOf(%q) = %q, but it is no execution namespace", ns, cluster)
		}
	}
}

func TestIsReservedNamespace(t *testing.T) {
	for ns, want := range map[string]bool{
		"kube-system": true, "kube-public": true, "karmada-system": true, "karmada-cluster": true,
		"default": false, "kubeflow": false, "karmada": false, "shop": false, "": false,
	} {
		if got := IsReservedNamespace(ns); got != want {
			t.Errorf("IsReservedNamespace(%q) = %v, want %v", ns, got, want)
		}
	}
}
