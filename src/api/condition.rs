//! Condition types and reasons, as constants: tests, alerts and people's scripts rely on them.

/// Everything that the landing zone declares is in the cluster and observed to be as declared.
pub const READY: &str = "Ready";
/// The operator is working towards the declared state (kstatus: in progress).
pub const RECONCILING: &str = "Reconciling";
/// Only an edit of the declaration, or of what it conflicts with, helps (kstatus: failed).
pub const STALLED: &str = "Stalled";
/// Every declared namespace exists, is ours and carries its labels.
pub const NAMESPACES_READY: &str = "NamespacesReady";
/// The policies are in the cluster, in a flavour that something enforces.
pub const NETWORK_ENFORCED: &str = "NetworkEnforced";
/// The API server puts the declared placement into pods, as a pod that was not created has shown.
pub const PLACEMENT_ENFORCED: &str = "PlacementEnforced";
/// With `placement.evictMisplaced`: every pod runs on a node that the placement admits.
pub const PODS_PLACED: &str = "PodsPlaced";
/// Everything that is declared to cross the boundary is open.
pub const CROSSINGS_OPEN: &str = "CrossingsOpen";
/// Nothing gets through that is not declared, whatever others' policies and network sets say.
pub const BOUNDARY_HELD: &str = "BoundaryHeld";
/// What the landing zone, or the platform, declares in Azure is there, as Azure Service Operator says; only where it has to do with Azure.
pub const AZURE_READY: &str = "AzureReady";
/// Another writer keeps changing an owned object back.
pub const CONTESTED: &str = "Contested";
/// The default deny of the platform is in the stage that it declares.
pub const DEFAULT_DENY_READY: &str = "DefaultDenyReady";
/// Of a platform with `guard`: the webhook that judges policies is asked, and answers.
pub const GUARD_READY: &str = "GuardReady";
/// Of the platform: it is known which ranges pods get their addresses from.
pub const POD_RANGES_KNOWN: &str = "PodRangesKnown";
/// Of a platform with `dns.nodeLocal`: every address of NodeLocal DNSCache is known and allowed.
pub const NODE_LOCAL_DNS_ALLOWED: &str = "NodeLocalDnsAllowed";

/// Reasons of the conditions above. Each is one word that a script can match.
pub mod reason {
    /// All is as declared.
    pub const AS_DECLARED: &str = "AsDeclared";
    /// First sight, or a new generation that is being applied.
    pub const PROGRESSING: &str = "Progressing";
    /// `spec.suspend` is true.
    pub const SUSPENDED: &str = "Suspended";
    /// `spec.stage` is Plan: nothing is applied.
    pub const PLAN_ONLY: &str = "PlanOnly";
    /// The declaration breaks a rule that admission did not catch.
    pub const INVALID: &str = "Invalid";
    /// Another landing zone claims the same namespace or application code.
    pub const CONFLICT: &str = "Conflict";
    /// A namespace or object of that name exists and may not be adopted.
    pub const NOT_ADOPTED: &str = "NotAdopted";
    /// A namespace is being deleted; it is created anew once it is gone.
    pub const TERMINATING: &str = "Terminating";
    /// A write failed; it is tried again.
    pub const APPLY_FAILED: &str = "ApplyFailed";
    /// Calico enforces the boundary.
    pub const CALICO: &str = "Calico";
    /// Only Kubernetes policies: weaker, the message says what does not hold.
    pub const KUBERNETES_POLICIES_ONLY: &str = "KubernetesPoliciesOnly";
    /// Nothing in the cluster is known to enforce policies.
    pub const NO_ENFORCING_PLUGIN: &str = "NoEnforcingPlugin";
    /// The stage is Observe, as declared: nothing is denied, and what would be is recorded.
    pub const OBSERVED: &str = "Observed";
    /// Policies are not all in place yet.
    pub const POLICIES_PENDING: &str = "PoliciesPending";
    /// The API server adds the placement to pods.
    pub const ADDED_TO_PODS: &str = "AddedToPods";
    /// No node has what the placement asks for, at present.
    pub const NO_NODE: &str = "NoNode";
    /// The nodes that the placement admits are in fewer availability zones than it asks for.
    pub const FEW_AVAILABILITY_ZONES: &str = "FewAvailabilityZones";
    /// The API server leaves something of the placement out.
    pub const NOT_ADDED_TO_PODS: &str = "NotAddedToPods";
    /// The API server refused the pod that would have shown it.
    pub const TEST_REFUSED: &str = "TestRefused";
    /// Every pod runs on a node that the placement admits.
    pub const ALL_PLACED: &str = "AllPlaced";
    /// Pods that run elsewhere are being evicted, a few at a time.
    pub const EVICTING: &str = "Evicting";
    /// Pods that run elsewhere cannot be evicted for a while now.
    pub const EVICTION_BLOCKED: &str = "EvictionBlocked";
    /// Pods that run elsewhere are of kinds that are not evicted.
    pub const NOT_EVICTED: &str = "NotEvicted";
    /// The operator lacks the rights in config/eviction.
    pub const EVICTION_FORBIDDEN: &str = "EvictionForbidden";
    /// The API server did not say which pods there are.
    pub const PODS_UNKNOWN: &str = "PodsUnknown";
    /// Nobody is evicted while the placement is not in force.
    pub const PLACEMENT_NOT_ENFORCED: &str = "PlacementNotEnforced";
    /// Something that is declared to cross the boundary is closed; the message says why.
    pub const CROSSINGS_CLOSED: &str = "CrossingsClosed";
    /// All is open, and there is something to know about it.
    pub const CROSSINGS_REMARKED: &str = "CrossingsRemarked";
    /// Nothing is found that would leave the boundary.
    pub const NOTHING_CROSSES: &str = "NothingCrosses";
    /// Others' policies ask for more than is declared; it stays closed.
    pub const KEPT_CLOSED: &str = "KeptClosed";
    /// Something of others gets past the boundary, or could.
    pub const BOUNDARY_OPEN: &str = "BoundaryOpen";
    /// Some declared namespaces are somebody else's, and outside the boundary.
    pub const NAMESPACES_WITHHELD: &str = "NamespacesWithheld";
    /// Somebody else writes the same fields.
    pub const OTHER_WRITER: &str = "OtherWriter";
    /// Nobody else writes the same fields.
    pub const NO_OTHER_WRITER: &str = "NoOtherWriter";
    /// Deletion waits for somebody to confirm it.
    pub const CONFIRMATION_NEEDED: &str = "ConfirmationNeeded";
    /// The operator may not look into the landing zone's namespaces or delete them.
    pub const DELETION_REFUSED: &str = "DeletionRefused";
    /// The platform declares it.
    pub const DECLARED: &str = "Declared";
    /// The operator was started with it.
    pub const TOLD: &str = "Told";
    /// Calico's enabled pools of addresses say so.
    pub const IP_POOLS: &str = "IPPools";
    /// The Nodes say so.
    pub const NODES: &str = "Nodes";
    /// Nobody says so.
    pub const NOT_FOUND: &str = "NotFound";
    /// The Service is there.
    pub const SERVICE_FOUND: &str = "ServiceFound";
    /// The Service is not there, or has no address.
    pub const SERVICE_MISSING: &str = "ServiceMissing";
    /// The landing zone's namespaces are being deleted.
    pub const DELETING: &str = "Deleting";
    /// The default deny denies nothing, as declared.
    pub const OFF: &str = "Off";
    /// The default deny is in force.
    pub const ENFORCING: &str = "Enforcing";
    /// The default deny would cut off what the cluster itself depends on.
    pub const WOULD_CUT_OFF: &str = "WouldCutOff";
    /// The exempt namespaces have no room in a selector.
    pub const EXEMPTIONS_TOO_LONG: &str = "ExemptionsTooLong";
    /// The webhook answers.
    pub const ANSWERING: &str = "Answering";
    /// The webhook does not answer.
    pub const NOT_ANSWERING: &str = "NotAnswering";
    /// Nobody asks the webhook: it is not configured.
    pub const WEBHOOK_MISSING: &str = "WebhookMissing";
    /// The webhook has no certificate that the API server would take.
    pub const NO_CERTIFICATE: &str = "NoCertificate";
    /// The default deny needs Calico's own kinds.
    pub const NO_CALICO: &str = "NoCalico";
    /// What is declared in Azure is somebody else's to make.
    pub const NOT_MANAGED: &str = "NotManaged";
    /// Azure Service Operator is not there, or without a kind that is needed.
    pub const SERVICE_OPERATOR_MISSING: &str = "ServiceOperatorMissing";
    /// This release of Azure Service Operator lacks a field that is needed.
    pub const SERVICE_OPERATOR_UNFIT: &str = "ServiceOperatorUnfit";
    /// Karpenter is not there, or without a kind that is needed.
    pub const KARPENTER_MISSING: &str = "KarpenterMissing";
    /// This release of Karpenter lacks a field that is needed.
    pub const KARPENTER_UNFIT: &str = "KarpenterUnfit";
    /// The objects of Azure Service Operator cannot be watched.
    pub const NOT_WATCHED: &str = "NotWatched";
    /// A node pool would have to become another one.
    pub const POOL_CANNOT_CHANGE: &str = "PoolCannotChange";
    /// Azure Service Operator has given up until the declaration changes.
    pub const REFUSED_BY_AZURE: &str = "RefusedByAzure";
    /// Something that left the declaration is still there.
    pub const LEAVING: &str = "Leaving";
    /// A node pool gives way to another one.
    pub const REPLACING: &str = "Replacing";
}
