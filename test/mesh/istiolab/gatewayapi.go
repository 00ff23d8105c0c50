package istiolab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const (
	// gatewayCRDs has the CRDs of the Gateway API, in the module sigs.k8s.io/gateway-api.
	gatewayCRDs = "config/crd/standard"
	// charts has what istiod is installed with, in the module istio.io/istio.
	charts = "manifests/charts/istio-control/istio-discovery"
	// injection is where istiod looks for templates, below its directory.
	injection = "var/lib/istio/inject"
)

// PrepareGatewayAPI gives a member the CRDs of the Gateway API that istiod watches.
func PrepareGatewayAPI(ctx context.Context, kubeconfig string) error {
	module, err := moduleDir("sigs.k8s.io/gateway-api")
	if err != nil {
		return err
	}
	var wanted []*apiextensionsv1.CustomResourceDefinition
	for _, kind := range []string{"gatewayclasses", "gateways"} {
		found, err := readCRDs(filepath.Join(module, gatewayCRDs, "gateway.networking.k8s.io_"+kind+".yaml"))
		if err != nil {
			return err
		}
		wanted = append(wanted, found...)
	}
	config, err := configOf(kubeconfig)
	if err != nil {
		return err
	}
	return createCRDs(ctx, config, wanted)
}

// DeployGateways lets an istiod that starts in a directory make Deployments and Services of
// Gateways, with the template and the values of Istio's own chart. What is returned are the
// settings that it needs.
func DeployGateways(dir string) (env []string, err error) {
	module, err := moduleDir("istio.io/istio")
	if err != nil {
		return nil, err
	}
	template, err := os.ReadFile(filepath.Join(module, charts, "files", "kube-gateway.yaml"))
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(module, charts, "values.yaml"))
	if err != nil {
		return nil, err
	}
	var chart struct {
		// Values are below a key that is not to be set by users.
		Defaults map[string]any `json:"_internal_defaults_do_not_set"`
	}
	if err := yaml.Unmarshal(data, &chart); err != nil {
		return nil, fmt.Errorf("values of istiod's chart: %w", err)
	}
	config, err := json.Marshal(map[string]any{"policy": "enabled", "templates": map[string]string{"kube-gateway": string(template)}})
	if err != nil {
		return nil, err
	}
	values, err := json.Marshal(chart.Defaults)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, injection), 0o755); err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{"config": config, "values": values} {
		if err := os.WriteFile(filepath.Join(dir, injection, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	return []string{"INJECT_ENABLED=true", "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER=true"}, nil
}
