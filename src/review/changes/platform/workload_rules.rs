//! What became of the rules for what application teams put into landing zones.

use super::{change, is_same_ranges, is_within};
use crate::api::WorkloadRuleStage;
use crate::domain::Platform;
use crate::review::changes::{Change, ChangeKind, Part, spec};

/// What became of each rule. Somebody has to approve that what was refused is refused no more.
pub(super) fn changes(old: &Platform, new: &Platform) -> Vec<Change> {
    let (was, is) = (&old.workload_rules, &new.workload_rules);
    let mut changes = Vec::new();
    for (name, what, was, is) in [
        (
            "httpsIngress",
            "Ingresses that serve plain HTTP",
            was.https_ingress,
            is.https_ingress,
        ),
        (
            "servicePorts",
            "Services on other ports",
            was.service_ports.stage,
            is.service_ports.stage,
        ),
        (
            "externalIPs",
            "Services with other external IPs",
            was.external_ips.stage,
            is.external_ips.stage,
        ),
        (
            "hostNetwork",
            "pods on the host's network or other ports of it",
            was.host_network.stage,
            is.host_network.stage,
        ),
    ] {
        changes.extend(stage(name, what, (was, is)));
    }
    let (before, after) = (&was.service_ports, &is.service_ports);
    changes.extend(allowed(
        "servicePorts.allowed",
        (before.stage, after.stage),
        (before.allowed != after.allowed).then(|| {
            let is_wider = !after.allowed.is_subset(&before.allowed);
            (is_wider, from_to(&before.allowed, &after.allowed))
        }),
    ));
    let (before, after) = (&was.external_ips, &is.external_ips);
    changes.extend(allowed(
        "externalIPs.allowed",
        (before.stage, after.stage),
        (!is_same_ranges(&before.allowed, &after.allowed)).then(|| {
            let is_wider = !is_within(&after.allowed, &before.allowed);
            (is_wider, from_to(&before.allowed, &after.allowed))
        }),
    ));
    let (before, after) = (&was.host_network, &is.host_network);
    changes.extend(allowed(
        "hostNetwork.allowedPorts",
        (before.stage, after.stage),
        (before.allowed_ports != after.allowed_ports).then(|| {
            let is_wider = !after.allowed_ports.is_subset(&before.allowed_ports);
            (
                is_wider,
                from_to(&before.allowed_ports, &after.allowed_ports),
            )
        }),
    ));
    let (before_it, after_it) = (before.allow_host_network, after.allow_host_network);
    changes.extend(allowed(
        "hostNetwork.allowHostNetwork",
        (before.stage, after.stage),
        (before_it != after_it).then(|| (after_it, format!("from {before_it} to {after_it}"))),
    ));
    changes
}

fn stage(
    name: &'static str,
    what: &str,
    (was, is): (WorkloadRuleStage, WorkloadRuleStage),
) -> Option<Change> {
    if was == is {
        return None;
    }
    let opens = was == WorkloadRuleStage::Enforce;
    let (kind, told) = match (was > is, opens) {
        (true, true) => (ChangeKind::Lowered, format!("{what} are refused no more")),
        (true, false) => (
            ChangeKind::Lowered,
            "nothing was refused before either".to_owned(),
        ),
        (false, _) => (ChangeKind::Raised, "it opens nothing".to_owned()),
    };
    let message =
        format!("the rule workloadRules.{name} goes from stage {was:?} to {is:?}: {told}");
    let at = spec().key("workloadRules").key(name);
    // The first is a word, the others have it in a field.
    let at = if name == "httpsIngress" {
        at
    } else {
        at.key("stage")
    };
    Some(change((Part::WorkloadRules, kind), at, message, opens).named(name))
}

/// What a rule allows: whether that is more than before, and how it changes; None where it does not.
fn allowed(
    name: &'static str,
    (was, is): (WorkloadRuleStage, WorkloadRuleStage),
    found: Option<(bool, String)>,
) -> Option<Change> {
    let (is_wider, how) = found?;
    let enforce = WorkloadRuleStage::Enforce;
    let opens = is_wider && was == enforce && is == enforce;
    let (kind, told) = match (is_wider, opens) {
        (true, true) => (ChangeKind::Widened, "what was refused is refused no more"),
        (true, false) => (
            ChangeKind::Changed,
            "nothing else was refused before, or is refused now",
        ),
        (false, _) => (ChangeKind::Narrowed, "it opens nothing"),
    };
    let message = format!("what workloadRules.{name} allows changes {how}: {told}");
    let at = name
        .split('.')
        .fold(spec().key("workloadRules"), |at, key| at.key(key));
    Some(change((Part::WorkloadRules, kind), at, message, opens).named(name))
}

fn from_to<T: ToString>(
    was: impl IntoIterator<Item = T>,
    is: impl IntoIterator<Item = T>,
) -> String {
    format!("from {} to {}", listed(was), listed(is))
}

fn listed<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<_> = values.into_iter().map(|it| it.to_string()).collect();
    if texts.is_empty() {
        return "none".to_owned();
    }
    texts.join(", ")
}
