//! Which nodes the pods run on.

use super::{Findings, metadata};
use crate::api::{self, rule};
use crate::domain::{FieldPath, NodeRequirement, Placement, Toleration, syntax};

pub(super) fn validate(
    declared: &api::Placement,
    path: &FieldPath,
    findings: &mut Findings,
) -> Placement {
    metadata::selector(&declared.node_selector, &path.key("nodeSelector"), findings);
    let (at_tolerations, at_affinity) = (path.key("tolerations"), path.key("nodeAffinity"));
    let tolerations = declared.tolerations.iter().enumerate();
    Placement {
        node_selector: declared.node_selector.clone(),
        tolerations: tolerations
            .map(|(index, declared)| toleration(declared, &at_tolerations.index(index), findings))
            .collect(),
        node_affinity: declared
            .node_affinity
            .iter()
            .enumerate()
            .map(|(index, declared)| requirement(declared, &at_affinity.index(index), findings))
            .collect(),
        spread: declared.spread.map(|spread| spread.when_unsatisfiable),
        // More than the schema takes are more than there can be.
        min_availability_zones: declared
            .min_availability_zones
            .map(|zones| u8::try_from(zones.max(0)).unwrap_or(u8::MAX)),
        evict_misplaced: declared.evict_misplaced.unwrap_or_default(),
    }
}

fn requirement(
    declared: &api::NodeRequirement,
    path: &FieldPath,
    findings: &mut Findings,
) -> NodeRequirement {
    let api::NodeRequirement {
        key,
        operator,
        values,
    } = declared;
    findings.check(&path.key("key"), key, syntax::qualified_name(key));
    let at_values = path.key("values");
    match operator {
        api::NodeOperator::Exists if !values.is_empty() => {
            findings.report(&at_values, values.join(","), rule::EXISTS_WITH_VALUES);
        }
        api::NodeOperator::In | api::NodeOperator::NotIn if values.is_empty() => {
            findings.report(&at_values, "", rule::NO_VALUES);
        }
        _ => {}
    }
    for (index, value) in values.iter().enumerate() {
        let allowed = syntax::label_value_or_empty(value);
        findings.check(&at_values.index(index), value, allowed);
    }
    NodeRequirement {
        key: key.clone(),
        operator: *operator,
        values: values.iter().cloned().collect(),
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
