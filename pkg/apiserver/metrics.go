package apiserver

import (
	"errors"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/component-base/metrics/legacyregistry"
)

// AddMetrics has /metrics serve these, too. It is for what else runs in this process,
// and has to be called before Run.
func (s *Server) AddMetrics(more prometheus.Gatherer) { s.metrics = append(s.metrics, more) }

// serveMetrics puts what was added beside Kubernetes' own metrics.
func (s *Server) serveMetrics() {
	if len(s.metrics) == 0 {
		return
	}
	all := gatherers(slices.Concat([]prometheus.Gatherer{legacyregistry.DefaultGatherer}, s.metrics))
	get := promhttp.HandlerFor(all, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	reset := legacyregistry.HandlerWithReset()
	mux := s.aggregator.GenericAPIServer.Handler.NonGoRestfulMux
	mux.Unregister("/metrics")
	mux.Handle("/metrics", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			reset.ServeHTTP(w, r)
			return
		}
		get.ServeHTTP(w, r)
	}))
}

// gatherers puts families of metrics together. Of those that several have, such as
// the ones about the process, the first one's count.
type gatherers []prometheus.Gatherer

// Gather implements prometheus.Gatherer.
func (g gatherers) Gather() ([]*dto.MetricFamily, error) {
	var out []*dto.MetricFamily
	var errs []error
	seen := map[string]bool{}
	for _, gatherer := range g {
		families, err := gatherer.Gather()
		errs = append(errs, err)
		for _, family := range families {
			if !seen[family.GetName()] {
				seen[family.GetName()] = true
				out = append(out, family)
			}
		}
	}
	return out, errors.Join(errs...)
}
