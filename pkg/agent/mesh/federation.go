package mesh

import (
	"context"
	"encoding/json"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// federationManager is the field manager of the token's Secret in the federation.
const federationManager = "flotilla-agent"

// federation is what is said to and heard from the federation about meshes.
type federation struct {
	meshes    rest.Interface
	core      rest.Interface
	namespace string
}

func newFederation(config *rest.Config, client *http.Client, namespace string) (*federation, error) {
	scheme := runtime.NewScheme()
	if err := meshv1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	addCore(scheme, &corev1.Secret{})
	f := &federation{namespace: namespace}
	var err error
	if f.meshes, err = clientFor(config, client, scheme, meshv1alpha1.SchemeGroupVersion); err != nil {
		return nil, err
	}
	f.core, err = clientFor(config, client, scheme, corev1.SchemeGroupVersion)
	return f, err
}

// addCore registers kinds of the core group and no others: each one costs memory.
func addCore(scheme *runtime.Scheme, objects ...runtime.Object) {
	scheme.AddKnownTypes(corev1.SchemeGroupVersion, objects...)
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
}

// clientFor returns a client of one API group that speaks JSON and takes protobuf where it
// is offered.
func clientFor(config *rest.Config, client *http.Client, scheme *runtime.Scheme, gv schema.GroupVersion) (rest.Interface, error) {
	own := rest.CopyConfig(config)
	own.ContentType, own.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	own.GroupVersion, own.APIPath = &gv, "/apis"
	if gv.Group == "" {
		own.APIPath, own.AcceptContentTypes = "/api", runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON
	}
	own.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	return rest.RESTClientForConfigAndClient(own, client)
}

func (f *federation) list(ctx context.Context) (*meshv1alpha1.MeshMemberList, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*requestTimeout)
	defer cancel()
	out := &meshv1alpha1.MeshMemberList{}
	err := f.meshes.Get().Namespace(f.namespace).Resource(meshv1alpha1.ResourcePluralMeshMember).Do(ctx).Into(out)
	return out, err
}

func (f *federation) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	return f.meshes.Get().Namespace(f.namespace).Resource(meshv1alpha1.ResourcePluralMeshMember).
		VersionedParams(&options, metav1.ParameterCodec).Watch(ctx)
}

func (f *federation) get(ctx context.Context, name string) (*meshv1alpha1.MeshMember, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	out := &meshv1alpha1.MeshMember{}
	err := f.meshes.Get().Namespace(f.namespace).Resource(meshv1alpha1.ResourcePluralMeshMember).Name(name).Do(ctx).Into(out)
	return out, err
}

func (f *federation) updateStatus(ctx context.Context, object *meshv1alpha1.MeshMember) (*meshv1alpha1.MeshMember, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	out := &meshv1alpha1.MeshMember{}
	err := f.meshes.Put().Namespace(f.namespace).Resource(meshv1alpha1.ResourcePluralMeshMember).Name(object.Name).
		SubResource("status").Body(object).Do(ctx).Into(out)
	return out, err
}

// tokenSecret is the Secret with the token of the reader of one mesh.
type tokenSecret struct {
	federation *federation
	mesh       string
}

// Put implements reader.Federation.
func (s *tokenSecret) Put(ctx context.Context, data map[string][]byte) error {
	name := meshv1alpha1.ReaderSecretName(s.mesh)
	body, err := json.Marshal(&corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.federation.namespace, Name: name, Labels: map[string]string{meshv1alpha1.MeshLabel: s.mesh},
		},
		Type: meshv1alpha1.ReaderSecretType,
		Data: data,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return s.federation.core.Patch(types.ApplyPatchType).Namespace(s.federation.namespace).Resource("secrets").Name(name).
		Param("fieldManager", federationManager).Param("force", "true").Body(body).Do(ctx).Error()
}

// Get implements reader.Federation.
func (s *tokenSecret) Get(ctx context.Context) (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	secret := &corev1.Secret{}
	err := s.federation.core.Get().Namespace(s.federation.namespace).Resource("secrets").Name(meshv1alpha1.ReaderSecretName(s.mesh)).Do(ctx).Into(secret)
	return secret.Data, err
}

// Delete implements reader.Federation.
func (s *tokenSecret) Delete(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err := s.federation.core.Delete().Namespace(s.federation.namespace).Resource("secrets").Name(meshv1alpha1.ReaderSecretName(s.mesh)).Do(ctx).Error()
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
