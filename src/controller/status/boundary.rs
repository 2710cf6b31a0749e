//! Whether the boundary holds.
//!
//! Two things are told apart. A policy that asks for more than is declared is a *finding*: with Calico the platform's
//! policies are asked first, so that it opens nothing, and the boundary holds. It does not hold where something gets
//! past the platform's policies, or could, or where these are not in force.

use jiff::Timestamp;

use super::{Conditions, Found, guard, sentence};
use crate::api::condition::{self, reason};
use crate::api::{BoundaryFinding, LandingZoneStatus};

const WAY_OUT: &str = "; status.findings lists them: change them, or declare what has to cross in network.egress or \
    network.ingress of the LandingZone";

/// Sets the condition, after `NetworkEnforced`.
pub(in crate::controller) fn held(conditions: &mut Conditions, found: Option<&Found>) {
    let type_ = condition::BOUNDARY_HELD;
    let Some(enforced) = conditions.get(condition::NETWORK_ENFORCED) else {
        return;
    };
    let (state, why) = (enforced.status.clone(), enforced.reason.clone());
    if state != "True" {
        let mut message =
            "the platform's policies are not what denies here: see NetworkEnforced".to_owned();
        let all: Vec<_> = found.into_iter().flat_map(all).map(told).collect();
        if !all.is_empty() {
            let all = sentence(all.into_iter());
            message =
                format!("{message}; besides, others ask for more than is declared: {all}{WAY_OUT}");
        }
        return conditions.set(type_, &state, &why, message);
    }
    let Some(found) = found else {
        // What was told before the operator started stands until somebody has looked.
        if !conditions.has(type_) {
            let message = "nobody has judged yet what others write";
            conditions.set(type_, "Unknown", reason::PROGRESSING, message);
        }
        return;
    };
    if why == reason::KUBERNETES_POLICIES_ONLY {
        let mut message = "Kubernetes policies cannot hold a boundary against a policy of the application's own; \
                           install Calico for that"
            .to_owned();
        let all: Vec<_> = all(found).map(told).collect();
        if all.is_empty() {
            message.push_str("; no policy of others opens it at present");
        } else {
            message = format!(
                "{message}; what opens it: {}{WAY_OUT}",
                sentence(all.into_iter())
            );
        }
        return conditions.set(type_, "False", reason::KUBERNETES_POLICIES_ONLY, message);
    }
    if found.open().count() > 0 {
        let open = sentence(found.open().map(told));
        let message =
            format!("something gets past the platform's policies, or could: {open}{WAY_OUT}");
        return conditions.set(type_, "False", reason::BOUNDARY_OPEN, message);
    }
    if found.closed().count() > 0 {
        let closed = sentence(found.closed().map(told));
        let message = format!(
            "nothing gets through that is not declared; what others' policies ask for besides stays closed: \
             {closed}{WAY_OUT}"
        );
        return conditions.set(type_, "True", reason::KEPT_CLOSED, message);
    }
    let message = "nothing gets through that is not declared: the platform's policies are in place, and nothing is \
                   found in what others write";
    conditions.set(type_, "True", reason::NOTHING_CROSSES, message);
}

/// Whether a status tells already what is found: after a restart it mostly does.
pub(in crate::controller) fn is_told(
    found: &Found,
    status: &LandingZoneStatus,
    generation: Option<i64>,
) -> bool {
    let mut conditions = Conditions::of(Some(status), generation, Timestamp::UNIX_EPOCH);
    held(&mut conditions, Some(found));
    conditions.has(condition::BOUNDARY_HELD)
        && conditions.finish() == status.conditions
        && status.findings == guard::in_status(found)
}

/// Whether nobody has judged yet, and the status never said so: what is judged in a moment is told in the same write.
pub(in crate::controller) fn is_first_judgement_due(
    status: &LandingZoneStatus,
    base: Option<&LandingZoneStatus>,
) -> bool {
    let held = |status: &LandingZoneStatus| {
        let mut conditions = status.conditions.iter();
        let held = conditions.find(|it| it.type_ == condition::BOUNDARY_HELD)?;
        Some(held.reason == reason::PROGRESSING)
    };
    held(status) == Some(true) && base.and_then(held).is_none()
}

fn all(found: &Found) -> impl Iterator<Item = &BoundaryFinding> {
    found.open().chain(found.closed())
}

/// In one sentence, short: the status lists the whole.
fn told(finding: &BoundaryFinding) -> String {
    const LONGEST: usize = 160;
    let BoundaryFinding {
        object,
        rule,
        message,
        ..
    } = finding;
    let message = match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.clone(),
    };
    format!("{object} ({rule}): {message}")
}

#[cfg(test)]
mod tests;
