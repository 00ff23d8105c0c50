package apiserver

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/api/work/v1alpha1/validation"
)

// What an agent observes of a stored Work becomes a status that storage takes,
// also of kinds that only members have.
func TestObserve(t *testing.T) {
	const configMap = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"ns","name":"c"}}`
	const policy = `{"apiVersion":"security.istio.io/v1","kind":"AuthorizationPolicy","metadata":{"namespace":"ns","name":"p"}}`
	status := &runtime.RawExtension{Raw: []byte(`{"a":1}`)}
	tests := map[string]struct {
		reason     string
		manifests  []string
		o          agentv1alpha1.WorkObservation
		applied    metav1.ConditionStatus
		message    string
		identifier *workv1alpha1.ResourceIdentifier
	}{
		"applied": {
			reason: "condition, status and health", manifests: []string{configMap},
			o:       agentv1alpha1.WorkObservation{Applied: true, Status: status, Health: "Healthy"},
			applied: metav1.ConditionTrue, message: "applied",
			identifier: &workv1alpha1.ResourceIdentifier{Version: "v1", Kind: "ConfigMap", Resource: "configmaps", Namespace: "ns", Name: "c"},
		},
		"a kind of members": {
			reason: "its resource is named without asking this API server", manifests: []string{policy},
			o:       agentv1alpha1.WorkObservation{Applied: true},
			applied: metav1.ConditionTrue, message: "applied",
			identifier: &workv1alpha1.ResourceIdentifier{Group: "security.istio.io", Version: "v1", Kind: "AuthorizationPolicy", Resource: "authorizationpolicies", Namespace: "ns", Name: "p"},
		},
		"failed": {
			reason: "why", manifests: []string{configMap},
			o:       agentv1alpha1.WorkObservation{Reason: "AppliedFailed", Message: "a conflict with kubectl"},
			applied: metav1.ConditionFalse, message: "a conflict with kubectl",
			identifier: &workv1alpha1.ResourceIdentifier{Version: "v1", Kind: "ConfigMap", Resource: "configmaps", Namespace: "ns", Name: "c"},
		},
		"failed without words": {
			reason: "the reason is better than nothing", manifests: []string{configMap},
			o:       agentv1alpha1.WorkObservation{Reason: "AppliedFailed"},
			applied: metav1.ConditionFalse, message: "AppliedFailed",
			identifier: &workv1alpha1.ResourceIdentifier{Version: "v1", Kind: "ConfigMap", Resource: "configmaps", Namespace: "ns", Name: "c"},
		},
		"failed with many words": {
			reason: "conditions have a limit", manifests: []string{configMap},
			o:       agentv1alpha1.WorkObservation{Message: strings.Repeat("long ", 10000)},
			applied: metav1.ConditionFalse, message: "...",
			identifier: &workv1alpha1.ResourceIdentifier{Version: "v1", Kind: "ConfigMap", Resource: "configmaps", Namespace: "ns", Name: "c"},
		},
		"several manifests": {
			reason: "one report is about all, so none has a status of its own", manifests: []string{configMap, policy},
			o:       agentv1alpha1.WorkObservation{Applied: true, Status: status, Health: "Healthy"},
			applied: metav1.ConditionTrue, message: "applied",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
			for _, m := range tt.manifests {
				w.Spec.Workload.Manifests = append(w.Spec.Workload.Manifests, workv1alpha1.Manifest{RawExtension: runtime.RawExtension{Raw: []byte(m)}})
			}
			old := w.DeepCopy()
			observe(w, tt.o)
			c := meta.FindStatusCondition(w.Status.Conditions, workv1alpha1.WorkApplied)
			require.NotNil(t, c)
			assert.Equal(t, tt.applied, c.Status)
			assert.Contains(t, c.Message, tt.message, tt.reason)
			assert.EqualValues(t, 3, c.ObservedGeneration)
			assert.Empty(t, validation.ValidateWorkStatusUpdate(w, old), tt.reason)
			if tt.identifier == nil {
				assert.Empty(t, w.Status.ManifestStatuses, tt.reason)
			} else {
				require.Len(t, w.Status.ManifestStatuses, 1)
				assert.Equal(t, *tt.identifier, w.Status.ManifestStatuses[0].Identifier, tt.reason)
			}
			again := w.DeepCopy()
			observe(again, tt.o)
			assert.Equal(t, w, again, "said again, it changes nothing")
		})
	}
}
