package faults

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// load writes growing numbers to objects, one after the other, until stopped.
type load struct {
	s    *lab.Session
	stop chan struct{}
	done chan struct{}

	mu sync.Mutex
	// tried and acknowledged are the last numbers by object.
	tried, acknowledged map[string]int
	count, failed       int
}

func startLoad(s *lab.Session, objects []string) *load {
	l := &load{s: s, stop: make(chan struct{}), done: make(chan struct{}), tried: map[string]int{}, acknowledged: map[string]int{}}
	go func() {
		defer close(l.done)
		for n := 1; ; n++ {
			for _, object := range objects {
				select {
				case <-l.stop:
					return
				default:
					l.write(object, n)
				}
			}
		}
	}()
	return l
}

func (l *load) write(object string, n int) {
	l.mu.Lock()
	l.tried[object] = n
	l.mu.Unlock()
	var err error
	if name, ok := strings.CutPrefix(object, "configmap/"); ok {
		_, err = l.s.TryApply(lab.Fed, lab.ConfigMap(name, "n", strconv.Itoa(n)))
	} else {
		_, err = l.s.Try(lab.Fed, "scale", object, fmt.Sprintf("--replicas=%d", n))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed++
		return
	}
	l.count++
	l.acknowledged[object] = n
}

func (l *load) acks() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

func (l *load) end() {
	close(l.stop)
	<-l.done
}

func TestTheAPIServerKilledUnderLoadLosesNothing(t *testing.T) {
	s := begin(t, "server-dies")
	copies := lab.Policy{Name: "any", Selectors: []string{lab.AllDeployments, lab.AllConfigMaps}, Clusters: all}
	var manifests strings.Builder
	manifests.WriteString(copies.String())
	var objects []string
	for i := range 4 {
		manifests.WriteString(lab.Deployment(fmt.Sprintf("web-%d", i), 1))
		manifests.WriteString(lab.ConfigMap(fmt.Sprintf("conf-%d", i), "n", "0"))
		objects = append(objects, fmt.Sprintf("deployment/web-%d", i), fmt.Sprintf("configmap/conf-%d", i))
	}
	s.Apply(lab.Fed, manifests.String())
	for i := range 4 {
		replicas(s, lab.Fed, fmt.Sprintf("web-%d", i), "3")
		for _, m := range all {
			s.Shows(m, "0", "get", "configmap", fmt.Sprintf("conf-%d", i), "--output=jsonpath={.data.n}")
		}
	}
	before := everywhere(s, "deployments,configmaps")
	fed := identities(s, lab.Fed, "deployments,configmaps,resourcebindings")
	watches := map[string]func() []string{}
	for _, m := range all {
		watches[m] = s.Deletions(m, "deployments", "configmaps", "pods")
	}

	writes := startLoad(s, objects)
	waitAcks := func(more int) {
		t.Helper()
		from := writes.acks()
		s.Eventually(fmt.Sprintf("%d more writes are acknowledged", more), func() (string, bool) {
			return fmt.Sprint(writes.acks() - from), writes.acks()-from >= more
		})
	}
	for range 3 {
		waitAcks(10)
		s.Crash("apiserver")
	}
	waitAcks(10)
	writes.end()
	t.Logf("%d writes were acknowledged, %d failed", writes.count, writes.failed)
	require.NotZero(t, writes.failed, "the server was never down, so nothing was tested")

	for _, object := range objects {
		path := "--output=jsonpath={.data.n}"
		if strings.HasPrefix(object, "deployment/") {
			path = "--output=jsonpath={.spec.replicas}"
		}
		stored := s.Run(lab.Fed, "get", object, path)
		n, err := strconv.Atoi(stored)
		require.NoError(t, err)
		require.GreaterOrEqual(t, n, writes.acknowledged[object], "%s: an acknowledged write is lost", object)
		require.LessOrEqual(t, n, writes.tried[object], object)
		for _, m := range all {
			s.Shows(m, stored, "get", object, path)
		}
		if name, ok := strings.CutPrefix(object, "deployment/"); ok {
			replicas(s, lab.Fed, name, strconv.Itoa(n*len(all)))
		}
	}
	require.Equal(t, before, everywhere(s, "deployments,configmaps"))
	require.Equal(t, fed, identities(s, lab.Fed, "deployments,configmaps,resourcebindings"))
	for m, end := range watches {
		require.Empty(t, end(), "deleted in %s", m)
	}
}

func TestAPowerCutLosesNothing(t *testing.T) {
	s := begin(t, "power-cut")
	policy := lab.Policy{Name: "any", Selectors: []string{lab.AllDeployments, lab.AllConfigMaps}, Clusters: all, Weights: equal}
	s.Apply(lab.Fed, policy.String()+lab.Deployment("web", 6)+lab.ConfigMap("conf", "v", "1"))
	replicas(s, lab.Fed, "web", "6")
	for _, m := range all {
		s.Shows(m, "1", "get", "configmap", "conf", "--output=jsonpath={.data.v}")
	}
	fed, before := identities(s, lab.Fed, "deployments,configmaps,resourcebindings"), everywhere(s, "deployments,configmaps,pods")

	s.Run(lab.Fed, "annotate", "deployment", "web", "written=just-before")
	require.NoError(t, s.Kill())
	began := time.Now()
	require.NoError(t, s.Start())
	t.Logf("started again in %s", time.Since(began).Round(100*time.Millisecond))

	require.Equal(t, "just-before", s.Run(lab.Fed, "get", "deployment", "web", "--output=jsonpath={.metadata.annotations.written}"))
	require.Equal(t, fed, identities(s, lab.Fed, "deployments,configmaps,resourcebindings"))
	s.Run(lab.Fed, "scale", "deployment/web", "--replicas=9")
	replicas(s, lab.Fed, "web", "9")
	after := everywhere(s, "deployments,configmaps,pods")
	for _, m := range all {
		for name, uid := range before[m] {
			require.Equal(t, uid, after[m][name], "%s in %s", name, m)
		}
	}
}
