package apply

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

func TestDecide(t *testing.T) {
	managed := map[string]string{names.ManagedLabel: "true"}
	marks := func(work, namespace string) map[string]string {
		return map[string]string{names.WorkNameAnnotation: work, names.WorkNamespaceAnnotation: namespace}
	}
	for name, tc := range map[string]struct {
		reason      string
		kind        string
		labels      map[string]string
		annotations map[string]string
		managers    []string
		overwrite   bool
		uid         types.UID
		stands      bool
		absent      bool
		federation  types.UID
		want        decision
		owner       string
	}{
		"absent":                 {reason: "there is nothing to ask about", absent: true, want: create},
		"ours":                   {reason: "label and marks are ours", labels: managed, annotations: marks("w", "es"), want: update},
		"label taken off":        {reason: "the marks are enough to repair the label", annotations: marks("w", "es"), want: update},
		"all marks taken off":    {reason: "the UID is the one that we applied", uid: "u", want: update},
		"only the label":         {reason: "an object that is labelled by hand is given to us", labels: managed, want: update},
		"moved between works":    {reason: "the other work does not want it any more", labels: managed, annotations: marks("v", "es"), want: update},
		"other work":             {reason: "the other work still wants it", labels: managed, annotations: marks("v", "es"), stands: true, want: conflict, owner: "work es/v"},
		"other work, overwrite":  {reason: "overwrite is about others, not about ourselves", labels: managed, annotations: marks("v", "es"), stands: true, overwrite: true, want: conflict, owner: "work es/v"},
		"other federation":       {reason: "someone else manages it the same way", labels: managed, annotations: marks("w", "es2"), want: conflict, owner: "work es2/w of another federation"},
		"other federation taken": {reason: "the work says so", labels: managed, annotations: marks("w", "es2"), overwrite: true, want: adopt},
		"federation signed":      {reason: "it is ours", labels: managed, annotations: marks("w", "es"), federation: "mine", want: update},
		"federation accepted":    {reason: "a person put ours in its place", labels: managed, annotations: marks("w", "es"), federation: "before", want: update},
		"foreign federation": {reason: "two federations may call a cluster the same", labels: managed, annotations: marks("w", "es"), federation: "theirs",
			want: conflict, owner: "the federation with UID theirs (work es/w)"},
		"foreign federation, known": {reason: "it took over what was ours", labels: managed, annotations: marks("w", "es"), federation: "theirs", uid: "u",
			want: conflict, owner: "the federation with UID theirs (work es/w)"},
		"foreign federation, taken":     {reason: "the work says so", labels: managed, annotations: marks("w", "es"), federation: "theirs", overwrite: true, want: adopt},
		"foreign federation, namespace": {reason: "it serves", kind: "Namespace", annotations: marks("w", "es"), federation: "theirs", overwrite: true, want: leave},
		"foreign":                       {reason: "the owner is named, most telling first", managers: []string{"helm", "kubectl"}, want: conflict, owner: "helm, kubectl"},
		"foreign without fields":        {reason: "an owner is named even then", want: conflict, owner: "an unknown owner"},
		"foreign taken":                 {reason: "the work says so", overwrite: true, want: adopt},
		"namespace":                     {reason: "a namespace serves as it is", kind: "Namespace", want: leave},
		"namespace, overwrite":          {reason: "and is not taken over, for it would be deleted with its work", kind: "Namespace", overwrite: true, want: leave},
		"namespace of ours":             {reason: "one that we made is ours", kind: "Namespace", labels: managed, annotations: marks("w", "es"), want: update},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.kind == "" {
				tc.kind = "ConfigMap"
			}
			c := claim{
				key: inventory.Key{Kind: tc.kind, Name: "x"}, work: "w", namespace: "es", overwrite: tc.overwrite, uid: tc.uid,
				stands:      func(string) bool { return tc.stands },
				federations: federations{current: "mine", former: []types.UID{"before"}},
			}
			object := &metav1.ObjectMeta{UID: "u", Labels: tc.labels, Annotations: tc.annotations}
			if tc.federation != "" {
				object.Annotations[names.FederationAnnotation] = string(tc.federation)
			}
			for _, manager := range tc.managers {
				object.ManagedFields = append(object.ManagedFields, metav1.ManagedFieldsEntry{Manager: manager})
			}
			object.ManagedFields = append(object.ManagedFields, metav1.ManagedFieldsEntry{Manager: "kubelet", Subresource: "status"})
			var current metav1.Object
			if !tc.absent {
				current = object
			}
			got, owner := decide(c, current)
			require.Equal(t, tc.want, got, tc.reason)
			require.Equal(t, tc.owner, owner, tc.reason)
		})
	}
}

func TestDeletable(t *testing.T) {
	mine := federations{current: "mine"}
	full := func() *metav1.ObjectMeta {
		return &metav1.ObjectMeta{
			UID:           "u",
			Labels:        map[string]string{names.ManagedLabel: "true"},
			Annotations:   map[string]string{names.WorkNameAnnotation: "w", names.WorkNamespaceAnnotation: "es", names.FederationAnnotation: "mine"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: FieldManager, Operation: metav1.ManagedFieldsOperationApply}},
		}
	}
	require.True(t, deletable(full(), "w", "es", mine, ""))
	for reason, spoil := range map[string]func(*metav1.ObjectMeta){
		"without the label it is not ours":     func(o *metav1.ObjectMeta) { o.Labels = nil },
		"it moved to another work":             func(o *metav1.ObjectMeta) { o.Annotations[names.WorkNameAnnotation] = "v" },
		"it is of another agent or federation": func(o *metav1.ObjectMeta) { o.Annotations[names.WorkNamespaceAnnotation] = "x" },
		"it is of another federation":          func(o *metav1.ObjectMeta) { o.Annotations[names.FederationAnnotation] = "x" },
		"a copy has other managers": func(o *metav1.ObjectMeta) {
			o.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl-client-side-apply", Operation: metav1.ManagedFieldsOperationUpdate}}
		},
		"an update in our name is no apply": func(o *metav1.ObjectMeta) { o.ManagedFields[0].Operation = metav1.ManagedFieldsOperationUpdate },
	} {
		o := full()
		spoil(o)
		require.False(t, deletable(o, "w", "es", mine, ""), reason)
	}
	bare := full()
	bare.ManagedFields = nil
	require.True(t, deletable(bare, "w", "es", mine, "u"), "the UID is the one that we applied")
	require.False(t, deletable(bare, "w", "es", mine, "v"))
	unsigned := full()
	delete(unsigned.Annotations, names.FederationAnnotation)
	require.True(t, deletable(unsigned, "w", "es", mine, ""), "older agents did not sign")
}
