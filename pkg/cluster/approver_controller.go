package cluster

import (
	"context"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/identity"
)

// addApprover adds the controller that decides about certificate requests of agents.
// It runs on the leader.
func addApprover(mgr ctrl.Manager) error {
	c, live := mgr.GetClient(), mgr.GetAPIReader()
	approver := &Approver{
		Request: func(ctx context.Context, name string) (*certificatesv1.CertificateSigningRequest, error) {
			csr := &certificatesv1.CertificateSigningRequest{}
			if err := c.Get(ctx, client.ObjectKey{Name: name}, csr); err != nil {
				return nil, client.IgnoreNotFound(err)
			}
			return csr, nil
		},
		Revocations: func(ctx context.Context) (identity.Revocations, error) {
			revoked := &corev1.ConfigMap{}
			err := live.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: names.RevokedAgents}, revoked)
			if client.IgnoreNotFound(err) != nil {
				return nil, err
			}
			revocations, err := identity.ParseRevocations(revoked.Data)
			if err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "Revocations cannot be read", "configMap", names.RevokedAgents)
			}
			return revocations, nil
		},
		UpdateApproval: func(ctx context.Context, csr *certificatesv1.CertificateSigningRequest) error {
			return c.SubResource("approval").Update(ctx, csr)
		},
	}
	approving, err := controller.New("certificate-approver", mgr, controller.Options{
		Reconciler:       approver,
		UsePriorityQueue: ptr.To(false), // can hang at the end: controller-runtime issue 3538
	})
	if err != nil {
		return err
	}
	return approving.Watch(source.Kind[client.Object](mgr.GetCache(), &certificatesv1.CertificateSigningRequest{}, &handler.EnqueueRequestForObject{}))
}
