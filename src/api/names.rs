//! Names that other programs, people's scripts and our own objects rely on.

/// API group of both kinds.
pub const GROUP: &str = "landingzones.dev";
/// The only served version.
pub const VERSION: &str = "v1alpha1";
/// Field manager of every write, and the value of [`MANAGED_BY`].
pub const MANAGER: &str = "landing-zone-operator";
/// Standard label that names who manages an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Ownership label on every owned object; its value is the landing zone's name.
pub const OWNER: &str = "landingzones.dev/landing-zone";
/// Label of namespaces: the application's code in the company's CMDB (seed 002).
pub const APPLICATION_CODE: &str = "applicationcode";
/// Label of namespaces: the layer inside the landing zone (seed 002).
pub const ZONE: &str = "zone";
/// Finalizer, present only while `deletePolicy: Delete` stands.
pub const FINALIZER: &str = "landingzones.dev/cleanup";
/// Annotation on a `LandingZone` that confirms the deletion of namespaces that are in use; its
/// value is the landing zone's name.
pub const CONFIRM_DELETE: &str = "landingzones.dev/confirm-delete";
/// Calico's label on every namespace's endpoints: the namespace's name.
pub const CALICO_NAMESPACE_NAME: &str = "projectcalico.org/name";
/// Namespace annotation that the admission plugin PodNodeSelector reads.
pub const NODE_SELECTOR: &str = "scheduler.alpha.kubernetes.io/node-selector";
/// Namespace annotation that the admission plugin PodTolerationRestriction reads.
pub const DEFAULT_TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/defaultTolerations";
/// Namespace annotation that the admission plugin PodTolerationRestriction reads.
pub const TOLERATIONS_WHITELIST: &str = "scheduler.alpha.kubernetes.io/tolerationsWhitelist";
/// Prefix of the Pod Security labels of a namespace.
pub const POD_SECURITY_PREFIX: &str = "pod-security.kubernetes.io/";
