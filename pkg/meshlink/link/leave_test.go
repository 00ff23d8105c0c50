package link

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

func TestCanClean(t *testing.T) {
	reads := func(name, hash string, lost *time.Time, proofs ...meshv1alpha1.Proof) *Cluster {
		return &Cluster{Name: name, Lost: lost, Status: &meshv1alpha1.MeshMemberStatus{Peers: []meshv1alpha1.MemberPeerStatus{{Name: "eu", SecretHash: hash, Proofs: proofs}}}}
	}
	says := func(since time.Time, words string) meshv1alpha1.Proof {
		return meshv1alpha1.Proof{Step: meshv1alpha1.StepSynced, Reason: "NotLetGo", Message: words, Since: &metav1.Time{Time: since}}
	}
	probed := meshv1alpha1.Proof{Step: meshv1alpha1.StepProbe, Reason: "Unreachable", Since: &metav1.Time{Time: epoch}}
	lately, minute := epoch.Add(-time.Minute), epoch.Add(hold-time.Minute)
	cases := map[string]struct {
		reason string
		peers  []*Cluster
		want   []Holding
	}{
		"Alone":    {reason: "Nobody reads it."},
		"Itself":   {reason: "It does not count.", peers: []*Cluster{reads("eu", "sha256:1", nil)}},
		"Read":     {reason: "us and ap still read it.", peers: []*Cluster{reads("us", "sha256:1", nil), reads("ap", "sha256:1", nil)}, want: []Holding{{Cluster: "ap", Why: "it still has the remote secret"}, {Cluster: "us", Why: "it still has the remote secret"}}},
		"LetGo":    {reason: "They have let go of it; what a probe says does not matter.", peers: []*Cluster{reads("us", "", nil, probed), {Name: "ap"}}},
		"JustLost": {reason: "us may come back any moment.", peers: []*Cluster{reads("us", "sha256:1", ago(time.Minute))}, want: []Holding{{Cluster: "us", Why: "it still has the remote secret"}}},
		"Lost":     {reason: "Nobody waits for us for ever.", peers: []*Cluster{reads("us", "sha256:1", ago(hold))}},
		"Istiod":   {reason: "The secret is gone, and istiod goes on with what it had.", peers: []*Cluster{reads("us", "", nil, says(lately, "istiod reads it"))}, want: []Holding{{Cluster: "us", Why: "istiod reads it", Until: minute}}},
		"Silent":   {reason: "An istiod that does not answer is not waited for without end.", peers: []*Cluster{reads("us", "", nil, says(epoch.Add(-hold), "no answer"))}},
		"Timeless": {reason: "An agent that does not say since when gets no hold time.", peers: []*Cluster{reads("us", "", nil, meshv1alpha1.Proof{Step: meshv1alpha1.StepSynced})}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			clean, reading := CanClean("eu", tc.peers, hold, epoch)
			if diff := cmp.Diff(tc.want, reading); diff != "" || clean != (len(tc.want) == 0) {
				t.Errorf("%s Clean: %v, reading (-want +got):\n%s", tc.reason, clean, diff)
			}
			for _, h := range reading {
				if text := h.String(); !strings.Contains(text, h.Cluster) || !strings.Contains(text, h.Why) || h.Until.IsZero() == strings.Contains(text, "not waited for after") {
					t.Errorf("it reads %q", text)
				}
			}
		})
	}
}
