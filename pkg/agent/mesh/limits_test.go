package mesh

import (
	"strings"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/mesh/v1alpha1/validation"
)

// However much there is in a cluster, and however long errors are: what is reported is
// taken, and what fits stays as it is.
func TestWhatIsReportedIsTaken(t *testing.T) {
	hash := "sha256:" + strings.Repeat("0a", 32)
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string {
			unit := rapid.SampledFrom([]string{"a", "ü", "→", "\U0001f6a2"}).Draw(t, name)
			return strings.Repeat(unit, rapid.IntRange(0, 3*meshv1alpha1.MaxMessage).Draw(t, name+" length"))
		}
		many := func(name, item string) []string {
			all := make([]string, rapid.IntRange(0, 100).Draw(t, name))
			for i := range all {
				all[i] = item
			}
			return all
		}
		object := &meshv1alpha1.MeshMember{Status: meshv1alpha1.MeshMemberStatus{
			Conditions: []metav1.Condition{{Type: "Left", Status: "False", Reason: "StillThere", LastTransitionTime: metav1.Now(), Message: text("condition")}},
			Istiod:     &meshv1alpha1.MemberIstiod{Version: text("version"), ClusterID: text("clusterID")},
			CA:         &meshv1alpha1.MemberCAStatus{Roots: many("roots", hash), Signer: hash},
			CACerts:    &meshv1alpha1.MemberCACerts{Exists: true, Roots: many("cacerts", hash)},
			Gateway:    &meshv1alpha1.MemberGatewayStatus{Message: text("gateway")},
			Regions:    many("regions", "europe"),
			Peers:      []meshv1alpha1.MemberPeerStatus{{Name: "ap", Proofs: []meshv1alpha1.Proof{{Step: meshv1alpha1.StepProbe, Reason: "Unreachable", Message: text("proof")}}}},
		}}
		for range rapid.IntRange(0, 100).Draw(t, "addresses") {
			object.Status.Gateway.Addresses = append(object.Status.Gateway.Addresses, meshv1alpha1.GatewayAddress{Address: "203.0.113.7", Port: 15443})
		}
		before := object.DeepCopy()
		taken := len(validation.ValidateMeshMemberStatusUpdate(object, object)) == 0
		limit(&object.Status)
		if errs := validation.ValidateMeshMemberStatusUpdate(object, object); len(errs) > 0 {
			t.Fatalf("refused: %v", errs)
		}
		if taken && !equal(&before.Status, &object.Status) {
			t.Fatal("it would have been taken as it was")
		}
		for _, text := range []string{object.Status.Conditions[0].Message, object.Status.Gateway.Message, object.Status.Istiod.Version} {
			if !utf8.ValidString(text) {
				t.Fatalf("cut within a character: %q", text[max(0, len(text)-8):])
			}
		}
	})
}

// Tasks keep what they saw; a report is a copy.
func TestLimitsLeaveWhatWasSeen(t *testing.T) {
	long := strings.Repeat("m", 2*meshv1alpha1.MaxMessage)
	seen := &meshv1alpha1.MemberGatewayStatus{Message: long}
	status := &meshv1alpha1.MeshMemberStatus{Gateway: seen}
	limit(status)
	if seen.Message != long || len(status.Gateway.Message) != meshv1alpha1.MaxMessage {
		t.Errorf("seen %d, reported %d bytes", len(seen.Message), len(status.Gateway.Message))
	}
}
