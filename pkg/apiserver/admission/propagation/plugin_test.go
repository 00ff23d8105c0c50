package propagation

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/warning"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/propagation/claim"
)

type known struct {
	claim.Index
	notSynced bool
	clusters  map[string]bool
	unmatched []string
}

func (k *known) WaitForSync(context.Context, time.Duration) bool { return !k.notSynced }
func (k *known) HasCluster(name string) bool                     { return k.clusters[name] }
func (k *known) Unmatched(_ schema.GroupVersionResource, kind schema.GroupVersionKind, namespace, name string) {
	k.unmatched = append(k.unmatched, kind.Kind+" "+namespace+"/"+name)
}

type labels = map[string]string

func policy(namespace, name, id string, selectors ...policyv1alpha1.ResourceSelector) policyv1alpha1.Policy {
	spec := policyv1alpha1.PropagationSpec{ResourceSelectors: selectors}
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	if namespace == "" {
		meta.Labels = labels{names.ClusterPropagationPolicyPermanentIDLabel: id}
		return &policyv1alpha1.ClusterPropagationPolicy{ObjectMeta: meta, Spec: spec}
	}
	meta.Labels = labels{names.PropagationPolicyPermanentIDLabel: id}
	return &policyv1alpha1.PropagationPolicy{ObjectMeta: meta, Spec: spec}
}

func configMaps(app string) policyv1alpha1.ResourceSelector {
	return policyv1alpha1.ResourceSelector{APIVersion: "v1", Kind: "ConfigMap", LabelSelector: &metav1.LabelSelector{MatchLabels: labels{"app": app}}}
}

var (
	mine  = policy("ns", "mine", "id-mine", configMaps("a"))
	other = policy("ns", "other", "id-other", configMaps("b"))
	wide  = policy("", "wide", "id-wide", configMaps("c"))
)

func object(l labels) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "x", Labels: l}}
}

// claimed is an object of app as it is stored after p claimed it.
func claimed(p policyv1alpha1.Policy, app string) *corev1.ConfigMap {
	obj := object(labels{"app": app})
	claim.Stamp(obj, p)
	return obj
}

func with(obj *corev1.ConfigMap, change func(*corev1.ConfigMap)) *corev1.ConfigMap {
	obj = obj.DeepCopy()
	change(obj)
	return obj
}

func request(kind string, obj, old runtime.Object, op admission.Operation, subresource string, dryRun bool) admission.Attributes {
	namespace, name := "", ""
	for _, o := range []runtime.Object{obj, old} {
		if m, ok := o.(metav1.Object); ok && name == "" {
			namespace, name = m.GetNamespace(), m.GetName()
		}
	}
	return admission.NewAttributesRecord(obj, old, schema.GroupVersionKind{Version: "v1", Kind: kind}, namespace, name,
		schema.GroupVersionResource{Version: "v1", Resource: kind}, subresource, op, nil, dryRun, &user.DefaultInfo{Name: "someone"})
}

func newPlugin(t *testing.T) (*plugin, *known) {
	t.Helper()
	plugins := admission.NewPlugins()
	Register(plugins)
	made, err := plugins.InitPlugin(PluginName, nil, admission.PluginInitializers{})
	require.Error(t, err, "without policies it could not do its work, and must not start")
	require.Nil(t, made)
	k := &known{clusters: map[string]bool{"eu": true}}
	for _, p := range []policyv1alpha1.Policy{mine, other, wide} {
		k.Upsert(p)
	}
	made, err = plugins.InitPlugin(PluginName, nil, Initializer{Policies: k})
	require.NoError(t, err)
	return made.(*plugin), k
}

func TestClaimOfAWrite(t *testing.T) {
	ghost := policy("ns", "ghost", "id-ghost", configMaps("a"))
	tests := map[string]struct {
		reason   string
		old, obj *corev1.ConfigMap
		want     string
		id       string
		bound    bool
	}{
		"selected": {
			reason: "a template is claimed in the write that creates it",
			obj:    object(labels{"app": "a"}), want: "PropagationPolicy ns/mine", id: "id-mine", bound: true,
		},
		"selected by a cluster policy": {
			reason: "both scopes go through the same door",
			obj:    object(labels{"app": "c"}), want: "ClusterPropagationPolicy wide", id: "id-wide", bound: true,
		},
		"not selected": {
			reason: "what no policy wants stays as it was sent",
			obj:    object(labels{"app": "z"}),
		},
		"forged on create": {
			reason: "a label does not make a template somebody else's",
			obj:    claimed(other, "a"), want: "PropagationPolicy ns/mine", id: "id-mine", bound: true,
		},
		"copied manifest": {
			reason: "marks that came along with a manifest say nothing when the policy does not select it",
			obj:    claimed(mine, "z"), want: "", bound: true,
		},
		"forged on update": {
			reason: "the holder keeps it",
			old:    claimed(mine, "a"), obj: claimed(other, "a"), want: "PropagationPolicy ns/mine", id: "id-mine", bound: true,
		},
		"taken off": {
			reason: "nobody leaves a policy by editing marks",
			old:    claimed(mine, "a"), obj: object(labels{"app": "a"}), want: "PropagationPolicy ns/mine", id: "id-mine", bound: true,
		},
		"half taken off": {
			reason: "incomplete marks are made whole",
			old:    claimed(mine, "a"),
			obj:    with(claimed(mine, "a"), func(o *corev1.ConfigMap) { o.Annotations = nil }),
			want:   "PropagationPolicy ns/mine", id: "id-mine", bound: true,
		},
		"permanent id made up": {
			reason: "a policy of that name is known, so its id is, too",
			old:    claimed(mine, "a"),
			obj:    with(claimed(mine, "a"), func(o *corev1.ConfigMap) { o.Labels[names.PropagationPolicyPermanentIDLabel] = "x" }),
			want:   "PropagationPolicy ns/mine", id: "id-mine", bound: true,
		},
		"replaced": {
			reason: "kubectl replace sends what the file has, which is no claim",
			old:    with(claimed(mine, "a"), func(o *corev1.ConfigMap) { o.Data = labels{"k": "old"} }),
			obj:    with(object(labels{"app": "a"}), func(o *corev1.ConfigMap) { o.Data = labels{"k": "new"} }),
			want:   "PropagationPolicy ns/mine", id: "id-mine", bound: true,
		},
		"moved to another policy by its labels": {
			reason: "the policy that selects it now has it",
			old:    claimed(mine, "a"), obj: claimed(mine, "b"), want: "PropagationPolicy ns/other", id: "id-other", bound: true,
		},
		"left by its labels": {
			reason: "it is released; what was placed stays, so it stays bound",
			old:    claimed(mine, "a"), obj: claimed(mine, "z"), want: "", bound: true,
		},
		"released once, labels edited again": {
			reason: "the bound label is kept whatever a file says",
			old:    object(labels{"app": "z", names.LabelBound: "true"}), obj: object(labels{"app": "y"}), want: "", bound: true,
		},
		"bound label overwritten": {
			reason: "another value would lose the template from every cache",
			old:    object(labels{"app": "z", names.LabelBound: "true"}), obj: object(labels{"app": "y", names.LabelBound: "no"}), want: "", bound: true,
		},
		"bound label emptied": {
			reason: "as above",
			old:    object(labels{"app": "z", names.LabelBound: "true"}), obj: object(labels{"app": "y", names.LabelBound: ""}), want: "", bound: true,
		},
		"unknown policy on create": {
			reason: "a manifest from another federation names a policy that is not here: the policies that are decide",
			obj:    claimed(ghost, "a"), want: "PropagationPolicy ns/mine", id: "id-mine", bound: true,
		},
		"unknown policy on update": {
			reason: "nor can a claim be dodged by naming one",
			old:    claimed(mine, "a"), obj: claimed(ghost, "a"), want: "PropagationPolicy ns/mine", id: "id-mine", bound: true,
		},
		"policy gone": {
			reason: "an update of a template whose policy was deleted finds it a new one",
			old:    claimed(ghost, "a"), obj: claimed(ghost, "a"), want: "PropagationPolicy ns/mine", id: "id-mine", bound: true,
		},
		"policy gone and no other": {
			reason: "or releases it",
			old:    claimed(ghost, "z"), obj: claimed(ghost, "z"), want: "", bound: true,
		},
		"policy made anew": {
			reason: "the claim gets the new permanent id",
			old:    claimed(policy("ns", "mine", "id-before", configMaps("a")), "a"),
			obj:    claimed(policy("ns", "mine", "id-before", configMaps("a")), "a"),
			want:   "PropagationPolicy ns/mine", id: "id-mine", bound: true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, _ := newPlugin(t)
			op, old := admission.Create, runtime.Object(nil)
			before := tt.old.DeepCopy()
			if tt.old != nil {
				op, old = admission.Update, tt.old
			}
			a := request("ConfigMap", tt.obj, old, op, "", false)
			require.NoError(t, p.Admit(t.Context(), a, nil))
			assert.Equal(t, tt.want, claim.IndexKey(tt.obj), tt.reason)
			got, _ := claim.On(tt.obj)
			assert.Equal(t, tt.id, got.PermanentID, tt.reason)
			assert.Equal(t, tt.bound, tt.obj.Labels[names.LabelBound] == "true", tt.reason)
			if tt.want == "" {
				assert.False(t, claim.HasMarks(tt.obj), "nothing of a claim stays behind")
			}
			assert.Equal(t, before, tt.old, "what is stored is not changed")

			again := tt.obj.DeepCopy()
			require.NoError(t, p.Admit(t.Context(), request("ConfigMap", again, tt.obj, admission.Update, "", false), nil))
			if tt.want != "PropagationPolicy ns/ghost" {
				assert.Equal(t, tt.obj, again, "a second look changes nothing")
			}
		})
	}
}

func TestWhatIsNotATemplate(t *testing.T) {
	p, k := newPlugin(t)
	everything := policy("", "everything", "id", policyv1alpha1.ResourceSelector{APIVersion: "v1", Kind: "ConfigMap"},
		policyv1alpha1.ResourceSelector{APIVersion: "v1", Kind: "Event"}, policyv1alpha1.ResourceSelector{APIVersion: "v1", Kind: "Node"})
	k.Upsert(everything)
	tests := map[string]struct {
		reason string
		kind   string
		obj    *corev1.ConfigMap
		sub    string
		op     admission.Operation
		want   bool
	}{
		"ordinary":           {"the selector works", "ConfigMap", object(nil), "", admission.Create, true},
		"reserved namespace": {"our own objects stay at home", "ConfigMap", with(object(nil), func(o *corev1.ConfigMap) { o.Namespace = "kube-system" }), "", admission.Create, false},
		"execution namespace": {"what is for one cluster is not for others", "ConfigMap",
			with(object(nil), func(o *corev1.ConfigMap) { o.Namespace = "karmada-es-eu" }), "", admission.Create, false},
		"root certificates": {"every cluster has its own", "ConfigMap", with(object(nil), func(o *corev1.ConfigMap) { o.Name = "kube-root-ca.crt" }), "", admission.Create, false},
		"event":             {"events say what happened here", "Event", object(nil), "", admission.Create, false},
		"node":              {"machines do not travel", "Node", with(object(nil), func(o *corev1.ConfigMap) { o.Namespace = "" }), "", admission.Create, false},
		"status":            {"subresources are not the template", "ConfigMap", object(nil), "status", admission.Update, false},
		"scale":             {"as above", "ConfigMap", object(nil), "scale", admission.Update, false},
		"connect":           {"there is nothing to stamp", "ConfigMap", object(nil), "", admission.Connect, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var old runtime.Object
			if tt.op == admission.Update {
				old = tt.obj.DeepCopy()
			}
			before := len(k.unmatched)
			a := request(tt.kind, tt.obj, old, tt.op, tt.sub, false)
			require.NoError(t, p.Admit(t.Context(), a, nil))
			require.NoError(t, p.Validate(t.Context(), a, nil))
			assert.Equal(t, tt.want, claim.HasMarks(tt.obj), tt.reason)
			assert.Len(t, k.unmatched, before, "nobody is told that a policy is missing")
		})
	}
	require.NoError(t, p.Admit(t.Context(), request("Unknown", nil, nil, admission.Create, "", false), nil), "a request without an object")
}

func TestBeforePoliciesAreRead(t *testing.T) {
	p, k := newPlugin(t)
	k.notSynced = true
	err := p.Admit(t.Context(), request("ConfigMap", object(nil), nil, admission.Create, "", false), nil)
	require.ErrorContains(t, err, "try again", "a template that slips through would be placed late, or never")
	require.NoError(t, p.Admit(t.Context(), request("Event", object(nil), nil, admission.Create, "", false), nil), "what cannot be claimed need not wait")
}

func TestTellsOfTemplatesWithoutAPolicy(t *testing.T) {
	p, k := newPlugin(t)
	write := func(obj *corev1.ConfigMap, old runtime.Object, op admission.Operation, dryRun bool) {
		a := request("ConfigMap", obj, old, op, "", dryRun)
		require.NoError(t, p.Admit(t.Context(), a, nil))
		require.NoError(t, p.Validate(t.Context(), a, nil))
	}
	write(object(labels{"app": "z"}), nil, admission.Create, true)
	assert.Empty(t, k.unmatched, "a dry run creates nothing to talk about")
	write(object(labels{"app": "a"}), nil, admission.Create, false)
	assert.Empty(t, k.unmatched, "claimed")
	write(object(labels{"app": "z"}), object(labels{"app": "z"}), admission.Update, false)
	assert.Empty(t, k.unmatched, "said once, when it was created")
	write(object(labels{"app": "z"}), nil, admission.Create, false)
	assert.Equal(t, []string{"ConfigMap ns/x"}, k.unmatched)
}

func TestDeletionProtection(t *testing.T) {
	p, _ := newPlugin(t)
	tests := map[string]struct {
		reason string
		old    runtime.Object
		want   bool
	}{
		"plain":         {"nothing protects it", object(nil), true},
		"protected":     {"the label says so", object(labels{names.DeletionProtectionLabel: "Always"}), false},
		"another value": {"only Always protects", object(labels{names.DeletionProtectionLabel: "Never"}), true},
		"no object":     {"a request that carries none, as some aggregated ones", nil, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := p.Validate(t.Context(), request("ConfigMap", nil, tt.old, admission.Delete, "", false), nil)
			if tt.want {
				require.NoError(t, err, tt.reason)
				return
			}
			require.ErrorContains(t, err, names.DeletionProtectionLabel, "the way out is named")
		})
	}
}

// warnings collects what a user is told.
type warnings []string

func (w *warnings) AddWarning(_, text string) { *w = append(*w, text) }

func TestWarnsOfUnknownClusters(t *testing.T) {
	static := func(clusters ...string) *policyv1alpha1.ReplicaSchedulingStrategy {
		return &policyv1alpha1.ReplicaSchedulingStrategy{WeightPreference: &policyv1alpha1.ClusterPreferences{
			StaticWeightList: []policyv1alpha1.StaticClusterWeight{{TargetCluster: policyv1alpha1.ClusterAffinity{ClusterNames: clusters}}},
		}}
	}
	tests := map[string]struct {
		reason    string
		placement policyv1alpha1.Placement
		want      string
	}{
		"known":    {"nothing to say", policyv1alpha1.Placement{ClusterAffinity: &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu"}}}, ""},
		"none":     {"all clusters is not a name", policyv1alpha1.Placement{}, ""},
		"unknown":  {"probably a typing error", policyv1alpha1.Placement{ClusterAffinity: &policyv1alpha1.ClusterAffinity{ClusterNames: []string{"eu", "ue"}}}, "not registered: ue;"},
		"excluded": {"to stay out of a cluster that may come is no mistake", policyv1alpha1.Placement{ClusterAffinity: &policyv1alpha1.ClusterAffinity{ExcludeClusters: []string{"ue"}}}, ""},
		"in a group": {"groups name clusters, too", policyv1alpha1.Placement{ClusterAffinities: []policyv1alpha1.ClusterAffinityTerm{
			{ClusterAffinity: policyv1alpha1.ClusterAffinity{ClusterNames: []string{"mars"}}}}}, "not registered: mars;"},
		"in a weight": {"a weight of nobody changes the shares of all others", policyv1alpha1.Placement{ReplicaScheduling: static("eu", "venus", "venus")}, "not registered: venus;"},
	}
	for name, tt := range tests {
		for _, namespace := range []string{"ns", ""} {
			t.Run(fmt.Sprintf("%s in %q", name, namespace), func(t *testing.T) {
				p, _ := newPlugin(t)
				obj := policy(namespace, "p", "id")
				obj.GetSpec().Placement = tt.placement
				for _, op := range []admission.Operation{admission.Create, admission.Update} {
					var told warnings
					var old runtime.Object
					if op == admission.Update {
						old = obj.DeepCopyObject()
					}
					require.NoError(t, p.Validate(warning.WithWarningRecorder(t.Context(), &told), request("Policy", obj, old, op, "", false), nil))
					if tt.want == "" {
						assert.Empty(t, told, tt.reason)
						continue
					}
					require.Len(t, told, 1, tt.reason)
					assert.Contains(t, told[0], tt.want)
				}
			})
		}
	}
}

// Names of requests with generateName come late; selectors by label must work.
func TestGeneratedNames(t *testing.T) {
	p, k := newPlugin(t)
	k.Upsert(policy("ns", "by-name", "id-name", policyv1alpha1.ResourceSelector{APIVersion: "v1", Kind: "ConfigMap", Name: "x"}))
	obj := object(labels{"app": "a"})
	obj.Name, obj.GenerateName = "", "x-"
	require.NoError(t, p.Admit(t.Context(), request("ConfigMap", obj, nil, admission.Create, "", false), nil))
	assert.Equal(t, "PropagationPolicy ns/mine", claim.IndexKey(obj))
	assert.Equal(t, types.UID(""), obj.UID)
}
