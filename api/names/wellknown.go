package names

// Namespaces.
const (
	// ClusterNamespace holds the credentials and the leases of clusters.
	ClusterNamespace = "karmada-cluster"
	// SystemNamespace holds what the control plane keeps for itself.
	SystemNamespace = "karmada-system"
	// ExecutionNamespacePrefix begins the names of execution namespaces.
	ExecutionNamespacePrefix = "karmada-es-"
	// FederationUIDNamespace is the namespace whose UID identifies a federation,
	// and likewise a member cluster.
	FederationUIDNamespace = "kube-system"
)

// Identity of agents.
const (
	// AgentUserPrefix begins the user name of an agent; the cluster's name follows.
	AgentUserPrefix = "system:cluster:"
	// AgentGroup is the group of all agents.
	AgentGroup = "system:clusters"
	// BootstrapGroup is the group of everybody with a token to join with.
	BootstrapGroup = "system:bootstrappers:flotilla"
	// BootstrapGroupPrefix begins the group of a token for one cluster; the
	// cluster's name follows.
	BootstrapGroupPrefix = BootstrapGroup + ":"
	// RevokedAgents is the ConfigMap in kube-system that says, for clusters, up
	// to when certificates of their agents were issued that count no more.
	RevokedAgents = "flotilla-revoked-agents"
)

// AgentAnnotationPrefix begins the annotations on its Cluster that an agent may
// write itself.
const AgentAnnotationPrefix = "agent.flotilla.io/"

// ConditionDeletionsHeld is True on a Cluster whose agent waits for a person to confirm
// deletions; its message has the command that does.
const ConditionDeletionsHeld = "DeletionsHeld"

// The claim of a policy on a template, repeated on its binding.
const (
	// PropagationPolicyPermanentIDLabel holds the id of the claiming
	// PropagationPolicy. The policy itself has it too.
	PropagationPolicyPermanentIDLabel = "propagationpolicy.karmada.io/permanent-id"
	// ClusterPropagationPolicyPermanentIDLabel holds the id of the claiming
	// ClusterPropagationPolicy. The policy itself has it too.
	ClusterPropagationPolicyPermanentIDLabel = "clusterpropagationpolicy.karmada.io/permanent-id"
	// PropagationPolicyNameAnnotation names the claiming PropagationPolicy.
	PropagationPolicyNameAnnotation = "propagationpolicy.karmada.io/name"
	// PropagationPolicyNamespaceAnnotation is the namespace of that policy.
	PropagationPolicyNamespaceAnnotation = "propagationpolicy.karmada.io/namespace"
	// ClusterPropagationPolicyNameAnnotation names the claiming
	// ClusterPropagationPolicy.
	ClusterPropagationPolicyNameAnnotation = "clusterpropagationpolicy.karmada.io/name"
	// LabelBound is "true" on every template that was ever claimed. It comes
	// with the first claim and stays when the claim is released, because what
	// was placed stays. Caches of templates select by it.
	LabelBound = "propagation.flotilla.io/bound"
)

// On bindings.
const (
	// ResourceBindingPermanentIDLabel holds the id of a ResourceBinding.
	ResourceBindingPermanentIDLabel = "resourcebinding.karmada.io/permanent-id"
	// ClusterResourceBindingPermanentIDLabel holds the id of a
	// ClusterResourceBinding.
	ClusterResourceBindingPermanentIDLabel = "clusterresourcebinding.karmada.io/permanent-id"
	// AppliedPlacementAnnotation is the placement, as JSON, of the scheduler's
	// last decision.
	AppliedPlacementAnnotation = "policy.karmada.io/applied-placement"
)

// On objects in members, and on the Works that bring them there.
const (
	// ManagedLabel is ManagedLabelValue on every object that the federation
	// manages in a member.
	ManagedLabel = "karmada.io/managed"
	// ManagedLabelValue is the value of ManagedLabel.
	ManagedLabelValue = "true"
	// WorkNameAnnotation names the Work of an object in a member.
	WorkNameAnnotation = "work.karmada.io/name"
	// WorkNamespaceAnnotation is the namespace of that Work.
	WorkNamespaceAnnotation = "work.karmada.io/namespace"
	// FederationAnnotation is the UID of the federation whose agent applied an
	// object in a member. Agents of other federations leave it alone. Objects
	// without it are of the federation that their other marks name.
	FederationAnnotation = "agent.flotilla.io/federation"
	// TemplateUIDAnnotation is the UID of the template of an object in a member.
	TemplateUIDAnnotation = "resourcetemplate.karmada.io/uid"
	// TemplateGenerationAnnotation is the metadata.generation of the template
	// that the object in the member was made from.
	TemplateGenerationAnnotation = "resourcetemplate.karmada.io/generation"
	// ManagedLabelsAnnotation lists the keys of the labels that came from the
	// template, separated by commas.
	ManagedLabelsAnnotation = "resourcetemplate.karmada.io/managed-labels"
	// ManagedAnnotationsAnnotation lists the keys of the annotations that came
	// from the template, separated by commas.
	ManagedAnnotationsAnnotation = "resourcetemplate.karmada.io/managed-annotations"
	// AppliedOverridesAnnotation records, as JSON, which OverridePolicies
	// changed a manifest, and how.
	AppliedOverridesAnnotation = "policy.karmada.io/applied-overrides"
	// AppliedClusterOverridesAnnotation is the same for ClusterOverridePolicies.
	AppliedClusterOverridesAnnotation = "policy.karmada.io/applied-cluster-overrides"
)

// On templates, set by users.
const (
	// ConflictResolutionAnnotation overrules the policy's conflictResolution:
	// "overwrite" or "abort".
	ConflictResolutionAnnotation = "work.karmada.io/conflict-resolution"
	// DeletionProtectionLabel with DeletionProtectionAlways refuses deletion.
	DeletionProtectionLabel = "resourcetemplate.karmada.io/deletion-protected"
	// DeletionProtectionAlways is the value of DeletionProtectionLabel that
	// protects; any other does not.
	DeletionProtectionAlways = "Always"
	// RetainReplicasLabel with RetainReplicasValue leaves the replicas of the
	// object in a member to the member, for an autoscaler there.
	RetainReplicasLabel = "resourcetemplate.karmada.io/retain-replicas"
	// RetainReplicasValue is the value of RetainReplicasLabel that takes effect.
	RetainReplicasValue = "true"
	// SkipAutoPropagationLabel with SkipAutoPropagationValue on a namespace
	// keeps it from being created in every member.
	SkipAutoPropagationLabel = "namespace.karmada.io/skip-auto-propagation"
	// SkipAutoPropagationValue is the value of SkipAutoPropagationLabel that
	// takes effect.
	SkipAutoPropagationValue = "true"
)

// Finalizers. Those that nobody here removes come with objects that were exported
// elsewhere. The API server strips them, or the objects could not be deleted.
const (
	// PropagationPolicyFinalizer elsewhere holds a PropagationPolicy until its
	// claims are released. It is stripped.
	PropagationPolicyFinalizer = "karmada.io/propagation-policy-controller"
	// ClusterPropagationPolicyFinalizer is the same on ClusterPropagationPolicies.
	ClusterPropagationPolicyFinalizer = "karmada.io/cluster-propagation-policy-controller"
	// BindingFinalizer elsewhere holds a binding until its Works are gone. It is
	// stripped.
	BindingFinalizer = "karmada.io/binding-controller"
	// ClusterResourceBindingFinalizer is the same on cluster-scoped bindings.
	ClusterResourceBindingFinalizer = "karmada.io/cluster-resource-binding-controller"
	// ExecutionFinalizer elsewhere holds a Work until its objects in the member
	// are gone. It is stripped from Works that are stored; computed ones have
	// no finalizers.
	ExecutionFinalizer = "karmada.io/execution-controller"
	// ClusterFinalizer holds a Cluster until its execution namespace is empty.
	ClusterFinalizer = "karmada.io/cluster-controller"
)

// Taints that the federation itself puts on clusters.
const (
	// TaintClusterNotReady says that the cluster answers, but is not healthy.
	TaintClusterNotReady = "cluster.karmada.io/not-ready"
	// TaintClusterUnreachable says that nothing is heard of the cluster.
	TaintClusterUnreachable = "cluster.karmada.io/unreachable"
	// TaintClusterUnschedulable says that a person has cordoned the cluster.
	TaintClusterUnschedulable = "cluster.karmada.io/unschedulable"
	// TaintClusterTerminating says that the cluster is leaving the federation.
	TaintClusterTerminating = "cluster.karmada.io/terminating"
)

// Reasons of events, read by kubectl describe.
const (
	// EventApplyPolicySucceed: a policy has claimed the template.
	EventApplyPolicySucceed = "ApplyPolicySucceed"
	// EventApplyPolicyFailed: no policy could claim the template.
	EventApplyPolicyFailed = "ApplyPolicyFailed"
	// EventPreemptPolicySucceed: a policy has taken the template over.
	EventPreemptPolicySucceed = "PreemptPolicySucceed"
	// EventPreemptPolicyFailed: a policy could not take the template over.
	EventPreemptPolicyFailed = "PreemptPolicyFailed"
	// EventGetReplicasSucceed: the template's replicas are known.
	EventGetReplicasSucceed = "GetReplicasSucceed"
	// EventGetReplicasFailed: the template's replicas could not be read.
	EventGetReplicasFailed = "GetReplicasFailed"
	// EventScheduleBindingSucceed: clusters were chosen.
	EventScheduleBindingSucceed = "ScheduleBindingSucceed"
	// EventScheduleBindingFailed: clusters could not be chosen.
	EventScheduleBindingFailed = "ScheduleBindingFailed"
	// EventSyncWorkSucceed: the Works are there for their clusters to take.
	EventSyncWorkSucceed = "SyncWorkSucceed"
	// EventSyncWorkFailed: a Work could not be made.
	EventSyncWorkFailed = "SyncWorkFailed"
	// EventSyncSucceed: clusters have applied their manifests.
	EventSyncSucceed = "SyncSucceed"
	// EventSyncFailed: a cluster could not apply its manifest.
	EventSyncFailed = "SyncFailed"
	// EventStubNotApplied: a cluster that calls a Service of others could not
	// apply the stub of it.
	EventStubNotApplied = "StubNotApplied"
	// EventAggregateStatusSucceed: the clusters' statuses are summed up.
	EventAggregateStatusSucceed = "AggregateStatusSucceed"
	// EventAggregateStatusFailed: they could not be.
	EventAggregateStatusFailed = "AggregateStatusFailed"
)

// NoPolicyMatchMessage is the note of EventApplyPolicyFailed when no policy
// selects a template.
const NoPolicyMatchMessage = "No policy match for resource"
