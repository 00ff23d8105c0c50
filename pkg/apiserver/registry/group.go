package registry

import (
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
)

// Versions maps version -> resource path -> storage.
type Versions map[string]map[string]rest.Storage

// GroupInfo describes a group for installation.
func GroupInfo(group string, versions Versions) *genericapiserver.APIGroupInfo {
	info := genericapiserver.NewDefaultAPIGroupInfo(group, Scheme, ParameterCodec, Codecs)
	for version, resources := range versions {
		info.VersionedResourcesStorageMap[version] = resources
	}
	return &info
}
