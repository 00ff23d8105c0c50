package playground

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/api/scheme"
)

const (
	federationName = "apiserver"
	requestTimeout = 5 * time.Second
)

// federationChild is the federation's control plane in one process.
func (p *playground) federationChild() child {
	return child{
		name:  federationName,
		title: "the federation",
		role:  RoleControlPlane,
		grace: 15 * time.Second,
		command: func() (*exec.Cmd, error) {
			port, changed, err := p.state.port(federationName)
			if err != nil {
				return nil, err
			}
			if changed {
				p.tell.say("the port of the federation was taken; it is now %d", port)
			}
			return exec.Command(p.apiServer,
				"--all-in-one",
				"--data-dir="+p.layout.federation(),
				"--write-kubeconfig="+p.fedConfig(),
				"--bind-address=127.0.0.1",
				"--advertise-address=127.0.0.1",
				"--secure-port="+strconv.Itoa(port),
				fmt.Sprintf("--v=%d", p.Verbosity),
			), nil
		},
		ready: func(ctx context.Context, _ int, _ time.Time) (bool, error) {
			config, err := p.federationClientConfig()
			if err != nil {
				return false, err
			}
			if err := answers(ctx, config); err != nil {
				return false, err
			}
			return true, p.renewAgentKubeconfigs(config.Host)
		},
	}
}

func (p *playground) federationClientConfig() (*rest.Config, error) {
	return clientConfig(p.fedConfig())
}

// federationClient returns one client for as long as the address stays.
func (p *playground) federationClient() (client.Client, error) {
	config, err := p.federationClientConfig()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client == nil || p.clientHost != config.Host {
		if p.client, err = client.New(config, client.Options{Scheme: scheme.Scheme}); err != nil {
			return nil, err
		}
		p.clientHost = config.Host
	}
	return p.client, nil
}

func clientConfig(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.Timeout = requestTimeout
	config.QPS = -1
	return config, nil
}

// answers tells whether an API server is ready.
func answers(ctx context.Context, config *rest.Config) error {
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	return d.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// clusterReady tells whether the federation sees the cluster as Ready, by
// news from after a time. What the federation remembers of an earlier run is
// no news: the lease has to be younger.
func clusterReady(ctx context.Context, c client.Client, name string, since time.Time) (bool, error) {
	cluster := &clusterv1alpha1.Cluster{}
	if err := c.Get(ctx, client.ObjectKey{Name: name}, cluster); err != nil {
		return false, err
	}
	lease := &coordinationv1.Lease{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: names.ClusterNamespace, Name: name}, lease); err != nil {
		return false, err
	}
	if lease.Spec.RenewTime == nil || lease.Spec.RenewTime.Before(&metav1.MicroTime{Time: since}) {
		return false, fmt.Errorf("no heartbeat of cluster %s yet", name)
	}
	condition := meta.FindStatusCondition(cluster.Status.Conditions, clusterv1alpha1.ClusterConditionReady)
	if condition == nil {
		return false, fmt.Errorf("cluster %s has no condition Ready yet", name)
	}
	if condition.Status != metav1.ConditionTrue {
		return false, fmt.Errorf("cluster %s is not Ready: %s: %s", name, condition.Reason, condition.Message)
	}
	return true, nil
}
