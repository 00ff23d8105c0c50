package apiserver

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	cacheddiscovery "k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/util/keyutil"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/bootstrap"
	"k8s.io/kubernetes/pkg/controller/certificates/approver"
	"k8s.io/kubernetes/pkg/controller/certificates/cleaner"
	"k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher"
	"k8s.io/kubernetes/pkg/controller/certificates/signer"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	saccontroller "k8s.io/kubernetes/pkg/controller/serviceaccount"
	"k8s.io/kubernetes/pkg/controller/ttlafterfinished"
	"k8s.io/kubernetes/pkg/serviceaccount"

	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
)

const (
	resync = 12 * time.Hour
	// discoveryPeriod is how often the garbage collector looks for new kinds.
	discoveryPeriod = 30 * time.Second
	signingLifetime = 365 * 24 * time.Hour
)

// startControllers runs the controllers an API cannot do without: namespaces
// empty, owners take what they own with them, service accounts have tokens,
// certificates are signed. No workload controller runs: a Deployment here is a
// template. Several servers run them side by side; each is idempotent.
func startControllers(ctx context.Context, cfg *rest.Config, files pki.Files, server string) error {
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	meta, err := metadata.NewForConfig(cfg)
	if err != nil {
		return err
	}
	shared := informers.NewSharedInformerFactory(client, resync)

	runs, err := controllers(ctx, client, meta, shared, files, server)
	if err != nil {
		return fmt.Errorf("built-in controllers: %w", err)
	}
	collector, metadataInformers, err := garbageCollector(ctx, client, meta, shared)
	if err != nil {
		return fmt.Errorf("garbage collector: %w", err)
	}
	shared.Start(ctx.Done())
	metadataInformers.Start(ctx.Done())
	for _, run := range append(runs, collector...) {
		go run(ctx)
	}
	return nil
}

func controllers(ctx context.Context, client kubernetes.Interface, meta metadata.Interface, shared informers.SharedInformerFactory, files pki.Files, server string) ([]func(context.Context), error) {
	core, logger := shared.Core().V1(), klog.FromContext(ctx)
	ca, err := os.ReadFile(files.CA())
	if err != nil {
		return nil, err
	}
	saKey, err := keyutil.PrivateKeyFromFile(files.ServiceAccount())
	if err != nil {
		return nil, err
	}
	tokens, err := serviceaccount.JWTTokenGenerator(serviceaccount.LegacyIssuer, saKey)
	if err != nil {
		return nil, err
	}

	accountController, err := saccontroller.NewServiceAccountsController(logger, core.ServiceAccounts(), core.Namespaces(), client, saccontroller.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return nil, err
	}
	tokenController, err := saccontroller.NewTokensController(logger, core.ServiceAccounts(), core.Secrets(), client, saccontroller.TokensControllerOptions{TokenGenerator: tokens, RootCA: ca})
	if err != nil {
		return nil, err
	}
	rootCA, err := rootcacertpublisher.NewPublisher(core.ConfigMaps(), core.Namespaces(), client, ca)
	if err != nil {
		return nil, err
	}
	csrs := shared.Certificates().V1().CertificateSigningRequests()
	clientSigner, err := signer.NewKubeAPIServerClientCSRSigningController(ctx, client, csrs, files.CA(), files.CAKey(), signingLifetime)
	if err != nil {
		return nil, err
	}
	// These two read Secrets and ConfigMaps of one namespace each, so they get
	// informers of their own instead of a cache of every Secret there is.
	system := informers.NewSharedInformerFactoryWithOptions(client, resync, informers.WithNamespace("kube-system"))
	public := informers.NewSharedInformerFactoryWithOptions(client, resync, informers.WithNamespace("kube-public"))
	bootstrapSigner, err := bootstrap.NewSigner(client, system.Core().V1().Secrets(), public.Core().V1().ConfigMaps(), bootstrap.DefaultSignerOptions())
	if err != nil {
		return nil, err
	}
	tokenCleaner, err := bootstrap.NewTokenCleaner(client, system.Core().V1().Secrets(), bootstrap.DefaultTokenCleanerOptions())
	if err != nil {
		return nil, err
	}
	info, err := newClusterInfo(client, public.Core().V1().ConfigMaps(), server, files.CA())
	if err != nil {
		return nil, err
	}
	system.Start(ctx.Done())
	public.Start(ctx.Done())

	namespaces := namespace.NewNamespaceController(ctx, client, meta, toEmpty(client.Discovery()), core.Namespaces(), 5*time.Minute, corev1.FinalizerKubernetes)
	roles := clusterroleaggregation.NewClusterRoleAggregation(shared.Rbac().V1().ClusterRoles(), client.RbacV1())
	approving := approver.NewCSRApprovingController(ctx, client, csrs)
	cleaning := cleaner.NewCSRCleanerController(client.CertificatesV1().CertificateSigningRequests(), csrs)
	finished := ttlafterfinished.New(ctx, shared.Batch().V1().Jobs(), client)
	return []func(context.Context){
		workers(namespaces.Run, 5),
		workers(accountController.Run, 1),
		workers(tokenController.Run, 2),
		workers(rootCA.Run, 1),
		workers(roles.Run, 2),
		workers(clientSigner.Run, 2),
		workers(approving.Run, 1),
		workers(cleaning.Run, 1),
		workers(finished.Run, 1),
		bootstrapSigner.Run,
		tokenCleaner.Run,
		info.run,
		func(ctx context.Context) { ensureFlowSchemas(ctx, client) },
	}, nil
}

// toEmpty finds what a namespace has to be emptied of. Stored Works are deleted
// like everything else, but nobody waits until none are listed: the computed ones
// of a cluster are there as long as the cluster is.
func toEmpty(client discovery.DiscoveryInterface) func() ([]*metav1.APIResourceList, error) {
	return func() ([]*metav1.APIResourceList, error) {
		lists, err := client.ServerPreferredNamespacedResources()
		for _, list := range lists {
			if list.GroupVersion != workv1alpha1.GroupVersion.String() {
				continue
			}
			for i := range list.APIResources {
				if r := &list.APIResources[i]; r.Name == workv1alpha1.ResourcePluralWork {
					r.Verbs = slices.DeleteFunc(slices.Clone(r.Verbs), func(verb string) bool { return verb == "list" })
				}
			}
		}
		return lists, err
	}
}

func workers(run func(context.Context, int), n int) func(context.Context) {
	return func(ctx context.Context) { run(ctx, n) }
}

// garbageCollector watches the metadata of everything that can be deleted.
// Works are left out: most of them are computed from bindings, whose owners it
// does follow.
func garbageCollector(ctx context.Context, client kubernetes.Interface, meta metadata.Interface, shared informers.SharedInformerFactory) ([]func(context.Context), metadatainformer.SharedInformerFactory, error) {
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(cacheddiscovery.NewMemCacheClient(client.Discovery()))
	ignored := garbagecollector.DefaultIgnoredResources()
	ignored[schema.GroupResource{Group: "work.karmada.io", Resource: "works"}] = struct{}{}
	metadataInformers := metadatainformer.NewSharedInformerFactory(meta, resync)
	started := make(chan struct{})
	close(started) // both factories are started right after this returns
	collector, err := garbagecollector.NewGarbageCollector(ctx, client, meta, mapper, ignored,
		informerfactory.NewInformerFactory(shared, metadataInformers), started)
	if err != nil {
		return nil, nil, err
	}
	return []func(context.Context){
		func(ctx context.Context) { collector.Run(ctx, 5, discoveryPeriod) },
		func(ctx context.Context) { collector.Sync(ctx, client.Discovery(), discoveryPeriod) },
		func(ctx context.Context) {
			ticker := time.NewTicker(discoveryPeriod)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
					mapper.Reset()
				}
			}
		},
	}, metadataInformers, nil
}
