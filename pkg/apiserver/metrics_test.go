package apiserver

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGatherers(t *testing.T) {
	registry := func(names ...string) *prometheus.Registry {
		r := prometheus.NewRegistry()
		for i, name := range names {
			c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: names[0]})
			c.Add(float64(i + len(names)))
			require.NoError(t, r.Register(c))
		}
		return r
	}
	broken := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return nil, errors.New("broken") })
	families, err := gatherers{registry("a", "b"), broken, registry("b", "c", "d")}.Gather()
	require.ErrorContains(t, err, "broken")
	got := map[string]float64{}
	for _, family := range families {
		require.NotContains(t, got, family.GetName(), "each once")
		got[family.GetName()] = family.GetMetric()[0].GetCounter().GetValue()
	}
	assert.Equal(t, map[string]float64{"a": 2, "b": 3, "c": 4, "d": 5}, got, "the first one's counts")
}
