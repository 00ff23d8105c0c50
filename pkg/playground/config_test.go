package playground

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConfigValidate(t *testing.T) {
	tests := map[string]struct {
		reason string
		change func(c *Config)
		// names has to be in the error; empty for a valid configuration.
		names string
	}{
		"default":          {reason: "the tutorial needs no flags", change: func(*Config) {}},
		"one member":       {reason: "one is enough", change: func(c *Config) { c.Members = []string{"eu-1"} }},
		"no members":       {reason: "nothing would run", change: func(c *Config) { c.Members = nil }, names: "--members"},
		"upper case":       {reason: "it becomes part of a namespace", change: func(c *Config) { c.Members = []string{"EU"} }, names: `"EU"`},
		"empty name":       {reason: "eu,,us is a typo", change: func(c *Config) { c.Members = []string{"eu", ""} }, names: `""`},
		"path":             {reason: "it becomes part of a path", change: func(c *Config) { c.Members = []string{"../eu"} }, names: `"../eu"`},
		"dots":             {reason: "it becomes part of a namespace", change: func(c *Config) { c.Members = []string{"a.b"} }, names: `"a.b"`},
		"long":             {reason: "karmada-es- is put before it", change: func(c *Config) { c.Members = []string{strings.Repeat("a", 49)} }, names: "48"},
		"just short":       {reason: "the limit is inclusive", change: func(c *Config) { c.Members = []string{strings.Repeat("a", 48)} }},
		"twice":            {reason: "two would share a directory", change: func(c *Config) { c.Members = []string{"eu", "us", "eu"} }, names: `"eu"`},
		"no nodes":         {reason: "no pod would ever run", change: func(c *Config) { c.Nodes = 0 }, names: "--nodes"},
		"too many nodes":   {reason: "Kubernetes' own limit", change: func(c *Config) { c.Nodes = 5001 }, names: "--nodes"},
		"unknown mode":     {reason: "there are two", change: func(c *Config) { c.Mode = "both" }, names: "--mode"},
		"push":             {reason: "the other mode", change: func(c *Config) { c.Mode = Push }},
		"empty directory":  {reason: "it would be the working directory", change: func(c *Config) { c.Dir = "" }, names: "--dir"},
		"name with spaces": {reason: "eu, us is a typo", change: func(c *Config) { c.Members = []string{"eu", " us"} }, names: `" us"`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := DefaultConfig()
			tc.change(&c)
			err := c.Validate()
			if tc.names == "" {
				require.NoError(t, err, tc.reason)
				return
			}
			require.ErrorIs(t, err, ErrConfig, tc.reason)
			require.ErrorContains(t, err, tc.names, "the error names what is wrong")
		})
	}
}
