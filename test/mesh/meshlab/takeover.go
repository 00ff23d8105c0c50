package meshlab

import (
	"context"
	"sync"

	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"

	"github.com/flotilla-io/flotilla/pkg/agent"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh"
)

// TakeOver runs a member's agent in this process, with its own credentials, while the
// agent itself is held still; until giveBack is called or the test ends. Change may give
// its mesh part another clock, or have that take itself for a pod of the member.
func (s *Session) TakeOver(name string, change func(*mesh.Options)) (giveBack func()) {
	s.Helper()
	thaw := s.Freeze("agent-" + name)
	options := mesh.Options{
		Cluster: name, Member: rest.CopyConfig(s.Mesh.Members[name].Config), Clock: clock.RealClock{},
		Admit: func(context.Context) error { return nil }, Refused: func() bool { return false },
	}
	must := func(err error) {
		s.Helper()
		if err != nil {
			s.Fatal(err)
		}
	}
	var err error
	options.Federation, err = clientcmd.BuildConfigFromFlags("", s.Path("agents", name, "federation.kubeconfig"))
	must(err)
	options.FederationHTTP, err = rest.HTTPClientFor(options.Federation)
	must(err)
	options.MemberHTTP, err = rest.HTTPClientFor(options.Member)
	must(err)
	options.Metadata, err = metadata.NewForConfigAndClient(options.Member, options.MemberHTTP)
	must(err)
	change(&options)
	part, err := mesh.New(options)
	must(err)
	rest, err := agent.New(agent.Options{ClusterName: name, Federation: options.Federation, Member: options.Member, NoMesh: true})
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { part.Run(ctx) })
	done.Go(func() {
		if err := rest.Run(ctx); err != nil {
			s.Error(err)
		}
	})
	var once sync.Once
	giveBack = func() {
		once.Do(func() {
			cancel()
			done.Wait()
			thaw()
		})
	}
	s.Cleanup(giveBack)
	return giveBack
}
