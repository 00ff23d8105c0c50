package validation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
)

const manifest = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}`

func TestValidateWork(t *testing.T) {
	cases := map[string]struct {
		reason    string
		namespace string
		manifest  string
		want      []string
	}{
		"Valid":         {reason: "An ordinary Work.", manifest: manifest},
		"Elsewhere":     {reason: "No agent reads other namespaces.", namespace: "default", manifest: manifest, want: []string{"metadata.namespace FieldValueInvalid"}},
		"Empty":         {reason: "There is nothing to apply.", manifest: "", want: []string{"spec.workload.manifests[0] FieldValueRequired"}},
		"NotAnObject":   {reason: "A list is no object.", manifest: `[]`, want: []string{"spec.workload.manifests[0] FieldValueInvalid"}},
		"Unidentified":  {reason: "The agent has to know which object it is.", manifest: `{}`, want: []string{"spec.workload.manifests[0].apiVersion FieldValueRequired", "spec.workload.manifests[0].kind FieldValueRequired", "spec.workload.manifests[0].metadata.name FieldValueRequired"}},
		"GeneratedName": {reason: "The agent could not find the object again.", manifest: `{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"p-"}}`, want: []string{"spec.workload.manifests[0].metadata.name FieldValueRequired"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			work := &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-eu", Name: "w"}}
			if tc.namespace != "" {
				work.Namespace = tc.namespace
			}
			work.Spec.Workload.Manifests = []workv1alpha1.Manifest{{RawExtension: runtime.RawExtension{Raw: []byte(tc.manifest)}}}
			if diff := cmp.Diff(tc.want, summary(ValidateWork(work))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if errs := ValidateWorkUpdate(work, work.DeepCopy()); len(errs) > 0 {
				t.Errorf("What is stored can be labelled: %v", errs)
			}
			if changed := ValidateWorkUpdate(work, &workv1alpha1.Work{}); (len(changed) > 0) != (len(tc.want) > 0 && tc.namespace == "") {
				t.Errorf("A change of the manifests must be held to the same: %s: %v", tc.reason, changed)
			}
		})
	}
}

// summary is what tests look at: field and type of each error, not its words.
func summary(errs field.ErrorList) []string {
	var all []string
	for _, err := range errs {
		all = append(all, err.Field+" "+string(err.Type))
	}
	return all
}

func FuzzValidateWork(f *testing.F) {
	f.Add([]byte(manifest))
	f.Add([]byte(`{"metadata":null}`))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		work := &workv1alpha1.Work{}
		work.Spec.Workload.Manifests = []workv1alpha1.Manifest{{RawExtension: runtime.RawExtension{Raw: raw}}}
		ValidateWork(work)
		ValidateWorkUpdate(work, work)
	})
}
