package meshlink

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
)

// TestTokensInAHurry: an agent that makes a token each second costs its peers one a
// minute, unless it was asked for.
func TestTokensInAHurry(t *testing.T) {
	var known tokens
	first, second := tokenOf(t, "first"), tokenOf(t, "second")
	member := &meshv1alpha1.MeshMember{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-eu", Name: "mesh1"}}
	member.Spec.Reader = &meshv1alpha1.MemberReader{TokenTTL: metav1.Duration{Duration: time.Hour}}
	member.Status.Token = &meshv1alpha1.MemberToken{Hash: first.Hash()}
	known.put(member, first, noon)
	member.Status.Token.Hash = second.Hash()
	if got, again := known.get(member, noon.Add(30*time.Second)); got != first || !again.Equal(noon.Add(time.Minute)) {
		t.Error("the second is taken at once")
	}
	if got, _ := known.get(member, noon.Add(time.Minute)); got != nil {
		t.Error("the second is not read after a minute")
	}
	member.Spec.Reader.TokenTTL.Duration = 4 * time.Minute
	if got, _ := known.get(member, noon.Add(30*time.Second)); got != nil {
		t.Error("short lives are renewed more often")
	}
	member.Spec.Reader = &meshv1alpha1.MemberReader{TokenTTL: metav1.Duration{Duration: time.Hour}, RenewAfter: &metav1.Time{Time: noon.Add(time.Second)}}
	if got, _ := known.get(member, noon.Add(30*time.Second)); got != nil {
		t.Error("one that was asked for is not read")
	}
	known.keep("mesh2", nil)
	if len(known.known) != 1 {
		t.Error("it is another Mesh's")
	}
	known.keep("mesh1", nil)
	if len(known.known) != 0 {
		t.Error("the token of a cluster that has left is kept")
	}
}

func TestHeld(t *testing.T) {
	pair := func(from, to string) link.Ordered { return link.Ordered{From: from, To: to} }
	both := []link.Placed{{Namespace: "shop", Clusters: []string{"ap", "eu"}}}
	mesh := &meshv1alpha1.Mesh{ObjectMeta: metav1.ObjectMeta{Name: "mesh1"}}
	mesh.Spec.WithdrawAfter = &metav1.Duration{Duration: 5 * time.Minute}
	mesh.Status.Links = []meshv1alpha1.MeshLink{{From: "ap", To: "eu"}, {From: "eu", To: "ap"}, {From: "eu", To: "us"}}
	var h held
	all := []link.Ordered{pair("ap", "eu"), pair("eu", "ap"), pair("eu", "us")}
	if got, until := h.update(mesh, both, noon); !reflect.DeepEqual(got, all) || !until.IsZero() {
		t.Errorf("after a restart: %v until %s", got, until)
	}
	got, until := h.update(mesh, both, noon.Add(time.Minute))
	if !reflect.DeepEqual(got, all) || !until.Equal(noon.Add(5*time.Minute)) {
		t.Errorf("a minute later: %v until %s", got, until)
	}
	if got, _ := h.update(mesh, both, noon.Add(5*time.Minute)); !reflect.DeepEqual(got, all[:2]) {
		t.Errorf("after the hold time: %v", got)
	}
	if got, _ := h.update(mesh, nil, noon.Add(6*time.Minute)); !reflect.DeepEqual(got, all[:2]) {
		t.Errorf("one that is still in the status is taken for a new one, or others are not held: %v", got)
	}
	mesh.Status.Links = nil
	if got, _ := h.update(mesh, nil, noon.Add(20*time.Minute)); len(got) != 0 || len(h.asked["mesh1"]) != 0 {
		t.Errorf("in the end: %v", got)
	}
	h.forget("mesh1")
	if len(h.asked) != 0 {
		t.Error("it is not forgotten")
	}
}
