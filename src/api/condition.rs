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
/// Another writer keeps changing an owned object back.
pub const CONTESTED: &str = "Contested";

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
    /// Policies are not all in place yet.
    pub const POLICIES_PENDING: &str = "PoliciesPending";
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
    /// The landing zone's namespaces are being deleted.
    pub const DELETING: &str = "Deleting";
}
