package apiserver

import (
	"fmt"
	"net"
	"slices"

	apiextensionsapiserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/union"
	"k8s.io/apiserver/pkg/registry/generic"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/webhook"
	aggregatorapiserver "k8s.io/kube-aggregator/pkg/apiserver"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	openapicommon "k8s.io/kube-openapi/pkg/common"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/controlplane"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	controlplaneoptions "k8s.io/kubernetes/pkg/controlplane/apiserver/options"
	"k8s.io/kubernetes/pkg/controlplane/reconcilers"
	generatedopenapi "k8s.io/kubernetes/pkg/generated/openapi"

	fedopenapi "github.com/flotilla-io/flotilla/api/openapi"
	"github.com/flotilla-io/flotilla/pkg/apiserver/admission/propagation"
	"github.com/flotilla-io/flotilla/pkg/apiserver/authorizer"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
	"github.com/flotilla-io/flotilla/pkg/apiserver/revocation"
)

// config is everything the chain of servers is built from.
type config struct {
	kube          controlplane.Config
	apiExtensions *apiextensionsapiserver.Config
	aggregator    *aggregatorapiserver.Config
	// restOptions stores our own groups: JSON under <group>/<resource>, as
	// custom resources are.
	restOptions generic.RESTOptionsGetter
}

func newConfig(opts controlplaneoptions.CompletedOptions, serviceRange net.IPNet, policies propagation.Policies, guard *revocation.Guard) (*config, error) {
	generic, informers, storageFactory, err := controlplaneapiserver.BuildGenericConfig(
		opts,
		[]*runtime.Scheme{legacyscheme.Scheme, apiextensionsapiserver.Scheme, aggregatorscheme.Scheme, registry.Scheme},
		controlplane.DefaultAPIResourceConfigSource(),
		openAPIDefinitions,
	)
	if err != nil {
		return nil, err
	}
	generic.OpenAPIConfig.Info.Title = "Flotilla"
	generic.OpenAPIV3Config.Info.Title = "Flotilla"
	generic.Authorization.Authorizer = union.New(authorizer.ForClusters(), generic.Authorization.Authorizer)
	generic.Authentication.Authenticator = guard.Wrap(generic.Authentication.Authenticator)

	serviceResolver := webhook.NewDefaultServiceResolver()
	kube, initializers, err := controlplaneapiserver.CreateConfig(opts, generic, informers, storageFactory, serviceResolver,
		[]admission.PluginInitializer{propagation.Initializer{Policies: policies}})
	if err != nil {
		return nil, err
	}
	authInfo := webhook.NewDefaultAuthenticationInfoResolverWrapper(kube.ProxyTransport, kube.Generic.EgressSelector, kube.Generic.LoopbackClientConfig, kube.Generic.TracerProvider)
	apiExtensions, err := controlplaneapiserver.CreateAPIExtensionsConfig(*kube.Generic, kube.VersionedInformers, initializers, opts, 1, serviceResolver, authInfo)
	if err != nil {
		return nil, fmt.Errorf("custom resources: %w", err)
	}
	aggregator, err := controlplaneapiserver.CreateAggregatorConfig(*kube.Generic, opts, kube.VersionedInformers, serviceResolver, kube.ProxyTransport, kube.PeerProxy, initializers)
	if err != nil {
		return nil, fmt.Errorf("aggregation: %w", err)
	}
	aggregator.ExtraConfig.DisableRemoteAvailableConditionController = true

	separateChecks(kube.Generic, &apiExtensions.GenericConfig.Config, &aggregator.GenericConfig.Config)

	restOptions, err := federationStorage(*kube.Generic, opts)
	if err != nil {
		return nil, err
	}
	return &config{
		kube: controlplane.Config{
			ControlPlane: *kube,
			Extra: controlplane.Extra{
				EndpointReconcilerType: reconcilers.NoneEndpointReconcilerType,
				ServiceIPRange:         serviceRange,
			},
		},
		apiExtensions: apiExtensions,
		aggregator:    aggregator,
		restOptions:   restOptions,
	}, nil
}

// separateChecks lets each configuration append checks of its own. Copies of one
// share the memory behind their lists, and would write over each other's.
func separateChecks(configs ...*genericapiserver.Config) {
	for _, c := range configs {
		c.HealthzChecks, c.LivezChecks, c.ReadyzChecks = slices.Clip(c.HealthzChecks), slices.Clip(c.LivezChecks), slices.Clip(c.ReadyzChecks)
	}
}

// federationStorage applies the etcd options to our own codec. The copy of the
// generic config keeps the transformers (encryption at rest) of the original.
func federationStorage(generic genericapiserver.Config, opts controlplaneoptions.CompletedOptions) (generic.RESTOptionsGetter, error) {
	etcd := *opts.Etcd
	etcd.StorageConfig.Codec = registry.StorageCodec()
	etcd.StorageConfig.StorageObjectCountTracker = generic.StorageObjectCountTracker
	etcd.SkipHealthEndpoints = true // wired once, for the built-in kinds
	if err := etcd.ApplyTo(&generic); err != nil {
		return nil, fmt.Errorf("storage of the federation groups: %w", err)
	}
	return generic.RESTOptionsGetter, nil
}

// openAPIDefinitions are those of the built-in kinds and of our own groups.
func openAPIDefinitions(ref openapicommon.ReferenceCallback) map[string]openapicommon.OpenAPIDefinition {
	all := generatedopenapi.GetOpenAPIDefinitions(ref)
	for name, definition := range fedopenapi.GetOpenAPIDefinitions(ref) {
		all[name] = definition
	}
	return all
}
