//! In which versions a cluster serves the kinds of Azure Service Operator and of Karpenter, as their definitions tell it. What decides is pure.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::core::params::GetParams;
use kube::core::{Request, Resource, Version};
use serde_json::Value;
use tokio::sync::watch;

use super::failure;
use super::watch::send_if_new;
use crate::domain::AzureKind;

/// How long until a definition that could not be read is asked for again.
const AGAIN: Duration = Duration::from_secs(30);

/// How such a kind is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureDefinition {
    /// It is served in this version, which has every field that is written.
    Serves(String),
    /// It cannot be used, and why.
    Unfit(String),
}

/// Those that are there, by kind.
pub type AzureDefinitions = BTreeMap<AzureKind, AzureDefinition>;

impl AzureDefinition {
    /// What a definition says: the newest version that is served and has every field that is written; one that is finished before
    /// one that is a preview. Those that end in `storage` are Azure Service Operator's own.
    #[must_use]
    pub fn of(kind: AzureKind, definition: &Value) -> Self {
        let versions = definition.pointer("/spec/versions");
        let mut served: Vec<_> = versions
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(|version| version.get("served") == Some(&Value::Bool(true)))
            .filter_map(|version| Some((Age::of(kind, version.get("name")?.as_str()?)?, version)))
            .collect();
        served.sort_by(|(one, _), (other, _)| other.cmp(one));
        let mut lacking = None;
        for (age, version) in served {
            let missing: Vec<_> = kind
                .fields()
                .iter()
                .filter(|field| !has(version, field))
                .copied()
                .collect();
            if missing.is_empty() {
                return Self::Serves(age.name.to_owned());
            }
            lacking.get_or_insert((age.name, missing));
        }
        let kind = kind.name();
        Self::Unfit(match lacking {
            Some((version, missing)) => format!(
                "{kind} is served in version {version}, in which spec has no {}",
                missing.join(", ")
            ),
            None => format!("{kind} is served in no version that is known"),
        })
    }
}

/// How new a version is, by its name: `v1api20240901`, `v20251002preview`; Karpenter's are named as Kubernetes names its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Age<'a> {
    is_finished: bool,
    /// Year, month and day; of Karpenter's, its numbers, where a beta is newer than any alpha.
    date: u32,
    name: &'a str,
}

impl<'a> Age<'a> {
    fn of(kind: AzureKind, name: &'a str) -> Option<Self> {
        let (is_finished, date) = if kind.is_karpenter() {
            Self::numbered(name)?
        } else {
            Self::dated(name)?
        };
        Some(Self {
            is_finished,
            date,
            name,
        })
    }

    fn dated(name: &str) -> Option<(bool, u32)> {
        let rest = name.strip_prefix("v1api").or(name.strip_prefix('v'))?;
        let (date, rest) = rest.split_at_checked(8)?;
        let is_finished = match rest {
            "" => true,
            "preview" => false,
            _ => return None,
        };
        Some((is_finished, date.parse().ok()?))
    }

    fn numbered(name: &str) -> Option<(bool, u32)> {
        const STEP: u32 = 1_000;
        let of = |major: u32, minor: Option<u32>| {
            major
                .saturating_mul(STEP)
                .saturating_add(minor.unwrap_or_default())
        };
        match Version::parse(name) {
            Version::Stable(major) => Some((true, major)),
            Version::Beta(major, minor) => {
                Some((false, of(major, minor).saturating_add(STEP * STEP)))
            }
            Version::Alpha(major, minor) => Some((false, of(major, minor))),
            Version::Nonconformant(_) => None,
        }
    }
}

/// Whether `spec` has a field in that version.
fn has(version: &Value, field: &str) -> bool {
    let mut schema = version.pointer("/schema/openAPIV3Schema/properties/spec");
    for name in field.split('.') {
        schema = schema.and_then(|it| it.get("items").unwrap_or(it).get("properties")?.get(name));
    }
    schema.is_some()
}

/// Reads the definitions that are there, and again whenever one of them is another generation.
pub(super) async fn read_definitions(
    client: Client,
    mut installed: watch::Receiver<Option<BTreeMap<AzureKind, Option<i64>>>>,
    found: watch::Sender<Option<AzureDefinitions>>,
) {
    loop {
        let Ok(kinds) = installed
            .wait_for(Option::is_some)
            .await
            .map(|it| it.clone())
        else {
            return;
        };
        let mut definitions = AzureDefinitions::new();
        let mut is_unread = false;
        for kind in kinds.into_iter().flatten().map(|(kind, _)| kind) {
            let definition = match read(&client, kind).await {
                Ok(Some(definition)) => AzureDefinition::of(kind, &definition),
                // The watch tells.
                Ok(None) => continue,
                Err(error) => {
                    is_unread = true;
                    let error = failure(&error);
                    let kind = kind.definition();
                    tracing::warn!(kind, error, "cannot read a definition; trying again");
                    AzureDefinition::Unfit(format!("{kind} cannot be read: {error}"))
                }
            };
            definitions.insert(kind, definition);
        }
        send_if_new(&found, definitions);
        tokio::select! {
            changed = installed.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(AGAIN), if is_unread => {}
        }
    }
}

async fn read(client: &Client, kind: AzureKind) -> kube::Result<Option<Value>> {
    let path = CustomResourceDefinition::url_path(&(), None);
    let request = Request::new(path).get(kind.definition(), &GetParams::default());
    match client
        .request::<Value>(request.map_err(kube::Error::BuildRequest)?)
        .await
    {
        Ok(definition) => Ok(Some(definition)),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const KIND: AzureKind = AzureKind::VirtualNetworksSubnet;

    /// A definition whose versions have every field but these.
    fn definition(versions: &[(&str, bool, &[&str])]) -> Value {
        let versions = versions.iter().map(|(name, served, without)| {
            let mut spec = json!({});
            for field in KIND.fields().iter().filter(|it| !without.contains(it)) {
                let mut schema = &mut spec;
                let mut of_list = false;
                for part in field.split('.') {
                    let of_object = if of_list { &mut schema["items"] } else { schema };
                    schema = &mut of_object["properties"][part];
                    of_list = part == "delegations";
                }
                *schema = json!({"type": "string"});
            }
            json!({"name": name, "served": served, "schema": {"openAPIV3Schema": {"properties": {"spec": spec}}}})
        });
        json!({"spec": {"versions": versions.collect::<Vec<_>>()}})
    }

    #[rstest]
    #[case::the_newest(&[("v1api20201101", true), ("v1api20240301", true)], "v1api20240301")]
    #[case::newer_names(&[("v20250301", true), ("v1api20240301", true)], "v20250301")]
    #[case::served_only(&[("v20250301", false), ("v1api20240301", true)], "v1api20240301")]
    #[case::no_preview(&[("v20251002preview", true), ("v1api20240301", true)], "v1api20240301")]
    #[case::but_for_nothing_else(&[("v20251002preview", true)], "v20251002preview")]
    #[case::no_storage(&[("v1api20240301storage", true), ("v1api20201101", true)], "v1api20201101")]
    fn the_newest_finished_version_is_written(
        #[case] versions: &[(&str, bool)],
        #[case] written: &str,
    ) {
        let versions: Vec<_> = versions
            .iter()
            .map(|(name, served)| (*name, *served, &[][..]))
            .collect();
        let found = AzureDefinition::of(KIND, &definition(&versions));
        assert_eq!(found, AzureDefinition::Serves(written.to_owned()));
    }

    #[rstest]
    #[case::finished(&["v1beta1", "v1"], "v1")]
    #[case::beta(&["v1alpha2", "v1beta1"], "v1beta1")]
    #[case::newer(&["v1beta1", "v1beta2"], "v1beta2")]
    #[case::not_theirs(&["v1alpha1", "whatever"], "v1alpha1")]
    fn karpenters_versions_are_named_as_those_of_kubernetes(
        #[case] versions: &[&str],
        #[case] newest: &str,
    ) {
        let ages = versions.iter();
        let ages = ages.filter_map(|name| Age::of(AzureKind::NodePool, name));
        assert_eq!(ages.max().unwrap().name, newest);
    }

    #[test]
    fn a_version_without_a_field_is_passed_over() {
        let both: [(&str, bool, &[&str]); 2] = [
            ("v20250301", true, &["routeTable.reference.armId"]),
            ("v1api20240301", true, &[]),
        ];
        assert_eq!(
            AzureDefinition::of(KIND, &definition(&both)),
            AzureDefinition::Serves("v1api20240301".to_owned())
        );
        let AzureDefinition::Unfit(why) = AzureDefinition::of(KIND, &definition(&both[..1])) else {
            panic!("it lacks a field");
        };
        assert_eq!(
            why,
            "VirtualNetworksSubnet is served in version v20250301, in which spec has no routeTable.reference.armId"
        );
        let none = AzureDefinition::of(KIND, &definition(&[("v1", true, &[])]));
        assert!(matches!(none, AzureDefinition::Unfit(why) if why.contains("no version")));
    }
}
