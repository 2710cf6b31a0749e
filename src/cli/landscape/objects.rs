//! Objects of a cluster that decide who reaches whom, whoever wrote them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1 as networking;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::workload::{WorkloadKind, WorkloadName};
use crate::cli::declaration::field_path;
use crate::domain::FieldPath;
use crate::policy::{
    Action, AdminPolicy, GlobalNetworkPolicy, LabelMap, NetworkPolicy, NetworkSet, Policy,
    PolicyKind, ServiceEndpoint, Tier, TransportProtocol, Unreadable, Written,
};

/// Objects by kind.
#[derive(Debug, Default)]
pub(in crate::cli) struct Objects {
    /// Policies as Felix takes them.
    pub policies: Vec<Policy>,
    /// Tiers.
    pub tiers: Vec<Tier>,
    /// Network sets; those without a namespace are global.
    pub sets: Vec<NetworkSet>,
    /// Labels of namespaces, by name.
    pub namespaces: BTreeMap<String, LabelMap>,
    /// Labels of service accounts, by namespace and name.
    pub service_accounts: BTreeMap<(String, String), LabelMap>,
    /// Pods.
    pub pods: Vec<Pod>,
    /// Ready endpoints of services, by namespace and name.
    pub services: BTreeMap<(String, String), Vec<ServiceEndpoint>>,
    /// How the pods of workloads are made.
    pub workloads: BTreeMap<WorkloadName, PodTemplateSpec>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// What counts as missing since it cannot be read: kind and name, and why.
    pub unreadable: Vec<(String, String)>,
    /// Whether there are landing zones that could not be read.
    pub is_partial: bool,
}

/// The label of a slice that names its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

impl Objects {
    /// Takes an object that says its kind; others are passed over. What would count and cannot be read is noted, with where it
    /// comes from.
    pub fn add(&mut self, object: &Value, source: &str) {
        self.add_at(object, &|_| source.to_owned());
    }

    /// The same, where more is known of the place of a field.
    pub fn add_at(&mut self, object: &Value, place: &dyn Fn(&FieldPath) -> String) {
        let text = |field: &str| object.get(field).and_then(Value::as_str);
        let version = text("apiVersion").unwrap_or_default();
        let kind = text("kind").unwrap_or_default();
        let (group, _) = version.split_once('/').unwrap_or(("", version));
        let written = match group {
            "crd.projectcalico.org" => Written::Storage,
            _ => Written::Api,
        };
        let taken = match (group, kind) {
            ("networking.k8s.io", "NetworkPolicy") => self.kubernetes(object),
            ("projectcalico.org" | "crd.projectcalico.org", kind) => {
                self.calico(object, kind, written)
            }
            ("", "Namespace") => self.namespace(object),
            ("", "ServiceAccount") => self.service_account(object),
            ("", "Pod") => parsed(object).map(|pod| self.pods.push(pod)),
            ("discovery.k8s.io", "EndpointSlice") => self.slice(object),
            ("policy.networking.k8s.io", "AdminNetworkPolicy") => {
                self.admin(object, PolicyKind::Admin, place)
            }
            ("policy.networking.k8s.io", "BaselineAdminNetworkPolicy") => {
                self.admin(object, PolicyKind::BaselineAdmin, place)
            }
            ("policy.networking.k8s.io", "ClusterNetworkPolicy") => {
                self.admin(object, PolicyKind::ClusterNetworkPolicy, place)
            }
            ("apps" | "batch", _) => self.workload(object, group, kind),
            _ => Ok(()),
        };
        if let Err(why) = taken {
            self.unreadable.push((title(object), why.to_string()));
            self.note(
                object,
                (&why.path, place),
                &format!("counts as missing: {why}"),
            );
        }
    }

    /// Notes something of an object, and where it stands.
    fn note(
        &mut self,
        object: &Value,
        (path, place): (&FieldPath, &dyn Fn(&FieldPath) -> String),
        what: &str,
    ) {
        let note = format!("{}: {} {what}", place(path), title(object));
        self.notes.push(note.replace(char::is_control, " "));
    }

    fn workload(&mut self, object: &Value, group: &str, kind: &str) -> Result<(), Flawed> {
        let Some(kind) = WorkloadKind::of(group, kind) else {
            return Ok(());
        };
        let Some(template) = kind.template(object)? else {
            return Ok(());
        };
        let text = |pointer: &str| {
            let text = object.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let name = WorkloadName {
            namespace: text("/metadata/namespace"),
            kind,
            name: text("/metadata/name"),
        };
        self.workloads.insert(name, template);
        Ok(())
    }

    fn kubernetes(&mut self, object: &Value) -> Result<(), Flawed> {
        let policy: networking::NetworkPolicy = parsed(object)?;
        let policy = Policy::of_kubernetes(&policy)?;
        self.policies.push(policy);
        Ok(())
    }

    fn admin(
        &mut self,
        object: &Value,
        kind: PolicyKind,
        place: &dyn Fn(&FieldPath) -> String,
    ) -> Result<(), Flawed> {
        let policy: AdminPolicy = parsed(object)?;
        self.policies.push(Policy::of_admin(&policy, kind)?);
        for (flawed, action) in policy.not_done() {
            let instead = match action {
                Action::Allow => "the rule is left out",
                _ => "the rule denies everything",
            };
            let what = format!("{flawed}: {instead}");
            self.note(object, (&flawed.path, place), &what);
        }
        Ok(())
    }

    fn calico(&mut self, object: &Value, kind: &str, written: Written) -> Result<(), Flawed> {
        match kind {
            "NetworkPolicy" => {
                let policy: NetworkPolicy = parsed(object)?;
                let policy = Policy::of_calico(&policy, written);
                self.policies.push(policy?);
            }
            "GlobalNetworkPolicy" => {
                let policy: GlobalNetworkPolicy = parsed(object)?;
                let policy = Policy::of_global(&policy, written);
                self.policies.extend(policy?);
            }
            "NetworkSet" | "GlobalNetworkSet" => self.sets.push(parsed(object)?),
            "Tier" => self.tiers.push(parsed(object)?),
            // Staged kinds deny and allow nothing.
            _ => {}
        }
        Ok(())
    }

    fn namespace(&mut self, object: &Value) -> Result<(), Flawed> {
        let namespace: k8s_openapi::api::core::v1::Namespace = parsed(object)?;
        let metadata = namespace.metadata;
        let labels = metadata.labels.unwrap_or_default();
        let known = self.namespaces.entry(metadata.name.unwrap_or_default());
        known.or_default().extend(labels);
        Ok(())
    }

    fn service_account(&mut self, object: &Value) -> Result<(), Flawed> {
        let account: k8s_openapi::api::core::v1::ServiceAccount = parsed(object)?;
        let metadata = account.metadata;
        let name = (
            metadata.namespace.unwrap_or_default(),
            metadata.name.unwrap_or_default(),
        );
        self.service_accounts
            .insert(name, metadata.labels.unwrap_or_default());
        Ok(())
    }

    fn slice(&mut self, object: &Value) -> Result<(), Flawed> {
        let slice: EndpointSlice = parsed(object)?;
        let metadata = slice.metadata;
        let service = metadata.labels.as_ref().and_then(|it| it.get(SERVICE_NAME));
        let Some(service) = service else {
            return Ok(());
        };
        let name = (metadata.namespace.unwrap_or_default(), service.clone());
        let known = self.services.entry(name).or_default();
        for endpoint in &slice.endpoints {
            let conditions = endpoint.conditions.as_ref();
            if conditions.and_then(|it| it.ready) == Some(false) {
                continue;
            }
            for address in endpoint.addresses.iter().filter_map(|it| it.parse().ok()) {
                for port in slice.ports.iter().flatten() {
                    let protocol = port.protocol.as_deref().unwrap_or("TCP");
                    let number = port.port.and_then(|it| u16::try_from(it).ok());
                    if let (Some(protocol), Some(number)) =
                        (TransportProtocol::read(protocol), number)
                    {
                        known.push((address, protocol, number));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Kind and name of an object.
fn title(object: &Value) -> String {
    let pointer = |path: &str| object.pointer(path).and_then(Value::as_str);
    let kind = pointer("/kind").unwrap_or_default();
    let name = pointer("/metadata/name").unwrap_or_default();
    match pointer("/metadata/namespace") {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// An object cannot be read because of a field.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}")]
pub(in crate::cli) struct Flawed {
    pub path: FieldPath,
    pub why: String,
}

impl From<Unreadable> for Flawed {
    fn from(unreadable: Unreadable) -> Self {
        Self {
            why: unreadable.why.to_string(),
            path: unreadable.path,
        }
    }
}

pub(super) fn parsed<T: DeserializeOwned>(object: &Value) -> Result<T, Flawed> {
    serde_path_to_error::deserialize(object).map_err(|error| Flawed {
        path: field_path(error.path()),
        why: error.inner().to_string(),
    })
}
