//! Bad declarations, one mistake each: what `domain` says about each, and what the API server says.

#![allow(clippy::too_many_lines, reason = "each function is one table")]

mod access;
mod azure;
mod crossings;
mod metadata;
mod names;
mod network;
mod placement;
mod quotas;

use serde_json::{Value, json};

/// A declaration with one mistake.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What is wrong, as a sentence about the landing zone.
    pub name: &'static str,
    /// The whole object.
    pub declaration: Value,
    /// The field that is blamed by the operator and the command line.
    pub path: String,
    /// Words that they say about it.
    pub words: &'static str,
    /// Words that the API server says about it; None where only the operator can know.
    pub admission: Option<&'static str>,
}

/// A landing zone without a mistake, in which each refusal changes one thing.
#[must_use]
pub fn flawless() -> Value {
    let mut flawless = without_crossings();
    if let (Some(Value::Object(network)), Value::Object(crossings)) =
        (flawless.pointer_mut("/spec/network"), crossings::flawless())
    {
        network.extend(crossings);
    }
    flawless
}

fn without_crossings() -> Value {
    json!({
        "apiVersion": "landingzones.dev/v1alpha1",
        "kind": "LandingZone",
        "metadata": {"name": "shop"},
        "spec": {
            "applicationCode": "shop",
            "contact": "shop@example.com",
            "labels": {"costCenter": "4711"},
            "quotaTotal": {"requests.cpu": "6", "requests.memory": "3Gi"},
            "namespaces": [
                {
                    "name": "shop-web", "zone": "frontend",
                    "labels": {"team": "web"}, "annotations": {"example.com/note": "Any text."},
                    "quota": {"requests.cpu": "4", "requests.memory": "1Gi", "pods": "10"},
                    "limits": {
                        "min": {"cpu": "10m"}, "defaultRequest": {"cpu": "100m"},
                        "default": {"cpu": "500m"}, "max": {"cpu": "1", "nvidia.com/gpu": "1"},
                    },
                },
                {
                    "name": "shop-db", "zone": "data", "podSecurity": "privileged",
                    "acknowledge": "HostNetworkEscapesPolicies",
                    "quota": {"requests.cpu": "2000m", "requests.memory": "2048Mi", "count/jobs.batch": "5"},
                },
            ],
            "access": [
                {"kind": "Group", "name": "developers", "displayName": "Shop developers", "role": "edit", "zones": ["frontend"]},
                {"kind": "ServiceAccount", "name": "build:deployer", "role": "edit"},
            ],
            "placement": {
                "nodeSelector": {"stack": "tenant1"},
                "tolerations": [{"key": "stack", "operator": "Equal", "value": "tenant1", "effect": "NoSchedule"}],
                "nodeAffinity": [{"key": "pool", "operator": "In", "values": ["one", "two"]}],
                "spread": {"whenUnsatisfiable": "ScheduleAnyway"},
            },
            "network": {
                "intraZone": "FlowsOnly",
                "flows": [
                    {
                        "name": "web-to-db", "from": {"zone": "frontend"}, "to": {"zone": "data"},
                        "ports": [{"protocol": "TCP", "port": 5432}, {"protocol": "TCP", "port": 6000, "endPort": 6010}],
                    },
                    {
                        "name": "in-tier",
                        "from": {"zone": "frontend", "podSelector": {"matchLabels": {"tier": "web"}}},
                        "to": {"zone": "frontend"},
                    },
                ],
            },
        },
    })
}

/// Every refusal that one declaration alone can meet.
#[must_use]
pub fn refusals() -> Vec<Refusal> {
    [
        names::refusals(),
        metadata::refusals(),
        quotas::refusals(),
        access::refusals(),
        placement::refusals(),
        network::refusals(),
        crossings::refusals(),
        azure::refusals(),
    ]
    .concat()
}

/// A refusal in the same words by the operator and by the API server: `value` at `pointer`.
fn refusal(
    name: &'static str,
    pointer: &str,
    value: Value,
    path: impl Into<String>,
    words: &'static str,
) -> Refusal {
    let mut declaration = flawless();
    set(&mut declaration, pointer, value);
    Refusal {
        name,
        declaration,
        path: path.into(),
        words,
        admission: Some(words),
    }
}

/// Sets what the JSON pointer names; its last part may be new, and `-` adds to a list.
fn set(declaration: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    let key = key.replace("~1", "/").replace("~0", "~");
    match declaration.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.insert(key, value);
        }
        Some(Value::Array(items)) => match key.parse::<usize>() {
            Ok(index) if index < items.len() => items[index] = value,
            _ => items.push(value),
        },
        _ => {}
    }
}

impl Refusal {
    /// The same, where the API server's own checks have other words.
    fn admission(self, words: &'static str) -> Self {
        Self {
            admission: Some(words),
            ..self
        }
    }

    /// The same, where only the operator can know.
    fn not_in_schema(self) -> Self {
        Self {
            admission: None,
            ..self
        }
    }
}
