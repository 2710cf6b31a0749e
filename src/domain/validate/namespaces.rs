//! The namespaces of a landing zone, each for itself.

use std::collections::BTreeSet;

use super::{Findings, metadata, quotas};
use crate::api::{LandingZoneSpec, NamespaceSpec, PodSecurity, rule};
use crate::domain::{Defaults, FieldPath, Namespace};

/// Most namespaces that one landing zone may have.
const MOST: usize = 50;

pub(super) fn validate(
    spec: &LandingZoneSpec,
    defaults: &Defaults,
    path: &FieldPath,
    findings: &mut Findings,
) -> Vec<Namespace> {
    let count = spec.namespaces.len();
    if count == 0 {
        findings.report(
            path,
            "",
            "must have at least 1 item: add a namespace with name and zone",
        );
    }
    if count > MOST {
        findings.report(
            path,
            format_args!("{count} namespaces"),
            format!(
                "must have at most {MOST} items: split the application into several landing zones"
            ),
        );
    }
    let mut seen = BTreeSet::new();
    let mut namespaces = Vec::new();
    for (index, declared) in spec.namespaces.iter().enumerate() {
        let path = path.index(index);
        if !seen.insert(&declared.name) {
            findings.report(&path.key("name"), &declared.name, rule::TWICE);
        }
        namespaces.extend(namespace(declared, spec, defaults, &path, findings));
    }
    namespaces
}

/// Whether none of them is where objects of Azure Service Operator lie.
pub(super) fn not_azure(
    spec: &LandingZoneSpec,
    of_azure: &str,
    path: &FieldPath,
    findings: &mut Findings,
) {
    let declared = spec.namespaces.iter().enumerate();
    for (index, _) in declared.filter(|(_, it)| it.name == of_azure) {
        let path = path.index(index).key("name");
        findings.report(&path, of_azure, rule::NAMESPACE_OF_AZURE);
    }
}

fn namespace(
    declared: &NamespaceSpec,
    spec: &LandingZoneSpec,
    defaults: &Defaults,
    path: &FieldPath,
    findings: &mut Findings,
) -> Option<Namespace> {
    let name = findings.parse(&path.key("name"), &declared.name);
    let zone = findings.parse(&path.key("zone"), &declared.zone);
    metadata::labels(&declared.labels, &path.key("labels"), findings);
    metadata::annotations(&declared.annotations, &path.key("annotations"), findings);
    pod_security(declared, path, findings);
    let quota = if declared.quota.is_empty() {
        defaults.quota.clone()
    } else {
        quotas::hard(&declared.quota, &path.key("quota"), findings)
    };
    let limits = declared
        .limits
        .as_ref()
        .map(|limits| quotas::limits(limits, &path.key("limits"), findings))
        .or_else(|| defaults.limits.clone());

    let mut labels = spec.labels.clone();
    labels.extend(declared.labels.clone());
    Some(Namespace {
        name: name?,
        zone: zone?,
        labels,
        annotations: declared.annotations.clone(),
        pod_security: declared
            .pod_security
            .or(defaults.pod_security)
            .unwrap_or_default(),
        quota,
        limits,
    })
}

fn pod_security(declared: &NamespaceSpec, path: &FieldPath, findings: &mut Findings) {
    let privileged = declared.pod_security == Some(PodSecurity::Privileged);
    match declared.acknowledge {
        None if privileged => {
            findings.report(&path.key("podSecurity"), "privileged", rule::PRIVILEGED);
        }
        Some(acknowledged) if !privileged => findings.report(
            &path.key("acknowledge"),
            format_args!("{acknowledged:?}"),
            rule::NOT_PRIVILEGED,
        ),
        _ => {}
    }
}
