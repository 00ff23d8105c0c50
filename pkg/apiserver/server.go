package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	genericapifilters "k8s.io/apiserver/pkg/endpoints/filters"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/apiserver/pkg/util/notfoundhandler"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	aggregatorapiserver "k8s.io/kube-aggregator/pkg/apiserver"
	"k8s.io/kubernetes/pkg/capabilities"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	"k8s.io/kubernetes/pkg/controlplane/controller/defaultservicecidr"

	"github.com/flotilla-io/flotilla/pkg/apiserver/etcd"
	"github.com/flotilla-io/flotilla/pkg/apiserver/inmemory"
	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
	"github.com/flotilla-io/flotilla/pkg/apiserver/revocation"
	"github.com/flotilla-io/flotilla/pkg/apiserver/roles"
)

// Server is a configured API server; Run starts it.
type Server struct {
	opts       *Options
	files      pki.Files
	lock       *os.File // of the data directory
	etcd       *etcd.Server
	aggregator *aggregatorapiserver.APIAggregator
	federation *federation
	memory     *inmemory.Connection
	guard      *revocation.Guard
	metrics    []prometheus.Gatherer
	token      string
}

// New prepares a server: certificates are made or renewed, the embedded etcd is
// started and waited for. The caller must Run the server to release them.
func New(ctx context.Context, opts *Options) (*Server, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if err := setGlobals(); err != nil {
		return nil, err
	}
	lock, err := lockDataDir(opts.DataDir)
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, lock: lock, memory: inmemory.New(), guard: revocation.New()}
	if err := s.prepare(ctx); err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

// prepare makes everything Run needs, in the locked data directory.
func (s *Server) prepare(ctx context.Context) error {
	var err error
	if s.files, err = s.opts.ensureCertificates(time.Now()); err != nil {
		return err
	}
	servers := s.opts.EtcdServers
	if len(servers) == 0 {
		s.etcd, err = etcd.Start(ctx, etcd.Options{
			Dir:           s.opts.etcdDir(),
			QuotaBytes:    s.opts.EtcdQuotaBytes,
			SnapshotCount: s.opts.EtcdSnapshotCount,
			Compaction:    time.Hour,
		})
		if err != nil {
			return err
		}
		servers = []string{s.etcd.Endpoint()}
	}
	if err := s.opts.ensureEncryption(ctx, servers); err != nil {
		return err
	}
	return s.build(ctx, servers)
}

// setGlobals settles the process globals of Kubernetes before anything reads
// them. Feature gates are read at construction time all over the place.
func setGlobals() error {
	// An identity lease is a write every ten seconds whose readers (peer
	// proxying between versions) are not in use here.
	if err := utilfeature.DefaultMutableFeatureGate.Set("APIServerIdentity=false,UnknownVersionInteroperabilityProxy=false"); err != nil {
		return err
	}
	if err := compatibility.DefaultComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	// Templates may ask for privileged containers: members decide.
	capabilities.Setup(true, 0)
	return nil
}

func (s *Server) build(ctx context.Context, etcdServers []string) error {
	kubeOptions, err := s.opts.kubeOptions(s.files, etcdServers)
	if err != nil {
		return err
	}
	completed, err := kubeOptions.Complete(ctx, nil, nil)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return errors.Join(errs...)
	}
	_, serviceRange, err := net.ParseCIDR(s.opts.ServiceClusterIPRange)
	if err != nil {
		return err
	}
	s.federation = newFederation(s.opts)
	cfg, err := newConfig(completed, *serviceRange, s.federation.policies, s.guard)
	if err != nil {
		return err
	}
	s.token = cfg.kube.ControlPlane.Generic.LoopbackClientConfig.BearerToken
	// The aggregator answers /readyz, with a copy of the configuration.
	cfg.aggregator.GenericConfig.AddReadyzChecks(s.federation.readiness(), s.guard.Check())
	if s.aggregator, err = s.chain(cfg); err != nil {
		return err
	}
	s.aggregator.GenericAPIServer.ShutdownTimeout = shutdown
	return nil
}

// chain connects aggregation -> built-in kinds and federation groups -> custom
// resources -> not found.
func (s *Server) chain(cfg *config) (*aggregatorapiserver.APIAggregator, error) {
	notFound := notfoundhandler.New(cfg.kube.ControlPlane.Generic.Serializer, genericapifilters.NoMuxAndDiscoveryIncompleteKey)
	apiExtensions, err := cfg.apiExtensions.Complete().New(genericapiserver.NewEmptyDelegateWithCustomHandler(notFound))
	if err != nil {
		return nil, fmt.Errorf("custom resources: %w", err)
	}

	completed := cfg.kube.Complete()
	kube, err := completed.ControlPlane.New("flotilla-apiserver", apiExtensions.GenericAPIServer)
	if err != nil {
		return nil, fmt.Errorf("built-in kinds: %w", err)
	}
	client, err := kubernetes.NewForConfig(kube.GenericAPIServer.LoopbackClientConfig)
	if err != nil {
		return nil, err
	}
	providers, err := completed.StorageProviders(client)
	if err != nil {
		return nil, fmt.Errorf("built-in kinds: %w", err)
	}
	providers[0] = coreProvider{providers[0]}
	if err := kube.InstallAPIs(providers...); err != nil {
		return nil, fmt.Errorf("built-in kinds: %w", err)
	}
	kube.GenericAPIServer.AddPostStartHookOrDie("start-default-service-cidr", func(ctx genericapiserver.PostStartHookContext) error {
		defaultservicecidr.NewController(completed.ServiceIPRange, completed.SecondaryServiceIPRange, client).Start(ctx)
		return nil
	})
	if err := s.federation.install(kube.GenericAPIServer, cfg.restOptions, s.Client("projection")); err != nil {
		return nil, err
	}
	url, err := s.opts.URL()
	if err != nil {
		return nil, err
	}
	kube.GenericAPIServer.AddPostStartHookOrDie("start-built-in-controllers", func(ctx genericapiserver.PostStartHookContext) error {
		return startControllers(ctx, s.Client("built-in-controllers"), s.files, url)
	})
	kube.GenericAPIServer.AddPostStartHookOrDie("start-revocations", func(ctx genericapiserver.PostStartHookContext) error {
		client, err := kubernetes.NewForConfig(s.Client("revocations"))
		if err != nil {
			return err
		}
		go func() {
			if err := s.guard.Run(ctx, client); err != nil {
				klog.FromContext(ctx).Error(err, "Agents are refused: revocations cannot be followed")
			}
		}()
		return nil
	})
	kube.GenericAPIServer.AddPostStartHookOrDie(roles.HookName, roles.Policy().EnsureRBACPolicy())

	crds := apiExtensions.Informers.Apiextensions().V1().CustomResourceDefinitions()
	crdsEnabled := cfg.apiExtensions.GenericConfig.MergedResourceConfig.ResourceEnabled(apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions"))
	return controlplaneapiserver.CreateAggregatorServer(cfg.aggregator.Complete(), kube.GenericAPIServer, crds, crdsEnabled, groupPriorities())
}

// Client is a configuration that talks to this server without leaving the
// process, with all rights.
func (s *Server) Client(userAgent string) *rest.Config { return s.memory.Config(s.token, userAgent) }

// ComponentClient is one for a process that is all components: it has their rights
// and no more.
func (s *Server) ComponentClient(userAgent string) *rest.Config {
	cfg := s.Client(userAgent)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: pki.ControllerManagerUser, Groups: []string{roles.AllInOneGroup}}
	return cfg
}

// Run serves until ctx ends, then shuts down in order.
func (s *Server) Run(ctx context.Context) error {
	defer s.release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	s.serveMetrics()
	prepared, err := s.aggregator.PrepareRun()
	if err != nil {
		return err
	}
	if err := s.writeKubeconfigs(); err != nil {
		return err
	}
	logger := klog.FromContext(ctx)
	memoryCtx, stopMemory := context.WithCancel(context.WithoutCancel(ctx))
	memoryDone := make(chan struct{})
	go func() {
		defer close(memoryDone)
		if err := s.memory.Serve(memoryCtx, s.aggregator.GenericAPIServer.Handler); err != nil {
			cancel(fmt.Errorf("in-memory connection: %w", err))
		}
	}()
	defer func() { stopMemory(); <-memoryDone }()
	if s.etcd != nil {
		go func() {
			select {
			case err := <-s.etcd.Err():
				if err != nil {
					cancel(fmt.Errorf("embedded etcd: %w", err))
				}
			case <-ctx.Done():
			}
		}()
	}
	go s.renewCertificates(ctx)

	logger.Info("Serving the federation API", "address", s.opts.BindAddress, "port", s.opts.SecurePort, "dataDir", s.opts.DataDir)
	if err := prepared.Run(ctx); err != nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

func (s *Server) writeKubeconfigs() error {
	url, err := s.opts.URL()
	if err != nil {
		return err
	}
	if err := pki.WriteComponentKubeconfigs(s.files, url); err != nil {
		return fmt.Errorf("write the kubeconfigs of controller-manager and scheduler: %w", err)
	}
	if s.opts.WriteKubeconfig == "" {
		return nil
	}
	if err := pki.WriteKubeconfig(s.files, url, s.opts.WriteKubeconfig); err != nil {
		return fmt.Errorf("write --write-kubeconfig: %w", err)
	}
	return nil
}

// renewCertificates looks twice a day. The server reloads the files by itself.
func (s *Server) renewCertificates(ctx context.Context) {
	ticker := time.NewTicker(12 * time.Hour)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			_, err := s.opts.ensureCertificates(now)
			if err == nil {
				err = s.writeKubeconfigs()
			}
			if err != nil {
				klog.FromContext(ctx).Error(err, "Renewing certificates failed, trying again in 12 hours", "dir", s.opts.leafDir())
			}
		}
	}
}

// release ends what New began. The data directory is free when it returns.
func (s *Server) release() {
	if s.etcd != nil {
		s.etcd.Stop()
	}
	_ = s.lock.Close() // whatever it says, the lock is gone
}
