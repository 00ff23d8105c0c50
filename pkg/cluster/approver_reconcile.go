package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/identity"
)

const (
	// bootstrapUserPrefix begins the user name of whoever has a bootstrap token;
	// the token's id follows.
	bootstrapUserPrefix = "system:bootstrap:"
	// builtInSigners begins the names of the signers that this project may answer
	// for: others have approvers of their own.
	builtInSigners = "kubernetes.io/"

	reasonFirst    = "AgentJoins"
	reasonRenewal  = "AgentRenews"
	reasonUnfitted = "NotThisAgent"
	reasonRevoked  = "AgentRevoked"
)

// Approver decides about certificate requests of agents.
type Approver struct {
	// Request gives a request of its own to change, nil when there is none.
	Request func(ctx context.Context, name string) (*certificatesv1.CertificateSigningRequest, error)
	// Revocations says up to when certificates of agents were revoked.
	Revocations func(ctx context.Context) (identity.Revocations, error)
	// UpdateApproval writes the conditions of a request.
	UpdateApproval func(ctx context.Context, csr *certificatesv1.CertificateSigningRequest) error
}

// Reconcile approves a request, denies it, or leaves it to somebody else.
func (a *Approver) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	csr, err := a.Request(ctx, req.Name)
	if err != nil || csr == nil {
		return reconcile.Result{}, err
	}
	condition := decide(csr)
	if condition == nil {
		return reconcile.Result{}, nil
	}
	if condition.Reason == reasonRenewal {
		if condition, err = a.unlessRevoked(ctx, csr, condition); err != nil {
			return reconcile.Result{}, fmt.Errorf("certificate request %s: %w", csr.Name, err)
		}
	}
	csr.Status.Conditions = append(csr.Status.Conditions, *condition)
	err = a.UpdateApproval(ctx, csr)
	switch {
	case apierrors.IsConflict(err):
		return reconcile.Result{RequeueAfter: retryConflict}, nil
	case apierrors.IsNotFound(err):
		return reconcile.Result{}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("certificate request %s: %w", csr.Name, err)
	}
	ctrl.LoggerFrom(ctx).Info("Decided about a certificate request", "request", klog.KRef("", csr.Name), "requester", csr.Spec.Username,
		"decision", condition.Type, "message", condition.Message)
	return reconcile.Result{}, nil
}

// unlessRevoked denies what an agent asked for before its certificates were revoked:
// what would be signed now would be newer than the revocation.
func (a *Approver) unlessRevoked(ctx context.Context, csr *certificatesv1.CertificateSigningRequest, approved *certificatesv1.CertificateSigningRequestCondition) (*certificatesv1.CertificateSigningRequestCondition, error) {
	revocations, err := a.Revocations(ctx)
	if err != nil {
		return nil, err
	}
	cluster := strings.TrimPrefix(csr.Spec.Username, names.AgentUserPrefix)
	if at, ok := revocations[cluster]; ok && !csr.CreationTimestamp.After(at) {
		return condition(certificatesv1.CertificateDenied, reasonRevoked,
			fmt.Sprintf("The certificates of the agent of cluster %s are revoked up to %s: it has to join anew, with a token", cluster, identity.Format(at))), nil
	}
	return approved, nil
}

// decide returns the condition to add, nil when there is nothing to say: the request
// is decided, it does not want to be an agent, or whoever asks is neither an agent
// nor has a token, so that a person decides.
func decide(csr *certificatesv1.CertificateSigningRequest) *certificatesv1.CertificateSigningRequestCondition {
	if decided(csr) || !strings.HasPrefix(csr.Spec.SignerName, builtInSigners) {
		return nil
	}
	entitled, reason := entitlement(csr)
	if reason == "" {
		return nil
	}
	request := identity.RequestOf(csr)
	cluster, claims, err := request.Claim()
	switch {
	case err != nil:
		return condition(certificatesv1.CertificateDenied, reasonUnfitted, err.Error())
	case !claims:
		return nil
	case cluster != "" && !slices.Contains(entitled, cluster):
		return condition(certificatesv1.CertificateDenied, reasonUnfitted, foreign(csr, cluster, entitled))
	}
	if err := request.Check(cluster); err != nil {
		return condition(certificatesv1.CertificateDenied, reasonUnfitted, "This is not what the agent of a cluster has to ask for: "+err.Error())
	}
	return condition(certificatesv1.CertificateApproved, reason, fmt.Sprintf("The agent of cluster %s, requested by %s", cluster, csr.Spec.Username))
}

func decided(csr *certificatesv1.CertificateSigningRequest) bool {
	return len(csr.Status.Certificate) > 0 || slices.ContainsFunc(csr.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool {
		return c.Type == certificatesv1.CertificateApproved || c.Type == certificatesv1.CertificateDenied || c.Type == certificatesv1.CertificateFailed
	})
}

// entitlement is which clusters' agents the requester may become, and by what. The
// reason is empty for everybody but agents and those with a token to join with.
func entitlement(csr *certificatesv1.CertificateSigningRequest) (clusters []string, reason string) {
	if cluster, ok := strings.CutPrefix(csr.Spec.Username, names.AgentUserPrefix); ok && slices.Contains(csr.Spec.Groups, names.AgentGroup) {
		return []string{cluster}, reasonRenewal
	}
	if !strings.HasPrefix(csr.Spec.Username, bootstrapUserPrefix) || !slices.Contains(csr.Spec.Groups, names.BootstrapGroup) {
		return nil, ""
	}
	for _, group := range csr.Spec.Groups {
		if cluster, ok := strings.CutPrefix(group, names.BootstrapGroupPrefix); ok {
			clusters = append(clusters, cluster)
		}
	}
	return clusters, reasonFirst
}

func foreign(csr *certificatesv1.CertificateSigningRequest, cluster string, entitled []string) string {
	if id, ok := strings.CutPrefix(csr.Spec.Username, bootstrapUserPrefix); ok {
		whose := "no cluster"
		if len(entitled) > 0 {
			whose = "cluster " + strings.Join(entitled, ", ")
		}
		return fmt.Sprintf("Token %s is for %s, not for %s: \"fedctl token create --cluster %s\" makes one", id, whose, cluster, cluster)
	}
	return fmt.Sprintf("The agent of cluster %s may not become that of %s", strings.Join(entitled, ", "), cluster)
}

func condition(kind certificatesv1.RequestConditionType, reason, message string) *certificatesv1.CertificateSigningRequestCondition {
	return &certificatesv1.CertificateSigningRequestCondition{Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: message}
}
