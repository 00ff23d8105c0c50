package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// Keys of the Secret that an Identity is kept in.
const (
	SecretKeyCertificate = corev1.TLSCertKey
	SecretKeyKey         = corev1.TLSPrivateKeyKey
	SecretKeyCA          = corev1.ServiceAccountRootCAKey
)

// Secret keeps a Bundle in a Secret of the member. It is made when there is none; labels and other
// keys that it has stay.
type Secret struct {
	client          rest.Interface
	namespace, name string
}

var _ Store = &Secret{}

const secretTimeout = 15 * time.Second

// NewSecret returns a Store for a Secret, as namespace/name, of the cluster behind config.
func NewSecret(config *rest.Config, client *http.Client, place string) (*Secret, error) {
	namespace, name, ok := strings.Cut(place, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return nil, fmt.Errorf("%w: Secret %q: use namespace/name", ErrOptions, place)
	}
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(corev1.SchemeGroupVersion, &corev1.Secret{})
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
	own := rest.CopyConfig(config)
	own.APIPath, own.GroupVersion = "/api", &corev1.SchemeGroupVersion
	own.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	own.ContentType, own.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	c, err := rest.RESTClientForConfigAndClient(own, client)
	if err != nil {
		return nil, fmt.Errorf("client of the member: %w", err)
	}
	return &Secret{client: c, namespace: namespace, name: name}, nil
}

// String implements Store, as do the methods below.
func (s *Secret) String() string { return "Secret " + s.namespace + "/" + s.name }

// Load reads the Secret.
func (s *Secret) Load(ctx context.Context) (Bundle, error) {
	secret, err := s.get(ctx)
	if apierrors.IsNotFound(err) {
		return Bundle{}, nil
	}
	if err != nil {
		return Bundle{}, s.explain(err)
	}
	return Bundle{Certificate: secret.Data[SecretKeyCertificate], Key: secret.Data[SecretKeyKey], CA: secret.Data[SecretKeyCA]}, nil
}

// Save writes the Secret.
func (s *Secret) Save(ctx context.Context, b Bundle) error {
	for attempt := 1; ; attempt++ {
		err := s.save(ctx, b)
		if err == nil {
			return nil
		}
		if attempt == 3 || !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return s.explain(err)
		}
	}
}

func (s *Secret) save(ctx context.Context, b Bundle) error {
	secret, err := s.get(ctx)
	absent := apierrors.IsNotFound(err)
	if err != nil && !absent {
		return err
	}
	if absent {
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name}}
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	secret.Data[SecretKeyCA] = b.CA
	if len(b.Certificate) > 0 {
		secret.Data[SecretKeyCertificate], secret.Data[SecretKeyKey] = b.Certificate, b.Key
	}
	request := s.client.Put().Name(s.name)
	if absent {
		request = s.client.Post()
	}
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	return request.Namespace(s.namespace).Resource("secrets").Body(secret).Do(ctx).Error()
}

func (s *Secret) get(ctx context.Context) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	secret := &corev1.Secret{}
	err := s.client.Get().Namespace(s.namespace).Resource("secrets").Name(s.name).Do(ctx).Into(secret)
	return secret, err
}

func (s *Secret) explain(err error) error {
	var status apierrors.APIStatus
	if apierrors.IsForbidden(err) && errors.As(err, &status) {
		return fmt.Errorf("%s of the member: %w. The agent's account needs get and update on it, and create on secrets in namespace %s", s, err, s.namespace)
	}
	return fmt.Errorf("%s of the member: %w", s, err)
}
