//! Who may do what in which zones.

use std::collections::BTreeSet;

use super::{Findings, Zones};
use crate::api::{AccessEntry, LandingZoneSpec, SubjectKind, rule};
use crate::domain::{Access, FieldPath, Platform, syntax};

pub(super) fn validate(
    spec: &LandingZoneSpec,
    zones: &Zones<'_>,
    platform: &Platform,
    path: &FieldPath,
    findings: &mut Findings,
) -> Vec<Access> {
    let mut seen = BTreeSet::new();
    let mut access = Vec::new();
    for (index, entry) in spec.access.iter().enumerate() {
        let path = path.index(index);
        if !seen.insert((entry.kind, &entry.name, &entry.role)) {
            findings.report(&path, &entry.name, rule::TWICE);
        }
        let subject = subject(entry, &path.key("name"), findings);
        if let Some(display_name) = &entry.display_name {
            let outcome = syntax::one_line(display_name, 256);
            findings.check(&path.key("displayName"), display_name, outcome);
        }
        role_allowed(&entry.role, platform, &path.key("role"), findings);
        for (index, zone) in entry.zones.iter().enumerate() {
            zones.check_known(zone, &path.key("zones").index(index), findings);
        }
        let Some((namespace, name)) = subject else {
            continue;
        };
        let named = entry.zones.iter().map(String::as_str);
        access.push(Access {
            kind: entry.kind,
            namespace,
            name,
            role: entry.role.clone(),
            zones: if entry.zones.is_empty() {
                zones
                    .0
                    .iter()
                    .filter_map(|zone| zone.parse().ok())
                    .collect()
            } else {
                named.filter_map(|zone| zone.parse().ok()).collect()
            },
        });
    }
    access
}

/// Namespace (of a service account) and name of the subject.
fn subject(
    entry: &AccessEntry,
    path: &FieldPath,
    findings: &mut Findings,
) -> Option<(Option<String>, String)> {
    let name = &entry.name;
    if entry.kind == SubjectKind::ServiceAccount {
        let parts = name.split_once(':').filter(|(namespace, account)| {
            syntax::dns_label(namespace, 63).is_ok() && syntax::dns_subdomain(account).is_ok()
        });
        let Some((namespace, account)) = parts else {
            findings.report(path, name, rule::SERVICE_ACCOUNT);
            return None;
        };
        return Some((Some(namespace.into()), account.into()));
    }
    if name.starts_with("system:") {
        findings.report(path, name, rule::SYSTEM_SUBJECT);
        return None;
    }
    findings.check(path, name, syntax::one_line(name, 256));
    Some((None, name.clone()))
}

fn role_allowed(role: &str, platform: &Platform, path: &FieldPath, findings: &mut Findings) {
    if !platform.roles.contains(role) {
        let allowed = platform.roles.iter().map(String::as_str);
        let allowed = allowed.collect::<Vec<_>>().join(", ");
        findings.report(
            path,
            role,
            format!(
                "is not a role that the platform allows: use one of {allowed}, or have the \
                 platform team allow it (spec.access.clusterRoles of the LandingZonePlatform, or \
                 --allowed-role of the operator)"
            ),
        );
    }
}
