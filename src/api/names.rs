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
/// Ownership label on what belongs to the platform as a whole; its value is the platform's name.
pub const PLATFORM: &str = "landingzones.dev/platform";
/// Label of namespaces: the application's code in the company's CMDB (seed 002).
pub const APPLICATION_CODE: &str = "applicationcode";
/// Label of namespaces: the layer inside the landing zone (seed 002).
pub const ZONE: &str = "zone";
/// Finalizer, present only while `deletePolicy: Delete` stands.
pub const FINALIZER: &str = "landingzones.dev/cleanup";
/// Annotation on a `LandingZone` that confirms the deletion of namespaces that are in use; its
/// value is the landing zone's name.
pub const CONFIRM_DELETE: &str = "landingzones.dev/confirm-delete";
/// Annotation of namespaces: whom refusals name, the landing zone's `contact`.
pub const CONTACT: &str = "landingzones.dev/contact";
/// Label and taint of the nodes that belong to one landing zone; its value is the application's code (seed 000).
pub const STACK: &str = "stack";
/// Annotation that Azure Service Operator reads: what becomes of a resource when its object is deleted.
pub const RECONCILE_POLICY: &str = "serviceoperator.azure.com/reconcile-policy";
/// Annotation that Azure Service Operator reads: the Secret with the credentials for a resource.
pub const CREDENTIAL_FROM: &str = "serviceoperator.azure.com/credential-from";
/// Annotation of policies: what their authors say about findings, `<rule>: <reason>`, one to a line.
pub const WAIVE: &str = "landingzones.dev/waive";
/// Label of namespaces: how far their landing zone is in force. The rules on admission that are about
/// pods hold with `Enforce` only.
pub const STAGE: &str = "landingzones.dev/stage";
/// Kubernetes' label on every namespace: its name, which nobody can change.
pub const METADATA_NAME: &str = "kubernetes.io/metadata.name";
/// Calico's label on every namespace's endpoints: the namespace's name.
pub const CALICO_NAMESPACE_NAME: &str = "projectcalico.org/name";
/// Namespace annotation that the admission plugin PodNodeSelector reads.
pub const NODE_SELECTOR: &str = "scheduler.alpha.kubernetes.io/node-selector";
/// Namespace annotation that the admission plugin PodTolerationRestriction reads.
pub const DEFAULT_TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/defaultTolerations";
/// Namespace annotation that the admission plugin PodTolerationRestriction reads.
pub const TOLERATIONS_WHITELIST: &str = "scheduler.alpha.kubernetes.io/tolerationsWhitelist";
/// Namespace annotation: the taints that pods tolerate and no others, for config/placement and
/// config/admission. `<key>=<value>:<effect>` as kubectl taint writes it; without `=` any value, without `:`
/// any effect; commas between.
pub const TOLERATIONS: &str = "landingzones.dev/tolerations";
/// Namespace annotation: what the labels of nodes must say, for config/placement.
/// `<key> <operator> <values, with commas>`, semicolons between.
pub const NODE_AFFINITY: &str = "landingzones.dev/node-affinity";
/// Namespace annotation: `whenUnsatisfiable` of the spread over availability zones, for config/placement.
pub const SPREAD: &str = "landingzones.dev/spread";
/// Prefix of the Pod Security labels of a namespace.
pub const POD_SECURITY_PREFIX: &str = "pod-security.kubernetes.io/";

/// The port on which the addresses that a platform names as the API server's are opened, with TCP.
pub const API_SERVER_PORT: u16 = 443;
