package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
)

const (
	// rootConfigMap is where istiod tells its roots, in every namespace.
	rootConfigMap, rootKey = "istio-ca-root-cert", "root-cert.pem"
	// apiConfigMap has the CA of the API server, in every namespace.
	apiConfigMap, apiKey = "kube-root-ca.crt", "ca.crt"
	// page is how many objects are read at once.
	page = 100
	// stale is the resourceVersion with which a read is answered out of the API server's
	// memory, and not by way of its database: for what may be some moments old.
	stale = "0"
)

// member is what is said to and heard from the member's API server.
type member struct {
	config   *rest.Config
	core     rest.Interface
	metadata metadata.Interface
}

func newMember(config *rest.Config, client *http.Client) (*member, error) {
	scheme := runtime.NewScheme()
	addCore(scheme,
		&corev1.Namespace{}, &corev1.Secret{}, &corev1.SecretList{}, &corev1.Service{}, &corev1.ServiceList{},
		&corev1.ConfigMap{}, &corev1.ServiceAccount{}, &corev1.Node{}, &corev1.NodeList{},
	)
	scheme.AddKnownTypes(authenticationv1.SchemeGroupVersion, &authenticationv1.TokenRequest{})
	metav1.AddToGroupVersion(scheme, authenticationv1.SchemeGroupVersion)
	m := &member{config: config}
	var err error
	if m.core, err = clientFor(config, client, scheme, corev1.SchemeGroupVersion); err != nil {
		return nil, err
	}
	m.metadata, err = metadata.NewForConfigAndClient(metadata.ConfigFor(config), client)
	return m, err
}

func (m *member) do(ctx context.Context, request *rest.Request, out runtime.Object) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	result := request.Do(ctx)
	if out == nil {
		return result.Error()
	}
	return result.Into(out)
}

// in is a request for a resource of istio-system.
func in(request *rest.Request, resource string) *rest.Request {
	return request.Namespace(meshv1alpha1.IstioNamespace).Resource(resource)
}

func (m *member) namespace(ctx context.Context) (*corev1.Namespace, error) {
	out := &corev1.Namespace{}
	return out, m.do(ctx, m.core.Get().Resource("namespaces").Name(meshv1alpha1.IstioNamespace), out)
}

func (m *member) secret(ctx context.Context, name string) (*corev1.Secret, error) {
	out := &corev1.Secret{}
	return out, m.do(ctx, in(m.core.Get(), "secrets").Name(name), out)
}

func (m *member) service(ctx context.Context, namespace, name string) (*corev1.Service, error) {
	out := &corev1.Service{}
	return out, m.do(ctx, m.core.Get().Namespace(namespace).Resource("services").Name(name), out)
}

// services lists Services; of all namespaces when that is empty. Not more than a limit if
// that is not 0.
func (m *member) services(ctx context.Context, namespace, selector string, limit int64) ([]corev1.Service, error) {
	out := &corev1.ServiceList{}
	request := m.core.Get().NamespaceIfScoped(namespace, namespace != "").Resource("services").
		VersionedParams(&metav1.ListOptions{LabelSelector: selector, Limit: limit}, metav1.ParameterCodec)
	err := m.do(ctx, request, out)
	return out.Items, err
}

func (m *member) node(ctx context.Context, name string) (*corev1.Node, error) {
	out := &corev1.Node{}
	return out, m.do(ctx, m.core.Get().Resource("nodes").Name(name), out)
}

// nodes visits all nodes with labels, and returns the resourceVersion as of which they are.
func (m *member) nodes(ctx context.Context, selector string, visit func(*corev1.Node)) (version string, err error) {
	options := metav1.ListOptions{LabelSelector: selector, Limit: page}
	for {
		out := &corev1.NodeList{}
		if err := m.do(ctx, m.core.Get().Resource("nodes").VersionedParams(&options, metav1.ParameterCodec), out); err != nil {
			return "", err
		}
		if options.Continue == "" {
			version = out.ResourceVersion
		}
		for i := range out.Items {
			visit(&out.Items[i])
		}
		if options.Continue = out.Continue; out.Continue == "" {
			return version, nil
		}
	}
}

// configMap is a request for a ConfigMap of istio-system as of a moment ago.
func configMap(request *rest.Request, name string) *rest.Request {
	return in(request, "configmaps").Name(name).VersionedParams(&metav1.GetOptions{ResourceVersion: stale}, metav1.ParameterCodec)
}

// servicesFrom lists some Services of all namespaces, from where the last list ended.
func (m *member) servicesFrom(ctx context.Context, limit int64, from string) (services []corev1.Service, next string, err error) {
	out := &corev1.ServiceList{}
	err = m.do(ctx, m.core.Get().Resource("services").VersionedParams(&metav1.ListOptions{Limit: limit, Continue: from}, metav1.ParameterCodec), out)
	return out.Items, out.Continue, err
}

// endpointSlices lists those of istio-system with labels, without bringing their types
// into the process.
func (m *member) endpointSlices(ctx context.Context, selector string) ([]istiod.Slice, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	data, err := m.core.Get().AbsPath("/apis/discovery.k8s.io/v1/namespaces/"+meshv1alpha1.IstioNamespace+"/endpointslices").
		Param("labelSelector", selector).SetHeader("Accept", runtime.ContentTypeJSON).Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	var list struct{ Items []istiod.Slice }
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("endpointslices: %w", err)
	}
	return list.Items, nil
}

// roots are those that istiod tells its workloads.
func (m *member) roots(ctx context.Context) ([]byte, error) {
	out := &corev1.ConfigMap{}
	err := m.do(ctx, configMap(m.core.Get(), rootConfigMap), out)
	return []byte(out.Data[rootKey]), err
}

// istiodToken makes a token that only istiod accepts.
func (m *member) istiodToken(ctx context.Context, account string, life time.Duration) (token string, expires time.Time, err error) {
	seconds := int64(life.Seconds())
	answer, err := m.CreateToken(ctx, account, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{"istio-ca"}, ExpirationSeconds: &seconds,
	}})
	if err != nil {
		return "", time.Time{}, err
	}
	return answer.Status.Token, answer.Status.ExpirationTimestamp.Time, nil
}

// apply sends what the mesh wants of an object's labels, as the field manager of that.
// Labels that it sent before and no longer sends go. The UID keeps it from making an
// object that is gone.
func (m *member) apply(ctx context.Context, resource, kind, name string, uid types.UID, labels map[string]string) error {
	metadata := map[string]any{"name": name, "uid": uid}
	if len(labels) > 0 {
		metadata["labels"] = labels
	}
	body, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": kind, "metadata": metadata})
	if err != nil {
		return err
	}
	return m.do(ctx, m.core.Patch(types.ApplyPatchType).Resource(resource).Name(name).Param("fieldManager", manager).Body(body), nil)
}

// heldByOthers tells whether an apply failed because somebody else has set what it sets. An
// object that was made anew is a conflict, too, and none of that kind.
func heldByOthers(err error) bool {
	return apierrors.IsConflict(err) && apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict)
}

// ServiceAccount implements reader.Member.
func (m *member) ServiceAccount(ctx context.Context, name string) (*corev1.ServiceAccount, error) {
	out := &corev1.ServiceAccount{}
	return out, m.do(ctx, in(m.core.Get(), "serviceaccounts").Name(name).VersionedParams(&metav1.GetOptions{ResourceVersion: stale}, metav1.ParameterCodec), out)
}

// SecretMetadata implements reader.Member.
func (m *member) SecretMetadata(ctx context.Context, selector string) ([]metav1.PartialObjectMetadata, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	out, err := m.metadata.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(meshv1alpha1.IstioNamespace).
		List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	return out.Items, nil
}

// secrets are those of istio-system with a label, as of a moment ago.
func (m *member) secrets(ctx context.Context, selector string) ([]corev1.Secret, error) {
	out := &corev1.SecretList{}
	err := m.do(ctx, in(m.core.Get(), "secrets").VersionedParams(&metav1.ListOptions{LabelSelector: selector, ResourceVersion: stale}, metav1.ParameterCodec), out)
	return out.Items, err
}

// CreateSecret implements reader.Member.
func (m *member) CreateSecret(ctx context.Context, secret *corev1.Secret) (*corev1.Secret, error) {
	out := &corev1.Secret{}
	return out, m.do(ctx, in(m.core.Post(), "secrets").Body(secret), out)
}

// PatchSecret implements reader.Member.
func (m *member) PatchSecret(ctx context.Context, name string, patch []byte) error {
	return m.do(ctx, in(m.core.Patch(types.MergePatchType), "secrets").Name(name).Body(patch), nil)
}

// DeleteSecret implements reader.Member.
func (m *member) DeleteSecret(ctx context.Context, name string, uid types.UID) error {
	options := &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
	return m.do(ctx, in(m.core.Delete(), "secrets").Name(name).Body(options), nil)
}

// CreateToken implements reader.Member.
func (m *member) CreateToken(ctx context.Context, account string, request *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
	out := &authenticationv1.TokenRequest{}
	return out, m.do(ctx, in(m.core.Post(), "serviceaccounts").Name(account).SubResource("token").Body(request), out)
}

// errNoCA means that it is not known how to recognize the API server.
var errNoCA = errors.New("the CA of the API server is not known")

// CA implements reader.Member. It is what this agent trusts, or else what pods of the
// cluster are told to trust.
func (m *member) CA(ctx context.Context) ([]byte, error) {
	config := rest.CopyConfig(m.config)
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoCA, err)
	}
	if len(config.CAData) > 0 {
		return config.CAData, nil
	}
	if config.Insecure {
		// Whoever answers could name a CA of his own, and peers would send him the token.
		return nil, fmt.Errorf("%w: the agent does not verify the API server's certificate (insecure-skip-tls-verify of its kubeconfig), so what that says of its CA is worth nothing; set certificate-authority-data there", errNoCA)
	}
	out := &corev1.ConfigMap{}
	if err := m.do(ctx, configMap(m.core.Get(), apiConfigMap), out); err != nil {
		return nil, fmt.Errorf("%w: ConfigMap %s/%s: %w", errNoCA, meshv1alpha1.IstioNamespace, apiConfigMap, err)
	}
	if out.Data[apiKey] == "" {
		return nil, fmt.Errorf("%w: ConfigMap %s/%s has no key %s", errNoCA, meshv1alpha1.IstioNamespace, apiConfigMap, apiKey)
	}
	return []byte(out.Data[apiKey]), nil
}

// server is the URL that this agent uses; empty in the cluster, where others cannot use it.
func (m *member) server(inCluster bool) string {
	if inCluster {
		return ""
	}
	url, _, err := rest.DefaultServerUrlFor(m.config)
	if err != nil {
		return ""
	}
	return url.String()
}
