package policy

import (
	"slices"
	"strings"
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
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
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

			stored := one
			stored.SetResourceVersion("5")
			for name, labels := range map[string]map[string]string{"replaced": nil, "other labels": {"x": "y"}, "emptied": {label: ""}, "kept": {label: id}} {
				update := policy(labels)
				update.SetResourceVersion("5")
				require.NoError(t, rest.BeforeUpdate(store.UpdateStrategy, ctx, update, stored), name)
				assert.Equal(t, id, update.GetLabels()[label], "%s: every claim hangs on it", name)
			}
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

// Nothing that has no effect is taken silently.
func TestWarnings(t *testing.T) {
	r := propagation("propagationpolicies", "propagationpolicy", "pp", true, nil, nil)
	tests := map[string]struct {
		change func(s *policyv1alpha1.PropagationSpec)
		want   string // a path; empty for no warning
	}{
		"plain":          {func(*policyv1alpha1.PropagationSpec) {}, ""},
		"propagateDeps":  {func(s *policyv1alpha1.PropagationSpec) { s.PropagateDeps = true }, "spec.propagateDeps"},
		"association":    {func(s *policyv1alpha1.PropagationSpec) { s.Association = true }, "spec.association"},
		"dependents":     {func(s *policyv1alpha1.PropagationSpec) { s.DependentOverrides = []string{"x"} }, "spec.dependentOverrides"},
		"failover":       {func(s *policyv1alpha1.PropagationSpec) { s.Failover = &policyv1alpha1.FailoverBehavior{} }, "spec.failover"},
		"spread cluster": {spread(policyv1alpha1.SpreadConstraint{SpreadByField: "cluster"}), ""},
		"spread region":  {spread(policyv1alpha1.SpreadConstraint{SpreadByField: "region"}), "spec.placement.spreadConstraints[0]"},
		"spread label":   {spread(policyv1alpha1.SpreadConstraint{SpreadByLabel: "x"}), "spec.placement.spreadConstraints[0]"},
		"workload affinity": {func(s *policyv1alpha1.PropagationSpec) {
			s.Placement.WorkloadAffinity = &policyv1alpha1.WorkloadAffinity{}
		}, "spec.placement.workloadAffinity"},
		"overflow": {func(s *policyv1alpha1.PropagationSpec) {
			s.Placement.ClusterAffinities = []policyv1alpha1.ClusterAffinityTerm{{AffinityName: "a"}, {AffinityName: "b", OverflowAffinities: []policyv1alpha1.OverflowAffinityTerm{{}}}}
		}, "spec.placement.clusterAffinities[1].overflowAffinities"},
		"aggregated": {scheduling(policyv1alpha1.ReplicaSchedulingStrategy{ReplicaDivisionPreference: "Aggregated"}), "Aggregated"},
		"dynamic": {scheduling(policyv1alpha1.ReplicaSchedulingStrategy{WeightPreference: &policyv1alpha1.ClusterPreferences{DynamicWeight: "AvailableReplicas"}}),
			"spec.placement.replicaScheduling.weightPreference.dynamicWeight"},
		"static": {scheduling(policyv1alpha1.ReplicaSchedulingStrategy{ReplicaDivisionPreference: "Weighted", WeightPreference: &policyv1alpha1.ClusterPreferences{}}), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := &policyv1alpha1.PropagationPolicy{Spec: spec()}
			tt.change(&p.Spec)
			told := r.Warnings(p)
			if tt.want == "" {
				assert.Empty(t, told)
				return
			}
			require.Len(t, told, 1)
			assert.Contains(t, told[0], tt.want)
			assert.Contains(t, told[0], ": ", "what to do instead")
		})
	}
	all := &policyv1alpha1.PropagationPolicy{Spec: spec()}
	for _, tt := range tests {
		if !strings.Contains(tt.want, "spread") {
			tt.change(&all.Spec)
		}
	}
	assert.GreaterOrEqual(t, len(r.Warnings(all)), 5, "all are told at once")
	for _, r := range []registry.Resource{quotas(), taintPolicies()} {
		assert.True(t, slices.ContainsFunc(r.Warnings(r.New()), func(s string) bool { return strings.Contains(s, "in this version") }), r.Group.Resource)
	}
}

func spread(c policyv1alpha1.SpreadConstraint) func(*policyv1alpha1.PropagationSpec) {
	return func(s *policyv1alpha1.PropagationSpec) {
		s.Placement.SpreadConstraints = []policyv1alpha1.SpreadConstraint{c}
	}
}

func scheduling(r policyv1alpha1.ReplicaSchedulingStrategy) func(*policyv1alpha1.PropagationSpec) {
	return func(s *policyv1alpha1.PropagationSpec) { s.Placement.ReplicaScheduling = &r }
}

// kubectl diff and --dry-run=server call the hooks of the store, too. What they
// would write must not decide about templates.
func TestDryRunsAreNotObserved(t *testing.T) {
	_, stores, err := Group(registrytest.NoStorage{}, &observer{})
	require.NoError(t, err)
	o := &observer{}
	observe(stores.PropagationPolicies, o)
	dry := []string{metav1.DryRunAll}
	p := &policyv1alpha1.PropagationPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	store := stores.PropagationPolicies
	store.AfterCreate(p, &metav1.CreateOptions{DryRun: dry})
	store.AfterUpdate(p, &metav1.UpdateOptions{DryRun: dry})
	store.AfterDelete(p, &metav1.DeleteOptions{DryRun: dry})
	assert.Empty(t, o.changed)
	assert.Empty(t, o.deleted)
}
