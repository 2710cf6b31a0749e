//! Policies that Calico's API refuses and its storage takes: the same as the others, with something wrong in each.

use anyhow::Result;
use landing_zone_operator::policy::Unreadable;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::generated;

/// What is wrong with a policy.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// Actions in other letters.
    Actions,
    /// Directions in other letters.
    Types,
    /// A direction that is none.
    OtherType,
    /// Ranges that are none, or written with more zeros.
    Nets(&'static [&'static str]),
    /// The selector of service accounts is none.
    Accounts,
    /// The selector of namespaces is none.
    Namespaces,
    /// A parenthesis too many in the selector of the policy.
    Parenthesis,
    /// Something in a rule that Felix takes the policy for missing because of.
    Rule(&'static str),
}

const WRONG: [Wrong; 16] = [
    Wrong::Actions,
    Wrong::Types,
    Wrong::OtherType,
    Wrong::Nets(&["bogus"]),
    Wrong::Nets(&["bogus", "203.0.113.0/24"]),
    Wrong::Nets(&["10.244.0.0/016"]),
    Wrong::Nets(&["0.0.0.0/000"]),
    Wrong::Nets(&["::ffff:10.244.0.0/112"]),
    Wrong::Nets(&["10.244.0.0/33", "010.244.0.0/16"]),
    Wrong::Accounts,
    Wrong::Namespaces,
    Wrong::Parenthesis,
    Wrong::Rule(r#"{"source": {"namespaceSelector": "team = 'x'"}}"#),
    Wrong::Rule(r#"{"protocol": "TCP", "destination": {"ports": [0]}}"#),
    Wrong::Rule(r#"{"protocol": "TCP", "destination": {"ports": ["HTTP"]}}"#),
    Wrong::Rule(r#"{"ipVersion": 5}"#),
];

/// A policy that our rules on admission refuse.
pub fn refused() -> Value {
    json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy", "metadata": {"name": "default.refused"},
        "spec": {"ingress": [{"action": "allow", "source": {"nets": ["bogus"]}}]},
    })
}

/// What one group has in one round, with something wrong in each of Calico's policies.
pub fn set(group: usize) -> impl Strategy<Value = Vec<Value>> {
    let wrong = proptest::collection::vec((select(WRONG.to_vec()), any::<bool>()), 8);
    (generated::set(group), wrong).prop_map(move |(mut objects, wrong)| {
        for (object, (wrong, is_source)) in objects.iter_mut().zip(wrong) {
            let is_policy = object["kind"]
                .as_str()
                .is_some_and(|it| it.ends_with("Policy"));
            if is_policy && object["apiVersion"] == "crd.projectcalico.org/v1" {
                object["metadata"]["annotations"] = json!({"wrong": format!("{wrong:?}")});
                spoil(object, group, wrong, is_source);
            }
        }
        objects
    })
}

fn spoil(object: &mut Value, group: usize, wrong: Wrong, is_source: bool) {
    let is_global = object["kind"] == "GlobalNetworkPolicy";
    let within = format!("pcns.group == 'g{group}'");
    let spec = &mut object["spec"];
    match wrong {
        Wrong::Actions => {
            for rule in rules(spec) {
                rule["action"] = match rule["action"].as_str() {
                    Some("Allow") if is_source => json!(""),
                    Some("Pass") if is_source => json!("next-tier"),
                    Some("Deny") => json!("DENY"),
                    other => json!(other.unwrap_or_default().to_lowercase()),
                };
            }
        }
        Wrong::Types => spec["types"] = json!(["INGRESS", "egress"]),
        Wrong::OtherType => spec["types"] = json!(["In", "egress"]),
        Wrong::Nets(nets) => {
            let field = if is_source { "source" } else { "destination" };
            for rule in rules(spec) {
                rule[field]["nets"] = json!(nets);
            }
        }
        Wrong::Accounts => spec["serviceAccountSelector"] = json!("team == x"),
        Wrong::Namespaces if is_global => {
            // It would be for the pods of all groups.
            spec["selector"] = json!(within);
            spec["namespaceSelector"] = json!("team = 'x'");
        }
        Wrong::Namespaces => spec["serviceAccountSelector"] = json!("("),
        Wrong::Parenthesis => {
            spec["selector"] = json!(format!(
                "{within} && has(tier)) || ({within} && app == 'web'"
            ));
        }
        Wrong::Rule(rule) => {
            let mut rule: Value = serde_json::from_str(rule).unwrap_or_default();
            rule["action"] = json!("Allow");
            let rules = spec["ingress"].as_array_mut();
            if let Some(rules) = rules {
                rules.push(rule);
            }
        }
    }
}

/// All rules of a spec.
fn rules(spec: &mut Value) -> impl Iterator<Item = &mut Value> {
    let fields = spec.as_object_mut().into_iter().flatten();
    let lists = fields.filter(|(key, _)| ["ingress", "egress"].contains(&key.as_str()));
    lists
        .filter_map(|(_, rules)| rules.as_array_mut())
        .flatten()
}

/// The policy, unless Felix takes it for missing: only what is wrong on purpose may be.
pub fn in_force<T>(object: &Value, read: Result<T, Unreadable>) -> Result<Option<T>> {
    match read {
        Err(_) if object["metadata"]["annotations"]["wrong"].is_string() => Ok(None),
        other => Ok(Some(other?)),
    }
}
