//! Which nodes the pods run on.

use serde_json::json;

use super::{Refusal, refusal};

pub(super) fn refusals() -> Vec<Refusal> {
    const TOLERATION: &str = "/spec/placement/tolerations/0";
    let toleration = |field: &str| format!("{TOLERATION}/{field}");
    vec![
        refusal(
            "a toleration has no key",
            &toleration("key"),
            "".into(),
            "spec.placement.tolerations[0].key",
            "tolerates every taint",
        ),
        refusal(
            "the system pool is tolerated",
            &toleration("key"),
            "CriticalAddonsOnly".into(),
            "spec.placement.tolerations[0].key",
            "system node pool",
        ),
        refusal(
            "a toleration's key has a space",
            &toleration("key"),
            "a b".into(),
            "spec.placement.tolerations[0].key",
            "like costCenter",
        ),
        refusal(
            "a toleration's value has a space",
            &toleration("value"),
            "a b".into(),
            "spec.placement.tolerations[0].value",
            "replace what else is in it",
        ),
        refusal(
            "a toleration asks for any value and names one",
            &toleration("operator"),
            "Exists".into(),
            "spec.placement.tolerations[0].value",
            "use operator Equal",
        ),
        refusal(
            "a node selector's key has a space",
            "/spec/placement/nodeSelector/a b",
            "x".into(),
            "spec.placement.nodeSelector.a b",
            "like costCenter",
        ),
        refusal(
            "a node selector's value has a comma",
            "/spec/placement/nodeSelector/stack",
            "a,b=c".into(),
            "spec.placement.nodeSelector.stack",
            "replace what else is in it",
        ),
        refusal(
            "a requirement of nodes compares with nothing",
            "/spec/placement/nodeAffinity/0/values",
            json!([]),
            "spec.placement.nodeAffinity[0].values",
            "use operator Exists",
        ),
        refusal(
            "a requirement of nodes asks for any value and names one",
            "/spec/placement/nodeAffinity/0/operator",
            "Exists".into(),
            "spec.placement.nodeAffinity[0].values",
            "use operator In",
        ),
        refusal(
            "the key of a requirement of nodes has a space",
            "/spec/placement/nodeAffinity/0/key",
            "a b".into(),
            "spec.placement.nodeAffinity[0].key",
            "like costCenter",
        ),
    ]
}
