package agent

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
)

type reporter struct {
	cluster  string
	got      []agentv1alpha1.WorkObservation
	rejected []agentv1alpha1.RejectedObservation
	err      error
}

func (r *reporter) Report(_ context.Context, cluster string, o []agentv1alpha1.WorkObservation) ([]agentv1alpha1.RejectedObservation, error) {
	r.cluster, r.got = cluster, o
	return r.rejected, r.err
}

func TestReports(t *testing.T) {
	seen := []agentv1alpha1.WorkObservation{{Name: "w", UID: "u", Applied: true}}
	tests := map[string]struct {
		reason    string
		namespace string
		reporter  reporter
		validate  error
		options   *metav1.CreateOptions
		cluster   string
		check     func(error) bool
	}{
		"taken":     {reason: "the namespace says whose it is", namespace: "karmada-es-eu", cluster: "eu"},
		"elsewhere": {reason: "no cluster reports in a namespace of users", namespace: "default", check: apierrors.IsBadRequest},
		"the prefix alone": {
			reason: "there is no cluster without a name", namespace: "karmada-es-", check: apierrors.IsBadRequest,
		},
		"refused by admission": {
			reason: "plugins see reports, too", namespace: "karmada-es-eu", validate: apierrors.NewForbidden(agentv1alpha1.Resource("statusreports"), "", errors.New("no")),
			check: apierrors.IsForbidden,
		},
		"dry run": {reason: "it changes nothing", namespace: "karmada-es-eu", options: &metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}},
		"storage fails": {
			reason: "the agent has to report again", namespace: "karmada-es-eu", cluster: "eu",
			reporter: reporter{err: errors.New("etcd is gone")}, check: apierrors.IsServiceUnavailable,
		},
		"not ready": {
			reason: "as above, with the words of who is not ready", namespace: "karmada-es-eu", cluster: "eu",
			reporter: reporter{err: apierrors.NewServiceUnavailable("starting")}, check: apierrors.IsServiceUnavailable,
		},
		"some rejected": {
			reason: "the answer names them", namespace: "karmada-es-eu", cluster: "eu",
			reporter: reporter{rejected: []agentv1alpha1.RejectedObservation{{Name: "w", Reason: "Stale"}}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			group := Group(&tt.reporter)
			create := group.VersionedResourcesStorageMap["v1alpha1"]["statusreports"].(rest.Creater)
			ctx := genericapirequest.WithNamespace(genericapirequest.NewContext(), tt.namespace)
			obj, err := create.Create(ctx, &agentv1alpha1.StatusReport{Spec: agentv1alpha1.StatusReportSpec{Works: seen}},
				func(context.Context, runtime.Object) error { return tt.validate }, tt.options)
			assert.Equal(t, tt.cluster, tt.reporter.cluster, tt.reason)
			if tt.check != nil {
				require.True(t, tt.check(err), "%s: %v", tt.reason, err)
				return
			}
			require.NoError(t, err)
			report := obj.(*agentv1alpha1.StatusReport)
			assert.Equal(t, tt.reporter.rejected, report.Status.Rejected)
			assert.Empty(t, report.Spec.Works, "what was said is not said back")
		})
	}
	_, err := (&reports{}).Create(genericapirequest.NewContext(), &metav1.Status{}, nil, nil)
	require.True(t, apierrors.IsBadRequest(err))
}
