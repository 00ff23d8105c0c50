package v1alpha1

import "k8s.io/apimachinery/pkg/runtime"

// DefaultFailoverTolerationSeconds is how long an application may be unhealthy
// before it is moved, in seconds, when its policy does not say.
const DefaultFailoverTolerationSeconds int32 = 300

// RegisterDefaults registers the defaulting functions of this version.
func RegisterDefaults(scheme *runtime.Scheme) error {
	scheme.AddTypeDefaultingFunc(&PropagationPolicy{}, func(obj any) {
		SetDefaults_PropagationSpec(&obj.(*PropagationPolicy).Spec)
	})
	scheme.AddTypeDefaultingFunc(&PropagationPolicyList{}, func(obj any) {
		list := obj.(*PropagationPolicyList)
		for i := range list.Items {
			SetDefaults_PropagationSpec(&list.Items[i].Spec)
		}
	})
	scheme.AddTypeDefaultingFunc(&ClusterPropagationPolicy{}, func(obj any) {
		SetDefaults_PropagationSpec(&obj.(*ClusterPropagationPolicy).Spec)
	})
	scheme.AddTypeDefaultingFunc(&ClusterPropagationPolicyList{}, func(obj any) {
		list := obj.(*ClusterPropagationPolicyList)
		for i := range list.Items {
			SetDefaults_PropagationSpec(&list.Items[i].Spec)
		}
	})
	return nil
}

// SetDefaults_PropagationSpec fills what the caller of a propagation policy left
// out. Defaulting a second time changes nothing.
func SetDefaults_PropagationSpec(spec *PropagationSpec) {
	if spec.Priority == nil {
		spec.Priority = new(int32)
	}
	if spec.Preemption == "" {
		spec.Preemption = PreemptNever
	}
	if spec.SchedulerName == "" {
		spec.SchedulerName = DefaultSchedulerName
	}
	if spec.ConflictResolution == "" {
		spec.ConflictResolution = ConflictAbort
	}
	SetDefaults_Placement(&spec.Placement)
	if spec.Failover != nil {
		SetDefaults_FailoverBehavior(spec.Failover)
	}
}

// SetDefaults_Placement fills the type of a replica scheduling that has none, and
// how it divides: by weights. A spread constraint that groups by nothing counts clusters, and needs one
// group at least.
func SetDefaults_Placement(placement *Placement) {
	if s := placement.ReplicaScheduling; s != nil {
		if s.ReplicaSchedulingType == "" {
			s.ReplicaSchedulingType = ReplicaSchedulingTypeDivided
		}
		if s.ReplicaSchedulingType == ReplicaSchedulingTypeDivided && s.ReplicaDivisionPreference == "" {
			s.ReplicaDivisionPreference = ReplicaDivisionPreferenceWeighted
		}
	}
	for i := range placement.SpreadConstraints {
		c := &placement.SpreadConstraints[i]
		if c.SpreadByField == "" && c.SpreadByLabel == "" {
			c.SpreadByField = SpreadByFieldCluster
		}
		if c.MinGroups == 0 {
			c.MinGroups = 1
		}
	}
}

// SetDefaults_FailoverBehavior fills purge modes and the time of toleration.
func SetDefaults_FailoverBehavior(failover *FailoverBehavior) {
	if app := failover.Application; app != nil {
		if app.PurgeMode == "" {
			app.PurgeMode = PurgeModeGracefully
		}
		if app.DecisionConditions.TolerationSeconds == nil {
			seconds := DefaultFailoverTolerationSeconds
			app.DecisionConditions.TolerationSeconds = &seconds
		}
	}
	if cluster := failover.Cluster; cluster != nil && cluster.PurgeMode == "" {
		cluster.PurgeMode = PurgeModeGracefully
	}
}
