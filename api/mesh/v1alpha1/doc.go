// Package v1alpha1 holds the mesh.flotilla.io/v1alpha1 API: which clusters form
// one Istio mesh (Mesh), and what each of them has to do and has seen
// (MeshMember).
//
// A person writes Mesh.spec. The control plane writes Mesh.status and, in the
// execution namespace of each cluster of the mesh, MeshMember.spec; the agent of
// the cluster writes MeshMember.status. Credentials are in neither: the agent
// leaves the token of its reader in a Secret, see ReaderSecretName.
//
// The package has types, defaults and scheme registration only.
//
// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +k8s:openapi-model-package=io.flotilla.mesh.v1alpha1
// +groupName=mesh.flotilla.io
package v1alpha1
