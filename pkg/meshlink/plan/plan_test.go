package plan_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
)

// TestThreeClusters: a Mesh of three becomes ready with the writes that its objects
// need and a few changes of MeshMembers, and nothing is written after that.
func TestThreeClusters(t *testing.T) {
	f := newFederation(t, "ap", "eu", "us")
	f.addMesh("mesh1", selecting("eu", "ap", "us"))
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	f.settle()
	t.Logf("ready after %s: %d writes, %d of status", f.now.Sub(epoch), f.writes, f.status)
	// The finalizer, the roots, and of each cluster a MeshMember, CA, reader, gateway
	// and two remote secrets; and changes of each MeshMember, and of the account once
	// the CA may be written.
	if objects := 1 + 1 + 3*6; f.writes > objects+3*5 {
		t.Errorf("%d writes", f.writes)
	}
	writes, status, events := f.writes, f.status, len(f.events)
	for range 5 {
		f.everybody()
		f.now = f.now.Add(time.Minute)
	}
	if f.writes != writes || f.status != status || len(f.events) != events {
		t.Errorf("a steady mesh is written: %d writes, %d of status", f.writes-writes, f.status-status)
	}
	if events != 1 || f.events[0].Reason != plan.EventLinksReady || !strings.HasSuffix(f.events[0].Note, "6 of 6 links are ready") {
		t.Errorf("events: %v", f.events)
	}
	if text := statusText(t, f); strings.Contains(text, "token-eu") {
		t.Errorf("a token is in the status: %s", text)
	}
}

func statusText(t *testing.T, f *federation) string {
	text, err := json.Marshal([]any{f.meshes["mesh1"].Status, f.member("ap", "mesh1"), f.member("eu", "mesh1"), f.events})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestFlat: in one network there is no gateway, and there is where a peer is in another.
func TestFlat(t *testing.T) {
	f := ready3(t, func(spec *meshv1alpha1.MeshSpec) {
		spec.Networks = []meshv1alpha1.MeshNetwork{{Name: "vpc", ClusterNames: []string{"ap", "eu"}}}
	})
	for _, name := range []string{"ap", "eu", "us"} {
		if f.work(name, "mesh.mesh1.gateway") == nil {
			t.Errorf("%s has no gateway for the other network", name)
		}
	}
	for _, peer := range f.member("eu", "mesh1").Spec.Peers {
		if want := peer.Name == "us"; (len(peer.Gateways) > 0) != want {
			t.Errorf("gateways of %s: %v", peer.Name, peer.Gateways)
		}
	}
	f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) {
		spec.Networks = []meshv1alpha1.MeshNetwork{{Name: "vpc", ClusterNames: []string{"ap", "eu", "us"}}}
	})
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	f.settle()
	if f.work("us", "mesh.mesh1.gateway") != nil || f.members["us"].Network() != "vpc" {
		t.Error("a gateway within one network")
	}
}

// TestPlacement: clusters are linked whose workloads are of one namespace.
func TestPlacement(t *testing.T) {
	f := newFederation(t, "ap", "eu", "us")
	f.placed = []link.Placed{{Namespace: "shop", Clusters: []string{"ap", "eu"}}, {Namespace: "blog", Clusters: []string{"us"}}}
	f.addMesh("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Links = meshv1alpha1.LinksPlacement })
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") })
	if len(f.meshes["mesh1"].Status.Links) != 2 || f.work("us", "mesh.mesh1.gateway") != nil || f.member("us", "mesh1").Spec.Reader != nil {
		t.Errorf("links:\n%s", f.explain())
	}
	f.placed = []link.Placed{{Namespace: "shop", Clusters: []string{"eu", "us"}}}
	f.until("the links follow", func() bool {
		return f.ready("mesh1") && f.linkOf("mesh1", "eu", "us").Phase == meshv1alpha1.LinkReady && !f.members["eu"].Has("Secret", "istio-system", "istio-remote-secret-ap")
	})
	f.settle()
	if f.member("ap", "mesh1").Spec.Reader != nil || f.work("ap", "mesh.mesh1.gateway") != nil {
		t.Error("nobody calls ap any more")
	}
}

// TestTokens: a token is handed out at half of the life of the one before, which is
// ended when all use the new one; and one that nobody renews ends, and its links with
// it.
func TestTokens(t *testing.T) {
	f := ready3(t, nil)
	f.settle()
	old := *f.members["ap"]
	f.now = f.now.Add(13 * time.Hour)
	f.cut["ap"] = true // uses the old token of eu
	f.settle()
	if got := len(f.member("eu", "mesh1").Spec.Reader.InUse); got != 2 {
		t.Errorf("%d tokens of eu are in use while ap is cut off", got)
	}
	if _, works := old.Reads(f.members["eu"], f.now); !works {
		t.Error("ap cannot read eu any more")
	}
	f.cut["ap"] = false
	f.settle()
	if got := len(f.member("eu", "mesh1").Spec.Reader.InUse); got != 1 {
		t.Errorf("%d tokens of eu are in use", got)
	}
	if !f.ready("mesh1") {
		t.Errorf("not ready:\n%s", f.explain())
	}
	f.deaf["us"] = true
	f.now = f.now.Add(25 * time.Hour)
	f.settle()
	if c := f.condition("mesh1", "us", meshv1alpha1.ConditionReadable); c.Reason != "TokenEnded" {
		t.Errorf("condition: %+v", c)
	}
	f.now = f.now.Add(10 * time.Minute)
	f.settle()
	if f.members["eu"].Has("Secret", "istio-system", "istio-remote-secret-us") {
		t.Error("eu is to read us with a token that has ended")
	}
}

// TestServers: peers use the URL that the Mesh says, or the Cluster, or else the one of
// the agent; and get another at once, with the same token.
func TestServers(t *testing.T) {
	f := ready3(t, nil)
	server := func() string {
		for _, line := range strings.Split(remoteOf(t, f, "ap", "eu"), "\n") {
			if _, url, ok := strings.Cut(line, "server: "); ok {
				return url
			}
		}
		return ""
	}
	if got := server(); got != "https://api.eu.example.org" {
		t.Errorf("of the agent: %s", got)
	}
	c := f.fleet["eu"].DeepCopy()
	c.Spec.APIEndpoint = "https://eu:6443"
	f.fleet["eu"] = c
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") && server() == "https://eu:6443" })
	f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) {
		spec.RemoteAccess.Servers = []meshv1alpha1.MeshServer{{ClusterName: "eu", URL: "https://203.0.113.7"}}
	})
	f.until("mesh1 is ready", func() bool { return f.ready("mesh1") && server() == "https://203.0.113.7" })
}

func remoteOf(t *testing.T, f *federation, from, to string) string {
	secret := &corev1.Secret{}
	if err := json.Unmarshal(f.work(from, "mesh.mesh1.peer."+to).Spec.Workload.Manifests[0].Raw, secret); err != nil {
		t.Fatal(err)
	}
	return string(secret.Data[to])
}

// TestFailover: clusters of a known region get the rule for failover, and are told when
// it will not match.
func TestFailover(t *testing.T) {
	f := newFederation(t, "ap", "eu", "us")
	for name, region := range map[string]string{"eu": "europe", "us": "us-east"} {
		f.fleet[name].Spec.Region = region
		f.fleet[name].Spec.Zones = []string{region + "-a"}
		f.members[name].Regions = []string{region}
	}
	f.fleet["us"].Spec.Zones = []string{"us-east-a", "us-east-b"}
	f.members["us"].Regions = []string{"us-west"}
	f.addMesh("mesh1", func(spec *meshv1alpha1.MeshSpec) {
		spec.Failover = &meshv1alpha1.MeshFailover{Regions: []meshv1alpha1.RegionFailover{{From: "europe", To: []string{"us-east"}}}}
	})
	f.settle()
	if got, want := f.member("eu", "mesh1").Spec.Locality, (&meshv1alpha1.MemberLocality{Region: "europe", Zone: "europe-a"}); !reflect.DeepEqual(got, want) {
		t.Errorf("locality of eu: %+v", got)
	}
	if got, want := f.member("us", "mesh1").Spec.Locality, (&meshv1alpha1.MemberLocality{Region: "us-east"}); !reflect.DeepEqual(got, want) {
		t.Errorf("locality of us, which has two zones: %+v", got)
	}
	if f.member("ap", "mesh1").Spec.Locality != nil || f.work("ap", "mesh.mesh1.failover") != nil {
		t.Error("ap has no region")
	}
	var rule map[string]any
	if err := json.Unmarshal(f.work("eu", "mesh.mesh1.failover").Spec.Workload.Manifests[0].Raw, &rule); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
		"metadata": map[string]any{"name": "flotilla-failover", "namespace": "istio-system", "labels": map[string]any{"mesh.flotilla.io/mesh": "mesh1"}},
		"spec": map[string]any{
			"host": "*.local",
			"trafficPolicy": map[string]any{
				"loadBalancer":     map[string]any{"localityLbSetting": map[string]any{"enabled": true, "failover": []any{map[string]any{"from": "europe", "to": "us-east"}}}},
				"outlierDetection": map[string]any{"consecutive5xxErrors": 5., "interval": "10s", "baseEjectionTime": "30s", "maxEjectionPercent": 100.},
			},
		},
	}
	if !reflect.DeepEqual(rule, want) {
		t.Errorf("rule: %v", rule)
	}
	for name, reason := range map[string]string{"ap": "NoRegion", "eu": "Matches", "us": "OtherRegions"} {
		if c := f.condition("mesh1", name, meshv1alpha1.ConditionLocality); c.Reason != reason || reason != "Matches" && !strings.Contains(c.Message, "spec.region") {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if c := f.why("mesh1"); c.Status != metav1.ConditionFalse || c.Reason != "NoRegion" {
		t.Errorf("ready: %+v", c)
	}
	f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Failover = nil })
	f.until("mesh1 is ready", func() bool {
		return f.ready("mesh1") && !f.members["eu"].Has("DestinationRule", "istio-system", "flotilla-failover")
	})
}

// TestArgumentsStay: caches share what a plan is made from.
func TestArgumentsStay(t *testing.T) {
	f := ready3(t, nil)
	f.edit("mesh1", func(spec *meshv1alpha1.MeshSpec) { spec.Trust.RootGeneration = 2 })
	f.join("sa")
	f.edit("mesh1", selecting("ap", "eu", "sa"))
	picture := f.picture("mesh1")
	before, err := json.Marshal(picture)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Make(picture, f.now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if after, err := json.Marshal(picture); err != nil || string(after) != string(before) {
		t.Errorf("the picture was changed (%v)", err)
	}
}
