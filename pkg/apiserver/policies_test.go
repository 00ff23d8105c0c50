package apiserver

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata/fake"
	"k8s.io/client-go/util/workqueue"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/flotilla-io/flotilla/api/names"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/events"
)

// With two API servers, a policy can be unknown where a template is created for longer
// than its owner is to wait for an answer.
func TestUnmatchedIsLookedAtOnceMore(t *testing.T) {
	resource := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	kind := resource.GroupVersion().WithKind("Deployment")
	policy := &policyv1alpha1.PropagationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "all"}}
	policy.Spec.ResourceSelectors = []policyv1alpha1.ResourceSelector{{APIVersion: "apps/v1", Kind: "Deployment"}}

	for name, test := range map[string]struct {
		reason string
		policy *policyv1alpha1.PropagationPolicy
		claims int
	}{
		"policy seen late": {reason: "nobody else looks again", policy: policy, claims: 1},
		"no policy":        {reason: "that has been said"},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := fake.NewTestScheme()
			require.NoError(t, metav1.AddMetaToScheme(scheme))
			reader := fake.NewSimpleMetadataClient(scheme, &metav1.PartialObjectMetadata{
				TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
				ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "uid"},
			})
			var said []string
			recorder := events.Func(func(_ context.Context, about corev1.ObjectReference, _, _, note string) {
				said = append(said, about.Name+": "+note)
			})
			clock := testingclock.NewFakeClock(time.Unix(0, 0))
			p := newPolicies()
			p.queue.ShutDown()
			p.queue = workqueue.NewTypedRateLimitingQueueWithConfig(
				workqueue.DefaultTypedControllerRateLimiter[unmatched](), workqueue.TypedRateLimitingQueueConfig[unmatched]{Clock: clock})
			t.Cleanup(p.queue.ShutDown)
			look := func() {
				require.Eventually(t, func() bool { return p.queue.Len() == 1 }, 10*time.Second, time.Millisecond, test.reason)
				item, quit := p.queue.Get()
				require.False(t, quit)
				require.NoError(t, p.report(t.Context(), reader, recorder, item))
				p.queue.Done(item)
			}
			patches := func() (n int) {
				for _, a := range reader.Actions() {
					if a.Matches("patch", "deployments") {
						n++
					}
				}
				return n
			}

			p.Unmatched(resource, kind, "default", "web")
			clock.Step(unmatchedDelay)
			look()
			require.Equal(t, []string{"web: " + names.NoPolicyMatchMessage}, said)

			if test.policy != nil {
				p.PolicyChanged(test.policy)
			}
			require.Zero(t, p.queue.Len())
			clock.Step(lastLookDelay)
			look()
			require.Equal(t, test.claims, patches(), test.reason)
			require.Len(t, said, 1, "the same is not said again")
			clock.Step(time.Hour)
			require.Zero(t, p.queue.Len(), "that was the last time")
		})
	}
}
