package gateways

import (
	"context"
	"os"
	"testing"

	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

var shared *meshlab.Lab

// Members have the Gateway API, and istiods that make gateways of it; but for us.
func TestMain(m *testing.M) {
	os.Exit(meshlab.Main(m, func(l *meshlab.Lab) {
		shared = l
		l.Before = func(ctx context.Context, name, kubeconfig string) ([]string, error) {
			if name == "us" {
				return nil, nil
			}
			if err := istiolab.PrepareGatewayAPI(ctx, kubeconfig); err != nil {
				return nil, err
			}
			return istiolab.DeployGateways(ctx, kubeconfig)
		}
	}))
}
