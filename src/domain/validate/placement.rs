//! Which nodes the pods run on.

use super::{Findings, metadata};
use crate::api::{self, rule};
use crate::domain::{FieldPath, Placement, Toleration, syntax};

pub(super) fn validate(
    declared: &api::Placement,
    path: &FieldPath,
    findings: &mut Findings,
) -> Placement {
    metadata::selector(&declared.node_selector, &path.key("nodeSelector"), findings);
    let path = path.key("tolerations");
    let tolerations = declared.tolerations.iter().enumerate();
    Placement {
        node_selector: declared.node_selector.clone(),
        tolerations: tolerations
            .map(|(index, declared)| toleration(declared, &path.index(index), findings))
            .collect(),
    }
}

fn toleration(declared: &api::Toleration, path: &FieldPath, findings: &mut Findings) -> Toleration {
    let api::Toleration {
        key,
        operator,
        value,
        effect,
    } = declared;
    let at_key = path.key("key");
    if key.is_empty() {
        findings.report(&at_key, "", rule::NO_KEY);
    } else if key == rule::SYSTEM_POOL {
        findings.report(&at_key, key, rule::TOLERATES_SYSTEM_POOL);
    } else {
        findings.check(&at_key, key, syntax::qualified_name(key));
    }
    let operator = operator.unwrap_or_default();
    if let Some(value) = value {
        let at_value = path.key("value");
        if operator == api::TolerationOperator::Exists {
            findings.report(&at_value, value, rule::EXISTS_WITH_VALUE);
        } else {
            findings.check(&at_value, value, syntax::label_value_or_empty(value));
        }
    }
    Toleration {
        key: key.clone(),
        operator,
        value: value.clone(),
        effect: *effect,
    }
}
