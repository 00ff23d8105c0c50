package apply

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

// denial is what an API server answers to an account without a right.
func denial(verb, resource, group string) error {
	return apierrors.NewForbidden(schema.GroupResource{Group: group, Resource: resource}, "x",
		fmt.Errorf(`User "system:serviceaccount:flotilla-system:flotilla-agent" cannot %s resource %q in API group %q at the cluster scope`, verb, resource, group))
}

func TestMissingRight(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		err    error
		want   right
		ok     bool
	}{
		"group":  {"all parts are named", denial("patch", "roles", "rbac.authorization.k8s.io"), right{"patch", "roles", "rbac.authorization.k8s.io"}, true},
		"core":   {"the core group is empty", denial("get", "limitranges", ""), right{"get", "limitranges", ""}, true},
		"quota":  {"a right would not help", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("exceeded quota")), right{}, false},
		"others": {"only a refusal is one", errors.New(`cannot get resource "a" in API group "b"`), right{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := missingRight(c.err)
			require.Equal(t, c.ok, ok, c.reason)
			require.Equal(t, c.want, got, c.reason)
		})
	}
	f := describe(denial("get", "limitranges", ""), inventory.Key{Kind: "LimitRange", Namespace: "n", Name: "x"}, "eu")
	require.Equal(t, ReasonForbidden, f.Reason)
	for _, part := range []string{"LimitRange n/x", "may not get limitranges", "cluster eu", `{apiGroups: [""], resources: [limitranges]}`, "agent.rbac.kinds"} {
		require.Contains(t, f.Message, part)
	}
}

// forbid refuses some requests for Secrets while it is on.
func forbid(b *bench, on *atomic.Bool, verbs ...string) {
	b.member.Hook = func(r *http.Request) error {
		if !on.Load() || !strings.Contains(r.URL.Path, "/secrets") {
			return nil
		}
		verb := map[string]string{http.MethodGet: "get", http.MethodPatch: "patch", http.MethodDelete: "delete"}[r.Method]
		if verb == "get" && strings.HasSuffix(r.URL.Path, "/secrets") {
			verb = "list"
			if r.URL.Query().Get("watch") != "" {
				verb = "watch"
			}
		}
		for _, v := range verbs {
			if v == verb {
				return denial(verb, "secrets", "")
			}
		}
		return nil
	}
}

func secret(name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"namespace":"n","name":%q}}`, name)
}

func TestRightsForSomeKinds(t *testing.T) {
	for name, c := range map[string]struct {
		lacks []string
		says  []string
	}{
		"none at all":  {[]string{"get", "list", "watch", "patch", "delete"}, []string{"Secret n/s", "may not get secrets", "agent.rbac.kinds"}},
		"not to write": {[]string{"patch"}, []string{"Secret n/s", "may not patch secrets", "agent.rbac.kinds"}},
		"not to watch": {[]string{"list", "watch"}, []string{"Secret n/s", "was applied", "in all namespaces", "drift", "agent.rbac.kinds"}},
		"not to list":  {[]string{"list"}, []string{"Secret n/s", "was applied", "may not list secrets", "agent.rbac.kinds"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			var on atomic.Bool
			on.Store(true)
			forbid(b, &on, c.lacks...)
			b.start()
			b.set("refused", secret("s"))
			b.set("both", cm("n", "b", "1"), secret("t"))
			for i := range 20 {
				b.set(fmt.Sprintf("w%d", i), cm("n", fmt.Sprintf("c%d", i), "1"))
			}
			for i := range 20 {
				b.applied(fmt.Sprintf("w%d", i)) // not held up
			}
			for _, work := range []string{"refused", "both"} {
				b.eventually("it is said", func() bool { o := b.report(work); return o.Reason == ReasonForbidden })
			}
			require.False(t, b.report("refused").Applied)
			for _, part := range c.says {
				require.Contains(t, b.report("refused").Message, part)
			}
			b.eventually("what may be applied of a work is", func() bool { return b.get("b") != nil })
			on.Store(false)
			b.applied("refused")
			b.applied("both")
		})
	}
}
