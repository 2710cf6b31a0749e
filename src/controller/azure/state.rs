//! What objects of Azure Service Operator and Karpenter tell. Pure.
//!
//! Source: Azure Service Operator's documentation, "Conditions"; Karpenter's conditions have no severity.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde_json::Value;

use crate::api::names::RECONCILE_POLICY;
use crate::build::{ApplicationRule, read_application_rules};

/// As much of an object as decisions take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AzureState {
    /// What becomes of the resource when the object goes, as its annotation says.
    pub reconcile_policy: Option<String>,
    /// The resource's name in Azure.
    pub azure_name: Option<String>,
    /// The priority of a rule.
    pub priority: Option<u16>,
    /// What Azure cannot change of a pool, by field.
    pub fixed: BTreeMap<&'static str, String>,
    /// Taints of a pool's nodes.
    pub taints: Vec<String>,
    /// What the nodes of a pool of Karpenter's are made of.
    pub node_class: Option<String>,
    /// The range of a subnet.
    pub address_prefix: Option<IpNet>,
    /// What a firewall lets through of what landing zones declare.
    pub application_rules: Vec<ApplicationRule>,
    /// How far Azure Service Operator is; None: it has not looked yet.
    pub ready: Option<Ready>,
}

/// The condition Ready of an object of Azure Service Operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// How far it is.
    pub progress: ReadyProgress,
    /// Its reason, one of an open set.
    pub reason: String,
    /// What it says.
    pub message: String,
}

/// How far Azure Service Operator is with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyProgress {
    /// The resource is as declared.
    Done,
    /// It is being worked on, or tried again.
    Working,
    /// It has given up until the spec changes.
    GivenUp,
}

/// Fields of an agent pool that Azure cannot change (AKS documentation, "Create node pools"; the subnets: Azure/AKS#695).
const FIXED: [&str; 3] = ["vmSize", "maxPods", "availabilityZones"];
/// The same of where it lies, in a reference.
const FIXED_REFERENCES: [&str; 2] = ["vnetSubnetReference", "podSubnetReference"];

impl AzureState {
    /// What an object tells.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        let spec = |field: &str| object.get("spec").and_then(|spec| spec.get(field));
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let annotations = object.pointer("/metadata/annotations");
        let fixed = FIXED
            .iter()
            .filter_map(|&field| Some((field, told(spec(field)?))));
        let references = FIXED_REFERENCES
            .iter()
            .filter_map(|&field| Some((field, told(spec(field)?.get("name")?))));
        Self {
            reconcile_policy: text(annotations.and_then(|it| it.get(RECONCILE_POLICY))),
            azure_name: text(spec("azureName")),
            priority: spec("priority")
                .and_then(Value::as_u64)
                .and_then(|it| it.try_into().ok()),
            fixed: fixed.chain(references).collect(),
            taints: spec("nodeTaints")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|taint| taint.as_str().map(str::to_owned))
                .collect(),
            node_class: text(object.pointer("/spec/template/spec/nodeClassRef/name")),
            address_prefix: text(spec("addressPrefix")).and_then(|it| it.parse().ok()),
            application_rules: spec("ruleCollections")
                .map_or_else(Vec::new, read_application_rules),
            ready: Ready::of(object),
        }
    }
}

fn told(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(told).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

impl Ready {
    fn of(object: &Value) -> Option<Self> {
        let conditions = object.pointer("/status/conditions")?.as_array()?;
        let ready = conditions.iter().find(|it| it["type"] == "Ready")?;
        let text = |field: &str| {
            let value = ready.get(field).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let generation = object.pointer("/metadata/generation");
        // A condition that does not say of which generation it is counts for this one: with Karpenter it need not.
        let observed = ready.get("observedGeneration");
        let is_current = observed.is_none() || observed == generation;
        let progress = match (
            is_current,
            ready["status"].as_str(),
            ready["severity"].as_str(),
        ) {
            (true, Some("True"), _) => ReadyProgress::Done,
            (true, Some("False"), Some("Error")) => ReadyProgress::GivenUp,
            _ => ReadyProgress::Working,
        };
        Some(Self {
            progress,
            reason: text("reason"),
            message: text("message"),
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::made("True", "", 3, ReadyProgress::Done)]
    #[case::of_before("True", "", 2, ReadyProgress::Working)]
    #[case::working("False", "Info", 3, ReadyProgress::Working)]
    #[case::tried_again("False", "Warning", 3, ReadyProgress::Working)]
    #[case::given_up("False", "Error", 3, ReadyProgress::GivenUp)]
    #[case::given_up_before("False", "Error", 2, ReadyProgress::Working)]
    #[case::not_known("Unknown", "", 3, ReadyProgress::Working)]
    fn severity_tells_whether_somebody_has_to_act(
        #[case] status: &str,
        #[case] severity: &str,
        #[case] observed: i64,
        #[case] progress: ReadyProgress,
    ) {
        let state = AzureState::of(&json!({
            "metadata": {"generation": 3},
            "status": {"conditions": [{
                "type": "Ready", "status": status, "severity": severity, "observedGeneration": observed,
                "reason": "Why", "message": "what",
            }]},
        }));
        assert_eq!(state.ready.unwrap().progress, progress);
    }

    #[test]
    fn what_azure_cannot_change_of_a_pool_is_known() {
        let state = AzureState::of(&json!({
            "metadata": {"annotations": {RECONCILE_POLICY: "detach-on-delete"}},
            "spec": {
                "azureName": "shop1", "vmSize": "Standard_D4s_v5", "maxPods": 30, "count": 2,
                "availabilityZones": ["1", "2"], "vnetSubnetReference": {"name": "snet"},
            },
        }));
        let fixed = [
            ("vmSize", "Standard_D4s_v5"),
            ("maxPods", "30"),
            ("availabilityZones", "1, 2"),
            ("vnetSubnetReference", "snet"),
        ];
        assert_eq!(
            state.fixed,
            fixed.map(|(field, told)| (field, told.to_owned())).into()
        );
        assert_eq!(state.reconcile_policy.as_deref(), Some("detach-on-delete"));
        assert_eq!(state.ready, None);
    }
}
