package heartbeat

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
)

// Reasons of the condition Ready.
const (
	ReasonReady       = "ClusterReady"
	ReasonNotReady    = "ClusterNotReady"
	ReasonUnreachable = "ClusterNotReachable"
)

// Probe asks the member's API server whether it is ready and what version it is.
type Probe struct {
	Client rest.Interface
	// Interval between probes.
	Interval time.Duration
	// Tolerance is how long a member that was ready may fail before it is called not ready: an API
	// server that restarts is no news.
	Tolerance time.Duration
	// OnChange is called when Ready or Version would answer differently.
	OnChange func()
	Clock    clock.WithTicker

	mu      sync.Mutex
	ready   metav1.Condition
	version string
	good    time.Time
}

// Ready is the condition; Status is empty before the first probe.
func (p *Probe) Ready() metav1.Condition {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ready
}

// Version is the member's version, empty while it is not known.
func (p *Probe) Version() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.version
}

// Run probes until the context ends.
func (p *Probe) Run(ctx context.Context) {
	for ctx.Err() == nil {
		p.once(ctx)
		timer := p.Clock.NewTimer(wait.Jitter(p.Interval*9/10, 0.2))
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C():
		}
	}
}

func (p *Probe) once(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, p.Interval)
	defer cancel()
	code := 0
	body, err := p.Client.Get().AbsPath("/readyz").Do(bounded).StatusCode(&code).Raw()
	if ctx.Err() != nil {
		return
	}
	condition := metav1.Condition{Status: metav1.ConditionTrue, Reason: ReasonReady, Message: "The cluster's API server is ready"}
	switch {
	case err == nil:
	case code == 0:
		condition = metav1.Condition{Status: metav1.ConditionFalse, Reason: ReasonUnreachable, Message: fmt.Sprintf("The cluster's API server does not answer: %v", err)}
	default:
		condition = metav1.Condition{Status: metav1.ConditionFalse, Reason: ReasonNotReady, Message: fmt.Sprintf("The cluster's API server answers /readyz with %d: %s", code, firstLine(body))}
	}
	found := ""
	if err == nil {
		found = p.askVersion(bounded)
	}
	p.take(condition, found)
}

func (p *Probe) take(condition metav1.Condition, found string) {
	p.mu.Lock()
	now := p.Clock.Now()
	changed := false
	switch {
	case condition.Status == metav1.ConditionTrue:
		p.good = now
		changed = p.ready != condition
		p.ready = condition
	case p.ready.Status == metav1.ConditionTrue && now.Sub(p.good) < p.Tolerance:
		// not yet
	case p.ready.Status != condition.Status || p.ready.Reason != condition.Reason:
		changed = true
		p.ready = condition
	}
	if found != "" && found != p.version {
		p.version, changed = found, true
	}
	p.mu.Unlock()
	if changed && p.OnChange != nil {
		p.OnChange()
	}
}

// askVersion reads the version with every probe: it is as cheap as the probe, and the only way to
// notice an upgrade.
func (p *Probe) askVersion(ctx context.Context) string {
	raw, err := p.Client.Get().AbsPath("/version").Do(ctx).Raw()
	var info version.Info
	if err != nil || json.Unmarshal(raw, &info) != nil {
		return ""
	}
	return info.GitVersion
}

func firstLine(body []byte) string {
	const limit = 200
	for i, b := range body {
		if b == '\n' || i == limit {
			return string(body[:i])
		}
	}
	return string(body)
}
