package claim

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/propagation/templates"
)

var deploymentKind = schema.GroupKind{Group: "apps", Kind: "Deployment"}

// world is an API server with Deployments, and a Reconciler that works on it.
type world struct {
	*Reconciler
	mu        sync.Mutex
	objects   map[templates.Key]*templates.Metadata
	served    map[schema.GroupKind]meta.RESTScope
	policies  map[types.NamespacedName]bool // existing, beside those in the index
	lists     int
	patches   int
	said      []string
	onPatch   func(m *templates.Metadata) // admission
	conflicts int                         // patches to refuse
}

func newWorld() *world {
	w := &world{
		objects: map[templates.Key]*templates.Metadata{},
		served: map[schema.GroupKind]meta.RESTScope{
			deploymentKind: meta.RESTScopeNamespace,
			{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}: meta.RESTScopeRoot,
		},
		policies: map[types.NamespacedName]bool{},
	}
	get := func(_ context.Context, key templates.Key) (*templates.Metadata, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if m, ok := w.objects[key]; ok {
			return m.DeepCopy(), nil
		}
		return nil, apierrors.NewNotFound(schema.GroupResource{}, key.Name)
	}
	w.Reconciler = &Reconciler{
		Index: &Index{},
		PolicyExists: func(_ context.Context, key types.NamespacedName) (bool, error) {
			return w.policies[key], nil
		},
		ClaimedBy: func(claim string) (out []templates.Key) {
			for key, m := range w.objects {
				if IndexKey(m) == claim {
					out = append(out, key)
				}
			}
			return out
		},
		Ensure: func(gk schema.GroupKind) (*meta.RESTMapping, error) {
			scope, ok := w.served[gk]
			if !ok {
				return nil, &meta.NoKindMatchError{GroupKind: gk}
			}
			return &meta.RESTMapping{GroupVersionKind: gk.WithVersion("v1"), Scope: scope}, nil
		},
		Forget: func(resource schema.GroupResource) { delete(w.served, deploymentKind) },
		Get:    get, GetLive: get,
		List:  w.list,
		Patch: w.patch,
		Recorder: events.Func(func(_ context.Context, about corev1.ObjectReference, eventType, reason, _ string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.said = append(w.said, eventType+" "+reason+" "+about.Kind+"/"+about.Name)
		}),
	}
	return w
}

func (w *world) list(_ context.Context, sel templates.Selection, f func(*templates.Metadata) error) error {
	w.mu.Lock()
	w.lists++
	var found []*templates.Metadata
	selector, err := labels.Parse(sel.LabelSelector)
	for key, m := range w.objects {
		if key.GroupKind == sel.Kind && (sel.Namespace == "" || sel.Namespace == key.Namespace) &&
			(sel.Name == "" || sel.Name == key.Name) && err == nil && selector.Matches(labels.Set(m.Labels)) {
			found = append(found, m.DeepCopy())
		}
	}
	w.mu.Unlock()
	for _, m := range found {
		if err := f(m); err != nil {
			return err
		}
	}
	return err
}

func (w *world) patch(_ context.Context, key templates.Key, patch []byte) (*templates.Metadata, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, ok := w.objects[key]
	if !ok {
		return nil, apierrors.NewNotFound(schema.GroupResource{}, key.Name)
	}
	var p struct {
		Metadata struct {
			ResourceVersion     string
			UID                 types.UID
			Labels, Annotations map[string]*string
		}
	}
	if err := json.Unmarshal(patch, &p); err != nil {
		return nil, err
	}
	if w.conflicts > 0 || p.Metadata.ResourceVersion != m.ResourceVersion || p.Metadata.UID != m.UID {
		w.conflicts--
		return nil, apierrors.NewConflict(schema.GroupResource{}, key.Name, nil)
	}
	w.patches++
	m.Labels, m.Annotations = applied(m.Labels, p.Metadata.Labels), applied(m.Annotations, p.Metadata.Annotations)
	w.touch(m)
	if w.onPatch != nil {
		w.onPatch(m)
	}
	return m.DeepCopy(), nil
}

func (w *world) touch(m *templates.Metadata) {
	rv, _ := strconv.Atoi(m.ResourceVersion)
	m.ResourceVersion = strconv.Itoa(rv + 1)
}

func applied(m map[string]string, changes map[string]*string) map[string]string {
	out := copied(m, len(changes))
	for k, v := range changes {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = *v
		}
	}
	return out
}

func (w *world) deployment(namespace, name string, objLabels map[string]string, claimedBy policyv1alpha1.Policy) templates.Key {
	m := &templates.Metadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: types.UID(name), ResourceVersion: "1", Labels: objLabels,
	}}
	if claimedBy != nil {
		Stamp(m, claimedBy)
	}
	key := templates.KeyOf(deploymentKind, m)
	w.objects[key] = m
	return key
}

func (w *world) run(t *testing.T, p policyv1alpha1.Policy) reconcile.Result {
	t.Helper()
	res, err := w.Reconcile(t.Context(), requestFor(p.GetNamespace(), p.GetName()))
	require.NoError(t, err)
	return res
}

func (w *world) holder(key templates.Key) string {
	c, ok := On(w.objects[key])
	if !ok {
		return ""
	}
	return c.String()
}

func TestLateClaim(t *testing.T) {
	w := newWorld()
	web := w.deployment("default", "web", map[string]string{"app": "web"}, nil)
	other := w.deployment("other", "web", map[string]string{"app": "web"}, nil)
	system := w.deployment("kube-system", "dns", map[string]string{"app": "web"}, nil)
	p := newCPP("p", selecting(deployments(labelled(map[string]string{"app": "web"}))))
	w.Index.Upsert(p)

	w.run(t, p)
	assert.Equal(t, "ClusterPropagationPolicy p", w.holder(web))
	assert.Equal(t, "ClusterPropagationPolicy p", w.holder(other))
	assert.Empty(t, w.holder(system), "reserved namespaces are out of reach")
	assert.Equal(t, 2, w.patches)
	assert.Equal(t, BoundValue, w.objects[web].Labels[names.LabelBound])

	w.run(t, p)
	assert.Equal(t, 1, w.lists, "nothing about the selection changed, so nothing is listed")

	placement := p.DeepCopyObject().(policyv1alpha1.Policy)
	placement.GetSpec().Placement.ClusterAffinity = &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu"}}
	w.Index.Upsert(placement)
	w.run(t, p)
	assert.Equal(t, 1, w.lists, "a placement-only edit lists nothing")

	w.Touch(types.NamespacedName{Name: "p"})
	w.run(t, p)
	assert.Equal(t, 2, w.patches, "a second look writes nothing")
}

func TestRelease(t *testing.T) {
	w := newWorld()
	all := newPP("default", "all", selecting(deployments()))
	web := w.deployment("default", "web", nil, all)
	api := w.deployment("default", "api", nil, all)
	w.Index.Upsert(newPP("default", "all", selecting(deployments(named("web")))))

	w.run(t, all)
	assert.Equal(t, "PropagationPolicy default/all", w.holder(web))
	assert.Empty(t, w.holder(api), "no longer selected")
	assert.Equal(t, BoundValue, w.objects[api].Labels[names.LabelBound], "what was placed stays")

	fallback := newCPP("fallback", selecting(deployments()))
	w.Index.Upsert(fallback)
	w.Index.Delete("default", "all")
	w.run(t, all)
	assert.Equal(t, "ClusterPropagationPolicy fallback", w.holder(web), "released templates go to whoever else selects them")
}

func TestDeletedPolicyIsConfirmed(t *testing.T) {
	w := newWorld()
	p := newPP("default", "p", selecting(deployments()))
	web := w.deployment("default", "web", nil, p)
	w.policies[types.NamespacedName{Namespace: "default", Name: "p"}] = true

	res := w.run(t, p)
	assert.Equal(t, "PropagationPolicy default/p", w.holder(web), "a policy that the cache does not know yet keeps its claims")
	assert.Equal(t, cacheLag, res.RequeueAfter)

	delete(w.policies, types.NamespacedName{Namespace: "default", Name: "p"})
	w.run(t, p)
	assert.Empty(t, w.holder(web))
}

func TestPolicyMadeAnew(t *testing.T) {
	w := newWorld()
	web := w.deployment("default", "web", nil, newPP("default", "p", withID("old")))
	api := w.deployment("default", "api", nil, newPP("default", "p", withID("old")))
	p := newPP("default", "p", selecting(deployments(named("web"))), withID("new"))
	w.Index.Upsert(p)
	w.run(t, p)
	c, _ := On(w.objects[web])
	assert.Equal(t, "new", c.PermanentID)
	assert.Empty(t, w.holder(api), "the claim of the former incarnation is void")
}

func TestPreemption(t *testing.T) {
	w := newWorld()
	low := newPP("default", "low", selecting(deployments()))
	web := w.deployment("default", "web", nil, low)
	high := newPP("default", "high", selecting(deployments()), withPriority(1), preempting)
	w.Index.Upsert(low)
	w.Index.Upsert(high)
	w.run(t, high)
	assert.Equal(t, "PropagationPolicy default/high", w.holder(web))
	assert.Equal(t, []string{"Normal PreemptPolicySucceed Deployment/web"}, w.said)
}

func TestLazyPolicyClaimsNothingByItself(t *testing.T) {
	w := newWorld()
	web := w.deployment("default", "web", nil, nil)
	p := newPP("default", "p", selecting(deployments()), func(p policyv1alpha1.Policy) {
		p.GetSpec().ActivationPreference = policyv1alpha1.LazyActivation
	})
	w.Index.Upsert(p)
	w.run(t, p)
	assert.Empty(t, w.holder(web))
	assert.Zero(t, w.lists)
}

func TestUnknownKind(t *testing.T) {
	w := newWorld()
	thing := schema.GroupKind{Group: "example.io", Kind: "Thing"}
	p := newPP("default", "p", selecting(deployments(), policyv1alpha1.ResourceSelector{APIVersion: "example.io/v1", Kind: "Thing"}))
	web := w.deployment("default", "web", nil, nil)
	w.Index.Upsert(p)

	first := w.run(t, p)
	assert.Equal(t, "PropagationPolicy default/p", w.holder(web), "the other selectors work")
	assert.Equal(t, []string{"Warning ApplyPolicyFailed PropagationPolicy/p"}, w.said)
	assert.Equal(t, firstKindDelay, first.RequeueAfter)
	second := w.run(t, p)
	assert.Equal(t, 2*firstKindDelay, second.RequeueAfter, "the looks become rarer")

	w.served[thing] = meta.RESTScopeNamespace
	assert.Zero(t, w.run(t, p).RequeueAfter)
	lists := w.lists
	w.run(t, p)
	assert.Equal(t, lists, w.lists, "done now")
}

func TestKindThatIsNoLongerServed(t *testing.T) {
	w := newWorld()
	p := newPP("default", "p", selecting(deployments()))
	w.Index.Upsert(p)
	list := w.List
	w.List = func(context.Context, templates.Selection, func(*templates.Metadata) error) error {
		return apierrors.NewNotFound(schema.GroupResource{}, "")
	}
	assert.Equal(t, firstKindDelay, w.run(t, p).RequeueAfter)
	assert.NotContains(t, w.served, deploymentKind, "what was known of the kind is forgotten")
	assert.Equal(t, []string{"Warning ApplyPolicyFailed PropagationPolicy/p"}, w.said)

	w.List = list
	w.served[deploymentKind] = meta.RESTScopeNamespace
	web := w.deployment("default", "web", nil, nil)
	assert.Zero(t, w.run(t, p).RequeueAfter)
	assert.Equal(t, "PropagationPolicy default/p", w.holder(web))
}

func TestTouchInTheMiddleOfALookIsNotLost(t *testing.T) {
	w := newWorld()
	p := newPP("default", "p", selecting(deployments()))
	w.Index.Upsert(p)
	list := w.List
	w.List = func(ctx context.Context, sel templates.Selection, f func(*templates.Metadata) error) error {
		w.Touch(types.NamespacedName{Namespace: "default", Name: "p"})
		return list(ctx, sel, f)
	}
	w.run(t, p)
	w.List = list
	w.run(t, p)
	assert.Equal(t, 2, w.lists, "whoever touched it has queued it, too")
	w.run(t, p)
	assert.Equal(t, 2, w.lists)
}

func TestMisclaimed(t *testing.T) {
	selectsAll := newPP("default", "p", selecting(deployments()))
	cases := map[string]struct {
		reason string
		held   policyv1alpha1.Policy // by the template
		exists []policyv1alpha1.Policy
		want   bool
	}{
		"InOrder":     {"claimed by a policy that selects it", selectsAll, []policyv1alpha1.Policy{selectsAll}, false},
		"Unclaimed":   {"late claims are found from the policy's side", nil, []policyv1alpha1.Policy{selectsAll}, false},
		"Gone":        {"its policy was deleted", selectsAll, nil, true},
		"MadeAnew":    {"its policy is another of the same name", newPP("default", "p", withID("old")), []policyv1alpha1.Policy{selectsAll}, true},
		"NotSelected": {"its policy was edited", selectsAll, []policyv1alpha1.Policy{newPP("default", "p", selecting(deployments(named("other"))))}, true},
		"Preempted": {"another policy may have it", selectsAll,
			[]policyv1alpha1.Policy{selectsAll, newPP("default", "q", selecting(deployments()), withPriority(1), preempting)}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			for _, p := range tc.exists {
				w.Index.Upsert(p)
			}
			key, got := w.misclaimed(deploymentKind, w.objects[w.deployment("default", "web", nil, tc.held)])
			assert.Equal(t, tc.want, got, tc.reason)
			if got {
				assert.Equal(t, types.NamespacedName{Namespace: "default", Name: "p"}, key)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	cases := map[string]struct {
		reason string
		policy policyv1alpha1.Policy
	}{
		"ClusterScoped": {"a PropagationPolicy cannot select a cluster-scoped kind",
			newPP("default", "p", selecting(policyv1alpha1.ResourceSelector{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"}))},
		"Never": {"some kinds never travel",
			newPP("default", "p", selecting(policyv1alpha1.ResourceSelector{APIVersion: "v1", Kind: "Event"}))},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.Index.Upsert(tc.policy)
			w.run(t, tc.policy)
			assert.Equal(t, []string{"Warning ApplyPolicyFailed PropagationPolicy/p"}, w.said, tc.reason)
			assert.Zero(t, w.lists, tc.reason)
		})
	}
}

func TestConflictsAreRetriedWithFreshData(t *testing.T) {
	w := newWorld()
	web := w.deployment("default", "web", nil, nil)
	p := newPP("default", "p", selecting(deployments()))
	w.Index.Upsert(p)
	w.conflicts = 2
	w.run(t, p)
	assert.Equal(t, "PropagationPolicy default/p", w.holder(web))
}

func TestAdmissionThatLagsBehind(t *testing.T) {
	w := newWorld()
	web := w.deployment("default", "web", nil, nil)
	p := newPP("default", "p", selecting(deployments()))
	w.Index.Upsert(p)
	w.onPatch = func(m *templates.Metadata) { Release(m) } // it does not know the policy yet
	_, err := w.Reconcile(t.Context(), requestFor("default", "p"))
	require.ErrorIs(t, err, ErrNotStamped)

	w.onPatch = nil
	w.run(t, p)
	assert.Equal(t, "PropagationPolicy default/p", w.holder(web), "the failed look is not remembered as done")
}

func TestTerminatingTemplatesAreLeftAlone(t *testing.T) {
	w := newWorld()
	web := w.deployment("default", "web", nil, nil)
	w.objects[web].DeletionTimestamp = &metav1.Time{}
	*w.objects[web].DeletionTimestamp = metav1.Now()
	p := newPP("default", "p", selecting(deployments()))
	w.Index.Upsert(p)
	w.run(t, p)
	assert.Empty(t, w.holder(web))
}
