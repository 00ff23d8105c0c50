package lab

import (
	"fmt"
	"strings"
)

// Deployment is a manifest of a Deployment with one container.
func Deployment(name string, replicas int) string {
	return fmt.Sprintf(`---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: %[1]s
  labels: {app: %[1]s}
spec:
  replicas: %[2]d
  selector:
    matchLabels: {app: %[1]s}
  template:
    metadata:
      labels: {app: %[1]s}
    spec:
      containers:
      - name: main
        image: registry.example.com/%[1]s:1
`, name, replicas)
}

// ConfigMap is a manifest of a ConfigMap with one entry.
func ConfigMap(name, key, value string) string {
	return fmt.Sprintf(`---
apiVersion: v1
kind: ConfigMap
metadata:
  name: %s
  labels: {app: %[1]s}
data: {%q: %q}
`, name, key, value)
}

// Selectors are entries of a policy's resourceSelectors.
const (
	AllDeployments = "{apiVersion: apps/v1, kind: Deployment}"
	AllConfigMaps  = "{apiVersion: v1, kind: ConfigMap}"
)

// DeploymentNamed selects one Deployment.
func DeploymentNamed(name string) string {
	return fmt.Sprintf("{apiVersion: apps/v1, kind: Deployment, name: %s}", name)
}

// Policy is a manifest of a PropagationPolicy, or of a ClusterPropagationPolicy.
type Policy struct {
	Name      string
	Cluster   bool // a ClusterPropagationPolicy
	Selectors []string
	Clusters  []string
	// Weights of clusters, which divide replicas. Without weights each cluster
	// gets all of them.
	Weights map[string]int
	// Spec are more lines of the spec, in YAML's flow style.
	Spec []string
}

func (p Policy) String() string {
	var b strings.Builder
	kind := "PropagationPolicy"
	if p.Cluster {
		kind = "ClusterPropagationPolicy"
	}
	fmt.Fprintf(&b, "---\napiVersion: policy.karmada.io/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec:\n", kind, p.Name)
	for _, line := range p.Spec {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	fmt.Fprintf(&b, "  resourceSelectors: [%s]\n", strings.Join(p.Selectors, ", "))
	fmt.Fprintf(&b, "  placement:\n    clusterAffinity: {clusterNames: [%s]}\n", strings.Join(p.Clusters, ", "))
	if p.Weights != nil {
		b.WriteString("    replicaScheduling:\n      replicaSchedulingType: Divided\n      replicaDivisionPreference: Weighted\n")
		b.WriteString("      weightPreference:\n        staticWeightList:\n")
		for _, cluster := range p.Clusters {
			if weight, ok := p.Weights[cluster]; ok {
				fmt.Fprintf(&b, "        - {targetCluster: {clusterNames: [%s]}, weight: %d}\n", cluster, weight)
			}
		}
	}
	return b.String()
}
