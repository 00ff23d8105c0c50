package apiserver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flotilla-io/flotilla/api/names"
)

// complaints are the events that say that no policy wants an object.
func complaints(t *testing.T, ns, name string) (out []corev1.Event) {
	t.Helper()
	list := &corev1.EventList{}
	require.NoError(t, fed.List(t.Context(), list, client.InNamespace(ns)))
	for _, e := range list.Items {
		if e.InvolvedObject.Name == name && e.Reason == names.EventApplyPolicyFailed {
			out = append(out, e)
		}
	}
	return out
}

func TestTemplatesWithoutAPolicy(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	alone := deployment(ns, "alone")
	create(t, alone)
	eventually(t, func() bool { return len(complaints(t, ns, "alone")) > 0 }, "its owner is told")
	e := complaints(t, ns, "alone")[0]
	assert.Equal(t, corev1.EventTypeWarning, e.Type)
	assert.Equal(t, names.NoPolicyMatchMessage, e.Message)
	assert.Equal(t, "resource-detector", e.Source.Component, "the column From of kubectl describe")
	assert.Equal(t, alone.UID, e.InvolvedObject.UID)
	assert.Equal(t, "Deployment", e.InvolvedObject.Kind)

	// kubectl apply -f with the template before its policy, in one file.
	for attempt := range 5 {
		ns := newNamespace(t)
		together := deployment(ns, "together")
		began := time.Now()
		create(t, together, policy(ns, "p", allDeployments))
		took := time.Since(began)
		eventually(t, func() bool {
			require.NoError(t, fed.Get(t.Context(), client.ObjectKeyFromObject(together), together))
			return together.Annotations[names.PropagationPolicyNameAnnotation] == "p"
		}, "a second look claims what the policy missed")
		// A file that was applied slowly says nothing of one that was not.
		if took < 100*time.Millisecond || attempt == 4 {
			assert.Empty(t, complaints(t, ns, "together"), "created within %s", took)
			break
		}
	}

	// Said once, however often it is written.
	update(t, alone, func(d *appsv1.Deployment) { d.Labels["x"] = "y" })
	settings := &corev1.ConfigMap{}
	settings.Namespace, settings.Name = ns, "settings"
	create(t, settings)
	eventually(t, func() bool { return len(complaints(t, ns, "settings")) == 1 }, "every kind")
	for range 5 {
		<-time.After(100 * time.Millisecond)
		require.Len(t, complaints(t, ns, "alone"), 1)
	}
}
