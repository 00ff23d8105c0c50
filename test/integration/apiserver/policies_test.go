package apiserver

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

func decode(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	out := map[string]any{}
	require.NoError(t, json.Unmarshal(raw, &out), "%s", raw)
	return out
}

func TestBadPoliciesAreRefused(t *testing.T) {
	ns := newNamespace(t)
	weights := func(w int64) *policyv1alpha1.ReplicaSchedulingStrategy {
		return &policyv1alpha1.ReplicaSchedulingStrategy{
			ReplicaSchedulingType: "Divided", ReplicaDivisionPreference: "Weighted",
			WeightPreference: &policyv1alpha1.ClusterPreferences{StaticWeightList: []policyv1alpha1.StaticClusterWeight{
				{TargetCluster: policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu"}}, Weight: w},
			}},
		}
	}
	tests := map[string]struct {
		reason string
		change func(s *policyv1alpha1.PropagationSpec)
		path   string
	}{
		"no selectors":     {"it would select nothing", func(s *policyv1alpha1.PropagationSpec) { s.ResourceSelectors = nil }, "spec.resourceSelectors"},
		"empty selectors":  {"as above", func(s *policyv1alpha1.PropagationSpec) { s.ResourceSelectors = []policyv1alpha1.ResourceSelector{} }, "spec.resourceSelectors"},
		"no kind":          {"there is no wildcard", func(s *policyv1alpha1.PropagationSpec) { s.ResourceSelectors[0].Kind = "" }, "spec.resourceSelectors[0].kind"},
		"negative weight":  {"shares are counts", func(s *policyv1alpha1.PropagationSpec) { s.Placement.ReplicaScheduling = weights(-1) }, "weight"},
		"strange conflict": {"Abort or Overwrite", func(s *policyv1alpha1.PropagationSpec) { s.ConflictResolution = "Maybe" }, "spec.conflictResolution"},
		"bad label selector": {"an operator nobody knows", func(s *policyv1alpha1.PropagationSpec) {
			s.ResourceSelectors[0].LabelSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}}
		}, "spec.resourceSelectors[0].labelSelector"},
		"affinity and affinities": {"which of them?", func(s *policyv1alpha1.PropagationSpec) {
			s.Placement.ClusterAffinity = &policyv1alpha1.ClusterAffinity{}
			s.Placement.ClusterAffinities = []policyv1alpha1.ClusterAffinityTerm{{AffinityName: "a"}}
		}, "spec.placement.clusterAffinities"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := policy(ns, "bad", allDeployments)
			tt.change(&p.Spec)
			err := fed.Create(t.Context(), p)
			require.True(t, apierrors.IsInvalid(err), "%s: %v", tt.reason, err)
			require.ErrorContains(t, err, tt.path)
			cp := &policyv1alpha1.ClusterPropagationPolicy{ObjectMeta: metav1.ObjectMeta{Name: ns + "-bad"}, Spec: p.Spec}
			err = fed.Create(t.Context(), cp)
			require.True(t, apierrors.IsInvalid(err), "both scopes: %v", err)
		})
	}
	p := policy(ns, "good", allDeployments)
	create(t, p)
	assert.Equal(t, policyv1alpha1.ConflictAbort, p.Spec.ConflictResolution, "defaults are filled in")
	p.Spec.ResourceSelectors = nil
	require.True(t, apierrors.IsInvalid(fed.Update(t.Context(), p)), "updates are validated, too")

	_, err := fed.dynamic.Resource(policies).Namespace(ns).Patch(t.Context(), "good", types.MergePatchType, []byte(`{"spec":{"priorty":3}}`),
		metav1.PatchOptions{FieldValidation: metav1.FieldValidationStrict})
	require.ErrorContains(t, err, `unknown field "spec.priorty"`, "kubectl sends --validate=strict to the server")
}

// heard collects warnings as kubectl prints them.
type heard struct {
	mu   sync.Mutex
	said []string
}

func (h *heard) HandleWarningHeader(_ int, _ string, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, text)
}

func (h *heard) has(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.said, func(s string) bool { return strings.Contains(s, text) })
}

func TestWarnings(t *testing.T) {
	ns := newNamespace(t)
	told := &heard{}
	cfg := rest.CopyConfig(fed.admin)
	cfg.WarningHandler = told
	p := policy(ns, "p", allDeployments)
	p.Spec.PropagateDeps = true
	p.Spec.Placement.ClusterAffinity = &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"nowhere"}}
	raw, err := json.Marshal(p)
	require.NoError(t, err)
	require.NoError(t, rawClient(t, cfg).Post().AbsPath("/apis/policy.karmada.io/v1alpha1/namespaces/"+ns+"/propagationpolicies").Body(raw).Do(t.Context()).Error())
	assert.True(t, told.has("spec.propagateDeps"), "what has no effect: %v", told.said)
	assert.True(t, told.has("nowhere"), "clusters that do not exist: %v", told.said)
}

func TestServerSideApplyOfAPolicy(t *testing.T) {
	ns := newNamespace(t)
	apply := func(manager string, force bool, body string) (*policyv1alpha1.PropagationPolicy, error) {
		p := policy(ns, "p")
		err := fed.Patch(t.Context(), p, client.RawPatch(types.ApplyPatchType, []byte(body)), &client.PatchOptions{FieldManager: manager, Force: &force})
		return p, err
	}
	head := `{"apiVersion":"policy.karmada.io/v1alpha1","kind":"PropagationPolicy","metadata":{"name":"p","namespace":"` + ns + `"},"spec":`
	p, err := apply("one", false, head+`{"priority":5,"resourceSelectors":[{"apiVersion":"apps/v1","kind":"Deployment"}]}}`)
	require.NoError(t, err)
	owned := fieldsOf(t, p, "one")
	assert.Contains(t, owned, `"f:priority"`)
	assert.NotContains(t, owned, "f:conflictResolution", "a default is nobody's")
	assert.NotContains(t, owned, "permanent-id", "what the server adds is nobody's")
	id := p.Labels[names.PropagationPolicyPermanentIDLabel]
	require.NotEmpty(t, id)

	again, err := apply("one", false, head+`{"priority":5,"resourceSelectors":[{"apiVersion":"apps/v1","kind":"Deployment"}]}}`)
	require.NoError(t, err)
	assert.Equal(t, p.ResourceVersion, again.ResourceVersion, "the same again is no write")

	_, err = apply("two", false, head+`{"priority":6}}`)
	require.True(t, apierrors.IsConflict(err), "%v", err)
	require.ErrorContains(t, err, `conflict with "one"`)
	p, err = apply("two", true, head+`{"priority":6}}`)
	require.NoError(t, err)
	assert.EqualValues(t, 6, *p.Spec.Priority)
	assert.NotContains(t, fieldsOf(t, p, "one"), `"f:priority"`)
	assert.Equal(t, id, p.Labels[names.PropagationPolicyPermanentIDLabel])
	assert.EqualValues(t, 2, p.Generation)

	p, err = apply("one", false, head+`{"resourceSelectors":[{"apiVersion":"apps/v1","kind":"Deployment"},{"apiVersion":"v1","kind":"Service"}]}}`)
	require.NoError(t, err)
	assert.Len(t, p.Spec.ResourceSelectors, 2)
	assert.EqualValues(t, 6, *p.Spec.Priority, "it is two's now")
}

func fieldsOf(t *testing.T, obj client.Object, manager string) string {
	t.Helper()
	for _, m := range obj.GetManagedFields() {
		if m.Manager == manager && m.FieldsV1 != nil {
			return m.FieldsV1.GetRawString()
		}
	}
	return ""
}

// Two writers of conditions do not take each other's.
func TestConditionsHaveOwners(t *testing.T) {
	c := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{GenerateName: "conditions-"}, Spec: clusterv1alpha1.ClusterSpec{SyncMode: "Pull"}}
	create(t, c)
	defer func() { require.NoError(t, fed.Delete(t.Context(), c)) }()
	apply := func(manager, kind, status string) error {
		body := `{"apiVersion":"cluster.karmada.io/v1alpha1","kind":"Cluster","metadata":{"name":"` + c.Name + `"},"status":{"conditions":[{"type":"` + kind + `","status":"` + status +
			`","reason":"R","message":"","lastTransitionTime":"` + time.Now().UTC().Format(time.RFC3339) + `"}]}}`
		return fed.Status().Patch(t.Context(), c, client.RawPatch(types.ApplyPatchType, []byte(body)), &client.SubResourcePatchOptions{PatchOptions: client.PatchOptions{FieldManager: manager}})
	}
	require.NoError(t, apply("agent", "Ready", "True"))
	require.NoError(t, apply("controller", "CompleteAPIEnablements", "True"))
	assert.Len(t, c.Status.Conditions, 2)
	err := apply("controller", "Ready", "False")
	require.True(t, apierrors.IsConflict(err), "%v", err)
	assert.ErrorContains(t, err, `.status.conditions[type="Ready"].status`)
}

func TestReplaceKeepsIDAndClaims(t *testing.T) {
	ns := newNamespace(t)
	p, d := policy(ns, "p", allDeployments), deployment(ns, "web")
	create(t, p, d)
	id := p.Labels[names.PropagationPolicyPermanentIDLabel]
	require.Equal(t, id, d.Labels[names.PropagationPolicyPermanentIDLabel], "claimed in the write that creates it")

	replaced := policy(ns, "p", allDeployments)
	replaced.Spec.Priority = ptr.To[int32](1)
	replaced.ResourceVersion = p.ResourceVersion // kubectl replace asks for it
	require.NoError(t, fed.Update(t.Context(), replaced))
	assert.Equal(t, id, replaced.Labels[names.PropagationPolicyPermanentIDLabel])

	fresh := deployment(ns, "web")
	fresh.Spec.Replicas = ptr.To[int32](5)
	require.NoError(t, fed.Update(t.Context(), fresh))
	assert.Equal(t, id, fresh.Labels[names.PropagationPolicyPermanentIDLabel])
	assert.Equal(t, "p", fresh.Annotations[names.PropagationPolicyNameAnnotation])

	fresh.Labels["app"] = "other"
	fresh.Labels[names.PropagationPolicyPermanentIDLabel] = "forged"
	require.NoError(t, fed.Update(t.Context(), fresh))
	assert.Equal(t, id, fresh.Labels[names.PropagationPolicyPermanentIDLabel])

	dry := deployment(ns, "dry")
	require.NoError(t, fed.Create(t.Context(), dry, client.DryRunAll))
	assert.Equal(t, id, dry.Labels[names.PropagationPolicyPermanentIDLabel], "a dry run shows the claim")
	require.True(t, apierrors.IsNotFound(fed.Get(t.Context(), client.ObjectKeyFromObject(dry), dry)))
}

func TestDeletionProtection(t *testing.T) {
	ns := newNamespace(t)
	d := deployment(ns, "web")
	d.Labels[names.DeletionProtectionLabel] = names.DeletionProtectionAlways
	create(t, d)
	err := fed.Delete(t.Context(), d)
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	require.ErrorContains(t, err, names.DeletionProtectionLabel)
	require.Error(t, fed.DeleteAllOf(t.Context(), d, client.InNamespace(ns)), "not in bulk either")
	update(t, d, func(d *appsv1.Deployment) { delete(d.Labels, names.DeletionProtectionLabel) })
	require.NoError(t, fed.Delete(t.Context(), d))
}
