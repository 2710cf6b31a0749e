//! Pods among what is read: rules name ports as their containers do.

use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::super::landscape::{Objects, WorkloadKind, named_ports};
use super::input::ObjectName;
use crate::policy::{Endpoint, LabelMap, labels};
use crate::review::Landscape;

/// Whether an object is a pod, or makes pods.
pub(super) fn is_one(name: &ObjectName) -> bool {
    (name.group.as_str(), name.kind.as_str()) == ("", "Pod")
        || WorkloadKind::of(&name.group, &name.kind).is_some()
}

/// The pods of these objects whose containers give names to ports, with the labels of their namespaces. What cannot be read says
/// nothing.
pub(super) fn endpoints(pods: &[Value], landscape: &Landscape) -> Vec<Endpoint> {
    let mut objects = Objects::default();
    for pod in pods {
        objects.add(pod, "");
    }
    let endpoint = |namespace: &str, metadata: Option<&ObjectMeta>, spec: Option<&PodSpec>| {
        let ports = named_ports(spec?);
        if ports.is_empty() {
            return None;
        }
        let nothing = LabelMap::new();
        let own = metadata.and_then(|it| it.labels.as_ref());
        let known = landscape.namespace(namespace).map(|it| &*it.labels);
        let account = spec?.service_account_name.as_deref().unwrap_or("default");
        Some(Endpoint {
            namespace: namespace.to_owned(),
            name: metadata.and_then(|it| it.name.clone()).unwrap_or_default(),
            labels: labels(
                own.unwrap_or(&nothing),
                (namespace, known.unwrap_or(&nothing)),
                Some((account, &nothing)),
            ),
            addresses: Vec::new(),
            ports,
        })
    };
    let pods = objects.pods.iter().filter_map(|pod| {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        endpoint(namespace, Some(&pod.metadata), pod.spec.as_ref())
    });
    let workloads = objects.workloads.iter().filter_map(|(name, template)| {
        let metadata = template.metadata.as_ref();
        endpoint(&name.namespace, metadata, template.spec.as_ref())
    });
    pods.chain(workloads).collect()
}

/// Whether an object names ports otherwise than by their numbers, in a list of ports or beside a protocol.
pub(super) fn names_ports(object: &Value) -> bool {
    let is_name = |value: &Value| {
        let text = value.as_str();
        text.is_some_and(|it| it.chars().any(|c| c.is_ascii_alphabetic()))
    };
    match object {
        Value::Array(items) => items.iter().any(names_ports),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| match (key.as_str(), value) {
                ("ports", Value::Array(ports)) => {
                    ports.iter().any(|it| is_name(it) || names_ports(it))
                }
                ("port", value) if is_name(value) => true,
                // Administrators' policies have a field for it.
                ("namedPort", _) => true,
                (_, value) => names_ports(value),
            }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_ports_are_told_from_numbers_and_ranges() {
        for (rule, expected) in [
            (json!({"destination": {"ports": [443, "8000:8010"]}}), false),
            (json!({"destination": {"ports": [443, "http"]}}), true),
            (json!({"destination": {"notPorts": ["http"]}}), false),
            (json!({"ports": [{"protocol": "TCP", "port": 443}]}), false),
            (
                json!({"ports": [{"protocol": "TCP", "port": "http"}]}),
                true,
            ),
            (
                json!({"ports": [{"portNumber": {"protocol": "TCP", "port": 1}}]}),
                false,
            ),
            (json!({"ports": [{"namedPort": "http"}]}), true),
            (json!({"action": "Allow"}), false),
        ] {
            let policy = json!({"spec": {"egress": [rule]}});
            assert_eq!(names_ports(&policy), expected, "{policy}");
        }
    }
}
