package member

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	nodeheartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/client/clientset/versioned"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	kwokclient "sigs.k8s.io/kwok/pkg/utils/client"
)

// stages is how simulated nodes and pods behave, as kwok ships it: a node is
// ready at once and renews its lease, a pod that was scheduled runs and is
// ready, the pod of a Job completes, a deleted pod goes.
func stages() (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	byKind := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	for _, text := range []string{
		nodefast.DefaultNodeInit,
		nodeheartbeat.DefaultNodeHeartbeatWithLease,
		podfast.DefaultPodReady,
		podfast.DefaultPodComplete,
		podfast.DefaultPodDelete,
	} {
		stage, err := kwokconfig.UnmarshalWithType[*internalversion.Stage](text)
		if err != nil {
			return nil, fmt.Errorf("stage of simulated nodes: %w", err)
		}
		byKind[stage.Spec.ResourceRef] = append(byKind[stage.Spec.ResourceRef], stage)
	}
	return byKind, nil
}

// startKwok simulates the nodes that carry the annotation until ctx ends. It
// does not wait.
func startKwok(ctx context.Context, c *Config, log io.Writer) error {
	local, err := stages()
	if err != nil {
		return err
	}
	clients, err := kwokclient.NewClientset("", c.pki(adminKubeconfig))
	if err != nil {
		return fmt.Errorf("kwok of member %s: %w", c.Name, err)
	}
	config, err := clients.ToRESTConfig()
	if err != nil {
		return fmt.Errorf("kwok of member %s: %w", c.Name, err)
	}
	restClient, err := rest.RESTClientFor(config)
	if err != nil {
		return fmt.Errorf("kwok of member %s: %w", c.Name, err)
	}
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("kwok of member %s: %w", c.Name, err)
	}
	taken, err := podAddresses(ctx, typed)
	if err != nil {
		return fmt.Errorf("kwok of member %s: %w", c.Name, err)
	}
	stagesClient, err := versioned.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("kwok of member %s: %w", c.Name, err)
	}
	dynamic, err := clients.ToDynamicClient()
	if err != nil {
		return fmt.Errorf("kwok of member %s: %w", c.Name, err)
	}
	mapper, err := clients.ToRESTMapper()
	if err != nil {
		return fmt.Errorf("kwok of member %s: %w", c.Name, err)
	}
	controller, err := controllers.NewController(controllers.Config{
		Clock:                             clock.RealClock{},
		DynamicClient:                     dynamic,
		RESTClient:                        restClient,
		RESTMapper:                        mapper,
		TypedClient:                       typed,
		TypedKwokClient:                   stagesClient,
		ImpersonatingDynamicClient:        clients.ToImpersonatingDynamicClient(),
		ImpersonatingTypedClient:          clients.ToImpersonatingTypedClient(),
		ManageNodesWithAnnotationSelector: fakeNodeAnnotation + "=" + fakeNodeValue,
		LocalStages:                       local,
		CIDR:                              c.podPool(taken),
		NodeIP:                            c.nodeIP().String(),
		// The holder of the node leases. It is the same after a restart:
		// another one would wait out the old lease and leave pods pending
		// for as long.
		ID:                        "kwok-" + c.Name,
		NodeLeaseDurationSeconds:  40,
		NodeLeaseParallelism:      2,
		PodPlayStageParallelism:   4,
		NodePlayStageParallelism:  2,
		PodsOnNodeSyncParallelism: 2,
	})
	if err != nil {
		return fmt.Errorf("kwok of member %s: %w", c.Name, err)
	}
	ctx = kwoklog.NewContext(ctx, kwoklog.NewLogger(log, slog.LevelWarn))
	if err := controller.Start(ctx); err != nil {
		return fmt.Errorf("kwok of member %s: %w", c.Name, err)
	}
	return nil
}

// podAddresses are those that pods have.
func podAddresses(ctx context.Context, client kubernetes.Interface) ([]netip.Addr, error) {
	var out []netip.Addr
	options := metav1.ListOptions{Limit: 500}
	for {
		pods, err := client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("addresses of pods: %w", err)
		}
		for i := range pods.Items {
			// Pods that wait have none.
			if ip, err := netip.ParseAddr(pods.Items[i].Status.PodIP); err == nil {
				out = append(out, ip)
			}
		}
		if options.Continue = pods.Continue; options.Continue == "" {
			return out, nil
		}
	}
}
