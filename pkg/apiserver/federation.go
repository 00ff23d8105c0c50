package apiserver

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	restclient "k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
	agentregistry "github.com/flotilla-io/flotilla/pkg/apiserver/registry/agent"
	clusterregistry "github.com/flotilla-io/flotilla/pkg/apiserver/registry/cluster"
	meshregistry "github.com/flotilla-io/flotilla/pkg/apiserver/registry/mesh"
	policyregistry "github.com/flotilla-io/flotilla/pkg/apiserver/registry/policy"
	workregistry "github.com/flotilla-io/flotilla/pkg/apiserver/registry/work"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/interpreter"
	"github.com/flotilla-io/flotilla/pkg/propagation/fold"
	"github.com/flotilla-io/flotilla/pkg/propagation/projection"
)

// eventComponent is who the API server's events come from.
const eventComponent = "flotilla-apiserver"

// statusWriters is the number of binding statuses written at the same time.
const statusWriters = 4

// federation is what makes this API server one of a federation: the groups of
// its own, the policies admission looks at, the projection and the folding of
// statuses. Bindings, policies, clusters and stored Works are read from the
// registries in process; templates through the API, since they may be of kinds
// that come and go.
type federation struct {
	opts       *Options
	policies   *policies
	projection *projection.Projection
	folder     *fold.Folder
	bindings   *bindingCache
	works      *workregistry.Storages
	synced     atomic.Bool
	// recorder is there before the gate opens.
	recorder events.Recorder
}

func newFederation(opts *Options) *federation {
	f := &federation{
		opts:       opts,
		projection: projection.New(interpreter.New(), projection.NewEpoch()),
		bindings:   newBindingCache(),
	}
	f.policies = newPolicies()
	f.folder = fold.New(fold.Options{
		Lookup:       f.projection.Lookup,
		Binding:      f.bindings.get,
		UpdateStatus: f.updateBindingStatus,
		StoredWork:   f.updateStoredWork,
		Namespace:    f.projection.ReportNamespace,
		Stub:         f.reportStub,
		Failures:     f.projection.Failures,
		Window:       opts.StatusWindow,
		Workers:      statusWriters,
	})
	f.projection.OnOverridden(f.folder.Schedule)
	f.projection.OnHandover(f.folder.Add)
	return f
}

// readiness fails until the projection covers everything that is stored: an
// agent must not see a half of its Works.
func (f *federation) readiness() healthz.HealthChecker {
	return healthz.NamedCheck("projection", func(*http.Request) error {
		if !f.synced.Load() {
			return fmt.Errorf("templates and bindings are still being read")
		}
		return nil
	})
}

// install adds the federation's groups to the server, and the hook that fills
// the projection.
func (f *federation) install(server *genericapiserver.GenericAPIServer, getter generic.RESTOptionsGetter, client *restclient.Config) error {
	secrets, err := corev1client.NewForConfig(client)
	if err != nil {
		return fmt.Errorf("secrets of clusters: %w", err)
	}
	clusters, clusterStore, err := clusterregistry.Group(getter, func(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
		return secrets.Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	})
	if err != nil {
		return fmt.Errorf("group cluster.karmada.io: %w", err)
	}
	meshes, meshStores, err := meshregistry.Group(getter)
	if err != nil {
		return fmt.Errorf("group mesh.flotilla.io: %w", err)
	}
	policies, policyStores, err := policyregistry.Group(getter, f.policies)
	if err != nil {
		return fmt.Errorf("group policy.karmada.io: %w", err)
	}
	works, workStores, err := workregistry.Group(getter, gate{f}, gate{f})
	if err != nil {
		return fmt.Errorf("group work.karmada.io: %w", err)
	}
	f.works = workStores
	if err := server.InstallAPIGroups(clusters, meshes, policies, works, agentregistry.Group(gate{f})); err != nil {
		return fmt.Errorf("install the federation groups: %w", err)
	}
	writer, err := events.NewForConfig(client, events.Options{})
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	feed := &feed{
		federation: f,
		clusters:   clusterStore,
		meshes:     meshStores,
		policies:   policyStores,
		works:      workStores,
	}
	return server.AddPostStartHook("start-projection", func(ctx genericapiserver.PostStartHookContext) error {
		f.recorder = writer.For(eventComponent)
		go func() {
			if err := writer.Start(ctx); err != nil {
				klog.FromContext(ctx).Error(err, "Event recorder ended")
			}
		}()
		if err := f.policies.start(ctx, client, writer.For("resource-detector")); err != nil {
			return err
		}
		if err := feed.start(ctx, client); err != nil {
			return err
		}
		go f.folder.Run(ctx)
		return nil
	})
}

func (f *federation) bindingStore(key projection.Key) *registry.Storage {
	if key.Namespace == "" {
		return f.works.ClusterResourceBindings
	}
	return f.works.ResourceBindings
}

// updateBindingStatus writes a binding's status straight into its store. What
// mutate leaves as it is costs no write: the store compares with what is stored.
// The cache would not do for that, it may be behind a write of a moment ago.
func (f *federation) updateBindingStatus(ctx context.Context, key projection.Key, mutate func(workv1alpha2.Binding) bool) error {
	ctx = genericapirequest.WithNamespace(ctx, key.Namespace)
	info := rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		b := old.DeepCopyObject().(workv1alpha2.Binding)
		mutate(b)
		return b, nil
	})
	_, _, err := f.bindingStore(key).Status.Update(ctx, key.Name, info, rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	return err
}

// updateStoredWork writes the status of a Work that somebody created.
func (f *federation) updateStoredWork(ctx context.Context, cluster string, o agentv1alpha1.WorkObservation) (bool, error) {
	ctx = genericapirequest.WithNamespace(ctx, names.ExecutionNamespace(cluster))
	found := true
	info := rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		w := old.DeepCopyObject().(*workv1alpha1.Work)
		if found = w.UID == o.UID; found {
			observe(w, o)
		}
		return w, nil
	})
	_, _, err := f.works.StoredWorks.Status.Update(ctx, o.Name, info, rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return found && err == nil, err
}

// observe writes an observation into a Work's status. A stored Work may hold
// several manifests; the report is about all of them together, so only a Work
// with one manifest gets a status and health of its manifest.
func observe(w *workv1alpha1.Work, o agentv1alpha1.WorkObservation) {
	condition := metav1.Condition{
		Type: workv1alpha1.WorkApplied, Status: metav1.ConditionTrue, Reason: workv1alpha1.AppliedSuccessfulReason,
		Message: "Manifests have been applied", ObservedGeneration: w.Generation,
	}
	if !o.Applied {
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, workv1alpha1.AppliedFailedReason, fold.Message(o)
	}
	meta.SetStatusCondition(&w.Status.Conditions, condition)
	if len(w.Spec.Workload.Manifests) != 1 {
		return
	}
	manifest := &unstructured.Unstructured{}
	if err := manifest.UnmarshalJSON(w.Spec.Workload.Manifests[0].Raw); err != nil {
		return // refused on creation, so it does not happen
	}
	gvk := manifest.GroupVersionKind()
	// The kind need not be served here, it may be one that only members have.
	resource, _ := meta.UnsafeGuessKindToResource(gvk)
	w.Status.ManifestStatuses = []workv1alpha1.ManifestStatus{{
		Identifier: workv1alpha1.ResourceIdentifier{
			Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind, Resource: resource.Resource, Namespace: manifest.GetNamespace(), Name: manifest.GetName(),
		},
		Status: o.Status, Health: workv1alpha1.ResourceHealth(o.Health),
	}}
}
