//! Who may do what in a namespace.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef};

use super::{access, metadata};
use crate::domain::{Access, LandingZone, Namespace};

/// One binding for each role with its subjects, sorted by role.
pub(super) fn role_bindings(zone: &LandingZone, namespace: &Namespace) -> Vec<RoleBinding> {
    let mut by_role: BTreeMap<&str, BTreeSet<&Access>> = BTreeMap::new();
    for access in &zone.access {
        if access.zones.contains(&namespace.zone) {
            by_role.entry(&access.role).or_default().insert(access);
        }
    }
    by_role
        .into_iter()
        .map(|(role, holders)| RoleBinding {
            metadata: metadata::namespaced(
                &zone.name,
                &namespace.name,
                format!("landing-zone-{role}"),
            ),
            role_ref: RoleRef {
                api_group: access::RBAC.to_owned(),
                kind: "ClusterRole".to_owned(),
                name: role.to_owned(),
            },
            subjects: Some(access::subjects(holders)),
        })
        .collect()
}
