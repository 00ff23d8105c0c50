package projection

import (
	"context"
	"fmt"
	"slices"
	"testing"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
	"pgregory.net/rapid"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
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
		// Some have the name of a computed Work.
		stored := func(n string) string {
			return rapid.SampledFrom([]string{"stored-" + n, names.WorkName("Deployment", "default", n)}).Draw(t, "stored")
		}
		generation := int64(0)
		mutate := func() {
			n := name.Draw(t, "name")
			switch rapid.IntRange(0, 9).Draw(t, "op") {
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
				w := coloured(stored(n), rapid.SampledFrom([]string{"red", "blue"}).Draw(t, "colour"))
				w.Generation = generation
				p.SetStored(w)
			case 6:
				p.DeleteStored("karmada-es-eu", stored(n))
			case 7, 8:
				p.SetBinding(serviceOn(n, rapid.SliceOfDistinct(rapid.SampledFrom(clusters), rapid.ID).Draw(t, "placed")...))
			case 9:
				p.SetLinks(drawLinks(t, clusters))
			}
		}
		for _, n := range []string{"a", "b", "c", "d"} {
			p.SetTemplate(deployment(n, 3, "v0"))
			p.SetTemplate(service(n, webSpec))
		}
		mirrors := []*mirror{
			newMirror(t, p, "eu", WatchOptions{SpecOnly: true}), newMirror(t, p, "eu", WatchOptions{}),
			newMirror(t, p, "", WatchOptions{}), newMirror(t, p, "", WatchOptions{Labels: red}),
			newMirror(t, p, "", WatchOptions{Labels: stubs}),
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

var stubs = labels.SelectorFromSet(labels.Set{meshv1alpha1.StubLabel: "true"})

func drawLinks(t *rapid.T, clusters []string) map[string][]string {
	links := map[string][]string{}
	for _, from := range clusters {
		links[from] = rapid.SliceOfDistinct(rapid.SampledFrom(clusters), rapid.ID).Draw(t, "called by "+from)
	}
	return links
}

// state is what Works of Services are computed from.
type state struct {
	links     map[string][]string
	placed    map[string][]string // Service -> clusters; absent without a binding
	templates map[string]*unstructured.Unstructured
}

// wants says whether a cluster is to have a Work of a Service, and whether as a stub.
func (s state) wants(cluster, name string) (wanted, stub bool) {
	placed := s.placed[name]
	if slices.Contains(placed, cluster) {
		return true, false
	}
	tmpl := s.templates[name]
	if tmpl != nil && (tmpl.GetAnnotations()[meshv1alpha1.StubLabel] == "false" || tmpl.Object["spec"].(map[string]any)["type"] == "ExternalName") {
		return false, false
	}
	called := func(p string) bool { return p != cluster && slices.Contains(s.links[cluster], p) }
	stub = slices.ContainsFunc(placed, called)
	return stub, stub
}

// A Work is there when a share or a stub is wanted, it is the same Work as long as
// either is, and it is the same to the byte in a projection that has learned the
// same inputs in another order.
func TestStubsAndShares(t *testing.T) {
	clusters, services := []string{"ap", "eu", "us"}, []string{"a", "b"}
	template := func(t *rapid.T, name string, generation int64) *unstructured.Unstructured {
		tmpl := service(name, rapid.SampledFrom([]string{
			webSpec, `{"type":"NodePort","ports":[{"port":80,"nodePort":30001}]}`, `{"type":"ExternalName","externalName":"x.y"}`,
		}).Draw(t, "spec"))
		if rapid.IntRange(0, 4).Draw(t, "refused") == 0 {
			tmpl.SetAnnotations(map[string]string{meshv1alpha1.StubLabel: "false"})
		}
		tmpl.SetGeneration(generation)
		return tmpl
	}
	works := func(p *Projection) (out []workv1alpha1.Work) {
		l, err := p.List("", WatchOptions{})
		if err != nil {
			panic(err)
		}
		for i := range l.Items {
			l.Items[i].ResourceVersion = ""
		}
		return l.Items
	}
	rapid.Check(t, func(t *rapid.T) {
		p := newProjection(clusters...)
		s := state{placed: map[string][]string{}, templates: map[string]*unstructured.Unstructured{}}
		births := func() map[string]version {
			out := map[string]version{}
			for cluster, v := range p.views {
				for name, e := range v.entries {
					out[cluster+"/"+name] = e.created
				}
			}
			return out
		}
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			before, n := births(), rapid.SampledFrom(services).Draw(t, "name")
			switch rapid.IntRange(0, 5).Draw(t, "op") {
			case 0:
				s.links = drawLinks(t, clusters)
				p.SetLinks(s.links)
			case 1, 2:
				s.placed[n] = rapid.SliceOfDistinct(rapid.SampledFrom(clusters), rapid.ID).Draw(t, "placed")
				p.SetBinding(serviceOn(n, s.placed[n]...))
			case 3:
				s.templates[n] = template(t, n, int64(i+1))
				p.SetTemplate(s.templates[n])
			case 4:
				delete(s.templates, n)
				p.DeleteTemplate(TemplateKey{serviceKind, "default", n})
			case 5:
				delete(s.placed, n)
				p.DeleteBinding(KeyOf(serviceOn(n)))
			}
			after := births()
			for _, cluster := range clusters {
				for _, n := range services {
					key := cluster + "/" + names.WorkName("Service", "default", n)
					wanted, stub := s.wants(cluster, n)
					born, there := after[key]
					if there != wanted || there && p.views[cluster].entries[names.WorkName("Service", "default", n)].stub != stub {
						t.Fatalf("%s: there %v, wanted %v as stub %v", key, there, wanted, stub)
					}
					if was, old := before[key]; old && there && was != born {
						t.Fatalf("%s was made anew", key)
					}
				}
			}
		}
		other := newProjection()
		for _, learn := range rapid.Permutation([]func(){
			func() { other.SetLinks(s.links) },
			func() {
				for _, c := range clusters {
					other.SetCluster(cluster(c))
				}
			},
			func() {
				for n, placed := range s.placed {
					other.SetBinding(serviceOn(n, placed...))
				}
			},
			func() {
				for _, tmpl := range s.templates {
					other.SetTemplate(tmpl)
				}
			},
		}).Draw(t, "order") {
			learn()
		}
		if a, b := works(p), works(other); !apiequality.Semantic.DeepEqual(a, b) {
			t.Fatalf("%v\n%v", a, b)
		}
	})
}
