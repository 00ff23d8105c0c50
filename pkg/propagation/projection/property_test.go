package projection

import (
	"context"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/watch"
	"pgregory.net/rapid"

	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// mirror is a client: it lists, watches, loses its connection now and then and
// resumes, and must always end up with what a list returns.
type mirror struct {
	p       *Projection
	cluster string
	opts    WatchOptions
	works   map[string]string // name -> uid and manifest
	version string
	w       watch.Interface
	cancel  context.CancelFunc
}

func newMirror(t *rapid.T, p *Projection, cluster string, opts WatchOptions) *mirror {
	m := &mirror{p: p, cluster: cluster, opts: opts, works: map[string]string{}}
	l, err := p.List(cluster, m.opts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range l.Items {
		m.works[key(&l.Items[i])] = content(&l.Items[i])
	}
	m.version = l.ResourceVersion
	m.connect(t)
	return m
}

func key(w *workv1alpha1.Work) string { return w.Namespace + "/" + w.Name }

func content(w *workv1alpha1.Work) string {
	if len(w.Spec.Workload.Manifests) == 0 {
		return fmt.Sprint(w.Labels, w.Generation)
	}
	return fmt.Sprint(w.UID, w.Spec.SuspendDispatching != nil, string(w.Spec.Workload.Manifests[0].Raw))
}

func (m *mirror) connect(t *rapid.T) {
	ctx, cancel := context.WithCancel(context.Background())
	m.opts.ResourceVersion = m.version
	w, err := m.p.Watch(ctx, m.cluster, m.opts)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	m.w, m.cancel = w, cancel
}

func (m *mirror) disconnect() {
	m.cancel()
	for range m.w.ResultChan() { // wait for the end
	}
}

// read takes one event if the mirror is behind.
func (m *mirror) behind(t *rapid.T) bool {
	l, err := m.p.List(m.cluster, WatchOptions{SpecOnly: m.opts.SpecOnly, Labels: m.opts.Labels})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Items) != len(m.works) {
		return true
	}
	for i := range l.Items {
		if m.works[key(&l.Items[i])] != content(&l.Items[i]) {
			return true
		}
	}
	return false
}

func (m *mirror) take(t *rapid.T) {
	e := <-m.w.ResultChan()
	w, ok := e.Object.(*workv1alpha1.Work)
	if !ok {
		t.Fatalf("unexpected event %v", e)
	}
	switch e.Type {
	case watch.Deleted:
		delete(m.works, key(w))
	default:
		m.works[key(w)] = content(w)
	}
	m.version = w.ResourceVersion
}

func TestEveryClientEndsUpWithTheList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clusters := []string{"ap", "eu", "us"}
		p := newProjection(clusters...)
		name := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		generation := int64(0)
		mutate := func() {
			n := name.Draw(t, "name")
			switch rapid.IntRange(0, 6).Draw(t, "op") {
			case 0, 1:
				var targets []workv1alpha2.TargetCluster
				for _, c := range clusters {
					if r := rapid.Int32Range(0, 3).Draw(t, c); r > 0 {
						targets = append(targets, on(c, r))
					}
				}
				b := divided(n, targets...)
				for _, target := range targets {
					b.Status.AggregatedStatus = append(b.Status.AggregatedStatus, workv1alpha2.AggregatedStatusItem{
						ClusterName: target.Name, Applied: rapid.Bool().Draw(t, "applied"),
					})
				}
				p.SetBinding(b)
			case 2, 3:
				generation++
				tmpl := deployment(n, 3, rapid.SampledFrom([]string{"v1", "v2"}).Draw(t, "image"))
				tmpl.SetGeneration(generation)
				p.SetTemplate(tmpl)
			case 4:
				p.DeleteBinding(KeyOf(divided(n)))
			case 5:
				generation++
				w := coloured("stored-"+n, rapid.SampledFrom([]string{"red", "blue"}).Draw(t, "colour"))
				w.Generation = generation
				p.SetStored(w)
			case 6:
				p.DeleteStored("karmada-es-eu", "stored-"+n)
			}
		}
		for _, n := range []string{"a", "b", "c", "d"} {
			p.SetTemplate(deployment(n, 3, "v0"))
		}
		mirrors := []*mirror{
			newMirror(t, p, "eu", WatchOptions{SpecOnly: true}), newMirror(t, p, "eu", WatchOptions{}),
			newMirror(t, p, "", WatchOptions{}), newMirror(t, p, "", WatchOptions{Labels: red}),
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			mutate()
			m := mirrors[rapid.IntRange(0, len(mirrors)-1).Draw(t, "mirror")]
			if rapid.Bool().Draw(t, "read") && m.behind(t) {
				m.take(t)
			}
			if rapid.IntRange(0, 3).Draw(t, "reconnect") == 0 {
				m.disconnect()
				m.connect(t)
			}
		}
		for _, m := range mirrors {
			for m.behind(t) {
				m.take(t)
			}
			m.disconnect()
		}
	})
}
