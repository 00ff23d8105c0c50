package apiserver

import (
	"context"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
)

// flowSchemas give the requests of components and agents the priority that those of
// Kubernetes' controllers and kubelets have, so that no crowd of users keeps members
// from being looked after. An administrator may change them.
func flowSchemas() []*flowcontrolv1.FlowSchema {
	user := func(name string) flowcontrolv1.Subject {
		return flowcontrolv1.Subject{Kind: flowcontrolv1.SubjectKindUser, User: &flowcontrolv1.UserSubject{Name: name}}
	}
	agents := flowcontrolv1.Subject{Kind: flowcontrolv1.SubjectKindGroup, Group: &flowcontrolv1.GroupSubject{Name: names.AgentGroup}}
	return []*flowcontrolv1.FlowSchema{
		flowSchema("flotilla-controllers", "workload-high", 800, flowcontrolv1.FlowDistinguisherMethodByNamespaceType, user(pki.ControllerManagerUser), user(pki.SchedulerUser)),
		flowSchema("flotilla-agents", "system", 500, flowcontrolv1.FlowDistinguisherMethodByUserType, agents),
	}
}

func flowSchema(name, level string, precedence int32, flow flowcontrolv1.FlowDistinguisherMethodType, subjects ...flowcontrolv1.Subject) *flowcontrolv1.FlowSchema {
	all := []string{"*"}
	return &flowcontrolv1.FlowSchema{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: flowcontrolv1.FlowSchemaSpec{
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: level},
			MatchingPrecedence:         precedence,
			DistinguisherMethod:        &flowcontrolv1.FlowDistinguisherMethod{Type: flow},
			Rules: []flowcontrolv1.PolicyRulesWithSubjects{{
				Subjects:         subjects,
				ResourceRules:    []flowcontrolv1.ResourcePolicyRule{{Verbs: all, APIGroups: all, Resources: all, Namespaces: all, ClusterScope: true}},
				NonResourceRules: []flowcontrolv1.NonResourcePolicyRule{{Verbs: all, NonResourceURLs: all}},
			}},
		},
	}
}

// ensureFlowSchemas creates what is missing. Requests are served without, too, so it
// goes on until it can.
func ensureFlowSchemas(ctx context.Context, client kubernetes.Interface) {
	for _, schema := range flowSchemas() {
		var last error
		err := wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
			_, last = client.FlowcontrolV1().FlowSchemas().Create(ctx, schema, metav1.CreateOptions{})
			return last == nil || apierrors.IsAlreadyExists(last) || apierrors.IsInvalid(last), nil
		})
		if err == nil && last != nil && !apierrors.IsAlreadyExists(last) {
			klog.FromContext(ctx).Error(last, "Requests have the priority of anybody's", "flowSchema", schema.Name)
		}
	}
}
