package plan

import (
	"fmt"
	"strings"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// Reasons of events.
const (
	EventLinksReady     = "LinksReady"
	EventLinksWithdrawn = "LinksWithdrawn"
	EventRootStage      = "RootStage"
	EventRootChanged    = "RootChanged"
	EventClusterLeft    = "ClusterLeft"
	EventTrust          = "NothingIsSigned"
)

// events are what happened between the status that is stored and the next one. Links
// share an event: it costs a write.
func (r *round) events(next *meshv1alpha1.MeshStatus) []Event {
	var events []Event
	was := &r.mesh.Status
	before := map[string]meshv1alpha1.LinkPhase{}
	for i := range was.Links {
		before[was.Links[i].From+">"+was.Links[i].To] = was.Links[i].Phase
	}
	var up, down []string
	ready := 0
	for i := range next.Links {
		l := &next.Links[i]
		name := l.From + ">" + l.To
		if l.Phase == meshv1alpha1.LinkReady {
			ready++
		}
		if l.Phase == before[name] {
			continue
		}
		switch l.Phase {
		case meshv1alpha1.LinkReady:
			up = append(up, name)
		case meshv1alpha1.LinkWithdrawn:
			down = append(down, fmt.Sprintf("%s (%s)", name, l.Reason))
		case meshv1alpha1.LinkPending:
		}
	}
	if len(down) > 0 {
		events = append(events, Event{Warning: true, Reason: EventLinksWithdrawn, Note: "No traffic goes there any more: " + strings.Join(down, ", ")})
	}
	if len(up) > 0 {
		events = append(events, Event{Reason: EventLinksReady, Note: fmt.Sprintf("%s; %d of %d links are ready", strings.Join(up, ", "), ready, len(next.Links))})
	}
	events = append(events, r.rootEvents(was.Trust, next.Trust)...)
	for _, c := range r.clusters {
		if c.phase == leaving && c.left {
			events = append(events, Event{Reason: EventClusterLeft, Note: fmt.Sprintf("Cluster %s has left; it keeps its CA, istio-system/%s", c.name, trust.CACertsSecret)})
		}
	}
	return events
}

func (r *round) rootEvents(was, next *meshv1alpha1.MeshTrustStatus) []Event {
	if r.store == nil && r.problem.reason != "" && (was == nil || was.Message != r.problem.message) {
		return []Event{{Warning: true, Reason: EventTrust, Note: r.problem.message}}
	}
	if was == nil || next == nil || was.Stage == next.Stage {
		return nil
	}
	switch trust.Stage(next.Stage) {
	case trust.Steady:
		return []Event{{Reason: EventRootChanged, Note: fmt.Sprintf("Root %d, %s, is the only one now", next.RootGeneration, trust.Names(fingerprints(next.Roots)))}}
	case trust.TrustBoth:
		return []Event{{Reason: EventRootStage, Note: fmt.Sprintf("Change to root %d, step 1 of 3: both roots are trusted, the old one signs", next.RootGeneration)}}
	case trust.SignNew:
		return []Event{{Reason: EventRootStage, Note: fmt.Sprintf("Change to root %d, step 2 of 3: both roots are trusted, the new one signs", next.RootGeneration)}}
	case trust.TrustNew:
		return []Event{{Reason: EventRootStage, Note: fmt.Sprintf("Change to root %d, step 3 of 3: the new root alone", next.RootGeneration)}}
	default:
		return nil
	}
}
