//! What tells one finding from another, wherever in a file it stands.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::input::Written;
use crate::domain::{FieldPath, Segment};
use crate::review::{Finding, Rule};

/// Digests of an object's parts, each made once: an object may have thousands of rules, and findings in each.
pub(super) struct Meaning<'a> {
    object: &'a Value,
    /// Group, kind, namespace and name.
    identity: String,
    values: BTreeMap<FieldPath, String>,
    /// The spec without its rules: whom it is for, and where it stands.
    rest: String,
    /// By direction, for each rule what earlier ones take away.
    earlier: BTreeMap<&'a str, Vec<String>>,
    /// Rules without their ends, which Kubernetes' policies list.
    endless: BTreeMap<FieldPath, String>,
}

const DIRECTIONS: [&str; 2] = ["ingress", "egress"];

impl<'a> Meaning<'a> {
    pub fn of<T>(written: &'a Written<T>) -> Self {
        let object = &written.json;
        let spec = object.get("spec");
        let fields = spec.and_then(Value::as_object).into_iter().flatten();
        let rest: Vec<String> = fields
            .filter(|(key, _)| !DIRECTIONS.contains(&key.as_str()))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let rules = |direction| spec?.get(direction)?.as_array();
        let earlier = DIRECTIONS.into_iter().filter_map(|direction| {
            let rules: &Vec<Value> = rules(direction)?;
            Some((direction, taken_away(rules)))
        });
        Self {
            object,
            identity: format!("{}/{}", written.name.group, written.name),
            values: BTreeMap::new(),
            rest: digest(&rest),
            earlier: earlier.collect(),
            endless: BTreeMap::new(),
        }
    }

    /// The same for the same finding in the same object, as long as what is written in the field stays: for those
    /// who follow findings over time.
    pub fn fingerprint(&mut self, finding: &Finding) -> String {
        let keys = finding.path.0.iter().filter_map(|step| match step {
            Segment::Key(key) => Some(key.as_str()),
            Segment::Index(_) => None,
        });
        let field: Vec<&str> = keys.collect();
        let value = self.value(&finding.path);
        digest(&[finding.rule.id(), &self.identity, &field.join("."), &value])
    }

    /// The same as long as what is found also reaches as far: a rule that is widened is found anew.
    pub fn reach(&mut self, finding: &Finding) -> String {
        let message = match finding.rule {
            // What it lets in stands in another object.
            Rule::NetworkSet => finding.message.as_str(),
            _ => "",
        };
        let approval = if finding.needs_approval() { "open" } else { "" };
        let fingerprint = self.fingerprint(finding);
        let around = self.around(finding);
        digest(&[&fingerprint, message, approval, &around])
    }

    /// All that decides how far a field reaches: its rule, what earlier rules take away, and whom it is for.
    fn around(&mut self, finding: &Finding) -> String {
        if finding.rule == Rule::TooComplex {
            // It stands for rules that nobody has looked at: none of them may change unseen.
            return self.value(&FieldPath::default().key("spec"));
        }
        let steps = finding.path.0.as_slice();
        let [
            _,
            Segment::Key(direction),
            Segment::Index(index),
            below @ ..,
        ] = steps
        else {
            // The rest of a policy weighs where all of it is meant.
            return if finding.leaves_boundary() {
                self.value(&FieldPath::default().key("spec"))
            } else {
                String::new()
            };
        };
        let rule = FieldPath(steps[..3].to_vec());
        let own = match below {
            // One of several peers of Kubernetes' policies.
            [Segment::Key(_), Segment::Index(_), ..] => {
                let peer = self.value(&FieldPath(steps[..5].to_vec()));
                self.endless(rule) + &peer
            }
            _ => self.value(&rule),
        };
        let earlier = self.earlier.get(direction.as_str());
        let earlier = earlier.and_then(|earlier| earlier.get(*index));
        digest(&[&self.rest, earlier.map_or("", String::as_str), &own])
    }

    fn value(&mut self, path: &FieldPath) -> String {
        let object = self.object;
        let made = self.values.entry(path.clone());
        let text = || at(object, path).map(Value::to_string).unwrap_or_default();
        made.or_insert_with(|| digest(&[&text()])).clone()
    }

    fn endless(&mut self, rule: FieldPath) -> String {
        let fields = at(self.object, &rule).and_then(Value::as_object);
        let made = self.endless.entry(rule).or_insert_with(|| {
            let rest = fields.into_iter().flatten();
            let rest = rest.filter(|(key, _)| !matches!(key.as_str(), "from" | "to"));
            let rest: Vec<String> = rest.map(|(key, value)| format!("{key}={value}")).collect();
            digest(&rest.iter().map(String::as_str).collect::<Vec<_>>())
        });
        made.clone()
    }
}

/// For each rule, what those before it take away: all that do anything but allow.
fn taken_away(rules: &[Value]) -> Vec<String> {
    let mut so_far = digest(&[]);
    let mut all = Vec::with_capacity(rules.len());
    for rule in rules {
        all.push(so_far.clone());
        if rule.get("action").is_some_and(|action| action != "Allow") {
            so_far = digest(&[&so_far, &rule.to_string()]);
        }
    }
    all
}

fn at<'a>(object: &'a Value, path: &FieldPath) -> Option<&'a Value> {
    let mut steps = path.0.iter();
    steps.try_fold(object, |value, step| match step {
        Segment::Key(key) => value.get(key),
        Segment::Index(index) => value.get(index),
    })
}

/// Bytes of a digest that are kept: far more than findings need to be told apart.
const KEPT: usize = 8;

/// Tells texts apart, and stays the same.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    let mut text = String::with_capacity(2 * KEPT);
    for byte in hash.iter().take(KEPT) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::input::Input;
    use super::*;

    fn finding(rule: Rule, path: FieldPath) -> Finding {
        Finding {
            rule,
            path,
            message: "something".to_owned(),
            witness: None,
            declared: None,
            suggestion: String::new(),
            waived: None,
        }
    }

    fn source(index: usize) -> FieldPath {
        let rule = FieldPath::default().key("spec").key("ingress").index(index);
        rule.key("source").key("namespaceSelector")
    }

    /// What a finding in a policy with these rules means and how it is known.
    fn told(ingress: &Value, selector: &str, index: usize) -> (String, String) {
        let policy = json!({
            "apiVersion": "projectcalico.org/v3",
            "kind": "NetworkPolicy",
            "metadata": {"name": "a", "namespace": "n"},
            "spec": {"selector": selector, "ingress": ingress},
        });
        let mut input = Input::default();
        input.add(policy, None);
        let mut meaning = Meaning::of(&input.written[0]);
        let finding = finding(Rule::CodeWrong, source(index));
        (meaning.reach(&finding), meaning.fingerprint(&finding))
    }

    fn allow(port: u16) -> Value {
        json!({
            "action": "Allow",
            "source": {"namespaceSelector": "applicationcode == 'other'"},
            "destination": {"ports": [port]},
        })
    }

    #[test]
    fn a_finding_is_the_same_behind_other_rules_that_allow() {
        let alone = told(&json!([allow(80)]), "all()", 0);
        let second = told(&json!([{"action": "Allow"}, allow(80)]), "all()", 1);
        assert_eq!(alone, second);
    }

    #[test]
    fn what_reaches_further_is_found_anew() {
        let (reach, fingerprint) = told(&json!([allow(80)]), "app == 'a'", 0);
        let deny = json!({"action": "Deny", "source": {"nets": ["10.0.0.0/8"]}});
        let wider = [
            told(&json!([allow(443)]), "app == 'a'", 0),
            told(&json!([allow(80)]), "all()", 0),
            told(&json!([deny, allow(80)]), "app == 'a'", 1),
        ];
        for (other_reach, other_fingerprint) in wider {
            assert_ne!(other_reach, reach);
            // Those who follow it over time still know it.
            assert_eq!(other_fingerprint, fingerprint);
        }
    }

    #[test]
    fn what_nobody_looked_at_does_not_change_unseen() {
        let reach = |rules: &[u16]| {
            let rules: Vec<_> = rules.iter().map(|port| allow(*port)).collect();
            let policy = json!({
                "apiVersion": "projectcalico.org/v3",
                "kind": "NetworkPolicy",
                "metadata": {"name": "a", "namespace": "n"},
                "spec": {"selector": "all()", "ingress": rules},
            });
            let mut input = Input::default();
            input.add(policy, None);
            let at = FieldPath::default().key("spec").key("ingress").index(1);
            Meaning::of(&input.written[0]).reach(&finding(Rule::TooComplex, at))
        };
        assert_eq!(reach(&[80, 81]), reach(&[80, 81]));
        assert_ne!(reach(&[80, 81]), reach(&[80, 81, 82]));
    }

    #[test]
    fn peers_of_one_kubernetes_rule_stand_for_themselves() {
        let reach = |peers: Value, index: usize| {
            let policy = json!({
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": "a", "namespace": "n"},
                "spec": {"podSelector": {}, "ingress": [{"from": peers}]},
            });
            let mut input = Input::default();
            input.add(policy, None);
            let rule = FieldPath::default().key("spec").key("ingress").index(0);
            let path = rule.key("from").index(index).key("namespaceSelector");
            Meaning::of(&input.written[0]).reach(&finding(Rule::AllNamespaces, path))
        };
        let all = json!({"namespaceSelector": {}});
        let inside = json!({"podSelector": {}});
        assert_eq!(reach(json!([all]), 0), reach(json!([inside, all]), 1));
        assert_ne!(
            reach(json!([all]), 0),
            reach(
                json!([{"namespaceSelector": {}, "podSelector": {"matchLabels": {"a": "b"}}}]),
                0
            )
        );
    }
}
