package mesh

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	testingclock "k8s.io/utils/clock/testing"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakeistiod"
	"github.com/flotilla-io/flotilla/pkg/agent/internal/fakekube"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// A paged list of client-go may outlive the reflector that asked for it by one request.
		goleak.IgnoreAnyFunction("k8s.io/client-go/tools/pager.(*ListPager).ListWithAlloc"),
		goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"),
	)
}

var (
	meshMembers = fakekube.Resource{
		GroupVersionResource: schema.GroupVersionResource{Group: "mesh.flotilla.io", Version: "v1alpha1", Resource: "meshmembers"},
		Kind:                 "MeshMember", Namespaced: true,
	}
	services = fakekube.Resource{GroupVersionResource: schema.GroupVersionResource{Version: "v1", Resource: "services"}, Kind: "Service", Namespaced: true}
	accounts = fakekube.Resource{GroupVersionResource: schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}, Kind: "ServiceAccount", Namespaced: true}
)

const (
	es       = "karmada-es-eu"
	patience = 20 * time.Second
	system   = meshv1alpha1.IstioNamespace
)

// env is a federation, a member with an istiod, and an agent between them. Time goes by
// two hundred times as fast for it.
type env struct {
	t           *testing.T
	fed, member *fakekube.Server
	ca          *fakeistiod.CA
	istiod      *fakeistiod.Server
	clock       *testingclock.FakeClock

	mu      sync.Mutex
	refused bool
	brought []string // Works that have brought something
	held    bool
	admit   error
	asked   map[*fakekube.Server][]string
	logs    *strings.Builder
	stop    func()
}

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{t: t, clock: testingclock.NewFakeClock(time.Now()), logs: &strings.Builder{}}
	e.fed = fakekube.New("federation", meshMembers)
	t.Cleanup(e.fed.Close)
	e.fed.Put(fakekube.Namespaces, "", object(map[string]any{"name": es}, nil))
	e.member = fakekube.New("member", services, accounts)
	t.Cleanup(e.member.Close)
	e.member.OnCreate = e.token
	var err error
	e.ca, err = fakeistiod.NewCA("root")
	require.NoError(t, err)
	return e
}

func object(metadata, more map[string]any) map[string]any {
	o := map[string]any{"metadata": metadata}
	maps.Copy(o, more)
	return o
}

func named(name string, more ...map[string]any) map[string]any {
	m := map[string]any{"namespace": system, "name": name}
	for _, x := range more {
		maps.Copy(m, x)
	}
	return m
}

// token answers requests for tokens.
func (e *env) token(_ fakekube.Resource, u *unstructured.Unstructured) *unstructured.Unstructured {
	if u.GetKind() != "TokenRequest" {
		return nil
	}
	seconds, _, _ := unstructured.NestedInt64(u.Object, "spec", "expirationSeconds")
	secret, _, _ := unstructured.NestedString(u.Object, "spec", "boundObjectRef", "name")
	u.Object["status"] = map[string]any{
		"token":               "token-for-" + secret,
		"expirationTimestamp": e.clock.Now().Add(time.Duration(seconds) * time.Second).UTC().Format(time.RFC3339),
	}
	return u
}

// install puts Istio into the member: namespace, account of the reader, istiod.
func (e *env) install(pages map[string]string, endpoints map[string][]string) {
	e.t.Helper()
	e.namespace()
	var err error
	e.istiod, err = fakeistiod.New(e.ca, fakeistiod.Answers{CA: e.ca, Pages: pages, Endpoints: endpoints})
	require.NoError(e.t, err)
	e.t.Cleanup(e.istiod.Close)
	secure, monitoring := e.istiod.Ports()
	e.service(system, "istiod", map[string]any{"app": "istiod"}, "127.0.0.1", map[string]int64{"https-dns": int64(secure), "http-monitoring": int64(monitoring)})
	e.member.Put(fakekube.ConfigMaps, "", object(named("istio-ca-root-cert"), map[string]any{"data": map[string]any{"root-cert.pem": fakeistiod.PEM(e.ca.Root)}}))
	e.member.Put(fakekube.ConfigMaps, "", object(named("kube-root-ca.crt"), map[string]any{"data": map[string]any{"ca.crt": fakeistiod.PEM(e.ca.Root)}}))
	e.member.Put(accounts, "", object(named("flotilla-mesh-reader"), nil))
}

func (e *env) namespace() {
	e.member.Put(fakekube.Namespaces, "", object(map[string]any{"name": system}, nil))
}

func (e *env) service(namespace, name string, labels map[string]any, ingress string, ports map[string]int64) {
	var list []any
	for name, port := range ports {
		list = append(list, map[string]any{"name": name, "port": port, "protocol": "TCP"})
	}
	more := map[string]any{"spec": map[string]any{"type": "LoadBalancer", "clusterIP": "10.96.0.1", "ports": list}}
	if ingress != "" {
		more["status"] = map[string]any{"loadBalancer": map[string]any{"ingress": []any{map[string]any{"ip": ingress}}}}
	}
	e.member.Put(services, "", object(map[string]any{"namespace": namespace, "name": name, "labels": labels}, more))
}

func (e *env) secret(name string, labels map[string]any, data map[string]string) {
	encoded := map[string]any{}
	for key, value := range data {
		encoded[key] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	e.member.Put(fakekube.Secrets, "", object(named(name, map[string]any{"labels": labels}), map[string]any{"data": encoded}))
}

// gateway listens as a gateway with workloads behind it does.
func (e *env) gateway(ca *fakeistiod.CA) int32 {
	e.t.Helper()
	cert, err := ca.Workload()
	require.NoError(e.t, err)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"istio"},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
	})
	require.NoError(e.t, err)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			done.Go(func() {
				defer func() { _ = conn.Close() }()
				_, _ = io.Copy(io.Discard, conn)
			})
		}
	})
	e.t.Cleanup(func() { _ = listener.Close(); done.Wait() })
	return int32(listener.Addr().(*net.TCPAddr).Port) //nolint:gosec // a port
}

// want makes a MeshMember, or changes its spec.
func (e *env) want(name string, spec *meshv1alpha1.MeshMemberSpec) {
	e.t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(spec)
	require.NoError(e.t, err)
	if e.fed.Get(meshMembers, es, name) == nil {
		e.fed.Put(meshMembers, "", object(map[string]any{"namespace": es, "name": name}, map[string]any{"spec": content}))
		return
	}
	e.fed.Edit(meshMembers, es, name, func(u *unstructured.Unstructured) {
		u.Object["spec"] = content
		u.SetGeneration(u.GetGeneration() + 1)
	})
}

func (e *env) get(name string) *meshv1alpha1.MeshMember {
	e.t.Helper()
	out := &meshv1alpha1.MeshMember{}
	require.NoError(e.t, runtime.DefaultUnstructuredConverter.FromUnstructured(e.fed.Get(meshMembers, es, name).Object, out))
	return out
}

// start runs an agent until the test ends or halt is called.
func (e *env) start() {
	e.t.Helper()
	client := func(config *rest.Config) *http.Client {
		c, err := rest.HTTPClientFor(config)
		require.NoError(e.t, err)
		return c
	}
	fed, member := e.fed.Config(), e.member.Config()
	fed.QPS, member.QPS = -1, -1
	fedHTTP, memberHTTP := client(fed), client(member)
	reader, err := metadata.NewForConfigAndClient(member, memberHTTP)
	require.NoError(e.t, err)
	a, err := New(Options{
		Cluster: "eu", Federation: fed, FederationHTTP: fedHTTP, Member: member, MemberHTTP: memberHTTP, Metadata: reader,
		Admit:   func(context.Context) error { e.mu.Lock(); defer e.mu.Unlock(); return e.admit },
		Refused: func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.refused },
		Brought: func(prefix string) ([]string, bool) {
			e.mu.Lock()
			defer e.mu.Unlock()
			assert.Equal(e.t, "mesh.mesh1.", prefix)
			return slices.Clone(e.brought), e.held
		},
		Clock: e.clock,
	})
	require.NoError(e.t, err)
	logger := ktesting.NewLogger(e.t, ktesting.NewConfig(ktesting.Verbosity(1), ktesting.BufferLogs(true)))
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logger))
	var done sync.WaitGroup
	done.Go(func() { a.Run(ctx) })
	done.Go(func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				e.clock.Step(time.Second)
			}
		}
	})
	var once sync.Once
	e.stop = func() {
		once.Do(func() {
			cancel()
			done.Wait()
			fedHTTP.CloseIdleConnections()
			memberHTTP.CloseIdleConnections()
			if under, ok := logger.GetSink().(ktesting.Underlier); ok {
				e.logs.WriteString(under.GetBuffer().String())
			}
		})
	}
	e.t.Cleanup(e.stop)
}

// eventually waits until the status of a MeshMember is as described.
func (e *env) eventually(name, what string, right func(*meshv1alpha1.MeshMemberStatus) bool) *meshv1alpha1.MeshMemberStatus {
	e.t.Helper()
	var last *meshv1alpha1.MeshMember
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		if last = e.get(name); right(&last.Status) {
			return &last.Status
		}
		if time.Now().After(deadline) {
			e.t.Fatalf("never: %s; the status is %+v", what, describe(&last.Status))
		}
	}
	return nil
}

func describe(s *meshv1alpha1.MeshMemberStatus) string {
	var b strings.Builder
	fmt.Fprintf(&b, "generation %d network %q", s.ObservedGeneration, s.Network)
	for _, c := range s.Conditions {
		fmt.Fprintf(&b, "\n%s=%s %s %s", c.Type, c.Status, c.Reason, c.Message)
	}
	for _, p := range s.Peers {
		fmt.Fprintf(&b, "\n%s %s", p.Name, p.SecretHash)
		for _, proof := range p.Proofs {
			fmt.Fprintf(&b, "\n  %s %v %s %s", proof.Step, proof.Passed, proof.Reason, proof.Message)
		}
	}
	return b.String()
}

// later waits until much time has gone by for the agent.
func (e *env) later(long time.Duration) {
	e.t.Helper()
	until := e.clock.Now().Add(long)
	require.Eventually(e.t, func() bool { return e.clock.Now().After(until) }, patience, time.Millisecond)
}

// condition is the reason of a condition; empty while it is True.
func condition(s *meshv1alpha1.MeshMemberStatus, kind string) string {
	for _, c := range s.Conditions {
		if c.Type == kind && c.Status != "True" {
			return c.Reason
		}
	}
	return ""
}

func proven(s *meshv1alpha1.MeshMemberStatus, peer string, step meshv1alpha1.LinkStep) *meshv1alpha1.Proof {
	for i := range s.Peers {
		if s.Peers[i].Name == peer {
			return proofOf(s.Peers[i].Proofs, step)
		}
	}
	return nil
}

func passed(s *meshv1alpha1.MeshMemberStatus, peer string, steps ...meshv1alpha1.LinkStep) bool {
	for _, step := range steps {
		if p := proven(s, peer, step); p == nil || !p.Passed {
			return false
		}
	}
	return true
}

func (e *env) requests(server *fakekube.Server, part string) (count int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.asked == nil {
		e.asked = map[*fakekube.Server][]string{}
	}
	e.asked[server] = append(e.asked[server], server.Requests()...) // which forgets them
	for _, r := range e.asked[server] {
		if strings.Contains(r, part) {
			count++
		}
	}
	return count
}

// unserved makes a federation that does not know meshes.
func unserved(r *http.Request) error {
	if strings.Contains(r.URL.Path, "mesh.flotilla.io") {
		return apierrors.NewGenericServerResponse(http.StatusNotFound, "get", schema.GroupResource{}, "", "404 page not found", 0, true)
	}
	return nil
}

func labelsOf(u *unstructured.Unstructured, key string) string { return u.GetLabels()[key] }
