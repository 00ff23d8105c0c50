package probe

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
)

// Reasons of a Result.
const (
	// NoService: reached, but there was nothing to shake hands with.
	NoService = "NoService"
	// NothingBehind: reached, but nobody is behind it who has to be.
	NothingBehind = "NothingBehind"
	// Unreachable: no connection, or no answer.
	Unreachable = "Unreachable"
	// WrongRoot: the certificate there is not under a root of the mesh.
	WrongRoot = "WrongRoot"
	// Refused: ours is not accepted there.
	Refused = "Refused"
	// NoGateway: what answers is not a gateway of a mesh.
	NoGateway = "NoGateway"
)

// Identity is who tries.
type Identity struct {
	// Certificate of the mesh.
	Certificate tls.Certificate
	// Roots of the mesh.
	Roots *x509.CertPool
}

// Same tells whether both trust the same roots and have their certificate from the same CA.
func (i *Identity) Same(other *Identity) bool {
	chain := func(c *tls.Certificate) [][]byte { return c.Certificate[min(1, len(c.Certificate)):] }
	return i.Roots.Equal(other.Roots) && slices.EqualFunc(chain(&i.Certificate), chain(&other.Certificate), bytes.Equal)
}

// Result of a probe.
type Result struct {
	// Passed is true when the gateway can be used, as far as it was seen.
	Passed bool
	// Reason is empty after a full handshake.
	Reason string
	// Message says what was seen. It does not change between attempts that see the same.
	Message string
	// Name is the server name that answered; empty when none did.
	Name string
	// Closed are the names for which the connection was closed without a word, and Failed
	// those that went wrong otherwise.
	Closed, Failed []string
}

// Gateway tries to reach a gateway at an IP and port, by one server name after the other
// until one answers. What goes wrong with one name may be the fault of that service, so
// it counts only if no name answers; no connection is no name's fault.
func Gateway(ctx context.Context, address string, names []string, who *Identity) Result {
	var closed, failed []string
	var wrong []Result
	for _, name := range names {
		if len(wrong) > 0 && ctx.Err() != nil {
			break // there is something to report
		}
		a := try(ctx, address, name, who)
		switch {
		case a.Passed:
			a.Closed, a.Failed = closed, failed
			return a.Result
		case a.final:
			return a.Result
		case a.closed:
			closed = append(closed, name)
		default:
			failed = append(failed, name)
			wrong = append(wrong, a.Result)
		}
	}
	if len(names) == 0 {
		if r := Reach(ctx, address); !r.Passed {
			return r
		}
	}
	if len(wrong) == 0 {
		return Result{
			Passed: true, Reason: NoService, Closed: closed,
			Message: fmt.Sprintf("%s is reached, but has no service of the mesh yet that could be tried", address),
		}
	}
	found := prevailing(wrong)
	found.Closed, found.Failed = closed, failed
	return found
}

// Reach only connects, which no workload notices.
func Reach(ctx context.Context, address string) Result {
	conn, err := dial(ctx, address)
	if err != nil {
		return Result{Reason: Unreachable, Message: fmt.Sprintf("%s: %s", address, plain(err))}
	}
	_ = conn.Close()
	return Result{Passed: true}
}

// telling has the reasons in the order of how much they tell.
var telling = []string{WrongRoot, Refused, NoGateway, Unreachable}

// prevailing is the result with the reason that most have; of several such the one that
// tells the most.
func prevailing(results []Result) Result {
	count := map[string]int{}
	for i := range results {
		count[results[i].Reason]++
	}
	return slices.MinFunc(results, func(a, b Result) int {
		return cmp.Or(
			cmp.Compare(count[b.Reason], count[a.Reason]),
			cmp.Compare(slices.Index(telling, a.Reason), slices.Index(telling, b.Reason)),
			cmp.Compare(a.Message, b.Message),
		)
	})
}
