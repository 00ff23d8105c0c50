package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/klog/v2"

	"github.com/flotilla-io/flotilla/pkg/agent"
	"github.com/flotilla-io/flotilla/pkg/agent/identity"
)

func serve(ctx context.Context, address string, a *agent.Agent, who *identity.Identity) (stop func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--health-bind-address: %w", err)
	}
	registry := prometheus.NewRegistry()
	if err := registry.Register(a); err != nil {
		return nil, err
	}
	if who != nil {
		if err := registry.Register(certificateEnd(who)); err != nil {
			return nil, err
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !a.Ready() {
			http.Error(w, notReady(who), http.StatusServiceUnavailable)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			klog.FromContext(ctx).Error(err, "Health endpoint stopped")
		}
	}()
	return func() { _ = server.Close() }, nil
}

// notReady says why.
func notReady(who *identity.Identity) string {
	if who != nil {
		if err := who.Trouble(); err != nil {
			return err.Error()
		}
	}
	return "has not read its works yet"
}

// certificateEnd is 0 while there is no certificate.
func certificateEnd(who *identity.Identity) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "flotilla_agent_certificate_expiration_timestamp_seconds",
		Help: "End of the client certificate for the federation, in Unix time; 0 while there is none.",
	}, func() float64 {
		if end := who.Expires(); !end.IsZero() {
			return float64(end.Unix())
		}
		return 0
	})
}
