package agent

import (
	"github.com/prometheus/client_golang/prometheus"
)

var (
	worksDesc   = prometheus.NewDesc("flotilla_agent_works", "Works in the inventory.", nil, nil)
	objectsDesc = prometheus.NewDesc("flotilla_agent_objects", "Objects in the inventory.", nil, nil)
	heldDesc    = prometheus.NewDesc("flotilla_agent_held_deletions", "Objects whose deletion waits for a person.", nil, nil)
	actionsDesc = prometheus.NewDesc("flotilla_agent_actions_total", "What was done to objects in the member.", []string{"action"}, nil)
)

var _ prometheus.Collector = &Agent{}

// Describe implements prometheus.Collector.
func (a *Agent) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{worksDesc, objectsDesc, heldDesc, actionsDesc} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (a *Agent) Collect(out chan<- prometheus.Metric) {
	works, objects := a.engine.Counts()
	a.intake.mu.Lock()
	held := a.intake.hold.count()
	a.intake.mu.Unlock()
	gauge := func(desc *prometheus.Desc, n int) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n))
	}
	gauge(worksDesc, works)
	gauge(objectsDesc, objects)
	gauge(heldDesc, held)
	for name, n := range map[string]int64{
		"apply": a.engine.Applied.Load(), "repair": a.engine.Repaired.Load(),
		"remove": a.engine.Removed.Load(), "fail": a.engine.Failed.Load(),
	} {
		out <- prometheus.MustNewConstMetric(actionsDesc, prometheus.CounterValue, float64(n), name)
	}
}

// Ready tells whether the agent knows what its member serves and has read its works.
func (a *Agent) Ready() bool {
	select {
	case <-a.scan:
		return a.kinds.Snapshot() != nil
	default:
		return false
	}
}
