package validation

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

func TestValidateMeshMember(t *testing.T) {
	type member = meshv1alpha1.MeshMember
	cases := map[string]struct {
		reason string
		change func(*member)
		want   []string
	}{
		"Valid":     {reason: "A member with a peer.", change: func(m *member) { m.Spec.Peers = []meshv1alpha1.MemberPeer{{Name: "ap"}} }},
		"Elsewhere": {reason: "No agent would find it.", change: func(m *member) { m.Namespace = "default" }, want: []string{"metadata.namespace FieldValueInvalid"}},
		"MeshID":    {reason: "Its name is the Mesh's.", change: func(m *member) { m.Spec.MeshID = "mesh2" }, want: []string{"spec.meshID FieldValueInvalid"}},
		"Empty":     {reason: "The agent would not know what to compare with.", change: func(m *member) { m.Spec.ClusterID, m.Spec.Network = "", "" }, want: []string{"spec.clusterID FieldValueRequired", "spec.network FieldValueRequired"}},
		"Itself":    {reason: "istiod ignores it, and says so only in its log.", change: func(m *member) { m.Spec.Peers = []meshv1alpha1.MemberPeer{{Name: "eu"}} }, want: []string{"spec.peers[0].name FieldValueInvalid"}},
		"OtherID":   {reason: "istiods would know the cluster by the name of another.", change: func(m *member) { m.Spec.ClusterID = "ap" }, want: []string{"spec.clusterID FieldValueInvalid"}},
		"TwicePeer": {reason: "Which of the two counts?", change: func(m *member) { m.Spec.Peers = []meshv1alpha1.MemberPeer{{Name: "ap"}, {Name: "ap"}} }, want: []string{"spec.peers[1].name FieldValueDuplicate"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := &member{
				ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-eu", Name: "mesh1"},
				Spec:       meshv1alpha1.MeshMemberSpec{MeshID: "mesh1", ClusterID: "eu", Network: "network-eu"},
			}
			tc.change(m)
			if diff := cmp.Diff(tc.want, summary(ValidateMeshMember(m))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if got := summary(ValidateMeshMemberUpdate(m, m)); len(got) > len(tc.want) {
				t.Errorf("%s On update: %v", tc.reason, got)
			}
		})
	}
}

// repeat is a list of n items.
func repeat[T any](n int, item func(i int) T) []T {
	var all []T
	for i := range n {
		all = append(all, item(i))
	}
	return all
}

func TestValidateMeshMemberStatus(t *testing.T) {
	type status = meshv1alpha1.MeshMemberStatus
	hash := "sha256:" + strings.Repeat("0a", 32)
	long := strings.Repeat("m", meshv1alpha1.MaxMessage+1)
	peers := func(proofs ...meshv1alpha1.Proof) []meshv1alpha1.MemberPeerStatus {
		return []meshv1alpha1.MemberPeerStatus{{Name: "ap", Proofs: proofs}}
	}
	same := func(text string) func(int) string { return func(int) string { return text } }
	cases := map[string]struct {
		reason string
		status status
		want   []string
	}{
		"Empty": {reason: "Nothing was looked at yet."},
		"Full": {reason: "As agents write it.", status: status{
			Conditions: []metav1.Condition{{Type: "Left", Status: "True", Reason: "TakenBack", LastTransitionTime: metav1.Now(), Message: long[1:]}},
			Istiod:     &meshv1alpha1.MemberIstiod{Version: "1.31.1", ClusterID: "eu"}, Network: "network-eu", Regions: []string{"europe"},
			CA:      &meshv1alpha1.MemberCAStatus{Roots: []string{hash, hash}, Signer: hash, Intermediate: hash},
			CACerts: &meshv1alpha1.MemberCACerts{Exists: true, Mesh: "mesh1", Roots: []string{hash}},
			Gateway: &meshv1alpha1.MemberGatewayStatus{Addresses: []meshv1alpha1.GatewayAddress{{Address: "2001:db8::7", Port: 15443}}, Message: long[1:]},
			Token:   &meshv1alpha1.MemberToken{Hash: hash, Expires: metav1.Now()},
			Peers: []meshv1alpha1.MemberPeerStatus{{Name: "us"}, {Name: "ap", SecretHash: hash, Proofs: []meshv1alpha1.Proof{
				{Step: meshv1alpha1.StepProbe, Passed: true}, {Step: meshv1alpha1.StepSynced, Reason: "NotSynced", Message: long[1:]},
			}}},
		}},
		"Steps": {reason: "An agent proves some steps only, and each once.", status: status{Peers: append(peers(
			meshv1alpha1.Proof{Step: meshv1alpha1.StepProbe}, meshv1alpha1.Proof{Step: meshv1alpha1.StepCA}, meshv1alpha1.Proof{Step: meshv1alpha1.StepProbe},
		), meshv1alpha1.MemberPeerStatus{}, meshv1alpha1.MemberPeerStatus{Name: "ap"})}, want: []string{
			"status.peers[0].proofs[1].step FieldValueNotSupported", "status.peers[0].proofs[2].step FieldValueDuplicate", "status.peers[1].name FieldValueRequired", "status.peers[2].name FieldValueDuplicate",
		}},
		"Proofs": {reason: "There are four steps.", status: status{Peers: peers(repeat(5, func(int) meshv1alpha1.Proof { return meshv1alpha1.Proof{} })...)}, want: []string{"status.peers[0].proofs FieldValueTooMany"}},
		"Reason": {reason: "It becomes that of a condition of the Mesh, which could not be written any more.", status: status{Peers: peers(
			meshv1alpha1.Proof{Step: meshv1alpha1.StepProbe, Reason: "not reachable!", Message: long}, meshv1alpha1.Proof{Step: meshv1alpha1.StepSynced, Reason: strings.Repeat("A", 129)},
		)}, want: []string{"status.peers[0].proofs[0].reason FieldValueInvalid", "status.peers[0].proofs[0].message FieldValueTooLong", "status.peers[0].proofs[1].reason FieldValueTooLong"}},
		"Message": {reason: "It becomes part of one of the Mesh.", status: status{Conditions: []metav1.Condition{{Type: "Left", Status: "True", Reason: "TakenBack", LastTransitionTime: metav1.Now(), Message: long}}},
			want: []string{"status.conditions[0].message FieldValueTooLong"}},
		"Conditions": {reason: "There are a few kinds.", status: status{Conditions: repeat(33, func(i int) metav1.Condition {
			return metav1.Condition{Type: "T" + strings.Repeat("x", i), Status: "True", Reason: "R", LastTransitionTime: metav1.Now()}
		})}, want: []string{"status.conditions FieldValueTooMany"}},
		"Hashes": {reason: "They are compared, and repeated in messages.", status: status{
			CA: &meshv1alpha1.MemberCAStatus{Roots: []string{"x"}, Signer: strings.ToUpper(hash), Intermediate: hash + "0"}, CACerts: &meshv1alpha1.MemberCACerts{Roots: []string{""}, Mesh: long},
			Token: &meshv1alpha1.MemberToken{}, Peers: []meshv1alpha1.MemberPeerStatus{{Name: "ap", SecretHash: long}},
		}, want: []string{
			"status.ca.roots[0] FieldValueInvalid", "status.ca.signer FieldValueInvalid", "status.ca.intermediate FieldValueInvalid", "status.caCerts.mesh FieldValueTooLong",
			"status.token.hash FieldValueRequired", "status.peers[0].secretHash FieldValueInvalid",
		}},
		"Token": {reason: "It would be in use for ever.", status: status{Token: &meshv1alpha1.MemberToken{Hash: hash, Expires: metav1.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)}},
			want: []string{"status.token.expires FieldValueInvalid"}},
		"Counts": {reason: "All of it is stored, and some of it once for each peer.", status: status{
			Regions: repeat(65, same("r")), CA: &meshv1alpha1.MemberCAStatus{Roots: repeat(33, same(hash))}, CACerts: &meshv1alpha1.MemberCACerts{Roots: repeat(33, same(hash))},
			Gateway: &meshv1alpha1.MemberGatewayStatus{Addresses: repeat(65, func(int) meshv1alpha1.GatewayAddress { return meshv1alpha1.GatewayAddress{Address: "a", Port: 1} })},
			Peers:   repeat(1001, func(int) meshv1alpha1.MemberPeerStatus { return meshv1alpha1.MemberPeerStatus{} }),
		}, want: []string{"status.regions FieldValueTooMany", "status.ca.roots FieldValueTooMany", "status.caCerts.roots FieldValueTooMany", "status.gateway.addresses FieldValueTooMany", "status.peers FieldValueTooMany"}},
		"Texts": {reason: "They come from the cluster, which somebody else may own.", status: status{
			Network: long, Regions: []string{long}, Istiod: &meshv1alpha1.MemberIstiod{Version: long, ClusterID: long},
			Gateway: &meshv1alpha1.MemberGatewayStatus{Message: long, Addresses: []meshv1alpha1.GatewayAddress{{Port: 0}, {Address: long, Port: 65536}}},
		}, want: []string{
			"status.network FieldValueTooLong", "status.regions[0] FieldValueTooLong", "status.istiod.version FieldValueTooLong", "status.istiod.clusterID FieldValueTooLong", "status.gateway.message FieldValueTooLong",
			"status.gateway.addresses[0].address FieldValueRequired", "status.gateway.addresses[0].port FieldValueInvalid", "status.gateway.addresses[1].address FieldValueTooLong", "status.gateway.addresses[1].port FieldValueInvalid",
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := &meshv1alpha1.MeshMember{Status: tc.status}
			if diff := cmp.Diff(tc.want, summary(ValidateMeshMemberStatusUpdate(m, m))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
