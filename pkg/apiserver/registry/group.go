package registry

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
)

// Versions maps version -> resource path -> storage.
type Versions map[string]map[string]rest.Storage

// GroupInfo describes a group for installation.
func GroupInfo(group string, versions Versions) *genericapiserver.APIGroupInfo {
	info := genericapiserver.NewDefaultAPIGroupInfo(group, Scheme, ParameterCodec, Codecs)
	info.NegotiatedSerializer = withoutProtobuf{Codecs}
	for version, resources := range versions {
		info.VersionedResourcesStorageMap[version] = resources
	}
	return &info
}

// withoutProtobuf offers what custom resources are offered in: our types have no
// protobuf encoding, so a client that accepts several gets another one.
type withoutProtobuf struct{ serializer.CodecFactory }

// SupportedMediaTypes implements runtime.NegotiatedSerializer.
func (c withoutProtobuf) SupportedMediaTypes() []runtime.SerializerInfo {
	return slices.DeleteFunc(slices.Clone(c.CodecFactory.SupportedMediaTypes()), func(info runtime.SerializerInfo) bool {
		return info.MediaType == runtime.ContentTypeProtobuf
	})
}
