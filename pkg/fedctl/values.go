package fedctl

import (
	"fmt"
	"os"

	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"sigs.k8s.io/yaml"
)

// readValues merges files with values of the chart; later ones win.
func readValues(files []string) (map[string]any, error) {
	merged := map[string]any{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--values: %w", err)
		}
		values := map[string]any{}
		if err := yaml.Unmarshal(raw, &values); err != nil {
			return nil, fmt.Errorf("--values %s: %w", file, err)
		}
		merged = loader.MergeMaps(merged, values)
	}
	return merged, nil
}

// agentValues are values that make an agent, over those of a person.
func agentValues(base, agent map[string]any) map[string]any {
	return loader.MergeMaps(base, map[string]any{"installMode": "agent", "agent": agent})
}

// clusterNameIn is agent.clusterName in values.
func clusterNameIn(values map[string]any) string {
	agent, _ := values["agent"].(map[string]any)
	name, _ := agent["clusterName"].(string)
	return name
}
