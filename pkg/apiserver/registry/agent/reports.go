// Package agent serves the group agent.flotilla.io: what agents say to the
// federation that is not an object.
package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"

	agentv1alpha1 "github.com/flotilla-io/flotilla/api/agent/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry/work"
)

// Group builds the group's storage. Reports go to reporter.
func Group(reporter work.Reporter) *genericapiserver.APIGroupInfo {
	return registry.GroupInfo(agentv1alpha1.GroupName, registry.Versions{
		agentv1alpha1.GroupVersion.Version: {"statusreports": &reports{reporter}},
	})
}

// reports takes StatusReports. They are answered, not stored.
type reports struct{ reporter work.Reporter }

var (
	_ rest.Creater              = &reports{}
	_ rest.Scoper               = &reports{}
	_ rest.SingularNameProvider = &reports{}
)

func (r *reports) New() runtime.Object     { return &agentv1alpha1.StatusReport{} }
func (r *reports) Destroy()                {}
func (r *reports) NamespaceScoped() bool   { return true }
func (r *reports) GetSingularName() string { return "statusreport" }

func (r *reports) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	report, ok := obj.(*agentv1alpha1.StatusReport)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("want a StatusReport, got %T", obj))
	}
	namespace := genericapirequest.NamespaceValue(ctx)
	cluster, ok := names.ClusterOf(namespace)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("namespace %s: a StatusReport goes to the execution namespace of its cluster, %s<cluster>", namespace, names.ExecutionNamespacePrefix))
	}
	if validate != nil {
		if err := validate(ctx, obj); err != nil {
			return nil, err
		}
	}
	out := &agentv1alpha1.StatusReport{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}}
	if isDryRun(options) {
		return out, nil
	}
	rejected, err := r.reporter.Report(ctx, cluster, report.Spec.Works)
	if err != nil {
		return nil, answer(err)
	}
	out.Status.Rejected = rejected
	return out, nil
}

func isDryRun(options *metav1.CreateOptions) bool { return options != nil && len(options.DryRun) > 0 }

// answer turns an error into one that says to try again: reports may be repeated.
func answer(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Code == http.StatusServiceUnavailable {
		return err
	}
	return apierrors.NewServiceUnavailable(fmt.Sprintf("the report was not taken as a whole, make it again: %v", err))
}
