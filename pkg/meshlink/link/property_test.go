package link

import (
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// fault is something that can be amiss with a pair.
type fault struct {
	make func(*Pair)
	// astray says that traffic would go astray if the remote secret were there.
	astray bool
	// blocks says that no remote secret may be made.
	blocks bool
	// flat says that it concerns one network, too.
	flat bool
	// quiet says that a link that is there stays ready.
	quiet bool
	// fromLost says that From would not hear of a withdrawal.
	fromLost bool
}

func faults() map[string]fault {
	return map[string]fault{
		"unreported":  {make: func(p *Pair) { p.To.Status = nil }, blocks: true, flat: true},
		"unlooked":    {make: func(p *Pair) { s := p.To.Status; s.CACerts, s.Gateway, s.Network = nil, nil, "" }, blocks: true, flat: true},
		"noIstiod":    {make: func(p *Pair) { p.From.Status.Istiod = nil }, blocks: true, flat: true},
		"clusterID":   {make: func(p *Pair) { p.From.Status.Istiod = &meshv1alpha1.MemberIstiod{ClusterID: "x"} }, blocks: true, astray: true, flat: true},
		"claim":       {make: func(p *Pair) { p.From.Claim = "of mesh2" }, blocks: true, astray: true, flat: true},
		"caWrong":     {make: func(p *Pair) { p.From.CA = CAWrong }, blocks: true, astray: true, flat: true},
		"caChanging":  {make: func(p *Pair) { p.To.CA = CAChanging }, blocks: true, flat: true, quiet: true},
		"label":       {make: func(p *Pair) { p.From.Status.Network = "" }, blocks: true, astray: true, flat: true},
		"gateway":     {make: func(p *Pair) { p.To.GatewayMessage = "refused" }, blocks: true},
		"noGateway":   {make: func(p *Pair) { p.To.GatewayMessage, p.To.Addresses = "refused", nil }, blocks: true, astray: true},
		"token":       {make: func(p *Pair) { p.To.TokenExpires = nil }, blocks: true, flat: true},
		"tokenEnded":  {make: func(p *Pair) { p.To.TokenExpires = ago(time.Second) }, blocks: true, flat: true},
		"probe":       {make: func(p *Pair) { fail(p, meshv1alpha1.StepProbe, time.Second) }, blocks: true},
		"probeLong":   {make: func(p *Pair) { fail(p, meshv1alpha1.StepProbe, hold) }, blocks: true, astray: true},
		"synced":      {make: func(p *Pair) { fail(p, meshv1alpha1.StepSynced, hold) }, flat: true},
		"endpoints":   {make: func(p *Pair) { fail(p, meshv1alpha1.StepEndpoints, hold) }, flat: true},
		"lost":        {make: func(p *Pair) { p.To.Lost = ago(time.Second) }, blocks: true, flat: true},
		"lostLong":    {make: func(p *Pair) { p.To.Lost = ago(hold) }, blocks: true, astray: true, flat: true},
		"leaving":     {make: func(p *Pair) { p.To.Leaving = true }, blocks: true, astray: true, flat: true},
		"fromLost":    {make: func(p *Pair) { p.From.Lost = ago(hold) }, blocks: true, flat: true, fromLost: true},
		"oldSecret":   {make: func(p *Pair) { p.SecretHash = "sha256:2" }, flat: true},
		"noAddresses": {make: func(p *Pair) { p.To.Addresses = nil }, blocks: true, astray: true},
	}
}

// TestFailClosed: whatever comes together, a remote secret is not made while a step
// before it is missing, is taken away while traffic would go astray, and stays
// otherwise; and a link is ready when nothing is amiss, and only then. All sets of up to
// four faults are tried: some are so rare that chance would find them once in a month.
func TestFailClosed(t *testing.T) {
	all := faults()
	names := slices.Sorted(maps.Keys(all))
	var tried int
	for chosen := range sets(names, 4) {
		if contradict(chosen) {
			continue
		}
		for _, flat := range []bool{false, true} {
			failsClosed(t, all, chosen, flat)
			tried++
		}
	}
	t.Logf("%d cases", tried)
}

// sets are all sets of at most so many of some names.
func sets(names []string, most int) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		var extend func(set []string, from int) bool
		extend = func(set []string, from int) bool {
			if !yield(set) {
				return false
			}
			for i := from; i < len(names) && len(set) < most; i++ {
				if !extend(append(slices.Clip(set), names[i]), i+1) {
					return false
				}
			}
			return true
		}
		extend(nil, 0)
	}
}

func failsClosed(t *testing.T, all map[string]fault, chosen []string, flat bool) {
	t.Helper()
	p := healthyPair()
	if flat {
		p = healthyFlatPair()
	}
	var amiss, astray, blocks, fromLost, leaves bool
	for _, name := range chosen {
		if name != "unreported" {
			all[name].make(p)
		}
	}
	if slices.Contains(chosen, "unreported") {
		all["unreported"].make(p) // comes last: others look into what was reported
	}
	for _, name := range chosen {
		f := all[name]
		if flat && !f.flat {
			continue
		}
		amiss, astray, blocks = amiss || !f.quiet, astray || f.astray, blocks || f.blocks
		fromLost, leaves = fromLost || f.fromLost, leaves || name == "leaving"
	}
	if fromLost && !leaves {
		astray = false
	}
	there := Evaluate(p, hold, epoch)
	if there.Secret == astray {
		t.Errorf("%v, flat %v: with the remote secret there it is wanted: %v", chosen, flat, there.Secret)
	}
	if ready := there.Phase == meshv1alpha1.LinkReady; ready == amiss || ready != (there.Step == "") {
		t.Errorf("%v, flat %v: %+v", chosen, flat, there)
	}
	if there.Recheck != nil && !there.Recheck.After(epoch) {
		t.Errorf("%v, flat %v: to be looked at again at %s, which is not after now", chosen, flat, there.Recheck)
	}
	p.Written = false
	absent := Evaluate(p, hold, epoch)
	if absent.Secret == blocks {
		t.Errorf("%v, flat %v: without the remote secret it is made: %v", chosen, flat, absent.Secret)
	}
	if absent.Phase == meshv1alpha1.LinkReady {
		t.Errorf("%v, flat %v: ready without a remote secret", chosen, flat)
	}
}

// contradict says whether of some faults one hides the other: what was not reported
// is not known to be wrong, and nothing is lost for two times at once.
func contradict(chosen []string) bool {
	for _, pair := range [][2]string{
		{"unreported", "noAddresses"}, {"unreported", "noGateway"},
		{"unlooked", "noAddresses"}, {"unlooked", "noGateway"}, {"noIstiod", "clusterID"},
		{"lost", "lostLong"}, {"probe", "probeLong"}, {"token", "tokenEnded"},
	} {
		if slices.Contains(chosen, pair[0]) && slices.Contains(chosen, pair[1]) {
			return true
		}
	}
	return false
}
