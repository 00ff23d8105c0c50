//go:build linux

package realnode

import (
	"net/netip"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestAnswer(t *testing.T) {
	in := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "ns", Name: name} }
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: in("headless-1"),
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"10.244.0.7"}}, {Addresses: []string{"10.244.0.8"}}},
	}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: "headless"}
	client := fake.NewClientset(slice,
		&corev1.Service{ObjectMeta: in("usual"), Spec: corev1.ServiceSpec{ClusterIP: "10.96.3.4"}},
		&corev1.Service{ObjectMeta: in("headless"), Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone}})
	tests := map[string]struct {
		reason string
		name   string
		kind   dnsmessage.Type
		want   []string
		code   dnsmessage.RCode
	}{
		"service":  {reason: "the address of the Service", name: "usual.ns.svc.cluster.local.", kind: dnsmessage.TypeA, want: []string{"10.96.3.4"}},
		"headless": {reason: "the addresses of its pods", name: "headless.ns.svc.cluster.local.", kind: dnsmessage.TypeA, want: []string{"10.244.0.7", "10.244.0.8"}},
		"IPv6":     {reason: "the name exists, so a resolver must not give up on it", name: "usual.ns.svc.cluster.local.", kind: dnsmessage.TypeAAAA},
		"unknown":  {reason: "there is no such Service", name: "other.ns.svc.cluster.local.", kind: dnsmessage.TypeA, code: dnsmessage.RCodeNameError},
		"outside":  {reason: "a resolver goes on to its next search domain", name: "usual.ns.", kind: dnsmessage.TypeA, code: dnsmessage.RCodeNameError},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			request := dnsmessage.Message{
				Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
				Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(tc.name), Type: tc.kind, Class: dnsmessage.ClassINET}},
			}
			packed, err := request.Pack()
			require.NoError(t, err)
			packed, err = answer(t.Context(), client, packed)
			require.NoError(t, err)
			var reply dnsmessage.Message
			require.NoError(t, reply.Unpack(packed))
			require.True(t, reply.Response)
			require.Equal(t, uint16(7), reply.ID)
			require.Equal(t, tc.code, reply.RCode, tc.reason)
			var got []string
			for _, resource := range reply.Answers {
				got = append(got, netip.AddrFrom4(resource.Body.(*dnsmessage.AResource).A).String())
			}
			require.Equal(t, tc.want, got, tc.reason)
		})
	}
}

func TestStale(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	tests := map[string]struct {
		reason string
		name   string
		want   bool
	}{
		"own":       {reason: "its process lives", name: owner + pid + "-eu"},
		"crashed":   {reason: "there are never so many processes", name: owner + "999999999-eu", want: true},
		"no suffix": {reason: "directories have one, bridges need none", name: owner + "999999999", want: true},
		"others":    {reason: "it is not ours", name: "docker-999999999"},
		"nobody's":  {reason: "it does not say whose it is", name: owner + "eu"},
		"empty":     {reason: "most interfaces have no alias", name: ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, stale(tc.name), tc.reason) })
	}
}
