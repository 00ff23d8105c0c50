package policy

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry/registrytest"
)

type observer struct{ changed, deleted []string }

func (o *observer) PolicyChanged(p policyv1alpha1.Policy) { o.changed = append(o.changed, p.GetName()) }
func (o *observer) PolicyDeleted(p policyv1alpha1.Policy) { o.deleted = append(o.deleted, p.GetName()) }

func TestServedResources(t *testing.T) {
	info, stores, err := Group(registrytest.NoStorage{}, &observer{})
	require.NoError(t, err)
	served := info.VersionedResourcesStorageMap["v1alpha1"]
	karmada := []string{"karmada-io"}
	policies := "NAME CONFLICT-RESOLUTION PRIORITY AGE"
	tests := map[string]struct {
		want    registrytest.Discovered
		example runtime.Object
	}{
		"propagationpolicies":        {registrytest.Discovered{ShortNames: []string{"pp"}, Categories: karmada, Namespaced: true, Columns: policies}, &policyv1alpha1.PropagationPolicy{}},
		"clusterpropagationpolicies": {registrytest.Discovered{ShortNames: []string{"cpp"}, Categories: karmada, Columns: policies}, &policyv1alpha1.ClusterPropagationPolicy{}},
		"overridepolicies":           {registrytest.Discovered{ShortNames: []string{"op"}, Categories: karmada, Namespaced: true, Columns: "NAME AGE"}, &policyv1alpha1.OverridePolicy{}},
		"clusteroverridepolicies":    {registrytest.Discovered{ShortNames: []string{"cop"}, Categories: karmada, Columns: "NAME AGE"}, &policyv1alpha1.ClusterOverridePolicy{}},
		"federatedresourcequotas":    {registrytest.Discovered{Categories: karmada, Namespaced: true, Columns: "NAME OVERALL OVERALL_USED"}, &policyv1alpha1.FederatedResourceQuota{}},
		"clustertaintpolicies":       {registrytest.Discovered{Columns: "NAME AGE"}, &policyv1alpha1.ClusterTaintPolicy{}},
	}
	var paths, want []string
	for path := range served {
		paths = append(paths, path)
	}
	for resource, tt := range tests {
		want = append(want, resource)
		got, err := registrytest.Discover(served[resource], tt.example)
		require.NoError(t, err)
		assert.Equal(t, tt.want, got, resource)
	}
	want = append(want, "federatedresourcequotas/status")
	assert.ElementsMatch(t, want, paths)

	o := &observer{}
	observe(stores.PropagationPolicies, o)
	p := &policyv1alpha1.PropagationPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	stores.PropagationPolicies.AfterCreate(p, &metav1.CreateOptions{})
	stores.PropagationPolicies.AfterUpdate(p, &metav1.UpdateOptions{})
	stores.PropagationPolicies.AfterDelete(p, &metav1.DeleteOptions{})
	assert.Equal(t, &observer{changed: []string{"p", "p"}, deleted: []string{"p"}}, o)
	assert.NotNil(t, stores.ClusterPropagationPolicies.AfterCreate, "both scopes are observed")
}

func TestCells(t *testing.T) {
	r := propagation("propagationpolicies", "propagationpolicy", "pp", true, nil, nil)
	row := func(spec policyv1alpha1.PropagationSpec) (out []any) {
		for _, c := range r.Columns[:2] {
			out = append(out, c.Cell(&policyv1alpha1.PropagationPolicy{Spec: spec}))
		}
		return out
	}
	assert.Equal(t, []any{"Abort", "0"}, row(policyv1alpha1.PropagationSpec{ConflictResolution: "Abort"}))
	assert.Equal(t, []any{"Overwrite", "-5"}, row(policyv1alpha1.PropagationSpec{ConflictResolution: "Overwrite", Priority: ptr.To[int32](-5)}))
}

// scopes are the two kinds of policies, made with labels.
var scopes = map[string]func(labels map[string]string) policyv1alpha1.Policy{
	names.PropagationPolicyPermanentIDLabel: func(labels map[string]string) policyv1alpha1.Policy {
		return &policyv1alpha1.PropagationPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", Labels: labels}, Spec: spec()}
	},
	names.ClusterPropagationPolicyPermanentIDLabel: func(labels map[string]string) policyv1alpha1.Policy {
		return &policyv1alpha1.ClusterPropagationPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: labels}, Spec: spec()}
	},
}

// finalizers are put on policies by controllers elsewhere.
var finalizers = map[string]string{
	names.PropagationPolicyPermanentIDLabel:        names.PropagationPolicyFinalizer,
	names.ClusterPropagationPolicyPermanentIDLabel: names.ClusterPropagationPolicyFinalizer,
}

func spec() policyv1alpha1.PropagationSpec {
	return policyv1alpha1.PropagationSpec{
		ResourceSelectors:  []policyv1alpha1.ResourceSelector{{APIVersion: "apps/v1", Kind: "Deployment"}},
		ConflictResolution: policyv1alpha1.ConflictAbort, Priority: ptr.To[int32](0), Preemption: policyv1alpha1.PreemptNever, SchedulerName: "default-scheduler",
	}
}

func TestPermanentID(t *testing.T) {
	_, stores, err := Group(registrytest.NoStorage{}, &observer{})
	require.NoError(t, err)
	for label, policy := range scopes {
		store := stores.PropagationPolicies
		ctx := genericapirequest.WithNamespace(genericapirequest.NewContext(), "ns")
		if label == names.ClusterPropagationPolicyPermanentIDLabel {
			store, ctx = stores.ClusterPropagationPolicies, genericapirequest.WithNamespace(ctx, "")
		}
		create := func(p policyv1alpha1.Policy) error {
			rest.FillObjectMetaSystemFields(p)
			return rest.BeforeCreate(store.CreateStrategy, ctx, p)
		}
		t.Run(label, func(t *testing.T) {
			shared := map[string]string{"mine": "1"}
			one, two := policy(shared), policy(nil)
			require.NoError(t, create(one))
			require.NoError(t, create(two))
			id := one.GetLabels()[label]
			require.NotEmpty(t, id)
			assert.NotEqual(t, id, two.GetLabels()[label], "no two policies have one id")
			assert.Equal(t, "1", one.GetLabels()["mine"])

			restored := policy(map[string]string{label: "from-a-backup"})
			require.NoError(t, create(restored))
			assert.Equal(t, "from-a-backup", restored.GetLabels()[label], "a restored policy has the id its templates carry")

			exported := policy(nil)
			exported.SetFinalizers([]string{"x.io/f", finalizers[label]})
			require.NoError(t, create(exported))
			assert.Equal(t, []string{"x.io/f"}, exported.GetFinalizers(), "nobody here would remove the other, and it could not be deleted")

			stored := one
			stored.SetResourceVersion("5")
			for name, labels := range map[string]map[string]string{"replaced": nil, "other labels": {"x": "y"}, "emptied": {label: ""}, "kept": {label: id}} {
				update := policy(labels)
				update.SetResourceVersion("5")
				update.SetFinalizers([]string{finalizers[label]})
				require.NoError(t, rest.BeforeUpdate(store.UpdateStrategy, ctx, update, stored), name)
				assert.Empty(t, update.GetFinalizers(), name)
				assert.Equal(t, id, update.GetLabels()[label], "%s: every claim hangs on it", name)
			}
			labelled := policy(map[string]string{"x": "y"})
			labelled.SetResourceVersion("5")
			labelled.GetSpec().Preemption, stored.GetSpec().Preemption = "Perhaps", "Perhaps"
			require.NoError(t, rest.BeforeUpdate(store.UpdateStrategy, ctx, labelled, stored), "what was stored under older rules can be labelled")
			stored.GetSpec().Preemption = policyv1alpha1.PreemptNever
			assert.False(t, store.UpdateStrategy.AllowUnconditionalUpdate(), "elsewhere it is a custom resource")

			forged := policy(map[string]string{label: "another"})
			forged.SetResourceVersion("5")
			err := rest.BeforeUpdate(store.UpdateStrategy, ctx, forged, stored)
			require.True(t, apierrors.IsInvalid(err), "every claim of the policy would end: %v", err)
		})
	}
}

func TestGeneration(t *testing.T) {
	_, stores, err := Group(registrytest.NoStorage{}, &observer{})
	require.NoError(t, err)
	ctx := genericapirequest.WithNamespace(genericapirequest.NewContext(), "ns")
	old := scopes[names.PropagationPolicyPermanentIDLabel](map[string]string{names.PropagationPolicyPermanentIDLabel: "id"}).(*policyv1alpha1.PropagationPolicy)
	old.ResourceVersion, old.Generation = "5", 3
	update := func(change func(p *policyv1alpha1.PropagationPolicy)) int64 {
		obj := old.DeepCopy()
		change(obj)
		require.NoError(t, rest.BeforeUpdate(stores.PropagationPolicies.UpdateStrategy, ctx, obj, old))
		return obj.Generation
	}
	assert.EqualValues(t, 3, update(func(p *policyv1alpha1.PropagationPolicy) { p.Annotations = map[string]string{"a": "b"} }))
	assert.EqualValues(t, 4, update(func(p *policyv1alpha1.PropagationPolicy) { p.Spec.Priority = ptr.To[int32](1) }))
}
