//! The right to read one's own landing zone, and the subjects of every binding.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject};

use super::metadata;
use crate::api::{SubjectKind, names};
use crate::domain::{Access, LandingZone};

/// API group of roles, and of users and groups as subjects.
pub(super) const RBAC: &str = "rbac.authorization.k8s.io";

/// Plural of the kind `LandingZone`, as rules name it.
const LANDING_ZONES: &str = "landingzones";

/// A role that may read this landing zone and no other; none where nobody has access. With the right to list and watch it,
/// whoever names it may follow its status (`kubectl landingzone status NAME --watch`), and still sees no other.
pub(super) fn reader_role(zone: &LandingZone) -> Option<ClusterRole> {
    if zone.access.is_empty() {
        return None;
    }
    Some(ClusterRole {
        metadata: metadata::cluster_wide(&zone.name, reader_name(zone)),
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec![names::GROUP.to_owned()]),
            resources: Some(vec![LANDING_ZONES.to_owned()]),
            resource_names: Some(vec![zone.name.to_string()]),
            verbs: ["get", "list", "watch"].map(str::to_owned).into(),
            ..PolicyRule::default()
        }]),
        ..ClusterRole::default()
    })
}

/// Gives that role to everybody with access to any of the namespaces.
pub(super) fn reader_binding(zone: &LandingZone) -> Option<ClusterRoleBinding> {
    if zone.access.is_empty() {
        return None;
    }
    Some(ClusterRoleBinding {
        metadata: metadata::cluster_wide(&zone.name, reader_name(zone)),
        role_ref: RoleRef {
            api_group: RBAC.to_owned(),
            kind: "ClusterRole".to_owned(),
            name: reader_name(zone),
        },
        subjects: Some(subjects(&zone.access)),
    })
}

/// The subjects of some access, each once, sorted by kind, namespace and name.
pub(super) fn subjects<'a>(access: impl IntoIterator<Item = &'a Access>) -> Vec<Subject> {
    let distinct: BTreeSet<_> = access
        .into_iter()
        .map(|access| {
            (
                access.kind,
                access.namespace.as_deref(),
                access.name.as_str(),
            )
        })
        .collect();
    distinct
        .into_iter()
        .map(|(kind, namespace, name)| subject(kind, namespace, name))
        .collect()
}

/// The group is written out as the API server would fill it in.
fn subject(kind: SubjectKind, namespace: Option<&str>, name: &str) -> Subject {
    let (api_group, kind) = match kind {
        SubjectKind::User => (Some(RBAC.to_owned()), "User"),
        SubjectKind::Group => (Some(RBAC.to_owned()), "Group"),
        SubjectKind::ServiceAccount => (None, "ServiceAccount"),
    };
    Subject {
        api_group,
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
    }
}

fn reader_name(zone: &LandingZone) -> String {
    format!("landing-zone-{}-reader", zone.name)
}
