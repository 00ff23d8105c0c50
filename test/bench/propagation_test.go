package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

const (
	templates = 100
	namespace = "bench"
	writers   = 8
	// eventsEach is how many events tell of one template that is placed.
	eventsEach = 5
	// maxStatuses is how often the status of a binding, or of a template, is written:
	// once, or a few times when the rollout is slow, as it is on a busy machine: 1.7 to
	// 1.9 times on two idle cores, 2.7 times when all took twice as long. Without the
	// window in which reports are gathered it would be once for each of them.
	maxStatuses = 5.0
	// late is for what is still said of the template before the hundred.
	late = 0.1
	// maxOthers is for heartbeats and statuses of clusters, which a slow run has more of.
	maxOthers = 0.5
)

var members = []string{"ap", "eu", "us"}

var shared *lab.Lab

func TestMain(m *testing.M) { os.Exit(lab.Main(m, func(l *lab.Lab) { shared = l }, "--nodes=4")) }

// TestPropagation places 100 Deployments on three clusters, then moves them
// all by one edit of their policy.
func TestPropagation(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	fed := connect(t, lab.Fed)
	require.NoError(t, fed.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))
	policy := weights(1, 1, 1)
	require.NoError(t, fed.Create(ctx, policy))
	// The first one pays for caches and connections.
	place(ctx, t, fed, "warm-up", 1)
	waitReady(ctx, t, fed, 1)

	arrivals := follow(ctx, t)
	before := usage(t)
	writes := keepLedger(ctx, t)
	profiled := profile(ctx, t, "place")
	asked := place(ctx, t, fed, "d", templates)
	arrivals.wait(ctx, t, templates, func(d *appsv1.Deployment) bool { return d.Name != "warm-up" })
	arrived := arrivals.latest()
	waitReady(ctx, t, fed, templates+1)
	placed := writes.until(ctx, t, eventCreate, eventsEach*templates)
	after := usage(t)
	profiled()

	var delays []time.Duration
	for name, at := range asked {
		delays = append(delays, arrived[name].Sub(at))
	}
	slices.Sort(delays)
	report(t, "placing %d Deployments on %d clusters:", templates, len(members))
	report(t, "  template -> last member: median %s, p99 %s", round(delays[len(delays)/2]), round(delays[len(delays)*99/100]))
	each := since(nil, placed)
	tell(t, each)
	spent(t, before, after)
	for what, most := range map[string]float64{
		templateCreate: 1, bindingCreate: 1, eventCreate: eventsEach + late, templateUpdate: maxStatuses, bindingUpdate: 1 + maxStatuses,
	} {
		require.LessOrEqual(t, each[what], most, what)
		require.GreaterOrEqual(t, each[what], 1.0, "%s: not even what is always written, so the count is wrong", what)
		delete(each, what)
	}
	require.LessOrEqual(t, total(each), maxOthers, "writes that nothing is known of: %v", each)

	moved := follow(ctx, t)
	decisions := decided(ctx, t, fed)
	before = after
	edited := weights(2, 1, 1)
	edited.ResourceVersion = policy.ResourceVersion
	profiled = profile(ctx, t, "move")
	start := time.Now()
	require.NoError(t, fed.Update(ctx, edited))
	// 4 replicas over eu 2, ap 1, us 1, where they were 2, 1, 1 in an order
	// that differed from template to template.
	moved.wait(ctx, t, templates, func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == share(d) })
	report(t, "one policy edit moves %d Deployments: %s, decided after %s", templates, round(time.Since(start)), round(decisions().Sub(start)))
	waitMoved(ctx, t, fed)
	each = since(placed, writes.until(ctx, t, bindingUpdate, 0))
	after = usage(t)
	profiled()
	tell(t, each)
	spent(t, before, after)
	require.LessOrEqual(t, each[eventCreate], 1+late, "a decision is told once")
	require.LessOrEqual(t, each[bindingUpdate], 2+maxStatuses, "the placement, the decision, and statuses")
}

// spent reports processor time and memory.
func spent(t *testing.T, before, after resources) {
	t.Helper()
	report(t, "  control plane: %.3f CPU-seconds per template, %d MiB", (after.cpu-before.cpu).Seconds()/templates, after.memory>>20)
	report(t, "  agents: %.3f CPU-seconds per template, %d MiB together", (after.agentCPU-before.agentCPU).Seconds()/templates, after.agentMemory>>20)
	report(t, "  members, simulated nodes included: %.3f CPU-seconds per template", (after.memberCPU-before.memberCPU).Seconds()/templates)
}

// waitMoved waits until every binding's status shows the replicas that were decided.
func waitMoved(ctx context.Context, t *testing.T, fed client.Client) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		list := &workv1alpha2.ResourceBindingList{}
		require.NoError(c, fed.List(ctx, list, client.InNamespace(namespace)))
		for i := range list.Items {
			ready := map[string]int32{}
			for _, item := range list.Items[i].Status.AggregatedStatus {
				var status appsv1.DeploymentStatus
				require.NotNil(c, item.Status, "%s in %s", list.Items[i].Name, item.ClusterName)
				require.NoError(c, json.Unmarshal(item.Status.Raw, &status))
				ready[item.ClusterName] = status.ReadyReplicas
			}
			for _, share := range list.Items[i].Spec.Clusters {
				require.Equal(c, share.Replicas, ready[share.Name], "%s in %s", list.Items[i].Name, share.Name)
			}
		}
	}, 2*time.Minute, 500*time.Millisecond)
}

// decided follows bindings; what it returns tells when the last decision was seen.
func decided(ctx context.Context, t *testing.T, fed client.WithWatch) func() time.Time {
	t.Helper()
	list := &workv1alpha2.ResourceBindingList{}
	require.NoError(t, fed.List(ctx, list, client.InNamespace(namespace)))
	w, err := fed.Watch(ctx, list, client.InNamespace(namespace), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.ResourceVersion}})
	require.NoError(t, err)
	var mu sync.Mutex
	var last time.Time
	seen := map[string]int64{}
	for i := range list.Items {
		seen[list.Items[i].Name] = list.Items[i].Status.SchedulerObservedGeneration
	}
	go func() {
		for e := range w.ResultChan() {
			b, ok := e.Object.(*workv1alpha2.ResourceBinding)
			if !ok || b.Status.SchedulerObservedGeneration == seen[b.Name] {
				continue
			}
			seen[b.Name] = b.Status.SchedulerObservedGeneration
			mu.Lock()
			last = time.Now()
			mu.Unlock()
		}
	}()
	return func() time.Time {
		w.Stop()
		mu.Lock()
		defer mu.Unlock()
		return last
	}
}

func share(d *appsv1.Deployment) int32 {
	if d.Annotations["work.karmada.io/namespace"] == "karmada-es-eu" {
		return 2
	}
	return 1
}

func weights(eu, ap, us int64) *policyv1alpha1.PropagationPolicy {
	weight := func(cluster string, w int64) policyv1alpha1.StaticClusterWeight {
		return policyv1alpha1.StaticClusterWeight{
			TargetCluster: policyv1alpha1.ClusterAffinity{ClusterNames: []string{cluster}}, Weight: w,
		}
	}
	return &policyv1alpha1.PropagationPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "all", Namespace: namespace},
		Spec: policyv1alpha1.PropagationSpec{
			ResourceSelectors: []policyv1alpha1.ResourceSelector{{APIVersion: "apps/v1", Kind: "Deployment"}},
			Placement: policyv1alpha1.Placement{
				ClusterAffinity: &policyv1alpha1.ClusterAffinity{ClusterNames: members},
				ReplicaScheduling: &policyv1alpha1.ReplicaSchedulingStrategy{
					ReplicaSchedulingType:     policyv1alpha1.ReplicaSchedulingTypeDivided,
					ReplicaDivisionPreference: policyv1alpha1.ReplicaDivisionPreferenceWeighted,
					WeightPreference: &policyv1alpha1.ClusterPreferences{
						StaticWeightList: []policyv1alpha1.StaticClusterWeight{weight("eu", eu), weight("ap", ap), weight("us", us)},
					},
				},
			},
		},
	}
}

// place creates Deployments and returns when each was asked for.
func place(ctx context.Context, t *testing.T, fed client.Client, prefix string, n int) map[string]time.Time {
	t.Helper()
	var mu sync.Mutex
	asked := map[string]time.Time{}
	var g errgroup.Group
	g.SetLimit(writers)
	for i := range n {
		g.Go(func() error {
			d := deployment(prefix, i, n)
			mu.Lock()
			asked[d.Name] = time.Now()
			mu.Unlock()
			return fed.Create(ctx, d)
		})
	}
	require.NoError(t, g.Wait())
	return asked
}

func deployment(prefix string, i, n int) *appsv1.Deployment {
	name := prefix
	if n > 1 {
		name = fmt.Sprintf("%s%03d", prefix, i)
	}
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](4),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "registry.example/web:1"}}},
			},
		},
	}
}

// waitReady waits until the federation shows n Deployments complete.
func waitReady(ctx context.Context, t *testing.T, fed client.WithWatch, n int) {
	t.Helper()
	list := &appsv1.DeploymentList{}
	require.NoError(t, fed.List(ctx, list, client.InNamespace(namespace)))
	ready := map[string]bool{}
	look := func(d *appsv1.Deployment) { ready[d.Name] = d.Status.ReadyReplicas == *d.Spec.Replicas }
	for i := range list.Items {
		look(&list.Items[i])
	}
	w, err := fed.Watch(ctx, list, client.InNamespace(namespace), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.ResourceVersion}})
	require.NoError(t, err)
	defer w.Stop()
	for count(ready) < n {
		select {
		case e, open := <-w.ResultChan():
			require.True(t, open, "the watch ended with %d of %d ready", count(ready), n)
			if d, ok := e.Object.(*appsv1.Deployment); ok && e.Type != watch.Deleted {
				look(d)
			}
		case <-ctx.Done():
			t.Fatalf("%d of %d Deployments are ready: %v", count(ready), n, ctx.Err())
		}
	}
}

func count(set map[string]bool) (n int) {
	for _, yes := range set {
		if yes {
			n++
		}
	}
	return n
}

func report(t *testing.T, format string, args ...any) {
	t.Helper()
	_, _ = fmt.Fprintf(os.Stdout, "bench: "+format+"\n", args...) // shown without -v, too
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
