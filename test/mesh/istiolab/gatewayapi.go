package istiolab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

const (
	// gatewayCRDs has the CRDs of the Gateway API, in the module sigs.k8s.io/gateway-api.
	gatewayCRDs = "config/crd/standard"
	// charts has what istiod is installed with, in the module istio.io/istio.
	charts = "manifests/charts/istio-control/istio-discovery"
	// injectorConfigMap is where istiod looks for templates.
	injectorConfigMap = "istio-sidecar-injector"
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

// DeployGateways lets istiods of a member make Deployments and Services of Gateways from
// their next start on, with the template and the values of Istio's own chart, in the
// ConfigMap that the chart makes. What is returned are the settings that they need.
func DeployGateways(ctx context.Context, kubeconfig string) (env []string, err error) {
	data, err := injection()
	if err != nil {
		return nil, err
	}
	config, err := configOf(kubeconfig)
	if err != nil {
		return nil, err
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	if err := createNamespace(ctx, core); err != nil {
		return nil, err
	}
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: injectorConfigMap}, Data: data}
	if _, err := core.CoreV1().ConfigMaps(Namespace).Create(ctx, configMap, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("creating ConfigMap %s/%s: %w", Namespace, injectorConfigMap, err)
	}
	return []string{"INJECT_ENABLED=true", "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER=true"}, nil
}

// injection is what istiod makes pods from; of it the template for Gateways alone.
func injection() (map[string]string, error) {
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
	return map[string]string{"config": string(config), "values": string(values)}, err
}
