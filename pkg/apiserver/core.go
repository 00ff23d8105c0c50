package apiserver

import (
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/registry/generic"
	genericapiserver "k8s.io/apiserver/pkg/server"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
)

// runtimeSubresources need a node or a running pod behind them, so they are
// not served: a 404 says so at once, where the real thing would time out.
var runtimeSubresources = []string{
	"bindings",
	"pods/attach", "pods/binding", "pods/eviction", "pods/exec", "pods/log", "pods/portforward", "pods/proxy",
	"nodes/proxy", "services/proxy",
	"componentstatuses",
}

// coreProvider serves the core group without runtimeSubresources.
type coreProvider struct {
	controlplaneapiserver.RESTStorageProvider
}

func (p coreProvider) NewRESTStorage(source serverstorage.APIResourceConfigSource, getter generic.RESTOptionsGetter) (genericapiserver.APIGroupInfo, error) {
	info, err := p.RESTStorageProvider.NewRESTStorage(source, getter)
	if err != nil {
		return info, err
	}
	for version, resources := range info.VersionedResourcesStorageMap {
		for path := range resources {
			if slices.ContainsFunc(runtimeSubresources, func(dropped string) bool {
				return path == dropped || strings.HasPrefix(path, dropped+"/")
			}) {
				delete(info.VersionedResourcesStorageMap[version], path)
			}
		}
	}
	return info, nil
}

// PostStartHook forwards the hook of the wrapped provider: the repair loops of
// cluster IPs and node ports start there.
func (p coreProvider) PostStartHook() (string, genericapiserver.PostStartHookFunc, error) {
	if hook, ok := p.RESTStorageProvider.(genericapiserver.PostStartHookProvider); ok {
		return hook.PostStartHook()
	}
	return "core-without-hook", func(genericapiserver.PostStartHookContext) error { return nil }, nil
}
