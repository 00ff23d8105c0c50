package binding

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/propagation/claim"
	"github.com/flotilla-io/flotilla/pkg/propagation/templates"
)

var (
	web  = templates.Key{GroupKind: schema.GroupKind{Group: "apps", Kind: "Deployment"}, Namespace: "default", Name: "web"}
	role = templates.Key{GroupKind: schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}, Name: "app:x"}
)

// world is what a Reconciler works on.
type world struct {
	*Reconciler
	templates map[templates.Key]*templates.Metadata
	bindings  map[types.NamespacedName]workv1alpha2.Binding
	policies  map[claim.Claim]policyv1alpha1.Policy // with an empty PermanentID
	replicas  Replicas
	writes    int
	said      []string
	patchErr  error
}

func newWorld() *world {
	w := &world{
		templates: map[templates.Key]*templates.Metadata{},
		bindings:  map[types.NamespacedName]workv1alpha2.Binding{},
		policies:  map[claim.Claim]policyv1alpha1.Policy{},
		replicas:  Replicas{Count: 3},
	}
	nn := func(b workv1alpha2.Binding) types.NamespacedName {
		return types.NamespacedName{Namespace: b.GetNamespace(), Name: b.GetName()}
	}
	w.Reconciler = &Reconciler{
		Mapping: func(gk schema.GroupKind) (*meta.RESTMapping, error) {
			return &meta.RESTMapping{GroupVersionKind: gk.WithVersion("v1")}, nil
		},
		Template: func(_ context.Context, key templates.Key) (*templates.Metadata, error) {
			if m, ok := w.templates[key]; ok {
				return m, nil
			}
			return nil, apierrors.NewNotFound(schema.GroupResource{}, key.Name)
		},
		Binding: func(_ context.Context, key templates.Key) (workv1alpha2.Binding, error) {
			if b, ok := w.bindings[nn(newBinding(key))]; ok {
				return b, nil
			}
			return nil, nil
		},
		Policy: func(_ context.Context, c claim.Claim) (policyv1alpha1.Policy, error) {
			c.PermanentID = ""
			if p, ok := w.policies[c]; ok {
				return p, nil
			}
			return nil, nil
		},
		Replicas: func(context.Context, templates.Key, *templates.Metadata) (Replicas, error) { return w.replicas, nil },
		Mark: func(_ context.Context, _ templates.Key, m *templates.Metadata) (string, error) {
			return m.ResourceVersion, nil
		},
		PriorityOf: func(context.Context, string) (int32, error) { return 7, nil },
		Create: func(_ context.Context, b workv1alpha2.Binding) error {
			w.writes++
			if _, ok := w.bindings[nn(b)]; ok {
				return apierrors.NewAlreadyExists(schema.GroupResource{}, b.GetName())
			}
			w.bindings[nn(b)] = b
			return nil
		},
		Patch: func(_ context.Context, _, to workv1alpha2.Binding) error {
			w.writes++
			if w.patchErr != nil {
				return w.patchErr
			}
			w.bindings[nn(to)] = to
			return nil
		},
		Delete: func(_ context.Context, b workv1alpha2.Binding) error {
			w.writes++
			delete(w.bindings, nn(b))
			return nil
		},
		Recorder: events.Func(func(_ context.Context, about corev1.ObjectReference, eventType, reason, note string) {
			w.said = append(w.said, eventType+" "+reason+" "+about.APIVersion+" "+about.Kind+"/"+about.Name+": "+note)
		}),
	}
	return w
}

func (w *world) policy(namespace, name string) policyv1alpha1.Policy {
	var p policyv1alpha1.Policy = &policyv1alpha1.ClusterPropagationPolicy{}
	if namespace != "" {
		p = &policyv1alpha1.PropagationPolicy{}
	}
	p.SetNamespace(namespace)
	p.SetName(name)
	p.SetLabels(map[string]string{claim.Of(p).LabelKey(): "id-" + name})
	*p.GetSpec() = policyv1alpha1.PropagationSpec{
		Placement:          policyv1alpha1.Placement{ClusterAffinity: &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu"}}},
		ConflictResolution: policyv1alpha1.ConflictOverwrite,
		SchedulerName:      "s",
		PropagateDeps:      true,
	}
	w.policies[claim.Claim{Namespace: namespace, Name: name}] = p
	return p
}

func (w *world) template(key templates.Key, claimedBy policyv1alpha1.Policy) *templates.Metadata {
	m := &templates.Metadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: key.Namespace, Name: key.Name, UID: "uid-1", ResourceVersion: "5", Generation: 1,
	}}
	if claimedBy != nil {
		claim.Stamp(m, claimedBy)
	}
	w.templates[key] = m
	return m
}

func (w *world) run(t *testing.T, key templates.Key) reconcile.Result {
	t.Helper()
	res, err := w.Reconcile(t.Context(), key)
	require.NoError(t, err)
	return res
}

func (w *world) binding(t *testing.T, key templates.Key) workv1alpha2.Binding {
	t.Helper()
	b, err := w.Binding(t.Context(), key)
	require.NoError(t, err)
	return b
}

func TestCreate(t *testing.T) {
	cases := map[string]struct {
		reason, policyNamespace string
		key                     templates.Key
		name, idLabel, policyID string
	}{
		"Namespaced":          {"beside the template", "default", web, "web-deployment", names.ResourceBindingPermanentIDLabel, names.PropagationPolicyPermanentIDLabel},
		"NamespacedByCluster": {"a ClusterPropagationPolicy claims namespaced templates, too", "", web, "web-deployment", names.ResourceBindingPermanentIDLabel, names.ClusterPropagationPolicyPermanentIDLabel},
		"ClusterScoped":       {"a cluster-scoped template has a cluster-scoped binding", "", role, "app.x-clusterrole", names.ClusterResourceBindingPermanentIDLabel, names.ClusterPropagationPolicyPermanentIDLabel},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			p := w.policy(tc.policyNamespace, "p")
			w.template(tc.key, p)
			w.replicas.Requirements = &workv1alpha2.ReplicaRequirements{Namespace: "default"}
			w.run(t, tc.key)

			b := w.binding(t, tc.key)
			require.NotNil(t, b, tc.reason)
			assert.Equal(t, tc.name, b.GetName())
			assert.Equal(t, tc.key.Namespace, b.GetNamespace())
			assert.NotEmpty(t, b.GetLabels()[tc.idLabel])
			assert.Equal(t, "id-p", b.GetLabels()[tc.policyID])
			assert.NotContains(t, b.GetLabels(), names.LabelBound, "that label is for templates")
			c, _ := claim.On(b)
			assert.Equal(t, claim.Of(p), c)
			require.Len(t, b.GetOwnerReferences(), 1)
			owner := b.GetOwnerReferences()[0]
			assert.Equal(t, types.UID("uid-1"), owner.UID)
			assert.True(t, *owner.Controller && *owner.BlockOwnerDeletion)

			spec := b.GetSpec()
			assert.Equal(t, tc.key, templates.KeyOfBinding(b))
			assert.Equal(t, types.UID("uid-1"), spec.Resource.UID)
			assert.Equal(t, "5", spec.Resource.ResourceVersion)
			assert.Equal(t, int32(3), spec.Replicas)
			assert.Equal(t, "default", spec.ReplicaRequirements.Namespace)
			assert.Equal(t, []string{"eu"}, spec.Placement.ClusterAffinity.ClusterNames)
			assert.Equal(t, policyv1alpha1.ConflictOverwrite, spec.ConflictResolution)
			assert.Equal(t, "s", spec.SchedulerName)
			assert.True(t, spec.PropagateDeps)
			require.Len(t, w.said, 1)
			assert.Contains(t, w.said[0], "Normal ApplyPolicySucceed")

			w.run(t, tc.key)
			assert.Equal(t, 1, w.writes, "nothing differs, so nothing is written")
			assert.Len(t, w.said, 1)
		})
	}
}

func TestOneWritePerChange(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(w *world, m *templates.Metadata, p policyv1alpha1.Policy)
		check  func(t *testing.T, b workv1alpha2.Binding)
	}{
		"Replicas": {
			reason: "the template was scaled",
			change: func(w *world, m *templates.Metadata, _ policyv1alpha1.Policy) { w.replicas.Count = 10; m.Generation++ },
			check:  func(t *testing.T, b workv1alpha2.Binding) { assert.Equal(t, int32(10), b.GetSpec().Replicas) },
		},
		"Placement": {
			reason: "the policy was edited",
			change: func(_ *world, _ *templates.Metadata, p policyv1alpha1.Policy) {
				p.GetSpec().Placement.ClusterAffinity = &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"us"}}
				p.GetSpec().Suspension = &policyv1alpha1.Suspension{Dispatching: ptr.To(true)}
				p.GetSpec().PreserveResourcesOnDeletion = ptr.To(true)
				p.GetSpec().SchedulePriority = &policyv1alpha1.SchedulePriority{PriorityClassName: "high"}
			},
			check: func(t *testing.T, b workv1alpha2.Binding) {
				assert.Equal(t, []string{"us"}, b.GetSpec().Placement.ClusterAffinity.ClusterNames)
				assert.True(t, *b.GetSpec().Suspension.Dispatching)
				assert.True(t, *b.GetSpec().PreserveResourcesOnDeletion)
				assert.Equal(t, int32(7), b.GetSpec().SchedulePriority.Priority)
			},
		},
		"TemplateMadeAnew": {
			reason: "the binding follows, so that nothing moves",
			change: func(_ *world, m *templates.Metadata, _ policyv1alpha1.Policy) { m.UID = "uid-2" },
			check: func(t *testing.T, b workv1alpha2.Binding) {
				assert.Equal(t, types.UID("uid-2"), b.GetSpec().Resource.UID)
				require.Len(t, b.GetOwnerReferences(), 1)
				assert.Equal(t, types.UID("uid-2"), b.GetOwnerReferences()[0].UID)
			},
		},
		"Released": {
			reason: "what was placed stays",
			change: func(_ *world, m *templates.Metadata, _ policyv1alpha1.Policy) { claim.Release(m) },
			check: func(t *testing.T, b workv1alpha2.Binding) {
				assert.False(t, claim.HasMarks(b))
				assert.NotNil(t, b.GetSpec().Placement)
			},
		},
		"OtherPolicy": {
			reason: "another policy claims the template",
			change: func(w *world, m *templates.Metadata, _ policyv1alpha1.Policy) {
				claim.Stamp(m, w.policy("", "q"))
			},
			check: func(t *testing.T, b workv1alpha2.Binding) {
				c, _ := claim.On(b)
				assert.Equal(t, "ClusterPropagationPolicy q", c.String())
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			p := w.policy("default", "p")
			m := w.template(web, p)
			w.run(t, web)
			b := w.binding(t, web)
			b.GetSpec().Clusters = []workv1alpha2.TargetCluster{{Name: "eu", Replicas: 3}}
			b.GetSpec().Suspension = &workv1alpha2.Suspension{Scheduling: ptr.To(true)}
			id := b.GetLabels()[names.ResourceBindingPermanentIDLabel]
			w.writes = 0

			tc.change(w, m, p)
			w.run(t, web)
			assert.Equal(t, 1, w.writes, tc.reason)
			b = w.binding(t, web)
			tc.check(t, b)
			assert.Equal(t, []workv1alpha2.TargetCluster{{Name: "eu", Replicas: 3}}, b.GetSpec().Clusters, "the scheduler's field")
			assert.True(t, *b.GetSpec().Suspension.Scheduling, "not the policy's field")
			assert.Equal(t, id, b.GetLabels()[names.ResourceBindingPermanentIDLabel], "permanent")
			assert.Equal(t, "5", b.GetSpec().Resource.ResourceVersion, "set once")

			w.run(t, web)
			assert.Equal(t, 1, w.writes, "and then nothing")
		})
	}
}

func TestNothingToDo(t *testing.T) {
	cases := map[string]struct {
		reason string
		setUp  func(w *world)
	}{
		"Unclaimed":     {"no claim, no binding", func(w *world) { w.template(web, nil) }},
		"PolicyUnknown": {"the policy comes or the claim goes; both are events", func(w *world) { p := w.policy("default", "p"); w.template(web, p); clear(w.policies) }},
		"OtherIncarnation": {"the claim is void", func(w *world) {
			p := w.policy("default", "p")
			w.template(web, p)
			p.SetLabels(map[string]string{names.PropagationPolicyPermanentIDLabel: "new"})
		}},
		"Terminating": {"a template on its way out gets no binding", func(w *world) {
			m := w.template(web, w.policy("default", "p"))
			m.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
		}},
		"GoneWithoutBinding": {"nothing is left to delete", func(*world) {}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			tc.setUp(w)
			w.run(t, web)
			assert.Zero(t, w.writes, tc.reason)
		})
	}
}

func TestTemplateGone(t *testing.T) {
	w := newWorld()
	w.template(web, w.policy("default", "p"))
	w.run(t, web)
	delete(w.templates, web)

	w.Template = func(context.Context, templates.Key) (*templates.Metadata, error) {
		return nil, &meta.NoKindMatchError{GroupKind: web.GroupKind}
	}
	assert.NotZero(t, w.run(t, web).RequeueAfter)
	assert.NotNil(t, w.binding(t, web), "a kind that is not served right now says nothing about its objects")

	w.Template = func(context.Context, templates.Key) (*templates.Metadata, error) { return nil, errors.New("timeout") }
	_, err := w.Reconcile(t.Context(), web)
	require.Error(t, err)
	assert.NotNil(t, w.binding(t, web), "no answer says nothing either")

	w.Template = newWorld().Template // which knows of no template
	w.run(t, web)
	assert.Nil(t, w.binding(t, web))
}

func TestTwoTemplatesOneName(t *testing.T) {
	w := newWorld()
	p := w.policy("default", "p")
	w.template(web, p)
	w.run(t, web)
	other := web
	other.Group = "example.io"
	w.template(other, p)
	w.said = nil

	res := w.run(t, other)
	assert.Equal(t, web, templates.KeyOfBinding(w.binding(t, web)), "whoever came first keeps it")
	assert.Equal(t, retryTaken, res.RequeueAfter)
	require.Len(t, w.said, 1)
	assert.Contains(t, w.said[0], "Warning ApplyPolicyFailed example.io/v1 Deployment/web")
	assert.Contains(t, w.said[0], "Deployment.apps default/web")

	delete(w.templates, other)
	w.run(t, other)
	assert.NotNil(t, w.binding(t, web), "the end of the second does not take the first one's binding")
}

func TestConflictIsTriedAgain(t *testing.T) {
	w := newWorld()
	w.template(web, w.policy("default", "p"))
	w.run(t, web)
	w.replicas.Count = 4
	w.patchErr = apierrors.NewConflict(schema.GroupResource{}, "x", nil)
	assert.NotZero(t, w.run(t, web).RequeueAfter)
}

func TestLazyPolicyWaitsForTheTemplate(t *testing.T) {
	w := newWorld()
	p := w.policy("default", "p")
	p.GetSpec().ActivationPreference = policyv1alpha1.LazyActivation
	m := w.template(web, p)
	w.run(t, web)

	p.GetSpec().Placement.ClusterAffinity = &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"us"}}
	w.run(t, web)
	assert.Equal(t, []string{"eu"}, w.binding(t, web).GetSpec().Placement.ClusterAffinity.ClusterNames)
	assert.Equal(t, 1, w.writes)

	m.ResourceVersion = "6" // Mark above
	w.run(t, web)
	assert.Equal(t, []string{"us"}, w.binding(t, web).GetSpec().Placement.ClusterAffinity.ClusterNames)

	p.GetSpec().ActivationPreference = ""
	w.run(t, web)
	assert.NotContains(t, w.binding(t, web).GetAnnotations(), lazyMarkAnnotation)
}

func TestMissingPriorityClassIsSaid(t *testing.T) {
	w := newWorld()
	p := w.policy("default", "p")
	p.GetSpec().SchedulePriority = &policyv1alpha1.SchedulePriority{PriorityClassName: "none"}
	w.template(web, p)
	missing := apierrors.NewNotFound(schema.GroupResource{Resource: "priorityclasses"}, "none")
	w.PriorityOf = func(context.Context, string) (int32, error) { return 0, missing }
	_, err := w.Reconcile(t.Context(), web)
	require.ErrorIs(t, err, missing)
	require.Len(t, w.said, 1)
	assert.Contains(t, w.said[0], "spec.schedulePriority.priorityClassName")
}

func TestEqualQuantitiesAreNotWritten(t *testing.T) {
	w := newWorld()
	w.template(web, w.policy("default", "p"))
	requirements := func(cpu string) *workv1alpha2.ReplicaRequirements {
		return &workv1alpha2.ReplicaRequirements{ResourceRequest: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
	}
	w.replicas.Requirements = requirements("1000m")
	w.run(t, web)
	w.replicas.Requirements = requirements("1")
	w.run(t, web)
	assert.Equal(t, 1, w.writes)
}

func TestAffinityGroups(t *testing.T) {
	w := newWorld()
	p := w.policy("default", "p")
	p.GetSpec().Placement.WorkloadAffinity = &policyv1alpha1.WorkloadAffinity{
		Affinity:     &policyv1alpha1.WorkloadAffinityTerm{GroupByLabelKey: "team"},
		AntiAffinity: &policyv1alpha1.WorkloadAntiAffinityTerm{GroupByLabelKey: "none"},
	}
	m := w.template(web, nil)
	m.Labels = map[string]string{"team": "a"}
	claim.Stamp(m, p)
	w.run(t, web)
	assert.Equal(t, &workv1alpha2.WorkloadAffinityGroups{AffinityGroup: "team=a"}, w.binding(t, web).GetSpec().WorkloadAffinityGroups)
}
