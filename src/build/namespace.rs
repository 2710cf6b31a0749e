//! The namespaces.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{metadata, placement};
use crate::api::{PodSecurity, Stage, names};
use crate::domain::{self, LandingZone};

/// One namespace with its labels and annotations; what the operator sets wins over what people set.
pub(super) fn namespace(zone: &LandingZone, namespace: &domain::Namespace) -> Namespace {
    let mut labels = namespace.labels.clone();
    labels.extend(metadata::owner_labels(&zone.name));
    labels.insert(names::APPLICATION_CODE.to_owned(), zone.code.to_string());
    labels.insert(names::ZONE.to_owned(), namespace.zone.to_string());
    labels.extend(pod_security(namespace.pod_security));
    let is_observed = zone.stage == Stage::Observe;
    let stage = if is_observed { "Observe" } else { "Enforce" };
    labels.insert(names::STAGE.to_owned(), stage.to_owned());
    if is_observed {
        // Said outright, since a label that is left out may be there from an earlier stage.
        let enforce = format!("{}enforce", names::POD_SECURITY_PREFIX);
        labels.insert(enforce, "privileged".to_owned());
    }

    let mut annotations = namespace.annotations.clone();
    annotations.extend(
        zone.contact
            .iter()
            .map(|contact| (names::CONTACT.to_owned(), contact.clone())),
    );
    if let Some(placement) = zone.placement.as_ref().filter(|_| !is_observed) {
        annotations.extend(placement::annotations(placement));
    }

    Namespace {
        metadata: ObjectMeta {
            name: Some(namespace.name.to_string()),
            labels: Some(labels),
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

/// One level for all three modes: a warning on what is refused anyway would be silent, and one for
/// a stricter level would nag about what the platform allows.
fn pod_security(level: PodSecurity) -> BTreeMap<String, String> {
    let level = match level {
        PodSecurity::Restricted => "restricted",
        PodSecurity::Baseline => "baseline",
        PodSecurity::Privileged => "privileged",
    };
    ["enforce", "audit", "warn"]
        .into_iter()
        .map(|mode| {
            (
                format!("{}{mode}", names::POD_SECURITY_PREFIX),
                level.to_owned(),
            )
        })
        .collect()
}
