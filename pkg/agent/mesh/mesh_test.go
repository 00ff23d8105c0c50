package mesh

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakeistiod"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/proof"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

const (
	own    = `{"id":"eu","syncStatus":"synced"}`
	synced = `[` + own + `,{"id":"ap","secretName":"istio-system/istio-remote-secret-ap","syncStatus":"synced"}]`
	hello  = "hello.default.svc.cluster.local"
)

func spec(change ...func(*meshv1alpha1.MeshMemberSpec)) *meshv1alpha1.MeshMemberSpec {
	s := &meshv1alpha1.MeshMemberSpec{
		MeshID: "mesh1", ClusterID: "eu", Network: "network-eu",
		Gateway:  &meshv1alpha1.MemberGateway{ServiceName: "gateway", Port: 15443},
		Reader:   &meshv1alpha1.MemberReader{ServiceAccount: "flotilla-mesh-reader", TokenTTL: metav1.Duration{Duration: 24 * time.Hour}, Server: "https://eu.example.com"},
		Locality: &meshv1alpha1.MemberLocality{Region: "europe", Zone: "a"},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func pages(clusters, networks string) map[string]string {
	return map[string]string{"clusterz": clusters, "networkz": networks}
}

func alone() map[string]string { return pages("["+own+"]", "null") }

func node(name string, labels map[string]any) map[string]any {
	metadata := map[string]any{"name": name}
	if labels != nil {
		metadata["labels"] = labels
	}
	return object(metadata, nil)
}

func TestClusterOfAMesh(t *testing.T) {
	e := newEnv(t)
	e.install(alone(), nil)
	e.secret("cacerts", map[string]any{meshv1alpha1.MeshLabel: "mesh1"}, map[string]string{trust.RootCertKey: fakeistiod.PEM(e.ca.Root)})
	e.service(system, "gateway", nil, "203.0.113.9", map[string]int64{"tls": 15443})
	e.service("default", "hello", nil, "", map[string]int64{"http": 80})
	e.member.Put(fakekube.Nodes, "", node("a", nil))
	e.member.Put(fakekube.Nodes, "", node("b", map[string]any{corev1.LabelTopologyRegion: "elsewhere"}))
	e.want("mesh1", spec())
	e.start()

	s := e.eventually("mesh1", "all of the cluster itself is there", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return s.ObservedGeneration == 1 && s.Network == "network-eu" && s.CA != nil && s.Token != nil && s.Gateway != nil && len(s.Regions) == 2
	})
	root := string(trust.FingerprintOf(e.ca.Root))
	assert.Equal(t, &meshv1alpha1.MemberIstiod{Version: "1.31.1", ClusterID: "eu"}, s.Istiod)
	assert.Equal(t, []string{root}, s.CA.Roots)
	assert.Equal(t, root, s.CA.Signer)
	assert.Equal(t, string(trust.FingerprintOf(e.ca.Intermediate)), s.CA.Intermediate)
	assert.Equal(t, &meshv1alpha1.MemberCACerts{Exists: true, Mesh: "mesh1", Roots: []string{root}}, s.CACerts)
	assert.Equal(t, []meshv1alpha1.GatewayAddress{{Address: "203.0.113.9", Port: 15443}}, s.Gateway.Addresses)
	assert.Equal(t, []string{"elsewhere", "europe"}, s.Regions)
	assert.Equal(t, "network-eu", labelsOf(e.member.Get(fakekube.Namespaces, "", system), "topology.istio.io/network"))
	assert.Equal(t, "europe", labelsOf(e.member.Get(fakekube.Nodes, "", "a"), corev1.LabelTopologyRegion))
	assert.Equal(t, "a", labelsOf(e.member.Get(fakekube.Nodes, "", "a"), corev1.LabelTopologyZone))
	assert.Equal(t, "elsewhere", labelsOf(e.member.Get(fakekube.Nodes, "", "b"), corev1.LabelTopologyRegion))
	token := e.deliveredToken("mesh1")
	assert.Equal(t, s.Token.Hash, token.Hash())
	assert.Equal(t, "https://eu.example.com", token.Server)
	for _, kind := range []string{
		meshv1alpha1.ConditionObserved, meshv1alpha1.ConditionNetworkLabelled, meshv1alpha1.ConditionNodesLocated,
		meshv1alpha1.ConditionTokenDelivered, meshv1alpha1.ConditionIstiodAnswers, meshv1alpha1.ConditionCASigns, meshv1alpha1.ConditionRemoteSecretsOwn,
	} {
		assert.Empty(t, condition(s, kind), kind)
	}

	// A node that comes later gets its locality, too.
	e.member.Put(fakekube.Nodes, "", node("c", nil))
	require.Eventually(t, func() bool {
		return labelsOf(e.member.Get(fakekube.Nodes, "", "c"), corev1.LabelTopologyRegion) == "europe"
	}, patience, 5*time.Millisecond)
	// The cluster moves; what was written follows, and nothing else.
	e.want("mesh1", spec(func(s *meshv1alpha1.MeshMemberSpec) { s.Locality = &meshv1alpha1.MemberLocality{Region: "africa"} }))
	require.Eventually(t, func() bool {
		a := e.member.Get(fakekube.Nodes, "", "a")
		return labelsOf(a, corev1.LabelTopologyRegion) == "africa" && labelsOf(a, corev1.LabelTopologyZone) == ""
	}, patience, 5*time.Millisecond)
	assert.Equal(t, "elsewhere", labelsOf(e.member.Get(fakekube.Nodes, "", "b"), corev1.LabelTopologyRegion))
}

func (e *env) deliveredToken(mesh string) *remotesecret.Token {
	e.t.Helper()
	secret := e.fed.Get(fakekube.Secrets, es, "mesh-reader-"+mesh)
	require.NotNil(e.t, secret)
	data := map[string][]byte{}
	encoded, _, _ := unstructured.NestedStringMap(secret.Object, "data")
	for key, value := range encoded {
		data[key], _ = base64.StdEncoding.DecodeString(value)
	}
	token, err := remotesecret.ParseToken(data)
	require.NoError(e.t, err)
	return token
}

// linked is a cluster with a peer ap, all of which is well.
func linked(t *testing.T) (e *env, want *meshv1alpha1.MeshMemberSpec) {
	t.Helper()
	e = newEnv(t)
	port := e.gateway(e.ca)
	gateways := fmt.Sprintf(`[{"Network":"network-ap","Cluster":"ap","Addr":"127.0.0.1","Port":%d}]`, port)
	e.install(pages(synced, gateways), map[string][]string{istiod.ClusterName(hello, 80): {"10.0.0.1:8080 eu", fmt.Sprintf("127.0.0.1:%d ap", port)}})
	e.service("default", "hello", nil, "", map[string]int64{"http": 80})
	e.secret("cacerts", map[string]any{meshv1alpha1.MeshLabel: "mesh1"}, map[string]string{trust.RootCertKey: fakeistiod.PEM(e.ca.Root)})
	e.remote("a kubeconfig")
	return e, spec(func(s *meshv1alpha1.MeshMemberSpec) {
		s.Gateway, s.Locality = nil, nil
		s.Peers = []meshv1alpha1.MemberPeer{{
			Name: "ap", Network: "network-ap", SecretHash: hash("a kubeconfig"),
			Gateways: []meshv1alpha1.GatewayAddress{{Address: "127.0.0.1", Port: port}},
		}}
	})
}

func (e *env) remote(kubeconfig string) {
	e.secret("istio-remote-secret-ap", map[string]any{"istio/multiCluster": "true", meshv1alpha1.MeshLabel: "mesh1"}, map[string]string{"ap": kubeconfig})
}

func hash(kubeconfig string) string {
	return remotesecret.SecretHash("ap", map[string][]byte{"ap": []byte(kubeconfig)})
}

var steps = []meshv1alpha1.LinkStep{meshv1alpha1.StepProbe, meshv1alpha1.StepSynced, meshv1alpha1.StepGatewayKnown, meshv1alpha1.StepEndpoints}

func TestLink(t *testing.T) {
	e, want := linked(t)
	e.want("mesh1", want)
	e.start()
	s := e.eventually("mesh1", "all is proven", func(s *meshv1alpha1.MeshMemberStatus) bool { return passed(s, "ap", steps...) })
	assert.Equal(t, hash("a kubeconfig"), s.Peers[0].SecretHash)
	for i, p := range s.Peers[0].Proofs {
		assert.Equal(t, steps[i], p.Step, "in the order of steps")
		assert.Empty(t, p.Reason)
		assert.NotNil(t, p.Since)
	}

	// While nothing changes nothing is written, and little is asked.
	e.later(time.Minute)
	writes, looks := e.requests(e.fed, "/meshmembers/mesh1/status"), e.istiod.Asked("clusterz")
	e.later(10 * time.Minute)
	assert.Equal(t, writes, e.requests(e.fed, "/meshmembers/mesh1/status"))
	assert.LessOrEqual(t, e.istiod.Asked("clusterz")-looks, 50, "every 15 s")
	assert.NotZero(t, e.istiod.Asked("clusterz")-looks)
	assert.Equal(t, 1, e.istiod.Streams())
	_, nodes := e.istiod.Seen()
	assert.Len(t, nodes, 1, "over one stream")

	// The secret changes: what istiod says is about the one before for a while.
	asked := e.istiod.Asked("clusterz")
	e.remote("another")
	want.Peers[0].SecretHash = hash("another")
	e.want("mesh1", want)
	e.eventually("mesh1", "it is seen", func(s *meshv1alpha1.MeshMemberStatus) bool { return s.Peers[0].SecretHash == hash("another") })
	e.eventually("mesh1", "synced again", func(s *meshv1alpha1.MeshMemberStatus) bool { return passed(s, "ap", steps...) })
	assert.Greater(t, e.istiod.Asked("clusterz")-asked, settleLooks)

	// A fault of each step is seen, and that it has passed.
	for _, fault := range []struct {
		step   meshv1alpha1.LinkStep
		reason string
		begin  func(*fakeistiod.Answers)
	}{
		{meshv1alpha1.StepSynced, "Timeout", func(a *fakeistiod.Answers) {
			a.Pages["clusterz"] = `[` + own + `,{"id":"ap","secretName":"istio-system/istio-remote-secret-ap","syncStatus":"timeout"}]`
		}},
		{meshv1alpha1.StepGatewayKnown, "GatewayNotKnown", func(a *fakeistiod.Answers) { a.Pages["networkz"] = "null" }},
		{meshv1alpha1.StepEndpoints, "PodAddresses", func(a *fakeistiod.Answers) {
			a.Endpoints[istiod.ClusterName(hello, 80)] = []string{"10.0.0.1:8080 eu", "10.0.0.1:8080 ap"}
		}},
	} {
		before := proven(e.eventually("mesh1", "well", func(s *meshv1alpha1.MeshMemberStatus) bool { return passed(s, "ap", steps...) }), "ap", fault.step)
		var healthy fakeistiod.Answers
		e.istiod.Set(func(a *fakeistiod.Answers) { healthy = copied(a); fault.begin(a) })
		s := e.eventually("mesh1", string(fault.step)+" fails", func(s *meshv1alpha1.MeshMemberStatus) bool { return !passed(s, "ap", fault.step) })
		p := proven(s, "ap", fault.step)
		assert.Equal(t, fault.reason, p.Reason)
		assert.NotEmpty(t, p.Message)
		assert.True(t, before.Since.Before(p.Since), "%s: %s is not before %s", fault.step, before.Since, p.Since)
		e.istiod.Set(func(a *fakeistiod.Answers) { *a = healthy })
	}
	e.eventually("mesh1", "well at last", func(s *meshv1alpha1.MeshMemberStatus) bool { return passed(s, "ap", steps...) })
}

func copied(a *fakeistiod.Answers) fakeistiod.Answers {
	c := *a
	c.Pages, c.Endpoints = map[string]string{}, map[string][]string{}
	for k, v := range a.Pages {
		c.Pages[k] = v
	}
	for k, v := range a.Endpoints {
		c.Endpoints[k] = v
	}
	return c
}

// What was proven stays proven over a restart of the agent, with the time since when.
func TestRestartKeepsWhatWasProven(t *testing.T) {
	e, want := linked(t)
	e.want("mesh1", want)
	e.start()
	before := e.eventually("mesh1", "all is proven", func(s *meshv1alpha1.MeshMemberStatus) bool { return passed(s, "ap", steps...) })
	e.stop()
	assert.Eventually(t, func() bool { return e.istiod.Streams() == 0 }, patience, time.Millisecond, "the connection ends with the agent")
	version := e.get("mesh1").ResourceVersion
	e.start()
	e.later(3 * time.Minute)
	assert.Equal(t, before, &e.get("mesh1").Status)
	assert.Equal(t, version, e.get("mesh1").ResourceVersion, "nothing was written")
}

// An istiod that hangs holds up nothing else, and a gateway that does not answer neither.
func TestHangingIstiod(t *testing.T) {
	e, want := linked(t)
	e.istiod.Set(func(a *fakeistiod.Answers) { a.Hang = true })
	e.want("mesh1", want)
	e.start()
	s := e.eventually("mesh1", "the rest is there", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return s.Network == "network-eu" && s.Token != nil && s.CACerts != nil && len(s.Peers) == 1 && s.Peers[0].SecretHash != ""
	})
	assert.Nil(t, s.Istiod)
	e.eventually("mesh1", "it is said", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return condition(s, meshv1alpha1.ConditionIstiodAnswers) == "NoAnswer"
	})
	e.istiod.Set(func(a *fakeistiod.Answers) { a.Hang = false })
	e.eventually("mesh1", "all is proven", func(s *meshv1alpha1.MeshMemberStatus) bool { return passed(s, "ap", steps...) })
	e.istiod.Close()
	s = e.eventually("mesh1", "istiod is gone", func(s *meshv1alpha1.MeshMemberStatus) bool { return s.Istiod == nil })
	assert.Nil(t, s.CA)
	assert.Equal(t, "IstiodSilent", proven(s, "ap", meshv1alpha1.StepSynced).Reason)
	assert.True(t, passed(s, "ap", meshv1alpha1.StepProbe), "the gateway is still reached")
}

func TestLeaving(t *testing.T) {
	e, want := linked(t)
	want.Locality = &meshv1alpha1.MemberLocality{Region: "europe"}
	e.member.Put(fakekube.Nodes, "", node("a", nil))
	e.member.Put(fakekube.Nodes, "", node("b", map[string]any{corev1.LabelTopologyRegion: "elsewhere"}))
	e.want("mesh1", want)
	e.start()
	e.eventually("mesh1", "all is there", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return passed(s, "ap", steps...) && s.Token != nil && len(s.Regions) == 2
	})
	want.Leaving = true
	e.want("mesh1", want)
	s := e.eventually("mesh1", "it has left", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return s.ObservedGeneration == 2 && hasLeft(s)
	})
	assert.Empty(t, s.Peers)
	assert.Nil(t, s.Token)
	assert.Empty(t, s.Network)
	assert.Empty(t, labelsOf(e.member.Get(fakekube.Namespaces, "", system), "topology.istio.io/network"))
	assert.Empty(t, e.member.Get(fakekube.Nodes, "", "a").GetLabels())
	assert.Equal(t, "elsewhere", labelsOf(e.member.Get(fakekube.Nodes, "", "b"), corev1.LabelTopologyRegion))
	assert.Nil(t, e.fed.Get(fakekube.Secrets, es, "mesh-reader-mesh1"))
	for _, secret := range e.member.List(fakekube.Secrets) {
		assert.Contains(t, []string{"cacerts", "istio-remote-secret-ap"}, secret.GetName(), "tokens are ended; the rest is brought and taken by Works")
	}
	assert.Eventually(t, func() bool { return e.istiod.Streams() == 0 }, patience, time.Millisecond, "istiod is not asked any more")

	want.Leaving = false
	e.want("mesh1", want)
	e.eventually("mesh1", "it is back", func(s *meshv1alpha1.MeshMemberStatus) bool {
		return passed(s, "ap", steps...) && s.Token != nil && s.Network == "network-eu" && !hasLeft(s)
	})
	e.fed.Remove(meshMembers, es, "mesh1")
	assert.Eventually(t, func() bool { return e.istiod.Streams() == 0 }, patience, time.Millisecond)
	e.later(time.Minute)
	assert.Equal(t, "network-eu", labelsOf(e.member.Get(fakekube.Namespaces, "", system), "topology.istio.io/network"), "one that vanishes asks for nothing")
}

func hasLeft(s *meshv1alpha1.MeshMemberStatus) bool {
	for _, c := range s.Conditions {
		if c.Type == meshv1alpha1.ConditionLeft {
			return c.Status == metav1.ConditionTrue
		}
	}
	return false
}

// However the remote secret and what istiod says of it fall together: no status says that
// istiod is synced with a secret that it was not asked about since.
func TestSyncedIsAboutTheSecretThatIsShown(t *testing.T) {
	e, want := linked(t)
	e.want("mesh1", want)
	e.start()
	e.eventually("mesh1", "all is proven", func(s *meshv1alpha1.MeshMemberStatus) bool { return passed(s, "ap", steps...) })
	for i := range 5 {
		e.later(time.Duration(20+7*i) * time.Second) // istiod is asked every 15 s then
		asked := e.istiod.Asked("clusterz")
		// First the wish, then the secret, as Works come.
		kubeconfig := fmt.Sprintf("kubeconfig %d", i)
		want.Peers[0].SecretHash = hash(kubeconfig)
		e.want("mesh1", want)
		e.later(2 * time.Second)
		e.remote(kubeconfig)
		s := e.eventually("mesh1", "synced with the new one", func(s *meshv1alpha1.MeshMemberStatus) bool {
			return s.Peers[0].SecretHash == hash(kubeconfig) && passed(s, "ap", meshv1alpha1.StepSynced)
		})
		assert.Greater(t, e.istiod.Asked("clusterz")-asked, settleLooks, describe(s))
	}
}

// What is said without the member that says it being asked again is checked on each
// status that could be written.
func TestReportTiesProofsToWhatTheyWereAbout(t *testing.T) {
	good := &proof.Verdict{Passed: true}
	gateways := []meshv1alpha1.GatewayAddress{{Address: "1.2.3.4", Port: 15443}}
	object := &meshv1alpha1.MeshMember{Spec: meshv1alpha1.MeshMemberSpec{Peers: []meshv1alpha1.MemberPeer{{Name: "ap", Gateways: gateways, SecretHash: "new"}}}}
	look := func(hash string, wanted []meshv1alpha1.GatewayAddress) seen {
		return seen{
			cluster: &clusterSeen{remotes: map[string]remote{"ap": {hash: "new"}}},
			istiod:  &istiodSeen{proofs: map[string]peerProofs{"ap": {hash: hash, wanted: wanted, synced: good, gateways: good, endpoints: good}}},
		}
	}
	s := report(object, look("new", gateways), "eu", time.Now())
	assert.True(t, passed(&s, "ap", steps[1:]...))
	s = report(object, look("old", gateways), "eu", time.Now())
	assert.Equal(t, "SecretChanged", proven(&s, "ap", meshv1alpha1.StepSynced).Reason)
	s = report(object, look("new", nil), "eu", time.Now())
	assert.True(t, passed(&s, "ap", meshv1alpha1.StepSynced))
	assert.Nil(t, proven(&s, "ap", meshv1alpha1.StepGatewayKnown), "it was about other gateways")
	assert.Nil(t, proven(&s, "ap", meshv1alpha1.StepEndpoints))
}
