package playground

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flotilla-io/flotilla/pkg/playground/pki"
)

// playground is one run.
type playground struct {
	Config
	layout
	binaries
	state   *state
	table   *processTable
	tell    *narrator
	spawner *spawner

	federation *process
	members    map[string]*process

	mu         sync.Mutex
	agents     map[string]*process
	client     client.Client
	clientHost string
}

// Run starts everything, tells a person how it goes, and keeps it running
// until ctx ends. Then it stops everything and returns nil. An error means
// that something could not be started; what was started is stopped by then.
func Run(ctx context.Context, config Config) (err error) {
	p, unlock, err := prepare(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	defer p.spawner.close()
	defer func() { err = errors.Join(err, p.stop()) }()

	if err := p.start(ctx); err != nil {
		if ctx.Err() != nil {
			p.tell.say("stopping before everything was ready")
			return nil
		}
		p.explain(err)
		return err
	}
	content := fmt.Sprintf("%s pid %d\n", time.Now().UTC().Format(time.RFC3339), os.Getpid())
	if err := pki.WriteFile(p.ready(), []byte(content), 0o644); err != nil {
		return fmt.Errorf("ready file: %w", err)
	}
	p.tell.print(p.whatNext())
	<-ctx.Done()
	p.tell.print("")
	return nil
}

// prepare takes the directory and leaves it as if nothing had run.
func prepare(config Config) (_ *playground, unlock func() error, err error) {
	if err := config.Validate(); err != nil {
		return nil, nil, err
	}
	found, err := config.findBinaries()
	if err != nil {
		return nil, nil, err
	}
	l, err := newLayout(config.Dir)
	if err != nil {
		return nil, nil, err
	}
	if err := checkDir(l); err != nil {
		return nil, nil, err
	}
	lock, err := lockDir(l)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	state, err := openState(l, config.Mode)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range config.Members {
		if _, err := state.podCIDR(name); err != nil { // in the order in which they are named
			return nil, nil, err
		}
	}
	if err := os.Remove(l.ready()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	if err := rotateLogs(l); err != nil {
		return nil, nil, err
	}
	return &playground{
		Config: config, layout: l, binaries: found, state: state,
		table: newProcessTable(l.processes()), tell: newNarrator(config.Out), spawner: newSpawner(),
		members: map[string]*process{}, agents: map[string]*process{},
	}, lock.Close, nil
}

// start brings everything up. The federation and the members start side by
// side; a member is joined as soon as both it and the federation are there.
func (p *playground) start(ctx context.Context) error {
	p.tell.print(p.introduction())
	p.federation = p.run(p.federationChild())
	for _, name := range p.Members {
		p.members[name] = p.run(p.memberChild(name))
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range p.Members {
		group.Go(func() error {
			if err := p.federation.waitReady(ctx); err != nil {
				return err
			}
			if err := p.members[name].waitReady(ctx); err != nil {
				return err
			}
			return p.join(ctx, name)
		})
	}
	return group.Wait()
}

// join brings a member into the federation and waits until it is Ready there.
func (p *playground) join(ctx context.Context, name string) error {
	if p.Mode == Push {
		return p.joinPush(ctx, name)
	}
	agent := p.run(p.agentChild(name))
	p.mu.Lock()
	p.agents[name] = agent
	p.mu.Unlock()
	return agent.waitReady(ctx)
}

// restartAgents ends agents, so that they come back with other addresses.
func (p *playground) restartAgents(names ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range names {
		if agent := p.agents[name]; agent != nil {
			p.tell.say("%s starts again with the new address", agent.title)
			agent.restart()
		}
	}
}

func (p *playground) run(c child) *process {
	p.tell.say("starting %s", c.title)
	return keepRunning(&process{
		child: c, logFile: p.log(c.name), spawn: p.spawner.start, table: p.table, say: p.tell.say, backoff: newBackoff(),
	})
}

// stop ends the children in the order in which they depend on each other:
// agents, the federation, members.
func (p *playground) stop() error {
	err := os.Remove(p.ready())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	began := time.Now()
	p.mu.Lock()
	agents := p.agents
	p.mu.Unlock()
	for _, stage := range []struct {
		what      string
		processes []*process
	}{
		{"agents", values(agents)},
		{"the federation", []*process{p.federation}},
		{"members", values(p.members)},
	} {
		if stopAll(stage.processes) > 0 {
			p.tell.say("stopped %s", stage.what)
		}
	}
	p.tell.say("everything is stopped, in %s; the data stays in %s", seconds(time.Since(began)), p.Dir)
	return err
}

func values(m map[string]*process) []*process {
	list := make([]*process, 0, len(m))
	for _, process := range m {
		list = append(list, process)
	}
	return list
}

func stopAll(processes []*process) (stopped int) {
	var wg sync.WaitGroup
	for _, process := range processes {
		if process == nil {
			continue
		}
		stopped++
		wg.Go(process.stop)
	}
	wg.Wait()
	return stopped
}
