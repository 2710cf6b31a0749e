//! Objects of a cluster, as kubectl dumps them: only what tells whose an address is.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::api::names;
use crate::cli::document::{self, Content, Node};
use crate::cli::finding::Finding;
use crate::cli::source::{MAX_FILE_BYTES, Origin, SourceFile, mentions_landing_zones};

/// No dump is longer; pods take some 10 KiB each.
pub const MAX_DUMP_BYTES: u64 = 512 * 1024 * 1024;

const LONG_YAML: &str = "longer than 32 MiB: dump it as JSON, by kubectl get … -o json";
const LONG_DECLARATIONS: &str =
    "longer than 32 MiB and declares landing zones: keep those in files of their own";

/// Labels by key.
pub type Labels = BTreeMap<String, String>;

/// Pods, namespaces and nodes of all dumps, in the order in which they are written.
#[derive(Debug, Default)]
pub struct Dump {
    /// Pods.
    pub pods: Vec<Object>,
    /// Namespaces.
    pub namespaces: Vec<Object>,
    /// Nodes.
    pub nodes: Vec<Object>,
}

/// What a file holds besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing of ours.
    Nothing,
    /// Landing zones or a platform, or text that is no YAML where they are expected.
    Declarations,
}

/// An object of any kind, as far as it matters here. Every field that is not what it should be
/// counts as left out: the objects of a cluster are none of our business.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Object {
    #[serde(deserialize_with = "lenient")]
    api_version: String,
    #[serde(deserialize_with = "lenient")]
    kind: String,
    /// Who it is.
    #[serde(deserialize_with = "lenient")]
    pub metadata: Metadata,
    /// What it shall be.
    #[serde(deserialize_with = "lenient")]
    pub spec: Spec,
    /// What it is.
    #[serde(deserialize_with = "lenient")]
    pub status: Status,
    items: Vec<Object>,
}

/// Who an object is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Name.
    pub name: String,
    /// Namespace; empty where it has none.
    #[serde(deserialize_with = "lenient")]
    pub namespace: String,
    /// Labels.
    #[serde(deserialize_with = "lenient")]
    pub labels: Labels,
    /// Since when it is being deleted.
    #[serde(deserialize_with = "lenient")]
    pub deletion_timestamp: Option<String>,
}

/// What a pod or a node shall be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// The node that a pod runs on.
    #[serde(deserialize_with = "lenient")]
    pub node_name: String,
    /// Whether a pod has the addresses of its node.
    #[serde(deserialize_with = "lenient")]
    pub host_network: bool,
    /// The range of a node's pods.
    #[serde(rename = "podCIDR", deserialize_with = "lenient")]
    pub pod_cidr: String,
    /// The ranges of a node's pods, one of each family.
    #[serde(rename = "podCIDRs", deserialize_with = "lenient")]
    pub pod_cidrs: Vec<String>,
}

/// What a pod or a node is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// How far a pod has come.
    #[serde(deserialize_with = "lenient")]
    pub phase: String,
    /// The address of a pod.
    #[serde(rename = "podIP", deserialize_with = "lenient")]
    pub pod_ip: String,
    /// The addresses of a pod, one of each family.
    #[serde(rename = "podIPs", deserialize_with = "lenient")]
    pub pod_ips: Vec<PodIp>,
    /// The addresses of a node.
    #[serde(deserialize_with = "lenient")]
    pub addresses: Vec<NodeAddress>,
}

/// One address of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodIp {
    /// The address.
    pub ip: String,
}

/// One address of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeAddress {
    /// What kind of address it is, for instance `InternalIP`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The address.
    pub address: String,
}

/// Takes a field for what it should be, or for left out.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

impl Dump {
    /// Takes what a file holds.
    ///
    /// # Errors
    /// It is too long to be read; as JSON it may be longer.
    pub fn add(&mut self, file: &SourceFile) -> Result<Rest, Finding> {
        self.add_file(file, file.text.len() as u64 > MAX_FILE_BYTES)
    }

    fn add_file(&mut self, file: &SourceFile, is_long: bool) -> Result<Rest, Finding> {
        let text = file.text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with('{') {
            match json(text) {
                Ok(objects) => {
                    let mut declares = false;
                    for object in objects {
                        declares |= self.take(object, "");
                    }
                    return if declares && is_long {
                        Err(Finding::of_file(&file.name, LONG_DECLARATIONS))
                    } else {
                        Ok(rest(declares))
                    };
                }
                Err(error) if is_long => {
                    let message = format!("this is not JSON: {error}");
                    return Err(Finding::of_file(&file.name, message));
                }
                // YAML may begin like JSON, and says better what is wrong.
                Err(_) => {}
            }
        }
        if is_long {
            return Err(Finding::of_file(&file.name, LONG_YAML));
        }
        Ok(rest(self.add_yaml(file)))
    }

    /// Takes what a YAML file holds; whether it declares something, or may mean to.
    fn add_yaml(&mut self, file: &SourceFile) -> bool {
        let stream = document::parse(&file.text);
        let mut declares = false;
        for document in &stream.documents {
            let root = &document.root;
            let list = root.get("kind").and_then(|kind| kind.text());
            match root.get("items").map(|items| &items.content) {
                Some(Content::List(items)) if list.is_some_and(|kind| kind.ends_with("List")) => {
                    for item in items {
                        declares |= self.take(object(item), list.unwrap_or_default());
                    }
                }
                _ => declares |= self.take(object(root), ""),
            }
        }
        declares
            || (!stream.syntax.is_empty()
                && (file.origin == Origin::Named || mentions_landing_zones(file.text.as_bytes())))
    }

    /// Takes an object, or all of a list; whether any of them is ours.
    fn take(&mut self, mut object: Object, list: &str) -> bool {
        if !object.items.is_empty() && object.kind.ends_with("List") {
            let items = std::mem::take(&mut object.items);
            let mut ours = false;
            for item in items {
                ours |= self.take(item, &object.kind);
            }
            return ours;
        }
        // The items of a list of one kind may leave it out.
        let kind = if object.kind.is_empty() {
            list.strip_suffix("List").unwrap_or_default()
        } else {
            object.kind.as_str()
        };
        let in_core = object.api_version == "v1" || object.api_version.is_empty();
        let ours = object
            .api_version
            .split_once('/')
            .map_or(object.api_version.as_str(), |(group, _)| group)
            == names::GROUP
            || kind.starts_with("LandingZone");
        match kind {
            "Pod" if in_core => self.pods.push(object),
            "Namespace" if in_core => self.namespaces.push(object),
            "Node" if in_core => self.nodes.push(object),
            _ => {}
        }
        ours
    }
}

fn rest(declares: bool) -> Rest {
    if declares {
        Rest::Declarations
    } else {
        Rest::Nothing
    }
}

/// Reads JSON without keeping what does not matter.
fn json(text: &str) -> Result<Vec<Object>, serde_json::Error> {
    serde_json::Deserializer::from_str(text)
        .into_iter()
        .collect()
}

fn object(node: &Node) -> Object {
    serde_json::from_value(node.to_json()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
