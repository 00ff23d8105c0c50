package mesh

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
)

var endpointSlices = fakekube.Resource{
	GroupVersionResource: schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"},
	Kind:                 "EndpointSlice", Namespaced: true,
}

// Each istiod of the cluster is asked by itself. When they cannot be listed none is: the one
// to which the Service leads would speak for all.
func TestEachIstiod(t *testing.T) {
	slice := object(named("istiod-x", map[string]any{"labels": map[string]any{"app": "istiod"}}), map[string]any{
		"endpoints": []any{
			map[string]any{"addresses": []any{"10.0.0.1"}, "conditions": map[string]any{"ready": true}},
			map[string]any{"addresses": []any{"10.0.0.2"}, "conditions": map[string]any{"ready": false}},
			map[string]any{"addresses": []any{"10.0.0.3"}},
		},
		"ports": []any{map[string]any{"name": "https-dns", "port": int64(15012)}},
	})
	service := []string{"istiod." + system + ".svc"}
	cases := map[string]struct {
		reason string
		slices bool
		fault  error
		want   []string // the hosts that are asked
		says   string   // what is wrong instead
	}{
		"Each":      {reason: "Those that are ready.", slices: true, want: []string{"10.0.0.1", "10.0.0.3"}},
		"None":      {reason: "They may have no slices.", want: service},
		"Forbidden": {reason: "An agent without the right to look has the Service.", slices: true, fault: apierrors.NewForbidden(schema.GroupResource{Resource: "endpointslices"}, "", nil), want: service},
		"Fault":     {reason: "That they were not listed says nothing about how many there are.", slices: true, fault: apierrors.NewInternalError(assert.AnError), says: "ClusterNotReadable"},
		"Timeout":   {reason: "Nor does this.", slices: true, fault: apierrors.NewTimeoutError("later", 0), says: "ClusterNotReadable"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			e.member.Serve(endpointSlices)
			e.install(alone(), nil)
			if tc.slices {
				e.member.Put(endpointSlices, "", slice)
			}
			e.member.Hook = func(r *http.Request) error {
				if strings.HasSuffix(r.URL.Path, "/endpointslices") {
					return tc.fault
				}
				return nil
			}
			config := e.member.Config()
			client, err := rest.HTTPClientFor(config)
			require.NoError(t, err)
			t.Cleanup(client.CloseIdleConnections)
			m, err := newMember(config, client)
			require.NoError(t, err)
			task := newIstiodTask(&worker{agent: &Agent{Options: Options{Cluster: "eu", InCluster: true, Clock: testingclock.NewFakeClock(e.clock.Now())}, member: m}})
			found, err := task.find(t.Context())
			if tc.says != "" {
				require.ErrorIs(t, err, errMember, tc.reason)
				trouble := task.wrong(err)
				assert.Equal(t, tc.says, trouble.reason)
				assert.Contains(t, trouble.message, "endpointslices")
				return
			}
			require.NoError(t, err, tc.reason)
			var hosts []string
			for _, at := range found.at {
				host, _, _ := strings.Cut(at.Secure, ":")
				hosts = append(hosts, host)
			}
			assert.Equal(t, tc.want, hosts, tc.reason)
		})
	}
}
