// Package registrytest helps to test registries without etcd.
package registrytest

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
)

// NoStorage makes stores that have everything but a place to keep objects:
// strategies, tables and discovery can be asked, requests cannot be made.
type NoStorage struct{}

// GetRESTOptions implements generic.RESTOptionsGetter.
func (NoStorage) GetRESTOptions(resource schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	return generic.RESTOptions{
		StorageConfig:  (&storagebackend.Config{}).ForResource(resource),
		ResourcePrefix: resource.Resource,
		Decorator: func(*storagebackend.ConfigForResource, string, func(runtime.Object) (string, error), func() runtime.Object, func() runtime.Object,
			storage.AttrFunc, storage.IndexerFuncs, *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
			return nil, func() {}, nil
		},
	}, nil
}

// Discovered is what a client sees of a resource.
type Discovered struct {
	ShortNames, Categories []string
	Namespaced             bool
	// Columns are upper-cased, those of -o wide in parentheses.
	Columns string
}

// Discover asks a storage what it would tell a client.
func Discover(s rest.Storage, example runtime.Object) (Discovered, error) {
	var d Discovered
	if p, ok := s.(rest.ShortNamesProvider); ok {
		d.ShortNames = p.ShortNames()
	}
	if p, ok := s.(rest.CategoriesProvider); ok {
		d.Categories = p.Categories()
	}
	if p, ok := s.(rest.Scoper); ok {
		d.Namespaced = p.NamespaceScoped()
	}
	convertor, ok := s.(rest.TableConvertor)
	if !ok {
		return d, nil
	}
	table, err := convertor.ConvertToTable(context.Background(), example, nil)
	if err != nil {
		return d, err
	}
	names := make([]string, 0, len(table.ColumnDefinitions))
	for _, c := range table.ColumnDefinitions {
		name := strings.ToUpper(c.Name)
		if c.Priority > 0 {
			name = "(" + name + ")"
		}
		names = append(names, name)
	}
	d.Columns = strings.Join(names, " ")
	return d, nil
}
