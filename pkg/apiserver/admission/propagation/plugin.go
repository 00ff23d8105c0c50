package propagation

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/propagation/claim"
)

// PluginName is how the plugin is switched on and off.
const PluginName = "Propagation"

// syncPatience is how long a request waits for the policies to be read after a
// start of the server.
const syncPatience = 10 * time.Second

// Policies is what the plugin looks at.
type Policies interface {
	// WaitForSync reports whether the policies have been read, waiting a while
	// for it.
	WaitForSync(ctx context.Context, patience time.Duration) bool
	// Match finds the policy that a template belongs to.
	Match(t claim.Template, current *claim.Claim) (policyv1alpha1.Policy, bool)
	// Unmatched is told of templates that no policy selects, or not any more.
	Unmatched(resource schema.GroupVersionResource, kind schema.GroupVersionKind, namespace, name string)
	// HasCluster reports whether a cluster is registered.
	HasCluster(name string) bool
}

// Register makes the plugin known.
func Register(plugins *admission.Plugins) {
	plugins.Register(PluginName, func(io.Reader) (admission.Interface, error) {
		return &plugin{Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete)}, nil
	})
}

// Initializer hands the policies to the plugin.
type Initializer struct{ Policies Policies }

// Initialize implements admission.PluginInitializer.
func (i Initializer) Initialize(p admission.Interface) {
	if p, ok := p.(*plugin); ok {
		p.policies = i.Policies
	}
}

type plugin struct {
	*admission.Handler
	policies Policies
}

var (
	_ admission.MutationInterface       = &plugin{}
	_ admission.ValidationInterface     = &plugin{}
	_ admission.InitializationValidator = &plugin{}
)

// ValidateInitialization implements admission.InitializationValidator.
func (p *plugin) ValidateInitialization() error {
	if p.policies == nil {
		return fmt.Errorf("%s: no policies given", PluginName)
	}
	return nil
}

// Admit stamps the claim.
func (p *plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	obj, ok := template(a)
	if !ok {
		return nil
	}
	if !p.policies.WaitForSync(ctx, syncPatience) {
		return apierrors.NewServiceUnavailable("the API server has not read the policies yet; try again")
	}
	current := current(a)
	keepBound(a, obj)
	t := claim.TemplateOf(a.GetKind(), obj)
	t.Namespace, t.Name = a.GetNamespace(), a.GetName()
	policy, matched := p.policies.Match(t, current)
	if matched {
		claim.Stamp(obj, policy)
	} else {
		claim.Release(obj)
	}
	return nil
}

// template returns the object of a request that may be a template.
func template(a admission.Attributes) (metav1.Object, bool) {
	if a.GetSubresource() != "" || a.GetObject() == nil || (a.GetOperation() != admission.Create && a.GetOperation() != admission.Update) {
		return nil, false
	}
	obj, err := meta.Accessor(a.GetObject())
	if err != nil || claim.NeverPropagated(a.GetKind(), a.GetNamespace(), a.GetName(), obj) {
		return nil, false
	}
	return obj, true
}

// current is the claim the object has in storage. A new one has none: a manifest
// copied from elsewhere brings no claim along.
func current(a admission.Attributes) *claim.Claim {
	if a.GetOperation() != admission.Update {
		return nil
	}
	old, err := meta.Accessor(a.GetOldObject())
	if err != nil {
		return nil
	}
	if c, ok := claim.On(old); ok {
		return &c
	}
	return nil
}

// keepBound carries the label of bound templates over: it may not be taken off,
// the caches would lose a template that is placed.
func keepBound(a admission.Attributes, obj metav1.Object) {
	if a.GetOperation() != admission.Update {
		return
	}
	old, err := meta.Accessor(a.GetOldObject())
	if err != nil || old.GetLabels()[names.LabelBound] != claim.BoundValue || obj.GetLabels()[names.LabelBound] == claim.BoundValue {
		return
	}
	labels := map[string]string{}
	maps.Copy(labels, obj.GetLabels())
	labels[names.LabelBound] = claim.BoundValue
	obj.SetLabels(labels)
}

// Validate refuses protected deletions, tells of templates without a policy,
// and warns about policies that name unknown clusters.
func (p *plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetSubresource() != "" {
		return nil
	}
	switch a.GetOperation() {
	case admission.Delete:
		return p.protect(a)
	case admission.Create, admission.Update:
		if obj, ok := template(a); ok && unclaimed(a, obj) && !a.IsDryRun() {
			p.policies.Unmatched(a.GetResource(), a.GetKind(), a.GetNamespace(), obj.GetName())
		}
		p.warn(ctx, a)
	}
	return nil
}

// unclaimed says whether a request leaves a template without a policy that had
// one, or is new. Another API server may know one that this does not know yet.
func unclaimed(a admission.Attributes, obj metav1.Object) bool {
	if _, claimed := claim.On(obj); claimed {
		return false
	}
	return a.GetOperation() == admission.Create || current(a) != nil
}

func (p *plugin) warn(ctx context.Context, a admission.Attributes) {
	if policy, ok := a.GetObject().(policyv1alpha1.Policy); ok {
		warnUnknownClusters(ctx, p.policies, policy.GetSpec())
	}
}

func (p *plugin) protect(a admission.Attributes) error {
	if a.GetOldObject() == nil {
		return nil
	}
	old, err := meta.Accessor(a.GetOldObject())
	if err != nil {
		return nil //nolint:nilerr // not an object with labels, so not protected
	}
	if old.GetLabels()[names.DeletionProtectionLabel] == names.DeletionProtectionAlways {
		return admission.NewForbidden(a, fmt.Errorf("it is protected: remove the label %s first", names.DeletionProtectionLabel))
	}
	return nil
}

// warnUnknownClusters tells the user who writes a policy which of the clusters
// it names are not registered.
func warnUnknownClusters(ctx context.Context, policies Policies, spec *policyv1alpha1.PropagationSpec) {
	var unknown []string
	for _, name := range namedClusters(&spec.Placement) {
		if !policies.HasCluster(name) && !slices.Contains(unknown, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		warning.AddWarning(ctx, "", fmt.Sprintf("spec.placement names clusters that are not registered: %s; nothing is placed there until they join", strings.Join(unknown, ", ")))
	}
}

func namedClusters(p *policyv1alpha1.Placement) []string {
	var out []string
	if p.ClusterAffinity != nil {
		out = append(out, p.ClusterAffinity.ClusterNames...)
	}
	for _, term := range p.ClusterAffinities {
		out = append(out, term.ClusterNames...)
	}
	if r := p.ReplicaScheduling; r != nil && r.WeightPreference != nil {
		for _, w := range r.WeightPreference.StaticWeightList {
			out = append(out, w.TargetCluster.ClusterNames...)
		}
	}
	return out
}
