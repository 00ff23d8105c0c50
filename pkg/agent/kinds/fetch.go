package kinds

import (
	"context"
	"encoding/json"
	"fmt"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	"k8s.io/client-go/rest"
)

const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," +
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"

// Fetch reads the aggregated discovery documents of /api and /apis. client-go's discovery client is
// not used because it brings every built-in type into the process.
func Fetch(client rest.Interface) func(context.Context) ([]apidiscovery.APIGroupDiscoveryList, error) {
	return func(ctx context.Context) ([]apidiscovery.APIGroupDiscoveryList, error) {
		out := make([]apidiscovery.APIGroupDiscoveryList, 2)
		for i, path := range []string{"/api", "/apis"} {
			raw, err := client.Get().AbsPath(path).SetHeader("Accept", accept).Do(ctx).Raw()
			if err != nil {
				return nil, fmt.Errorf("discovery at %s: %w", path, err)
			}
			if err := json.Unmarshal(raw, &out[i]); err != nil {
				return nil, fmt.Errorf("discovery at %s: %w", path, err)
			}
			if out[i].Kind != "APIGroupDiscoveryList" {
				return nil, fmt.Errorf("discovery at %s answers %q: aggregated discovery is needed, Kubernetes 1.26 or later", path, out[i].Kind)
			}
		}
		return out, nil
	}
}
