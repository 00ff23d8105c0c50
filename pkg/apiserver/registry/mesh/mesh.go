package mesh

import (
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	genericapiserver "k8s.io/apiserver/pkg/server"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/mesh/v1alpha1/validation"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
)

// Storages are the stores of the group's kinds.
type Storages struct {
	Meshes, MeshMembers *registry.Storage
}

// Group builds the group's storage.
func Group(getter generic.RESTOptionsGetter) (*genericapiserver.APIGroupInfo, *Storages, error) {
	meshes, err := registry.NewStorage(meshes(), getter)
	if err != nil {
		return nil, nil, err
	}
	members, err := registry.NewStorage(members(), getter)
	if err != nil {
		return nil, nil, err
	}
	return registry.GroupInfo(meshv1alpha1.GroupName, registry.Versions{
		meshv1alpha1.GroupVersion.Version: {
			"meshes":             meshes.Store,
			"meshes/status":      meshes.Status,
			"meshmembers":        members.Store,
			"meshmembers/status": members.Status,
		},
	}), &Storages{Meshes: meshes, MeshMembers: members}, nil
}

func meshes() registry.Resource {
	of := func(obj runtime.Object) *meshv1alpha1.Mesh { return obj.(*meshv1alpha1.Mesh) }
	return registry.Resource{
		Group:    meshv1alpha1.Resource(meshv1alpha1.ResourcePluralMesh),
		Singular: "mesh",
		New:      func() runtime.Object { return &meshv1alpha1.Mesh{} },
		NewList:  func() runtime.Object { return &meshv1alpha1.MeshList{} },
		OnCreate: func(obj runtime.Object) { of(obj).Status = meshv1alpha1.MeshStatus{} },
		OnUpdate: func(obj, old runtime.Object) { of(obj).Status = of(old).Status },
		OnStatus: func(obj, old runtime.Object) { of(obj).Spec = of(old).Spec },
		SpecChanged: func(obj, old runtime.Object) bool {
			return !apiequality.Semantic.DeepEqual(of(obj).Spec, of(old).Spec)
		},
		Validate: func(obj runtime.Object) field.ErrorList { return validation.ValidateMesh(of(obj)) },
		ValidateUpdate: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidateMeshUpdate(of(obj), of(old))
		},
		ValidateStatus: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidateMeshStatusUpdate(of(obj), of(old))
		},
		Warnings: func(obj runtime.Object) []string { return warnings(&of(obj).Spec) },
		Columns:  meshColumns(of),
	}
}

func members() registry.Resource {
	of := func(obj runtime.Object) *meshv1alpha1.MeshMember { return obj.(*meshv1alpha1.MeshMember) }
	return registry.Resource{
		Group:      meshv1alpha1.Resource(meshv1alpha1.ResourcePluralMeshMember),
		Singular:   "meshmember",
		Namespaced: true,
		New:        func() runtime.Object { return &meshv1alpha1.MeshMember{} },
		NewList:    func() runtime.Object { return &meshv1alpha1.MeshMemberList{} },
		OnCreate:   func(obj runtime.Object) { of(obj).Status = meshv1alpha1.MeshMemberStatus{} },
		OnUpdate:   func(obj, old runtime.Object) { of(obj).Status = of(old).Status },
		OnStatus:   func(obj, old runtime.Object) { of(obj).Spec = of(old).Spec },
		SpecChanged: func(obj, old runtime.Object) bool {
			return !apiequality.Semantic.DeepEqual(of(obj).Spec, of(old).Spec)
		},
		Validate: func(obj runtime.Object) field.ErrorList { return validation.ValidateMeshMember(of(obj)) },
		ValidateUpdate: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidateMeshMemberUpdate(of(obj), of(old))
		},
		ValidateStatus: func(obj, old runtime.Object) field.ErrorList {
			return validation.ValidateMeshMemberStatusUpdate(of(obj), of(old))
		},
		Columns: memberColumns(of),
	}
}
