package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
)

// failoverName is the DestinationRule for failover, in istio-system, whose rules are
// for all namespaces. Its host is a wildcard, so a rule of somebody else for a host
// is nearer and takes its place.
const failoverName = "flotilla-failover"

// When an endpoint is taken out, without which Istio does not fail over: after five
// errors in a row that are the server's or the connection's, for half a minute the
// first time. All of a region may be out; that is what failover is for.
const (
	errorsInARow = 5
	lookInterval = 10 * time.Second
	firstOut     = 30 * time.Second
	mayBeOut     = 100
)

// failoverWork is the Work with the rule for failover, nil when there is to be none:
// in a cluster without a region it would have nothing to go by.
func (r *round) failoverWork(c *cluster) (*workv1alpha1.Work, error) {
	switch {
	case r.mesh.Spec.Failover == nil:
		return nil, nil
	case !c.ca.verdict.Join, !c.hasRegion() && !c.knowsRegions():
		return c.works[PartFailover], nil
	case !c.hasRegion():
		return nil, nil
	}
	work, err := newWork(r.mesh.Name, c.name, PartFailover, r.failoverRule())
	if err != nil {
		return nil, r.fail(c, "failover", err)
	}
	return work, nil
}

func (c *cluster) hasRegion() bool {
	status := c.status()
	return c.object.Spec.Region != "" || status != nil && len(status.Regions) > 0
}

// knowsRegions says whether the agent of a cluster has looked at its nodes.
func (c *cluster) knowsRegions() bool {
	status := c.status()
	return status != nil && meta.IsStatusConditionTrue(status.Conditions, meshv1alpha1.ConditionNodesLocated)
}

func (r *round) failoverRule() *networkingv1.DestinationRule {
	locality := &networkingv1alpha3.LocalityLoadBalancerSetting{Enabled: wrapperspb.Bool(true)}
	for _, region := range r.mesh.Spec.Failover.Regions {
		for _, to := range region.To { // validation sees to it that it is one
			locality.Failover = append(locality.Failover, &networkingv1alpha3.LocalityLoadBalancerSetting_Failover{From: region.From, To: to})
		}
	}
	return &networkingv1.DestinationRule{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.istio.io/v1", Kind: "DestinationRule"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: meshv1alpha1.IstioNamespace, Name: failoverName,
			Labels: map[string]string{meshv1alpha1.MeshLabel: r.mesh.Name},
		},
		Spec: networkingv1alpha3.DestinationRule{
			Host: "*.local",
			TrafficPolicy: &networkingv1alpha3.TrafficPolicy{
				LoadBalancer: &networkingv1alpha3.LoadBalancerSettings{LocalityLbSetting: locality},
				OutlierDetection: &networkingv1alpha3.OutlierDetection{
					Consecutive_5XxErrors: wrapperspb.UInt32(errorsInARow),
					Interval:              durationpb.New(lookInterval),
					BaseEjectionTime:      durationpb.New(firstOut),
					MaxEjectionPercent:    mayBeOut,
				},
			},
		},
	}
}

// localityCondition says whether failover will match in a cluster; nil without
// failover.
func (r *round) localityCondition(c *cluster) *metav1.Condition {
	if r.mesh.Spec.Failover == nil || c.phase != active {
		return nil
	}
	condition := &metav1.Condition{Type: meshv1alpha1.ConditionLocality, Status: metav1.ConditionTrue}
	var regions []string
	if status := c.status(); status != nil {
		regions = slices.Clone(status.Regions)
		slices.Sort(regions)
	}
	others := slices.DeleteFunc(slices.Clone(regions), func(region string) bool { return region == c.object.Spec.Region })
	failed := failure(c.works[PartFailover])
	switch {
	case failed != "":
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, "FailoverNotApplied", failed
	case len(regions) == 0 && (c.object.Spec.Region != "" || !c.knowsRegions()):
		condition.Status, condition.Reason = metav1.ConditionUnknown, "NotReported"
		condition.Message = "its agent has not reported the regions of nodes; look at its other conditions and its log if it stays so"
	case c.object.Spec.Region == "" && len(regions) == 0:
		condition.Status, condition.Reason = metav1.ConditionFalse, "NoRegion"
		condition.Message = fmt.Sprintf("neither Cluster %s (spec.region) nor its nodes (label topology.kubernetes.io/region) say where it is, so failover does not work for it; set spec.region", c.name)
	case c.object.Spec.Region != "" && len(others) > 0:
		condition.Status, condition.Reason = metav1.ConditionFalse, "OtherRegions"
		condition.Message = fmt.Sprintf("nodes of cluster %s have region %s and Istio goes by that; Cluster %s says %s. Failover will not match: set spec.region of the Cluster to what nodes have, or use those regions in spec.failover", c.name, strings.Join(others, ", "), c.name, c.object.Spec.Region)
	default:
		condition.Reason, condition.Message = "Matches", "region "+strings.Join(regions, ", ")
	}
	return condition
}
