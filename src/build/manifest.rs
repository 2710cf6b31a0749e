//! Desired objects as the API server takes them. The operator applies these, and the command line
//! prints them.

use serde::Serialize;
use serde_json::{Value, json};
use thiserror::Error;

use super::{DefaultDenyPolicies, Desired};
use crate::domain::Flavour;
use crate::policy::Tier;

/// An object could not be written as JSON.
#[derive(Debug, Error)]
#[error("failed to write an object of kind {kind} as JSON")]
pub struct ManifestError {
    kind: &'static str,
    source: serde_json::Error,
}

/// The objects of one landing zone with apiVersion and kind, in the order in which they are
/// applied: policies before the namespaces that they select, so that no window is open.
pub fn manifests(desired: &Desired, flavour: Flavour) -> Result<Vec<Value>, ManifestError> {
    let Desired {
        global_network_policies,
        staged_global_network_policies,
        namespaces,
        network_policies,
        resource_quotas,
        limit_ranges,
        role_bindings,
        cluster_roles,
        cluster_role_bindings,
    } = desired;
    let mut objects = Vec::new();
    for policy in global_network_policies {
        objects.push(calico("GlobalNetworkPolicy", policy, flavour)?);
    }
    for policy in staged_global_network_policies {
        objects.push(calico("StagedGlobalNetworkPolicy", policy, flavour)?);
    }
    kubernetes(&mut objects, "Namespace", namespaces)?;
    kubernetes(&mut objects, "NetworkPolicy", network_policies)?;
    kubernetes(&mut objects, "ResourceQuota", resource_quotas)?;
    kubernetes(&mut objects, "LimitRange", limit_ranges)?;
    kubernetes(&mut objects, "RoleBinding", role_bindings)?;
    kubernetes(&mut objects, "ClusterRole", cluster_roles)?;
    kubernetes(&mut objects, "ClusterRoleBinding", cluster_role_bindings)?;
    Ok(objects)
}

/// The policies of the default deny with apiVersion and kind, in the order in which they are applied.
pub fn default_deny_manifests(
    policies: &DefaultDenyPolicies,
    flavour: Flavour,
) -> Result<Vec<Value>, ManifestError> {
    let DefaultDenyPolicies {
        opening,
        closing,
        staged,
    } = policies;
    let enforced = opening.iter().chain(closing);
    let enforced = enforced.map(|policy| calico("GlobalNetworkPolicy", policy, flavour));
    let staged = staged.iter();
    let staged = staged.map(|policy| calico("StagedGlobalNetworkPolicy", policy, flavour));
    enforced.chain(staged).collect()
}

/// The tiers that the policies of all landing zones share, with apiVersion and kind.
pub fn tier_manifests(tiers: &[Tier], flavour: Flavour) -> Result<Vec<Value>, ManifestError> {
    tiers
        .iter()
        .map(|tier| calico("Tier", tier, flavour))
        .collect()
}

/// Calico's kinds are the same in both of its APIs, so their types do not know their apiVersion.
fn calico<T: Serialize>(
    kind: &'static str,
    object: &T,
    flavour: Flavour,
) -> Result<Value, ManifestError> {
    let mut value = to_json(kind, object)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("apiVersion".to_owned(), json!(flavour.api.to_string()));
        fields.insert("kind".to_owned(), json!(kind));
    }
    Ok(value)
}

/// The types of k8s-openapi write apiVersion and kind themselves.
fn kubernetes<T: Serialize>(
    objects: &mut Vec<Value>,
    kind: &'static str,
    of_kind: &[T],
) -> Result<(), ManifestError> {
    for object in of_kind {
        objects.push(to_json(kind, object)?);
    }
    Ok(())
}

fn to_json<T: Serialize>(kind: &'static str, object: &T) -> Result<Value, ManifestError> {
    let mut value =
        serde_json::to_value(object).map_err(|source| ManifestError { kind, source })?;
    write_whole_numbers_whole(&mut value);
    Ok(value)
}

/// An order of 900 is written `900` and not `900.0`, as the API server writes it back.
fn write_whole_numbers_whole(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(write_whole_numbers_whole),
        Value::Object(fields) => fields.values_mut().for_each(write_whole_numbers_whole),
        Value::Number(number) if number.is_f64() => {
            if let Ok(whole) = format!("{:.0}", number.as_f64().unwrap_or_default()).parse::<i64>()
                && number.as_f64().is_some_and(|float| float.fract() == 0.0)
            {
                *value = whole.into();
            }
        }
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Namespace, ResourceQuota};
    use kube::api::ObjectMeta;

    use super::*;
    use crate::domain::{CalicoNaming, PolicyApi};
    use crate::policy::{GlobalNetworkPolicy, GlobalNetworkPolicySpec, TierSpec};

    const CRD: Flavour = Flavour {
        api: PolicyApi::CalicoCrdV1,
        tiers: true,
        staged: false,
        naming: CalicoNaming::Plain,
    };

    fn named(name: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn policies_come_before_the_namespaces_that_they_select() {
        let desired = Desired {
            resource_quotas: vec![ResourceQuota {
                metadata: named("quota"),
                ..ResourceQuota::default()
            }],
            namespaces: vec![Namespace {
                metadata: named("a"),
                ..Namespace::default()
            }],
            global_network_policies: vec![GlobalNetworkPolicy {
                metadata: named("p"),
                spec: GlobalNetworkPolicySpec {
                    order: Some(900.0),
                    ..GlobalNetworkPolicySpec::default()
                },
            }],
            ..Desired::default()
        };
        let manifests = manifests(&desired, CRD).unwrap();
        assert_eq!(
            manifests,
            [
                json!({"apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy",
                    "metadata": {"name": "p"}, "spec": {"order": 900}}),
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}),
                json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "quota"}}),
            ]
        );
    }

    #[test]
    fn the_flavour_decides_the_version_of_calicos_kinds() {
        let tier = Tier {
            metadata: named("t"),
            spec: TierSpec {
                order: Some(900.5),
                default_action: None,
            },
        };
        let v3 = Flavour {
            api: PolicyApi::CalicoV3,
            ..CRD
        };
        assert_eq!(
            tier_manifests(&[tier], v3).unwrap(),
            [json!({"apiVersion": "projectcalico.org/v3", "kind": "Tier",
                "metadata": {"name": "t"}, "spec": {"order": 900.5}})]
        );
    }
}
