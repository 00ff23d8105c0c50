package mesh

import (
	"os"
	"strings"
)

// defaultDomain is the domain of clusters unless something else was chosen.
const defaultDomain = "cluster.local"

// domain is that of the cluster's names. A pod is told it for looking names up; from
// outside it is not known.
func (a *Agent) domain() string {
	if !a.InCluster {
		return defaultDomain
	}
	data, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return defaultDomain
	}
	return searched(string(data))
}

// searched is the domain of the cluster in a resolv.conf.
func searched(text string) string {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "search" {
			continue
		}
		for _, word := range words[1:] {
			if domain, ok := strings.CutPrefix(word, "svc."); ok {
				return strings.TrimSuffix(domain, ".")
			}
		}
	}
	return defaultDomain
}
