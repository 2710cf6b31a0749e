//! Names and labels that every owned object carries. Never an owner reference: deleting a
//! `LandingZone`, or its kind, must delete nothing else.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::names;
use crate::domain::{LandingZoneName, NamespaceName, PLATFORM_NAME};

/// The labels that say whose an object is.
pub(super) fn owner_labels(owner: &LandingZoneName) -> BTreeMap<String, String> {
    BTreeMap::from([
        (names::OWNER.to_owned(), owner.to_string()),
        (names::MANAGED_BY.to_owned(), names::MANAGER.to_owned()),
    ])
}

/// Metadata of an owned object that lives in no namespace.
pub(super) fn cluster_wide(owner: &LandingZoneName, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        labels: Some(owner_labels(owner)),
        ..ObjectMeta::default()
    }
}

/// Metadata of an object that belongs to the platform as a whole.
pub(super) fn of_platform(name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        labels: Some(BTreeMap::from([
            (names::PLATFORM.to_owned(), PLATFORM_NAME.to_owned()),
            (names::MANAGED_BY.to_owned(), names::MANAGER.to_owned()),
        ])),
        ..ObjectMeta::default()
    }
}

/// Metadata of an owned object in a namespace.
pub(super) fn namespaced(
    owner: &LandingZoneName,
    namespace: &NamespaceName,
    name: impl Into<String>,
) -> ObjectMeta {
    ObjectMeta {
        namespace: Some(namespace.to_string()),
        ..cluster_wide(owner, name.into())
    }
}
