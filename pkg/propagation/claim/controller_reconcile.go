package claim

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/events"
	"github.com/flotilla-io/flotilla/pkg/propagation/templates"
)

// ErrNotStamped says that the API server stored another claim than the rules give.
// Its admission has not seen the policies yet that this process has seen; trying
// again soon is the way out.
var ErrNotStamped = errors.New("the API server does not know the latest policies yet")

const (
	// cacheLag is how long to wait for the watch to deliver a policy that is
	// known to exist.
	cacheLag = time.Second
	// The delays between looks for a kind that is not served. A new CRD cuts
	// them short.
	firstKindDelay, maxKindDelay = time.Second, 5 * time.Minute
	// parallelPatches bounds the requests for one policy.
	parallelPatches = 8
	// conflictRetries is how often a template that was written to meanwhile is
	// read again at once.
	conflictRetries = 5
)

// Reconciler makes the claims that exist agree with the policies that exist. Its
// unit of work is a policy.
type Reconciler struct {
	// Index holds all policies.
	Index *Index
	// PolicyExists asks the API server whether a policy exists and is not being
	// deleted.
	PolicyExists func(ctx context.Context, key types.NamespacedName) (bool, error)
	// ClaimedBy lists the templates whose claim names a policy (Claim.String).
	ClaimedBy func(claim string) []templates.Key
	// Ensure has a kind watched from now on.
	Ensure func(gk schema.GroupKind) (*meta.RESTMapping, error)
	// Forget ends the watch of a kind that turns out not to be served.
	Forget func(resource schema.GroupResource)
	// Get gives a claimed template from memory, GetLive from the API server.
	Get, GetLive func(ctx context.Context, key templates.Key) (*templates.Metadata, error)
	// List lists objects of a kind live, claimed or not.
	List func(ctx context.Context, sel templates.Selection, f func(*templates.Metadata) error) error
	// Patch sends a JSON merge patch.
	Patch func(ctx context.Context, key templates.Key, patch []byte) (*templates.Metadata, error)
	// Recorder records events on policies and templates.
	Recorder events.Recorder

	mu   sync.Mutex
	done map[types.NamespacedName]outcome
	// touched counts the calls of Touch: one that comes in the middle of a look
	// must not be lost when that look ends.
	touched uint64
}

// outcome remembers what was done for a policy, so that an edit which leaves its
// selection alone lists nothing.
type outcome struct {
	selection [sha256.Size]byte
	delay     time.Duration // until the next look for a missing kind; 0: none is missing
}

// Reconcile releases what a policy may no longer claim and claims what it may. It
// does nothing for a policy whose selection it has already seen.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	key := req.NamespacedName
	policy, found := r.Index.Get(key.Namespace, key.Name)
	if !found {
		return r.reconcileGone(ctx, key)
	}
	selection := selectionOf(policy)
	last, seen, touched := r.outcome(key)
	if seen && last.selection == selection && last.delay == 0 {
		return reconcile.Result{}, nil
	}

	s := r.newSettling(ctx)
	s.settleClaimed(Of(policy))
	missing := s.settleSelected(policy)
	if err := s.wait(); err != nil {
		r.forget(key)
		return reconcile.Result{}, fmt.Errorf("claiming templates for %s: %w", Of(policy), err)
	}

	now := outcome{selection: selection}
	if missing {
		now.delay = firstKindDelay
		if seen && last.delay > 0 && last.selection == selection {
			now.delay = min(2*last.delay, maxKindDelay)
		}
	}
	r.remember(key, now, touched)
	return reconcile.Result{RequeueAfter: now.delay}, nil
}

// reconcileGone releases the claims of a policy that does not exist, after making
// sure that it is not just unknown here yet.
func (r *Reconciler) reconcileGone(ctx context.Context, key types.NamespacedName) (reconcile.Result, error) {
	claim := Claim{Namespace: key.Namespace, Name: key.Name}
	exists, err := r.PolicyExists(ctx, key)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("looking for %s: %w", claim, err)
	}
	if exists {
		return reconcile.Result{RequeueAfter: cacheLag}, nil
	}
	r.forget(key)
	s := r.newSettling(ctx)
	s.settleClaimed(claim)
	if err := s.wait(); err != nil {
		return reconcile.Result{}, fmt.Errorf("releasing the templates of %s, which is gone: %w", claim, err)
	}
	return reconcile.Result{}, nil
}

// Touch has the next Reconcile of a policy look at its templates again. It counts
// also when it comes while one is going on.
func (r *Reconciler) Touch(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.touched++
	delete(r.done, key)
}

func (r *Reconciler) outcome(key types.NamespacedName) (o outcome, seen bool, touched uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, seen = r.done[key]
	return o, seen, r.touched
}

// remember keeps an outcome unless some policy was touched since outcome was
// called. Which one does not matter much: at worst a policy is looked at once
// more when its turn comes.
func (r *Reconciler) remember(key types.NamespacedName, o outcome, touched uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.touched != touched {
		delete(r.done, key)
		return
	}
	if r.done == nil {
		r.done = map[types.NamespacedName]outcome{}
	}
	r.done[key] = o
}

func (r *Reconciler) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.done, key)
}

// selectionOf is a hash of everything in a policy that has a say in what it
// claims.
func selectionOf(p policyv1alpha1.Policy) [sha256.Size]byte {
	spec := p.GetSpec()
	data, err := json.Marshal([]any{
		Of(p), spec.ResourceSelectors, spec.ExplicitPriority(), spec.Preemption, spec.ActivationPreference,
	})
	if err != nil {
		// Plain data always marshals. If it ever did not, looking again is
		// the safe answer.
		return sha256.Sum256([]byte(p.GetResourceVersion()))
	}
	return sha256.Sum256(data)
}

// settling is one pass over the templates of a policy.
type settling struct {
	*Reconciler
	ctx   context.Context //nolint:containedctx // it lives as long as the pass
	group errgroup.Group
}

func (r *Reconciler) newSettling(ctx context.Context) *settling {
	s := &settling{Reconciler: r, ctx: ctx}
	s.group.SetLimit(parallelPatches)
	return s
}

func (s *settling) wait() error { return s.group.Wait() }

// settleClaimed looks again at the templates that carry the claim, of whatever
// incarnation of the policy.
func (s *settling) settleClaimed(claim Claim) {
	for _, key := range s.ClaimedBy(claim.String()) {
		s.group.Go(func() error {
			m, err := s.Get(s.ctx, key)
			if err != nil {
				return ignoreGone(err)
			}
			return s.settle(s.ctx, key, m)
		})
	}
}

// settleSelected claims the templates that the policy selects and that were there
// before it. It tells whether a selected kind is not served.
func (s *settling) settleSelected(policy policyv1alpha1.Policy) (missing bool) {
	// A lazy policy waits for its templates to change; admission claims them
	// then. Their kinds are watched all the same.
	lazy := policy.GetSpec().ActivationPreference == policyv1alpha1.LazyActivation
	for i, rs := range policy.GetSpec().ResourceSelectors {
		gk := schema.FromAPIVersionAndKind(rs.APIVersion, rs.Kind).GroupKind()
		if KindNeverPropagated(gk) {
			s.warn(policy, i, fmt.Sprintf("%s is never propagated; take it out of the policy", gk))
			continue
		}
		mapping, err := s.Ensure(gk)
		switch {
		case meta.IsNoMatchError(err):
			missing = true
			s.warn(policy, i, notServed(gk))
			continue
		case err != nil:
			s.group.Go(func() error { return fmt.Errorf("finding out where %s is served: %w", gk, err) })
			continue
		}
		if policy.GetNamespace() != "" && mapping.Scope.Name() == meta.RESTScopeNameRoot {
			s.warn(policy, i, fmt.Sprintf("%s is cluster-scoped; only a ClusterPropagationPolicy can select it", gk))
			continue
		}
		if lazy {
			continue
		}
		sel, ok := selectionFor(policy, rs, gk)
		if !ok {
			continue
		}
		err = s.List(s.ctx, sel, func(m *templates.Metadata) error {
			s.group.Go(func() error { return s.settle(s.ctx, templates.KeyOf(gk, m), m) })
			return s.ctx.Err()
		})
		switch {
		case apierrors.IsNotFound(err): // it was served when that was last looked up
			missing = true
			s.Forget(mapping.Resource.GroupResource())
			s.warn(policy, i, notServed(gk))
		case err != nil:
			s.group.Go(func() error { return err })
		}
	}
	return missing
}

func notServed(gk schema.GroupKind) string {
	return fmt.Sprintf("the federation API does not serve %s; create its CustomResourceDefinition, the policy then takes effect by itself", gk)
}

func (r *Reconciler) warn(policy policyv1alpha1.Policy, selector int, why string) {
	gvk := policyv1alpha1.GroupVersion.WithKind(Of(policy).Kind())
	r.Recorder.Event(context.Background(), events.RefTo(gvk, policy), corev1.EventTypeWarning,
		names.EventApplyPolicyFailed, fmt.Sprintf("spec.resourceSelectors[%d]: %s", selector, why))
}

// selectionFor says what to list for a selector; false when it selects nothing.
func selectionFor(policy policyv1alpha1.Policy, rs policyv1alpha1.ResourceSelector, gk schema.GroupKind) (templates.Selection, bool) {
	sel := templates.Selection{Kind: gk, Namespace: rs.Namespace, Name: rs.Name}
	if ns := policy.GetNamespace(); ns != "" {
		if sel.Namespace != "" && sel.Namespace != ns {
			return sel, false
		}
		sel.Namespace = ns
	}
	if rs.Name == "" && rs.LabelSelector != nil {
		labelSelector, err := metav1.LabelSelectorAsSelector(rs.LabelSelector)
		if err != nil {
			return sel, false
		}
		sel.LabelSelector = labelSelector.String()
	}
	return sel, true
}

// settle gives a template the claim that the rules give it. m is what is known
// of it, which may be old: the patch is refused then.
func (r *Reconciler) settle(ctx context.Context, key templates.Key, m *templates.Metadata) error {
	for try := 0; ; try++ {
		err := r.settleOnce(ctx, key, m)
		if !apierrors.IsConflict(err) || try == conflictRetries {
			return ignoreGone(err)
		}
		if m, err = r.GetLive(ctx, key); err != nil {
			return ignoreGone(err)
		}
	}
}

// claimant is what a log calls the holder of a claim.
func claimant(c *Claim) string {
	if c == nil {
		return "nobody"
	}
	return c.String()
}

func (r *Reconciler) settleOnce(ctx context.Context, key templates.Key, m *templates.Metadata) error {
	if !m.GetDeletionTimestamp().IsZero() {
		return nil
	}
	winner, current := r.match(key.GroupKind, m)
	after := &metav1.ObjectMeta{Labels: m.GetLabels(), Annotations: m.GetAnnotations()}
	if winner == nil {
		Release(after)
	} else {
		Stamp(after, winner)
	}
	patch, err := mergePatch(m, after)
	if patch == nil || err != nil {
		return err
	}
	stored, err := r.Patch(ctx, key, patch)
	if err != nil {
		return err
	}
	klog.FromContext(ctx).V(3).Info("Claim settled", "template", key, "before", claimant(current), "claimed", winner != nil)

	if again, now := r.match(key.GroupKind, stored); again == nil && now != nil || again != nil && (now == nil || !now.HeldBy(again)) {
		return fmt.Errorf("template %s: %w", key, ErrNotStamped)
	}
	if old := r.preempted(key, m, current, winner); old != nil {
		r.Recorder.Event(ctx, r.refTo(key, stored), corev1.EventTypeNormal, names.EventPreemptPolicySucceed,
			fmt.Sprintf("%s has taken the template over from %s", Of(winner), Of(old)))
	}
	return nil
}

// preempted gives the policy that lost the template although it could have kept
// it.
func (r *Reconciler) preempted(key templates.Key, m *templates.Metadata, current *Claim, winner policyv1alpha1.Policy) policyv1alpha1.Policy {
	if current == nil || winner == nil || current.HeldBy(winner) {
		return nil
	}
	old, ok := r.Index.Holder(*current)
	if !ok || Selects(old, templateOf(key.GroupKind, m)) == NotSelected {
		return nil
	}
	return old
}

func (r *Reconciler) refTo(key templates.Key, m *templates.Metadata) corev1.ObjectReference {
	gvk := key.WithVersion("")
	if mapping, err := r.Ensure(key.GroupKind); err == nil {
		gvk = mapping.GroupVersionKind
	}
	return events.RefTo(gvk, m)
}

func templateOf(gk schema.GroupKind, m *templates.Metadata) Template {
	return TemplateOf(gk.WithVersion(""), m)
}

func (r *Reconciler) match(gk schema.GroupKind, m *templates.Metadata) (policyv1alpha1.Policy, *Claim) {
	var current *Claim
	if c, ok := On(m); ok {
		current = &c
	}
	if NeverPropagated(gk.WithVersion(""), m.GetNamespace(), m.GetName(), m) {
		return nil, current
	}
	winner, _ := r.Index.Match(templateOf(gk, m), current)
	return winner, current
}

// misclaimed gives the policy that holds a template's claim although it should
// not.
func (r *Reconciler) misclaimed(gk schema.GroupKind, m *templates.Metadata) (types.NamespacedName, bool) {
	if m == nil || !m.GetDeletionTimestamp().IsZero() {
		return types.NamespacedName{}, false
	}
	winner, current := r.match(gk, m)
	if current == nil || winner != nil && current.HeldBy(winner) {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: current.Namespace, Name: current.Name}, true
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil
	}
	return err
}
