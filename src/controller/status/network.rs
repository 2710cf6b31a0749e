//! Whether policies are in force, and what they leave open.

use super::{Conditions, Outcome, done, sentence};
use crate::api::condition::{self, reason};
use crate::api::names::OWNER;
use crate::api::{CrossingState, CrossingStatus, Stage};
use crate::cluster::Enforcement;
use crate::controller::kind::Kind;
use crate::domain;

/// Whether the boundary is in force, and by whom. Returns whether nothing is left to do for it.
pub(super) fn network_enforced(conditions: &mut Conditions, outcome: &Outcome<'_>) -> bool {
    let done = done(outcome);
    let pending: Vec<_> = outcome
        .rendered
        .targets
        .iter()
        .map(|target| &target.key)
        .filter(|key| key.kind.is_policy() && !done.contains(key))
        .collect();
    let tiers = outcome.applied.failed.iter();
    let tiers: Vec<_> = tiers
        .filter(|failure| failure.key.kind == Kind::Tier)
        .map(|failure| format!("{}: {}", failure.key, failure.error))
        .collect();
    if !tiers.is_empty() {
        let message = sentence(tiers.into_iter());
        conditions.set(
            condition::NETWORK_ENFORCED,
            "False",
            reason::POLICIES_PENDING,
            message,
        );
        return false;
    }
    if !pending.is_empty() {
        let items = pending.iter().map(|key| {
            let failure = outcome
                .applied
                .failed
                .iter()
                .find(|failure| failure.key == **key);
            failure.map_or_else(
                || format!("{key} is not in place yet"),
                |failure| format!("{key}: {}", failure.error),
            )
        });
        let message = sentence(items);
        conditions.set(
            condition::NETWORK_ENFORCED,
            "False",
            reason::POLICIES_PENDING,
            message,
        );
        return false;
    }
    if !outcome.withheld.is_empty() {
        let outside = sentence(outcome.withheld.keys().cloned());
        let message = format!(
            "no policy of this landing zone selects {outside}: see NamespacesReady; what is not \
             withheld is inside its boundary"
        );
        let why = reason::NAMESPACES_WITHHELD;
        conditions.set(condition::NETWORK_ENFORCED, "False", why, message);
        return false;
    }
    if outcome.zone.stage == Stage::Observe {
        let message = observed(outcome);
        let why = reason::OBSERVED;
        conditions.set(condition::NETWORK_ENFORCED, "False", why, message);
        return true;
    }
    match outcome.facts.enforcement() {
        Enforcement::Calico => {
            let tiers = if outcome.facts.flavour().tiers {
                "with"
            } else {
                "without"
            };
            let api = outcome.facts.flavour().api;
            let message = format!(
                "the boundary is in place as Calico policies ({api}, {tiers} tiers){}",
                closed_by_name(outcome)
            );
            conditions.set(condition::NETWORK_ENFORCED, "True", reason::CALICO, message);
            true
        }
        Enforcement::KubernetesPolicies => {
            let message = format!(
                "the boundary is in place as Kubernetes policies, which are weaker: a policy of the application's own \
                 can open it, and a new namespace is open until its policy is there; install Calico for a boundary \
                 that holds{}",
                closed_by_name(outcome)
            );
            let why = reason::KUBERNETES_POLICIES_ONLY;
            conditions.set(condition::NETWORK_ENFORCED, "True", why, message);
            true
        }
        Enforcement::Unknown => {
            let message = "Kubernetes policies are written, but no network plugin is known to enforce \
                           them in this cluster, so they may have no effect; create the cluster with \
                           Calico (AKS: --network-policy calico)";
            let why = reason::NO_ENFORCING_PLUGIN;
            conditions.set(condition::NETWORK_ENFORCED, "False", why, message);
            false
        }
    }
}

/// The namespaces that are closed by name, and what to do about them.
fn closed_by_name(outcome: &Outcome<'_>) -> String {
    let pretenders = &outcome.rendered.source.openings.pretenders;
    if pretenders.is_empty() {
        return String::new();
    }
    let names = sentence(pretenders.iter().map(ToString::to_string));
    format!(
        "; closed by name, since they bear the label {OWNER} of a landing zone that they do not belong to: {names}; take it \
         off them, or declare them"
    )
}

pub(super) fn policies_are_in_place(outcome: &Outcome<'_>) -> bool {
    let done = done(outcome);
    let policies = outcome.rendered.targets.iter().map(|target| &target.key);
    policies
        .filter(|key| key.kind.is_policy())
        .all(|key| done.contains(key))
}

/// Whether all that this landing zone declares is open. Nothing is said where nothing is declared; but where something was,
/// that is only so once the policies are as it says.
pub(super) fn crossings_open(
    conditions: &mut Conditions,
    crossings: &[CrossingStatus],
    policies_are_in_place: bool,
) {
    let own = |crossing: &&CrossingStatus| crossing.state != CrossingState::DeclaredThere;
    let own: Vec<_> = crossings.iter().filter(own).collect();
    if own.is_empty() && (policies_are_in_place || !conditions.has(condition::CROSSINGS_OPEN)) {
        conditions.remove(condition::CROSSINGS_OPEN);
        return;
    }
    if !policies_are_in_place {
        let message = "the policies are not all in place yet: see NetworkEnforced";
        let why = reason::POLICIES_PENDING;
        conditions.set(condition::CROSSINGS_OPEN, "False", why, message);
        return;
    }
    let closed = own.iter().filter(|it| it.state != CrossingState::Open);
    let said = |crossing: &&&CrossingStatus| {
        let message = crossing.message.as_deref().unwrap_or("closed");
        format!("{} ({}): {message}", crossing.name, crossing.peer)
    };
    let closed: Vec<_> = closed.map(|it| said(&it)).collect();
    if !closed.is_empty() {
        let message = sentence(closed.into_iter());
        let why = reason::CROSSINGS_CLOSED;
        conditions.set(condition::CROSSINGS_OPEN, "False", why, message);
        return;
    }
    let remarks: Vec<_> = own
        .iter()
        .filter(|it| it.message.is_some())
        .map(|it| said(&it))
        .collect();
    let (why, message) = if remarks.is_empty() {
        let message = format!("all {} crossings and shared services are open", own.len());
        (reason::AS_DECLARED, message)
    } else {
        (reason::CROSSINGS_REMARKED, sentence(remarks.into_iter()))
    };
    conditions.set(condition::CROSSINGS_OPEN, "True", why, message);
}

/// What stage Observe does.
fn observed(outcome: &Outcome<'_>) -> String {
    let flavour = outcome.facts.flavour();
    if flavour.staged {
        return "stage Observe: nothing is denied; staged policies tell Calico's flow logs what would be"
            .to_owned();
    }
    if flavour.api == domain::PolicyApi::Kubernetes {
        return "stage Observe: nothing is denied, and nothing recorded either, since Kubernetes policies \
                cannot log; install Calico for that"
            .to_owned();
    }
    let logged = "stage Observe: nothing is denied; what would be is in the kernel log of the nodes \
                  (calico-packet, or what Felix's logPrefix says), which kubectl landingzone propose \
                  --from-log reads";
    if outcome.unobserved.is_empty() {
        return logged.to_owned();
    }
    let unseen = sentence(outcome.unobserved.iter().cloned());
    format!("{logged}; not observed, since others' policies decide there: {unseen}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(crossings: &[CrossingStatus], policies_are_in_place: bool) -> Option<String> {
        let mut conditions = Conditions::of(None, Some(1), jiff::Timestamp::UNIX_EPOCH);
        conditions.set(
            condition::CROSSINGS_OPEN,
            "True",
            reason::AS_DECLARED,
            "one",
        );
        crossings_open(&mut conditions, crossings, policies_are_in_place);
        let said = conditions.get(condition::CROSSINGS_OPEN);
        said.map(|it| it.status.clone())
    }

    /// What a landing zone says does not depend on what it declared before.
    #[test]
    fn whoever_declares_no_crossing_any_more_says_nothing_of_crossings() {
        assert_eq!(told(&[], true), None);
        // They close with the policies.
        assert_eq!(told(&[], false).as_deref(), Some("False"));
    }
}
