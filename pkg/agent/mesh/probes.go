package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/probe"
)

const (
	// sample is how many addresses of a peer are tried in one look; the next ones are in
	// the next.
	sample = 8
	// probesAtOnce limits how many addresses are tried at the same time.
	probesAtOnce = 16
	// probeTimeout is what all attempts at one address may take together.
	probeTimeout = 8 * time.Second
	// hostFor is how long the addresses of a host name are remembered, and maxHost how many.
	hostFor = 30 * time.Second
	maxHost = 16
)

// probesSeen is what came out of probes by peer.
type probesSeen struct {
	generation int64
	peers      map[string]probed
	// untried is true when there was no certificate to try with.
	untried bool
}

// probed is what came out of probes of the gateways of a peer.
type probed struct {
	gateways []meshv1alpha1.GatewayAddress
	result   probe.Result
}

// probeTask tries to reach the gateways of peers.
type probeTask struct {
	worker *worker
	// resolve finds the IPs of a host name.
	resolve func(ctx context.Context, host string) ([]string, error)

	own   ownServices
	peers map[string]*peerProbes
}

// peerProbes is what is remembered about a peer.
type peerProbes struct {
	from, to string
	// records by IP and port.
	records map[string]*probe.Record
	hosts   map[string]resolved
	// choice has what came out of attempts.
	choice probe.Choice
	// who tried last.
	who *probe.Identity
}

// resolved is what a host name stands for.
type resolved struct {
	ips   []string
	err   error
	until time.Time
	// failed is how often in a row it could not be resolved.
	failed int
}

func newProbeTask(w *worker) *probeTask {
	return &probeTask{worker: w, resolve: net.DefaultResolver.LookupHost, peers: map[string]*peerProbes{}}
}

func (t *probeTask) look(ctx context.Context, object *meshv1alpha1.MeshMember) outcome {
	next := &probesSeen{generation: object.Generation, peers: map[string]probed{}}
	who := t.worker.istiod.identity()
	var group sync.WaitGroup
	var mu sync.Mutex
	missing, wanted, places := false, map[string]bool{}, make(chan struct{}, probesAtOnce)
	for i := range object.Spec.Peers {
		peer := &object.Spec.Peers[i]
		if object.Spec.Leaving || len(peer.Gateways) == 0 {
			continue
		}
		wanted[peer.Name] = true
		p := t.peer(peer.Name)
		if who == nil {
			next.untried, missing = true, true
		} else {
			t.choose(ctx, p)
		}
		group.Go(func() {
			result, ok := p.look(ctx, t, peer.Gateways, who, places)
			mu.Lock()
			defer mu.Unlock()
			missing = missing || !result.Passed || p.failing()
			if ok {
				next.peers[peer.Name] = probed{gateways: peer.Gateways, result: result}
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return outcome{}
	}
	for name := range t.peers {
		if !wanted[name] {
			delete(t.peers, name)
		}
	}
	return outcome{missing: missing, news: t.worker.saw(func(s *seen) { s.probes = next })}
}

func (t *probeTask) peer(name string) *peerProbes {
	p := t.peers[name]
	if p == nil {
		p = &peerProbes{from: t.worker.agent.Cluster, to: name, records: map[string]*probe.Record{}, hosts: map[string]resolved{}}
		p.choice.From, p.choice.To = p.from, p.to
		t.peers[name] = p
	}
	return p
}

// choose prepares the names to try: services with pods there, then services of this
// cluster, of which the peer may have some, too.
func (t *probeTask) choose(ctx context.Context, p *peerProbes) {
	names := t.worker.istiod.names(p.to)
	t.own.read(ctx, t.worker, names)
	p.choice.Known = nil
	for _, name := range names {
		p.choice.Known = append(p.choice.Known, probe.Candidate{Name: name, HTTP: t.own.http[name]})
	}
	p.choice.Guessed = t.own.candidates
}

// look tries some addresses, those first that were not tried for longest. False when
// nothing was tried yet.
func (p *peerProbes) look(ctx context.Context, t *probeTask, gateways []meshv1alpha1.GatewayAddress, who *probe.Identity, places chan struct{}) (probe.Result, bool) {
	now := t.worker.now()
	addresses := p.addresses(ctx, t, gateways, now)
	if who != nil {
		if p.who != nil && !p.who.Same(who) {
			for _, r := range p.records {
				r.Again() // it was not tried with that
			}
		}
		p.who = who
	}
	names, known := probe.Order(&p.choice)
	slices.SortStableFunc(addresses, func(a, b string) int { return p.records[a].At.Compare(p.records[b].At) })
	picked := addresses[:min(len(addresses), sample)]
	var group sync.WaitGroup
	results, full := make([]probe.Result, len(picked)), make([]bool, len(picked))
	for i, address := range picked {
		full[i] = who != nil && p.records[address].Due(known, now)
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(ctx, probeTimeout)
			defer cancel()
			if full[i] {
				results[i] = probe.Gateway(ctx, address, names, who)
			} else {
				results[i] = probe.Reach(ctx, address)
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return probe.Result{}, false
	}
	now = t.worker.now()
	for i, address := range picked {
		r := p.records[address]
		results[i].Message = strings.ReplaceAll(results[i].Message, address, r.Address)
		if full[i] {
			r.Take(results[i], known, now)
		} else {
			r.Reached(results[i], now)
		}
	}
	p.learn(results, full)
	return p.sum(addresses, who)
}

// learn remembers which names are worth trying.
func (p *peerProbes) learn(results []probe.Result, full []bool) {
	tried, passed := false, false
	var failed []string
	for i := range results {
		if !full[i] {
			continue
		}
		tried = true
		failed = append(failed, results[i].Failed...)
		if results[i].Name != "" {
			p.choice.Lucky, passed = results[i].Name, true
		}
	}
	if !tried {
		return
	}
	slices.Sort(failed)
	p.choice.Failed = slices.Compact(failed)
	if !passed {
		p.choice.Turn++
	}
}

// sum is what all addresses come to.
func (p *peerProbes) sum(addresses []string, who *probe.Identity) (probe.Result, bool) {
	var records []*probe.Record
	var last time.Time
	for _, address := range addresses {
		r := p.records[address]
		records = append(records, r)
		if r.Tried.After(last) {
			last = r.Tried
		}
	}
	for name, host := range p.hosts {
		if host.err != nil && len(host.ips) == 0 {
			records = append(records, &probe.Record{Address: name, Tried: host.until, Failed: host.failed, Result: probe.Result{
				Reason: probe.Unreachable, Message: fmt.Sprintf("%s: the name cannot be resolved: %s", name, reason(host.err)),
			}})
		}
	}
	result, ok := probe.Combine(records)
	if ok && who == nil && !last.IsZero() {
		result.Message = join(result.Message, fmt.Sprintf("not tried since %s, because this cluster has no certificate of the mesh", last.UTC().Format(time.RFC3339)))
	}
	return result, ok
}

// failing tells whether one of the addresses does.
func (p *peerProbes) failing() bool {
	for _, r := range p.records {
		if !r.Tried.IsZero() && !r.Result.Passed {
			return true
		}
	}
	return false
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// addresses are the IPs and ports of gateways, each with a record.
func (p *peerProbes) addresses(ctx context.Context, t *probeTask, gateways []meshv1alpha1.GatewayAddress, now time.Time) []string {
	var addresses []string
	hosts, records := map[string]resolved{}, map[string]*probe.Record{}
	for i := range gateways {
		port := strconv.Itoa(int(gateways[i].Port))
		name := gateways[i].Address
		ips := []string{name}
		if net.ParseIP(name) == nil {
			hosts[name] = p.host(ctx, t, name, now)
			ips = hosts[name].ips
		}
		for _, ip := range ips {
			address := net.JoinHostPort(ip, port)
			record := p.records[address]
			if record == nil {
				record = &probe.Record{}
			}
			if record.Address = address; ip != name {
				record.Address = fmt.Sprintf("%s (%s)", net.JoinHostPort(name, port), ip)
			}
			if records[address] == nil {
				addresses = append(addresses, address)
			}
			records[address] = record
		}
	}
	p.hosts, p.records = hosts, records
	return addresses
}

// host resolves a name. All of its addresses count: istiod uses them all.
func (p *peerProbes) host(ctx context.Context, t *probeTask, name string, now time.Time) resolved {
	if was, ok := p.hosts[name]; ok && now.Before(was.until) {
		return was
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	ips, err := t.resolve(ctx, name)
	if err != nil {
		// What it stood for is tried on: a resolver that does not answer is not the gateway.
		was := p.hosts[name]
		return resolved{ips: was.ips, err: err, until: now.Add(slow), failed: was.failed + 1}
	}
	slices.Sort(ips)
	return resolved{ips: ips[:min(len(ips), maxHost)], until: now.Add(hostFor)}
}

// reason is what is wrong without the server that was asked, which may be another each time.
func reason(err error) string {
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) && dns.Err != "" {
		return dns.Err
	}
	return err.Error()
}
