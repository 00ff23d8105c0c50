package projection

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
)

// counting counts renderings: each sets the replicas of its cluster.
type counting struct {
	Interpreter
	renders int
}

func (c *counting) ReviseReplicas(obj *unstructured.Unstructured, replicas int32) error {
	c.renders++
	return c.Interpreter.ReviseReplicas(obj, replicas)
}

var red = labels.SelectorFromSet(labels.Set{"c": "red"})

// coloured is a stored Work with a label.
func coloured(name, colour string) *workv1alpha1.Work {
	return &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{
		Namespace: "karmada-es-eu", Name: name, Labels: map[string]string{"c": colour}, UID: "uid",
	}}
}

func TestReadsByLabelRenderNothingElse(t *testing.T) {
	p := newProjection("eu", "ap")
	kinds := &counting{Interpreter: p.interpreter}
	p.interpreter = kinds
	for i := range 50 {
		p.SetTemplate(deployment(number(i), 2, "v1"))
		p.SetBinding(divided(number(i), on("eu", 1), on("ap", 1)))
	}
	p.SetStored(coloured("mine", "red"))
	p.SetStored(coloured("other", "blue"))

	list, err := p.List("", WatchOptions{Labels: red})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	require.Equal(t, "mine", list.Items[0].Name)
	w := startWatch(t, p, "", WatchOptions{Labels: red, InitialEvents: true, Bookmarks: true})
	require.Equal(t, watch.Added, next(t, w).Type)
	require.Equal(t, watch.Bookmark, next(t, w).Type)
	for i := range 50 {
		changed := deployment(number(i), 2, "v2")
		p.SetTemplate(changed)
		p.DeleteBinding(KeyOf(divided(number(i))))
	}
	p.SetStored(coloured("late", "red"))
	require.Equal(t, "late", next(t, w).Object.(*workv1alpha1.Work).Name, "nothing is said of those that are not selected")
	require.Zero(t, kinds.renders)

	p.SetBinding(divided(number(1), on("eu", 1)))
	byID := labels.SelectorFromSet(labels.Set{names.ResourceBindingPermanentIDLabel: "pid-" + number(1)})
	list, err = p.List("", WatchOptions{Labels: byID})
	require.NoError(t, err)
	require.Len(t, list.Items, 1, "computed Works are found by their labels, too")
	require.Equal(t, 1, kinds.renders)
}

func TestRelabelledWorks(t *testing.T) {
	for name, test := range map[string]struct {
		reason string
		change func(p *Projection)
		want   []watch.EventType
	}{
		"still selected": {
			reason: "a change like any other",
			change: func(p *Projection) {
				w := coloured("mine", "red")
				w.Generation = 2
				p.SetStored(w)
			},
			want: []watch.EventType{watch.Modified},
		},
		"no longer selected": {
			reason: "it is gone for who selects by the label",
			change: func(p *Projection) { p.SetStored(coloured("mine", "blue")) },
			want:   []watch.EventType{watch.Deleted},
		},
		"no longer selected, then deleted": {
			reason: "both are one change to who was away",
			change: func(p *Projection) {
				p.SetStored(coloured("mine", "blue"))
				p.DeleteStored("karmada-es-eu", "mine")
			},
			want: []watch.EventType{watch.Deleted},
		},
		"never selected": {
			reason: "it was never seen",
			change: func(p *Projection) {
				w := coloured("other", "blue")
				w.Generation = 2
				p.SetStored(w)
				p.DeleteStored("karmada-es-eu", "other")
				p.SetStored(coloured("new", "blue"))
			},
		},
		"selected now": {
			reason: "a client takes a change of what it does not have for an addition",
			change: func(p *Projection) { p.SetStored(coloured("other", "red")) },
			want:   []watch.EventType{watch.Modified},
		},
		"came and went": {
			reason: "it was never seen",
			change: func(p *Projection) {
				p.SetStored(coloured("new", "red"))
				p.DeleteStored("karmada-es-eu", "new")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProjection("eu")
			p.SetStored(coloured("mine", "red"))
			p.SetStored(coloured("other", "blue"))
			from := list(t, p, "").ResourceVersion
			test.change(p)
			p.SetStored(coloured("end", "red"))
			for _, cluster := range []string{"", "eu"} {
				w := startWatch(t, p, cluster, WatchOptions{Labels: red, ResourceVersion: from})
				var got []watch.EventType
				for e := next(t, w); e.Object.(*workv1alpha1.Work).Name != "end"; e = next(t, w) {
					got = append(got, e.Type)
				}
				require.Equal(t, test.want, got, test.reason)
			}
		})
	}
}

// What is sent in the beginning and then gets other labels, while more of the
// beginning is to come, is gone.
func TestRelabelledWithinTheBeginning(t *testing.T) {
	p := newProjection("eu")
	p.SetStored(coloured("mine", "red"))
	for i := range 3 * watchBatch {
		p.SetStored(coloured(fmt.Sprintf("n%d", i), "red"))
	}
	w := startWatch(t, p, "eu", WatchOptions{Labels: red})
	require.Equal(t, "mine", next(t, w).Object.(*workv1alpha1.Work).Name)
	p.SetStored(coloured("mine", "blue"))
	for range 3 * watchBatch {
		require.Equal(t, watch.Added, next(t, w).Type)
	}
	e := next(t, w)
	require.Equal(t, watch.Deleted, e.Type)
	require.Equal(t, "mine", e.Object.(*workv1alpha1.Work).Name)
}

// A client that resumes between two events has not been told of what came to others
// before the first, if they have changed again since.
func TestRelabelledBeforeTheVersionOfAClient(t *testing.T) {
	p := newProjection("eu")
	p.SetStored(coloured("mine", "red"))
	from := list(t, p, "").ResourceVersion
	p.SetStored(coloured("mine", "blue"))
	p.SetStored(coloured("other", "red"))
	again := coloured("mine", "blue")
	again.Generation = 2
	p.SetStored(again)

	for range 2 { // once as far as the first event, then from there
		e := next(t, startWatch(t, p, "eu", WatchOptions{Labels: red, ResourceVersion: from}))
		if w := e.Object.(*workv1alpha1.Work); w.Name == "other" {
			from = w.ResourceVersion
			continue
		}
		require.Equal(t, watch.Deleted, e.Type)
		require.Equal(t, "mine", e.Object.(*workv1alpha1.Work).Name)
	}

	w := startWatch(t, p, "eu", WatchOptions{Labels: red, ResourceVersion: list(t, p, "eu").ResourceVersion})
	p.SetStored(coloured("third", "red"))
	require.Equal(t, watch.Added, next(t, w).Type)
	later := again.DeepCopy()
	later.Generation = 3
	p.SetStored(later)
	quiet(t, w) // who has seen all knows
}

// A cluster that joins adds its Works to a watch of all; one that leaves ends it,
// and whoever lists again has what is left.
func TestWatchOfAllWhileClustersComeAndGo(t *testing.T) {
	p := newProjection("eu")
	p.SetStored(coloured("mine", "red"))
	there := coloured("mine", "red")
	there.Namespace = "karmada-es-ap"
	p.SetStored(there)
	first, err := p.List("", WatchOptions{Labels: red})
	require.NoError(t, err)
	require.Len(t, first.Items, 1, "a cluster that is not registered has none")
	w := startWatch(t, p, "", WatchOptions{Labels: red, ResourceVersion: first.ResourceVersion})
	p.SetCluster(cluster("ap"))
	e := next(t, w)
	require.Equal(t, watch.Added, e.Type)
	require.Equal(t, "karmada-es-ap", e.Object.(*workv1alpha1.Work).Namespace)

	p.RemoveCluster("eu")
	e = next(t, w)
	require.Equal(t, watch.Error, e.Type)
	require.EqualValues(t, 410, e.Object.(*metav1.Status).Code)
	again, err := p.List("", WatchOptions{Labels: red})
	require.NoError(t, err)
	require.Len(t, again.Items, 1)
	p.SetStored(coloured("late", "red"))
	w = startWatch(t, p, "", WatchOptions{Labels: red, ResourceVersion: again.ResourceVersion})
	quiet(t, w)
}
