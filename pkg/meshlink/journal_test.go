package meshlink

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func workOf(uid, version string) *workv1alpha1.Work {
	return &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-eu", Name: "mesh.mesh1.ca", UID: types.UID(uid), ResourceVersion: version}}
}

func TestJournal(t *testing.T) {
	mesh := &meshv1alpha1.Mesh{ObjectMeta: metav1.ObjectMeta{Name: "mesh1"}}
	create := plan.Write{Verb: plan.Create, Object: workOf("a", "5")}
	update := func(was, is string) plan.Write {
		return plan.Write{Verb: plan.Update, Object: workOf("a", is), Was: workOf("a", was)}
	}
	cases := map[string]struct {
		reason string
		writes []plan.Write
		there  *workv1alpha1.Work
		later  time.Duration
		ahead  bool
	}{
		"Nothing":          {reason: "Nothing was written."},
		"Created":          {reason: "The cache does not have it.", writes: []plan.Write{create}, ahead: true},
		"CreatedSeen":      {reason: "It has; versions of caches are others than those of writes.", writes: []plan.Write{create}, there: workOf("a", "77")},
		"CreatedBefore":    {reason: "It has the one before.", writes: []plan.Write{create}, there: workOf("z", "4"), ahead: true},
		"Updated":          {reason: "The cache has what was there.", writes: []plan.Write{update("5", "6")}, there: workOf("a", "5"), ahead: true},
		"UpdatedSeen":      {reason: "It has another.", writes: []plan.Write{update("5", "6")}, there: workOf("a", "6")},
		"UpdatedTwice":     {reason: "Both versions are from before.", writes: []plan.Write{update("5", "6"), update("6", "7")}, there: workOf("a", "5"), ahead: true},
		"UpdatedHalf":      {reason: "Both versions are from before.", writes: []plan.Write{update("5", "6"), update("6", "7")}, there: workOf("a", "6"), ahead: true},
		"UpdatedAndGone":   {reason: "Somebody has deleted it.", writes: []plan.Write{update("5", "6")}},
		"Deleted":          {reason: "The cache still has it.", writes: []plan.Write{{Verb: plan.Delete, Object: workOf("a", "5")}}, there: workOf("a", "5"), ahead: true},
		"DeletedSeen":      {reason: "It has it no more.", writes: []plan.Write{{Verb: plan.Delete, Object: workOf("a", "5")}}},
		"DeletedAndAnew":   {reason: "It has another of the name.", writes: []plan.Write{{Verb: plan.Delete, Object: workOf("a", "5")}}, there: workOf("b", "9")},
		"PatienceIsFinite": {reason: "Works of a cluster that goes are never shown.", writes: []plan.Write{create}, later: patience + time.Second},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var j journal
			for _, w := range tc.writes {
				j.note("mesh1", w, noon)
			}
			picture := &plan.Picture{Mesh: mesh}
			if tc.there != nil {
				picture.Works = append(picture.Works, tc.there)
			}
			if got := j.ahead(picture, noon.Add(tc.later)); got != tc.ahead {
				t.Errorf("%s Ahead: %v", tc.reason, got)
			}
			other := &plan.Picture{Mesh: &meshv1alpha1.Mesh{ObjectMeta: metav1.ObjectMeta{Name: "mesh2"}}}
			if j.ahead(other, noon.Add(tc.later)) {
				t.Error("another Mesh waits for it")
			}
		})
	}
}

func TestJournalLeavesSecretsOut(t *testing.T) {
	var j journal
	for _, obj := range []client.Object{secretOf(nil)} {
		j.note("mesh1", plan.Write{Verb: plan.Create, Object: obj}, noon)
	}
	if len(j.entries) != 0 {
		t.Error("Secrets are read live; they would be waited for in vain")
	}
}
