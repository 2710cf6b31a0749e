//! What a finding is known by over time, wherever in a file it stands.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::digest::digest;
use super::input::Written;
use crate::domain::{FieldPath, Segment};
use crate::review::Finding;

/// Digests of an object's parts, each made once: an object may have thousands of rules, and findings in each.
pub(super) struct Meaning<'a> {
    object: &'a Value,
    /// Group, kind, namespace and name.
    identity: String,
    values: BTreeMap<FieldPath, String>,
}

impl<'a> Meaning<'a> {
    pub fn of<T>(written: &'a Written<T>) -> Self {
        Self {
            object: &written.json,
            identity: format!("{}/{}", written.name.group, written.name),
            values: BTreeMap::new(),
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

    fn value(&mut self, path: &FieldPath) -> String {
        let object = self.object;
        let made = self.values.entry(path.clone());
        let text = || at(object, path).map(Value::to_string).unwrap_or_default();
        made.or_insert_with(|| digest(&[&text()])).clone()
    }
}

fn at<'a>(object: &'a Value, path: &FieldPath) -> Option<&'a Value> {
    let mut steps = path.0.iter();
    steps.try_fold(object, |value, step| match step {
        Segment::Key(key) => value.get(key),
        Segment::Index(index) => value.get(index),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::input::Input;
    use super::*;
    use crate::review::Rule;

    fn finding(rule: Rule, path: FieldPath) -> Finding {
        Finding {
            rule,
            path,
            message: "something".to_owned(),
            witness: None,
            declared: None,
            suggestion: String::new(),
            waived: None,
            opening: None,
        }
    }

    /// How a finding in the rule at this position is known, in a policy with these rules.
    fn told(ingress: &Value, index: usize) -> String {
        let policy = json!({
            "apiVersion": "projectcalico.org/v3",
            "kind": "NetworkPolicy",
            "metadata": {"name": "a", "namespace": "n"},
            "spec": {"selector": "app == 'a'", "ingress": ingress},
        });
        let mut input = Input::default();
        input.add(policy, None);
        let rule = FieldPath::default().key("spec").key("ingress").index(index);
        let path = rule.key("source").key("namespaceSelector");
        Meaning::of(&input.written[0]).fingerprint(&finding(Rule::CodeWrong, path))
    }

    fn allow(code: &str, port: u16) -> Value {
        json!({
            "action": "Allow",
            "source": {"namespaceSelector": format!("applicationcode == '{code}'")},
            "destination": {"ports": [port]},
        })
    }

    #[test]
    fn a_finding_is_known_by_what_is_written_in_its_field() {
        let alone = told(&json!([allow("other", 80)]), 0);
        let second = told(&json!([{"action": "Allow"}, allow("other", 443)]), 1);
        assert_eq!(alone, second);
        assert_ne!(alone, told(&json!([allow("another", 80)]), 0));
    }
}
