//! That one review does not grow with all that is known besides. A time alone would depend on the machine: two sizes are
//! compared in one run.

use std::time::{Duration, Instant};

use super::*;
use crate::domain::Resolved;

/// So many policies are judged, and the fastest round of so many counts.
const POLICIES: usize = 40;
const ROUNDS: usize = 5;

/// How long it takes among so many landing zones.
fn took(count: usize) -> Duration {
    let zones: Vec<_> = (0..count)
        .map(|at| zone(&format!("app{at}"), &format!("ns{at}"), &json!({})))
        .collect();
    let nothing = Resolved::default();
    let known: Vec<_> = zones.iter().map(|it| (it, &nothing)).collect();
    let landscape = Landscape::new(&known, &[], Platform::default());
    let policies: Vec<Object> = (0..POLICIES)
        .map(|at| {
            let spec = json!({
                "selector": "all()", "types": ["Ingress", "Egress"],
                "ingress": [{"action": "Allow", "source": {"namespaceSelector": "zone == 'frontend'"}}],
                "egress": [
                    {"action": "Allow", "destination": {"namespaceSelector": format!("applicationcode == 'app{at}'")}},
                    {"action": "Allow", "destination": {"nets": ["10.244.0.0/16"]}},
                ],
            });
            let policy = json!({
                "apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy",
                "metadata": {"name": "p", "namespace": format!("ns{at}-ns2")}, "spec": spec,
            });
            Object::read(&policy).unwrap().unwrap()
        })
        .collect();
    let round = |_| {
        let started = Instant::now();
        for policy in &policies {
            assert!(!judge(policy, &landscape).is_empty());
        }
        started.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap()
}

#[test]
fn the_review_of_a_policy_does_not_grow_with_the_landing_zones() {
    let (few, many) = (took(250), took(1000));
    assert!(many < few * 2, "{few:?} among 250, {many:?} among 1,000");
}
