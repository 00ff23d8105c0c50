package v1alpha1_test

import (
	"math/rand"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/randfill"

	"github.com/flotilla-io/flotilla/api/scheme"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

func filler(seed int64) *randfill.Filler {
	funcs := fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, func(serializer.CodecFactory) []any {
		return []any{
			func(raw *runtime.RawExtension, _ randfill.Continue) { raw.Raw = []byte(`{"replicas":2}`) },
			// Cluster names are unique in lists keyed by them.
			func(s *workv1alpha2.ResourceBindingSpec, c randfill.Continue) {
				c.FillNoCustom(s)
				for i := range s.Clusters {
					s.Clusters[i].Name = strings.Repeat("c", i+1)
				}
				workv1alpha2.SetDefaults_ResourceBindingSpec(s)
			},
			func(s *workv1alpha2.ResourceBindingStatus, c randfill.Continue) {
				c.FillNoCustom(s)
				for i := range s.AggregatedStatus {
					s.AggregatedStatus[i].ClusterName = strings.Repeat("c", i+1)
				}
			},
		}
	})
	return fuzzer.FuzzerFor(funcs, rand.NewSource(seed), scheme.Codecs)
}

// quantities differ in their cached text after a round trip, empty slices and
// maps in whether they are nil; neither shows on the wire.
var wireEqual = cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b metav1.Time) bool { return a.Equal(&b) })}

func TestRoundTripFromV1alpha2LosesNothing(t *testing.T) {
	roundTrip[workv1alpha2.ResourceBinding, workv1alpha1.ResourceBinding](t)
	roundTrip[workv1alpha2.ClusterResourceBinding, workv1alpha1.ClusterResourceBinding](t)
	roundTrip[workv1alpha2.ResourceBindingList, workv1alpha1.ResourceBindingList](t)
	roundTrip[workv1alpha2.ClusterResourceBindingList, workv1alpha1.ClusterResourceBindingList](t)
}

func TestRoundTripFromV1alpha1LosesNothing(t *testing.T) {
	roundTrip[workv1alpha1.ResourceBinding, workv1alpha2.ResourceBinding](t, withoutRemainder)
	roundTrip[workv1alpha1.ClusterResourceBinding, workv1alpha2.ClusterResourceBinding](t, withoutRemainder)
}

// withoutRemainder takes off what a conversion down adds for v1alpha2's sake.
func withoutRemainder(obj any) {
	delete(obj.(metav1.Object).GetAnnotations(), workv1alpha1.RemainderAnnotation)
}

func roundTrip[From, To any](t *testing.T, adjust ...func(any)) {
	t.Helper()
	for seed := range int64(200) {
		from, there, back := new(From), new(To), new(From)
		filler(seed).Fill(from)
		before := any(from).(runtime.Object).DeepCopyObject()
		if err := scheme.Scheme.Convert(from, there, nil); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(before, any(from), wireEqual); diff != "" {
			t.Fatalf("seed %d: the conversion changed its argument:\n%s", seed, diff)
		}
		if err := scheme.Scheme.Convert(there, back, nil); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, f := range adjust {
			f(back)
		}
		clearTypeMeta(before, any(back).(runtime.Object))
		if diff := cmp.Diff(before, any(back), wireEqual); diff != "" {
			t.Fatalf("seed %d: (-before +after):\n%s", seed, diff)
		}
	}
}

func clearTypeMeta(objects ...runtime.Object) {
	for _, obj := range objects {
		obj.GetObjectKind().SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind(""))
		switch list := obj.(type) {
		case *workv1alpha2.ResourceBindingList:
			for i := range list.Items {
				list.Items[i].TypeMeta = metav1.TypeMeta{}
			}
		case *workv1alpha2.ClusterResourceBindingList:
			for i := range list.Items {
				list.Items[i].TypeMeta = metav1.TypeMeta{}
			}
		}
	}
}

func TestWriteThroughV1alpha1KeepsTheRest(t *testing.T) {
	stored := &workv1alpha2.ResourceBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-deployment", Annotations: map[string]string{"mine": "1"}},
	}
	stored.Spec.SchedulerName = "default-scheduler"
	stored.Spec.Clusters = []workv1alpha2.TargetCluster{
		{Name: "eu", Replicas: 2, Components: []workv1alpha2.TargetComponent{{Name: "a", Replicas: 2}}},
		{Name: "ap", Replicas: 1},
	}
	old := &workv1alpha1.ResourceBinding{}
	if err := scheme.Scheme.Convert(stored, old, nil); err != nil {
		t.Fatal(err)
	}
	old.Spec.Clusters = []workv1alpha1.TargetCluster{{Name: "eu", Replicas: 5}}
	got := &workv1alpha2.ResourceBinding{}
	if err := scheme.Scheme.Convert(old, got, nil); err != nil {
		t.Fatal(err)
	}
	want := []workv1alpha2.TargetCluster{{Name: "eu", Replicas: 5, Components: []workv1alpha2.TargetComponent{{Name: "a", Replicas: 2}}}}
	if diff := cmp.Diff(want, got.Spec.Clusters); diff != "" {
		t.Errorf("The v1alpha1 client's change must be taken, and nothing else lost (-want +got):\n%s", diff)
	}
	if got.Spec.SchedulerName != "default-scheduler" {
		t.Error("A field that v1alpha1 does not have was lost.")
	}
	if diff := cmp.Diff(map[string]string{"mine": "1"}, got.Annotations); diff != "" {
		t.Errorf("The carrying annotation must not be stored, the others must (-want +got):\n%s", diff)
	}
}

func TestSpoiltRemainderIsAnError(t *testing.T) {
	old := &workv1alpha1.ResourceBinding{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "web-deployment",
		Annotations: map[string]string{workv1alpha1.RemainderAnnotation: "{"},
	}}
	err := scheme.Scheme.Convert(old, &workv1alpha2.ResourceBinding{}, nil)
	if err == nil {
		t.Fatal("Taking the binding without its other fields would wipe them out.")
	}
	for _, part := range []string{"shop/web-deployment", workv1alpha1.RemainderAnnotation} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %q: %v", part, err)
		}
	}
}
