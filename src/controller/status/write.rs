//! Writes what is said.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::api::names::MANAGER;
use crate::api::{LandingZone, LandingZonePlatform, LandingZonePlatformStatus, LandingZoneStatus};
use crate::domain::PLATFORM_NAME;

/// Writes a status on condition that the landing zone is as it was looked at. Returns its new
/// resource version.
///
/// # Errors
/// As the API server answers; a conflict means that it was changed meanwhile.
pub async fn write(
    client: &Client,
    zone: &LandingZone,
    resource_version: &str,
    status: &LandingZoneStatus,
) -> Result<String, kube::Error> {
    let operations = json!([
        {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
        {"op": "add", "path": "/status", "value": status},
    ]);
    let patch = serde_json::from_value(operations).map_err(kube::Error::SerdeError)?;
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let api = Api::<LandingZone>::all(client.clone());
    let name = zone.name_any();
    let patch = Patch::Json::<()>(patch);
    let written = api.patch_status(&name, &params, &patch).await?;
    Ok(written.metadata.resource_version.unwrap_or_default())
}

/// Replaces the whole status of the platform: a list that became empty leaves nothing behind.
///
/// Returns its new resource version.
///
/// # Errors
/// As the API server answers.
pub async fn write_platform(
    client: &Client,
    status: &LandingZonePlatformStatus,
) -> Result<String, kube::Error> {
    let operations = json!([{"op": "add", "path": "/status", "value": status}]);
    let patch = serde_json::from_value(operations).map_err(kube::Error::SerdeError)?;
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    // The answer may be as unreadable as what is stored, so nothing but its metadata is read.
    let api = Api::<PartialObjectMeta<LandingZonePlatform>>::all(client.clone());
    let patch = Patch::Json::<()>(patch);
    let written = api.patch_status(PLATFORM_NAME, &params, &patch).await?;
    Ok(written.metadata.resource_version.unwrap_or_default())
}

/// Writes conditions, and leaves everything else of a status as it is.
///
/// # Errors
/// As the API server answers.
pub async fn write_conditions(
    client: &Client,
    zone: &str,
    generation: Option<i64>,
    conditions: &[Condition],
) -> Result<(), kube::Error> {
    let patch = json!({"status": {"observedGeneration": generation, "conditions": conditions}});
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    // The answer is as unreadable as what is stored, so nothing but its metadata is read.
    let api = Api::<PartialObjectMeta<LandingZone>>::all(client.clone());
    api.patch_status(zone, &params, &Patch::Merge(patch))
        .await
        .map(drop)
}
