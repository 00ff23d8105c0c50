package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
)

// requestTimeout bounds every request that is not a watch.
const requestTimeout = 30 * time.Second

// newScheme knows just what the agent says and hears. The full schemes would bring every built-in
// type into the process, which costs more memory than everything the agent does.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	builder := runtime.NewSchemeBuilder(
		clusterv1alpha1.AddToScheme, workv1alpha1.AddToScheme, agentv1alpha1.AddToScheme,
		coordinationv1.AddToScheme, addCore,
	)
	err := builder.AddToScheme(scheme)
	return scheme, err
}

func addCore(scheme *runtime.Scheme) error {
	core := corev1.SchemeGroupVersion
	scheme.AddKnownTypes(core, &corev1.Namespace{}, &corev1.Node{}, &corev1.NodeList{}, &corev1.Pod{}, &corev1.PodList{})
	metav1.AddToGroupVersion(scheme, core)
	return nil
}

// clientFor returns a client of one API group over a shared HTTP client.
func clientFor(config *rest.Config, client *http.Client, scheme *runtime.Scheme, gv schema.GroupVersion, contentType string) (rest.Interface, error) {
	own := rest.CopyConfig(config)
	own.ContentType, own.AcceptContentTypes = contentType, contentType
	if contentType != runtime.ContentTypeJSON {
		own.AcceptContentTypes += "," + runtime.ContentTypeJSON
	}
	own.GroupVersion = &gv
	own.APIPath = "/apis"
	if gv.Group == "" {
		own.APIPath = "/api"
	}
	own.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	return rest.RESTClientForConfigAndClient(own, client)
}

// resource is a typed client of one resource.
type resource[T runtime.Object] struct {
	client    rest.Interface
	namespace string
	plural    string
	name      string
	empty     func() T
}

func (r resource[T]) do(ctx context.Context, request *rest.Request, body runtime.Object) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	out := r.empty()
	request = request.NamespaceIfScoped(r.namespace, r.namespace != "").Resource(r.plural)
	if body != nil {
		request = request.Body(body)
	}
	err := request.Do(ctx).Into(out)
	return out, err
}

func (r resource[T]) Get(ctx context.Context) (T, error) {
	return r.do(ctx, r.client.Get().Name(r.name), nil)
}

func (r resource[T]) Create(ctx context.Context, object T) (T, error) {
	return r.do(ctx, r.client.Post(), object)
}

func (r resource[T]) Update(ctx context.Context, object T) (T, error) {
	return r.do(ctx, r.client.Put().Name(r.name), object)
}

func (r resource[T]) UpdateStatus(ctx context.Context, object T) (T, error) {
	return r.do(ctx, r.client.Put().Name(r.name).SubResource("status"), object)
}

// federation is what the agent says to and hears from the federation.
type federation struct {
	cluster   resource[*clusterv1alpha1.Cluster]
	lease     resource[*coordinationv1.Lease]
	identity  resource[*corev1.Namespace]
	reports   resource[*agentv1alpha1.StatusReport]
	works     rest.Interface
	namespace string
}

func newFederation(config *rest.Config, client *http.Client, scheme *runtime.Scheme, cluster string) (*federation, error) {
	clients := map[schema.GroupVersion]rest.Interface{}
	for _, gv := range []schema.GroupVersion{
		clusterv1alpha1.SchemeGroupVersion, workv1alpha1.SchemeGroupVersion, agentv1alpha1.SchemeGroupVersion,
		coordinationv1.SchemeGroupVersion, corev1.SchemeGroupVersion,
	} {
		c, err := clientFor(config, client, scheme, gv, runtime.ContentTypeJSON)
		if err != nil {
			return nil, fmt.Errorf("client of the federation: %w", err)
		}
		clients[gv] = c
	}
	namespace := names.ExecutionNamespace(cluster)
	return &federation{
		namespace: namespace,
		works:     clients[workv1alpha1.SchemeGroupVersion],
		cluster: resource[*clusterv1alpha1.Cluster]{
			client: clients[clusterv1alpha1.SchemeGroupVersion], plural: clusterv1alpha1.ResourcePluralCluster, name: cluster,
			empty: func() *clusterv1alpha1.Cluster { return &clusterv1alpha1.Cluster{} },
		},
		lease: resource[*coordinationv1.Lease]{
			client: clients[coordinationv1.SchemeGroupVersion], namespace: names.ClusterNamespace, plural: "leases", name: cluster,
			empty: func() *coordinationv1.Lease { return &coordinationv1.Lease{} },
		},
		identity: resource[*corev1.Namespace]{
			client: clients[corev1.SchemeGroupVersion], plural: "namespaces", name: names.FederationUIDNamespace,
			empty: func() *corev1.Namespace { return &corev1.Namespace{} },
		},
		reports: resource[*agentv1alpha1.StatusReport]{
			client: clients[agentv1alpha1.SchemeGroupVersion], namespace: namespace, plural: agentv1alpha1.ResourcePluralStatusReport,
			empty: func() *agentv1alpha1.StatusReport { return &agentv1alpha1.StatusReport{} },
		},
	}, nil
}

// uid tells this federation from every other.
func (f *federation) uid(ctx context.Context) (types.UID, error) {
	namespace, err := f.identity.Get(ctx)
	if err != nil {
		return "", fmt.Errorf("the federation's identity, namespace %s: %w", names.FederationUIDNamespace, err)
	}
	return namespace.UID, nil
}

// listWorks reads all works at their newest. Works are computed when they are read, so there is no
// cheaper, older state to ask for.
func (f *federation) listWorks(ctx context.Context) (*workv1alpha1.WorkList, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*requestTimeout)
	defer cancel()
	out := &workv1alpha1.WorkList{}
	err := f.works.Get().Namespace(f.namespace).Resource(workv1alpha1.ResourcePluralWork).Do(ctx).Into(out)
	return out, err
}

func (f *federation) watchWorks(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	return f.works.Get().Namespace(f.namespace).Resource(workv1alpha1.ResourcePluralWork).
		VersionedParams(&options, metav1.ParameterCodec).Watch(ctx)
}

// dropAnnotation takes an annotation off the Cluster if it still has that value.
func (f *federation) dropAnnotation(ctx context.Context, name, value string) error {
	path := "/metadata/annotations/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": path, "value": value},
		{"op": "remove", "path": path},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r := f.cluster
	return r.client.Patch(types.JSONPatchType).Resource(r.plural).Name(r.name).Body(patch).Do(ctx).Error()
}

// post sends observations and returns those that were not taken.
func (f *federation) post(ctx context.Context, works []agentv1alpha1.WorkObservation) ([]agentv1alpha1.RejectedObservation, error) {
	report := &agentv1alpha1.StatusReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace},
		Spec:       agentv1alpha1.StatusReportSpec{Works: works},
	}
	answer, err := f.reports.Create(ctx, report)
	if err != nil {
		return nil, err
	}
	return answer.Status.Rejected, nil
}
