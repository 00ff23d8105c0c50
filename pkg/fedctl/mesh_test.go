package fedctl

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

func said(name string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: name, Status: status, Reason: reason, Message: message}
}

func in(d time.Duration) *metav1.Time { return &metav1.Time{Time: start.Add(d)} }

// readyMesh has two clusters that reach each other.
func readyMesh(name string) *meshv1alpha1.Mesh {
	m := &meshv1alpha1.Mesh{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), Generation: 2}}
	meshv1alpha1.SetDefaults_Mesh(m)
	yes := []metav1.Condition{said("Available", "True", "Heard", ""), said("Trusted", "True", "InEffect", "")}
	const day = 24 * time.Hour
	m.Status = meshv1alpha1.MeshStatus{
		ObservedGeneration: 2,
		Conditions:         []metav1.Condition{said("Ready", "True", "AllReady", "")},
		Trust:              &meshv1alpha1.MeshTrustStatus{RootGeneration: 1, Stage: "Steady", Roots: []string{"sha256:0123"}, RootExpires: in(3650 * day)},
		Clusters: []meshv1alpha1.MeshCluster{
			{Name: "ap", Network: "network-ap", GatewayAddresses: []meshv1alpha1.GatewayAddress{{Address: "203.0.113.9", Port: 15443}}, CAExpires: in(365 * day), TokenExpires: in(day), IstiodVersion: "1.31.1", Conditions: yes},
			{Name: "eu", Network: "network-eu", GatewayAddresses: []meshv1alpha1.GatewayAddress{{Address: "gw.example.org", Port: 443}, {Address: "2001:db8::7", Port: 15443}}, CAExpires: in(364 * day), TokenExpires: in(90 * time.Minute), IstiodVersion: "1.31.1", Conditions: yes},
		},
		Links: []meshv1alpha1.MeshLink{{From: "ap", To: "eu", Phase: "Ready"}, {From: "eu", To: "ap", Phase: "Ready"}},
	}
	return m
}

// brokenMesh has links in all phases, one that is not wanted, and a cluster of which
// nothing was said.
func brokenMesh() *meshv1alpha1.Mesh {
	m := readyMesh("mesh2")
	m.Status.Conditions[0] = said("Ready", "False", "LinksMissing", "1/3 clusters and 1/5 links are ready")
	m.Status.Trust.Stage, m.Status.Trust.Message = "TrustBoth", "change of the root, step 1 of 3: cluster us has not reported"
	m.Status.Clusters[1].Conditions = []metav1.Condition{said("Available", "True", "Heard", ""), said("GatewayReady", "False", "NoAddress", "the Service has no address; is there a load balancer?"), said("Readable", "False", "NoToken", "")}
	m.Status.Clusters = append(m.Status.Clusters, meshv1alpha1.MeshCluster{Name: "us"})
	m.Status.Links = []meshv1alpha1.MeshLink{
		{From: "ap", To: "eu", Phase: "Pending", Step: "Address", Reason: "NoAddress", Message: "the gateway of cluster eu has no address: is there a load balancer?"},
		{From: "eu", To: "ap", Phase: "Ready"},
		{From: "us", To: "ap", Phase: "Withdrawn", Step: "Member", Reason: "ClusterLost", Message: "nothing is heard of cluster us"},
		{From: "us", To: "eu", Phase: "Withdrawn"},
		{From: "ap", To: "us"},
	}
	return m
}

func TestMeshes(t *testing.T) {
	d := newDesk(t)
	out := d.types("mesh status")
	out += d.types("mesh check")
	out += d.types("mesh check -o json")
	d = newDesk(t, readyMesh("mesh1"), brokenMesh())
	out += d.types("mesh status")
	out += d.types("mesh status mesh1")
	out += d.types("mesh status mesh1 -o json")
	out += d.types("mesh check mesh1")
	out += d.types("mesh check")
	out += d.types("mesh check -o json")
	out += d.types("mesh status mesh3")
	out += d.types("mesh check mesh1 -o yaml")
	golden(t, "meshes", out)
}

// What was said of an earlier spec, or was not said at all, does not count as ready.
func TestMeshIsNotReady(t *testing.T) {
	tests := map[string]struct {
		reason string
		change func(m *meshv1alpha1.Mesh)
		want   string // empty: ready
	}{
		"ready":    {"all is well", func(*meshv1alpha1.Mesh) {}, ""},
		"no more":  {"the controllers say so", func(m *meshv1alpha1.Mesh) { m.Status.Conditions[0].Status = "False" }, "AllReady"},
		"unknown":  {"that is not True", func(m *meshv1alpha1.Mesh) { m.Status.Conditions[0].Status = "Unknown" }, "AllReady"},
		"new":      {"nobody has looked", func(m *meshv1alpha1.Mesh) { m.Status = meshv1alpha1.MeshStatus{} }, "Unknown"},
		"outdated": {"a cluster may just have been added", func(m *meshv1alpha1.Mesh) { m.Generation = 3 }, "Changed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := readyMesh("mesh1")
			tt.change(m)
			ready, reason, _ := readiness(m)
			assert.Equal(t, tt.want == "", ready, tt.reason)
			if tt.want != "" {
				assert.Equal(t, tt.want, reason)
			}
			out := newDesk(t, m).types("mesh check mesh1")
			assert.Equal(t, tt.want == "", out == "$ fedctl mesh check mesh1\nMesh mesh1 is ready.\n", out)
		})
	}
}

// lostMesh is what meshlink says of three clusters of which one is lost, and another cannot
// be reached: each cause many times.
func lostMesh() *meshv1alpha1.Mesh {
	m := readyMesh("mesh3")
	const lost = "nothing is heard of cluster us, which counts as lost since 2026-01-02T03:04:05Z; "
	const refused = "does not reach the gateway of cluster ap: 203.0.113.9:15443: connection refused"
	m.Status.Conditions[0] = said("Ready", "False", "ClusterLost", "link from ap to us, step Member: "+lost+"it comes back by itself once its agent reports (and 5 more)")
	no := []metav1.Condition{said("Available", "False", "ClusterLost", lost+"what it has stays as it is"), said("Trusted", "True", "InEffect", ""), said("Readable", "False", "TokenEnded", "the token has ended")}
	m.Status.Clusters = append(m.Status.Clusters, meshv1alpha1.MeshCluster{Name: "us", Network: "network-us", Conditions: no})
	m.Status.Clusters[1].Conditions = []metav1.Condition{said("Available", "False", "NodesNotLocated", "nodes cannot be patched"), said("GatewayReady", "False", "NoAddress", "it has none")}
	away := func(from, to string) meshv1alpha1.MeshLink {
		return meshv1alpha1.MeshLink{From: from, To: to, Phase: "Withdrawn", Step: "Member", Reason: "ClusterLost", Message: lost + "it comes back by itself once its agent reports"}
	}
	m.Status.Links = []meshv1alpha1.MeshLink{
		{From: "ap", To: "eu", Phase: "Pending", Step: "Address", Reason: "NoAddress", Message: "the gateway of cluster eu has no address: it has none"}, away("ap", "us"),
		{From: "eu", To: "ap", Phase: "Pending", Step: "Probe", Reason: "Unreachable", Message: refused}, away("eu", "us"),
		{From: "us", To: "ap", Phase: "Pending", Step: "Probe", Reason: "Unreachable", Message: refused}, away("us", "eu"),
	}
	return m
}

// One cause is told once, with the links that wait for it.
func TestOneCauseIsToldOnce(t *testing.T) {
	m := lostMesh()
	out := newDesk(t, m).types("mesh status mesh3")
	out += newDesk(t, m).types("mesh check mesh3")
	golden(t, "causes", out)
	for _, words := range []string{"which counts as lost", "connection refused", "nodes cannot be patched"} {
		assert.Equal(t, 2, strings.Count(out, words), "%q, by each command:\n%s", words, out)
	}
	named := func(l *meshv1alpha1.MeshLink) int { return strings.Count(out, l.From+" to "+l.To) }
	for i := range m.Status.Links {
		assert.GreaterOrEqual(t, named(&m.Status.Links[i]), 2, "every link is named: %s to %s", m.Status.Links[i].From, m.Status.Links[i].To)
	}
}

// Every step has a way out: a new one needs another.
func TestEveryStepHasAWayOut(t *testing.T) {
	seen := map[string]bool{}
	for _, step := range []meshv1alpha1.LinkStep{
		meshv1alpha1.StepMember, meshv1alpha1.StepCA, meshv1alpha1.StepNetwork, meshv1alpha1.StepGateway, meshv1alpha1.StepAddress, meshv1alpha1.StepProbe,
		meshv1alpha1.StepToken, meshv1alpha1.StepSecret, meshv1alpha1.StepSynced, meshv1alpha1.StepGatewayKnown, meshv1alpha1.StepEndpoints,
	} {
		text := wayOut(&meshv1alpha1.MeshLink{From: "eu", To: "ap", Step: step})
		assert.NotEmpty(t, text, step)
		assert.False(t, seen[text], step)
		seen[text] = true
	}
}

// advancing is a federation in which a Mesh goes on each time somebody looks at it.
func advancing(t *testing.T, d *desk, steps ...func(m *meshv1alpha1.Mesh) error) client.Client {
	t.Helper()
	inner, ok := d.federation.(client.WithWatch)
	require.True(t, ok)
	looks := -1 // the first look is before the change
	return interceptor.NewClient(inner, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			m, isMesh := obj.(*meshv1alpha1.Mesh)
			if err := c.Get(ctx, key, obj, opts...); err != nil || !isMesh {
				return err
			}
			looks++
			if looks == 0 {
				return nil
			}
			return steps[min(looks, len(steps))-1](m)
		},
	})
}

func stage(generation int64, stage, message string) func(*meshv1alpha1.Mesh) error {
	return func(m *meshv1alpha1.Mesh) error {
		m.Status.Trust = &meshv1alpha1.MeshTrustStatus{RootGeneration: generation, Stage: stage, Message: message}
		return nil
	}
}

func TestRotateRoot(t *testing.T) {
	external, early, under, asked, leaving, bare := readyMesh("external"), readyMesh("early"), readyMesh("under"), readyMesh("asked"), readyMesh("leaving"), readyMesh("bare")
	external.Spec.Trust.Mode, external.Spec.Trust.SecretRef = meshv1alpha1.TrustExternal, &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-system", Name: "our-ca"}
	early.Status.Trust = nil
	under.Status.Trust.Stage, under.Status.Trust.RootGeneration, under.Spec.Trust.RootGeneration = "SignNew", 2, 2
	under.Status.Trust.Message = "change of the root, step 2 of 3: cluster us has not reported"
	asked.Spec.Trust.RootGeneration = 2
	leaving.DeletionTimestamp, leaving.Finalizers = in(0), []string{meshv1alpha1.MeshFinalizer}
	bare.Status.Trust.Stage = ""
	anew := readyMesh("anew") // the one that was deleted has left root 3
	anew.Status.Trust.RootGeneration = 3
	d := newDesk(t, readyMesh("mesh1"), external, early, under, asked, leaving, bare, anew)
	out := d.types("mesh rotate-root mesh1")
	for _, name := range []string{"mesh1", "external", "early", "under", "asked", "leaving", "bare", "anew", "none"} {
		out += d.types("mesh rotate-root " + name)
	}
	m := &meshv1alpha1.Mesh{}
	require.NoError(t, d.federation.Get(t.Context(), client.ObjectKey{Name: "mesh1"}, m))
	assert.EqualValues(t, 2, m.Spec.Trust.RootGeneration, "once")
	for _, name := range []string{"external", "early", "leaving", "bare"} {
		require.NoError(t, d.federation.Get(t.Context(), client.ObjectKey{Name: name}, m))
		assert.EqualValues(t, 1, m.Spec.Trust.RootGeneration, name)
	}

	require.NoError(t, d.federation.Get(t.Context(), client.ObjectKey{Name: "anew"}, m))
	assert.EqualValues(t, 4, m.Spec.Trust.RootGeneration, "what is asked for is what is not there yet")

	waiting := newDesk(t, readyMesh("mesh1"))
	waiting.federation = advancing(t, waiting,
		stage(1, "Steady", ""),
		stage(2, "TrustBoth", "cluster us has not reported"),
		func(*meshv1alpha1.Mesh) error { return errors.New("no route to host") },
		stage(2, "SignNew", "the next begins at 2026-01-03T03:04:05Z"),
		stage(2, "SignNew", ""),
		stage(2, "TrustNew", ""),
		stage(2, "Steady", ""),
	)
	out += waiting.types("mesh rotate-root mesh1 --wait")

	stuck := newDesk(t, readyMesh("mesh1"))
	stuck.federation = advancing(t, stuck, stage(2, "TrustBoth", "cluster us has not reported"))
	out += stuck.types("mesh rotate-root mesh1 --wait --timeout 100ms")

	deleted := newDesk(t, readyMesh("mesh1"))
	deleted.federation = advancing(t, deleted, func(m *meshv1alpha1.Mesh) error { m.UID = "another"; return nil })
	out += deleted.types("mesh rotate-root mesh1 --wait")
	golden(t, "rotate-root", out)
}

// Whoever has raised it at the same time wins, and nothing is raised twice.
func TestRotateRootTwiceAtOnce(t *testing.T) {
	d := newDesk(t, readyMesh("mesh1"))
	inner, ok := d.federation.(client.WithWatch)
	require.True(t, ok)
	d.federation = interceptor.NewClient(inner, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			other := &meshv1alpha1.Mesh{}
			if err := c.Get(ctx, client.ObjectKeyFromObject(obj), other); err != nil {
				return err
			}
			other.Spec.Trust.RootGeneration = 2
			if err := c.Update(ctx, other); err != nil {
				return err
			}
			return c.Patch(ctx, obj, patch, opts...)
		},
	})
	require.Contains(t, d.types("mesh rotate-root mesh1"), "If somebody else has changed it meanwhile")
	m := &meshv1alpha1.Mesh{}
	require.NoError(t, inner.Get(t.Context(), client.ObjectKey{Name: "mesh1"}, m))
	assert.EqualValues(t, 2, m.Spec.Trust.RootGeneration)
}

func TestMeshesOfAnEarlierFederation(t *testing.T) {
	err := unserved(&meta.NoKindMatchError{GroupKind: meshv1alpha1.Kind("Mesh"), SearchedVersions: []string{"v1alpha1"}})
	require.ErrorContains(t, err, "a version without meshes")
	require.True(t, meta.IsNoMatchError(err) || errors.As(err, new(*meta.NoKindMatchError)))
	other := errors.New("no route to host")
	require.Equal(t, other, unserved(other))
}
