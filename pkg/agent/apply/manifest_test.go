package apply

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

func newWork(manifests ...string) *workv1alpha1.Work {
	work := &workv1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Name: "w", Namespace: "es", UID: "u"}}
	for _, manifest := range manifests {
		work.Spec.Workload.Manifests = append(work.Spec.Workload.Manifests, workv1alpha1.Manifest{RawExtension: runtime.RawExtension{Raw: []byte(manifest)}})
	}
	return work
}

func TestReadWork(t *testing.T) {
	for name, tc := range map[string]struct {
		reason   string
		work     *workv1alpha1.Work
		want     string // the first manifest
		keys     []string
		bad      int
		complete bool
	}{
		"stamped": {
			reason: "the object says whose it is; what only the federation understands is dropped",
			work: newWork(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"n","uid":"x","resourceVersion":"1","generation":2,
				"creationTimestamp":null,"managedFields":[],"ownerReferences":[{"uid":"y"}],"labels":{"l":"1"}},"data":{"k":"v"},"status":{}}`),
			want: `{"apiVersion":"v1","data":{"k":"v"},"kind":"ConfigMap","metadata":{"annotations":{"work.karmada.io/name":"w","work.karmada.io/namespace":"es"},` +
				`"labels":{"karmada.io/managed":"true","l":"1"},"name":"a","namespace":"n"}}`,
			keys: []string{"ConfigMap n/a"}, complete: true,
		},
		"secret": {
			reason: "stringData is written as data, or drift in it could not be seen",
			work:   newWork(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"n"},"stringData":{"k":"v"}}`),
			want: `{"apiVersion":"v1","data":{"k":"dg=="},"kind":"Secret","metadata":{"annotations":{"work.karmada.io/name":"w","work.karmada.io/namespace":"es"},` +
				`"labels":{"karmada.io/managed":"true"},"name":"a","namespace":"n"}}`,
			keys: []string{"Secret n/a"}, complete: true,
		},
		"job": {
			reason: "a Job that went by itself would be created and run again",
			work:   newWork(`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a","namespace":"n"},"spec":{"ttlSecondsAfterFinished":1,"suspend":false}}`),
			want: `{"apiVersion":"batch/v1","kind":"Job","metadata":{"annotations":{"work.karmada.io/name":"w","work.karmada.io/namespace":"es"},` +
				`"labels":{"karmada.io/managed":"true"},"name":"a","namespace":"n"},"spec":{"suspend":false}}`,
			keys: []string{"Job.batch n/a"}, complete: true,
		},
		"several": {
			reason: "stored works may have several manifests",
			work:   newWork(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","namespace":"n"}}`, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"}}`),
			keys:   []string{"Deployment.apps n/a", "Namespace n"}, complete: true,
		},
		"no kind":   {reason: "named in the error, nothing pruned", work: newWork(`{"metadata":{"name":"a"}}`), bad: 1},
		"no name":   {reason: "generateName cannot be applied", work: newWork(`{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"a"}}`), bad: 1},
		"no object": {reason: "an empty manifest", work: newWork(`null`), bad: 1},
		"no JSON":   {reason: "garbage", work: newWork(`{`), bad: 1},
		"twice": {
			reason: "one work cannot want two things of one object",
			work:   newWork(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"}}`, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"}}`),
			keys:   []string{"Namespace n"}, bad: 1,
		},
		"nothing": {reason: "a work without manifests wants nothing, and everything it had goes", work: newWork(), complete: true},
	} {
		t.Run(name, func(t *testing.T) {
			record, bad := ReadWork(tc.work)
			require.Len(t, bad, tc.bad, tc.reason)
			for _, err := range bad {
				require.ErrorIs(t, err, ErrManifest)
				require.ErrorContains(t, err, "work es/w")
			}
			require.Equal(t, tc.complete, record.Prunes(), tc.reason)
			var keys []string
			for _, object := range record.Objects {
				keys = append(keys, object.Key.String())
			}
			require.Equal(t, tc.keys, keys)
			require.Len(t, record.Manifests, len(record.Objects))
			if tc.want != "" {
				require.JSONEq(t, tc.want, string(record.Manifests[0]))
			}
		})
	}
}

func TestReadWorkFlags(t *testing.T) {
	work := newWork(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"}}`)
	work.Spec.SuspendDispatching, work.Spec.PreserveResourcesOnDeletion = ptr.To(true), ptr.To(true)
	work.Annotations = map[string]string{names.ConflictResolutionAnnotation: "overwrite"}
	record, bad := ReadWork(work)
	require.Empty(t, bad)
	require.True(t, record.Suspended)
	require.True(t, record.Preserve)
	content, err := NewDesired("w", record.Objects[0], record.Manifests[0]).content()
	require.NoError(t, err)
	require.True(t, overwrites(content), "the work's conflict resolution is its manifests'")
}

func TestReadWorkIsDeterministic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}, "x": tree(3).Draw(t, "x")}
		raw, err := json.Marshal(content)
		if err != nil {
			t.Skip()
		}
		a, _ := ReadWork(newWork(string(raw)))
		b, _ := ReadWork(newWork(string(raw)))
		if !inventory.SameDesire(a, b) {
			t.Fatal("the same work is taken for a change")
		}
		// What was stamped once reads the same when it comes back.
		c, _ := ReadWork(newWork(string(a.Manifests[0])))
		if !inventory.SameDesire(a, c) {
			t.Fatal("stamping twice differs")
		}
	})
}

func FuzzReadWork(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","labels":null},"stringData":[]}`))
	f.Add([]byte(`{"apiVersion":"a/b/c","kind":"X","metadata":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		record, bad := ReadWork(newWork(string(raw)))
		if len(record.Objects)+len(bad) != 1 {
			t.Fatalf("one manifest, %d objects and %d errors", len(record.Objects), len(bad))
		}
		for i, object := range record.Objects {
			desired := NewDesired("w", object, record.Manifests[i])
			if _, err := desired.expected(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
