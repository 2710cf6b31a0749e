//! What became of what holds for the whole cluster.

mod azure;
mod opened;
mod workload_rules;

use ipnet::IpNet;

use super::estate::Estate;
use super::extent;
use super::{Change, ChangeKind, Part, Scope, Side, spans, spec};
use crate::api::{DefaultDenyStage, ExpiredCrossings, GuardStage};
use crate::domain::{FieldPath, LandingZoneName, Platform};

pub(super) use opened::service_in_words;

/// Most landing zones that are named.
const NAMED: usize = 5;

/// What became of the platform.
pub(super) fn changes(before: &Estate<'_>, after: &Estate<'_>) -> Vec<Change> {
    let (old, new) = (before.platform, after.platform);
    if old == new {
        return Vec::new();
    }
    let mut changes = opened::services(before, after);
    changes.extend(opened::destinations(before, after));
    changes.extend(default_deny(old, new));
    changes.extend(exempt(old, new));
    changes.extend(expired(old, new));
    changes.extend(guard(old, new));
    changes.extend(plugin(old, new));
    changes.extend(pod_ranges(old, new));
    changes.extend(dns(old, new));
    changes.extend(node_ranges(before, after));
    changes.extend(api_server(before, after));
    changes.extend(rest(old, new));
    changes.extend(azure::changes(old, new));
    changes.extend(workload_rules::changes(old, new));
    changes
}

fn change(
    (part, kind): (Part, ChangeKind),
    path: FieldPath,
    message: String,
    crosses: bool,
) -> Change {
    let scope = match part {
        Part::ExpiredCrossings => Scope::Everything,
        Part::SharedService | Part::Destination | Part::Dns | Part::Network => Scope::AnyOutside,
        // What holds in namespaces that are no landing zone's, and what is no matter of policies.
        _ => Scope::Nothing,
    };
    Change::new(None, (part, kind), (Side::After, path), message).crossing_if(crosses, scope)
}

fn default_deny(old: &Platform, new: &Platform) -> Option<Change> {
    let (was, is) = (old.default_deny.stage, new.default_deny.stage);
    if was == is {
        return None;
    }
    let opens = was == DefaultDenyStage::Enforce;
    let (kind, what) = match (was > is, opens) {
        (true, true) => (
            ChangeKind::Lowered,
            "nothing is denied any more in namespaces that are no landing zone's",
        ),
        (true, false) => (ChangeKind::Lowered, "nothing was denied before either"),
        (false, _) => (ChangeKind::Raised, "it opens nothing"),
    };
    let message = format!("the default deny goes from stage {was:?} to {is:?}: {what}");
    let path = spec().key("defaultDeny").key("stage");
    Some(change((Part::DefaultDeny, kind), path, message, opens))
}

fn exempt(old: &Platform, new: &Platform) -> Option<Change> {
    let (was, is) = (&old.default_deny.exempt, &new.default_deny.exempt);
    if was == is {
        return None;
    }
    let more: Vec<_> = is.names.difference(&was.names).cloned().collect();
    let less: Vec<_> = was.names.difference(&is.names).cloned().collect();
    // All labels together select: with fewer of them, more is selected.
    let holds = |one: &crate::policy::LabelMap, other: &crate::policy::LabelMap| {
        !one.is_empty() && one.iter().all(|(key, value)| other.get(key) == Some(value))
    };
    let by_labels = !is.labels.is_empty() && !holds(&was.labels, &is.labels);
    let widened = by_labels || !more.is_empty();
    let told = |labels: &crate::policy::LabelMap| {
        let labels: Vec<_> = labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        if labels.is_empty() {
            "none".to_owned()
        } else {
            labels.join(", ")
        }
    };
    let mut parts = Vec::new();
    if !more.is_empty() {
        parts.push(format!("{} are added", more.join(", ")));
    }
    if !less.is_empty() {
        parts.push(format!("{} are removed", less.join(", ")));
    }
    if was.labels != is.labels {
        parts.push(format!(
            "by labels {}, was {}",
            told(&is.labels),
            told(&was.labels)
        ));
    }
    let is_off = new.default_deny.stage == DefaultDenyStage::Off;
    if is_off {
        parts.push("without effect while the default deny is off".to_owned());
    }
    let message = format!(
        "namespaces that the default deny leaves alone: {}",
        parts.join("; ")
    );
    let kind = match (widened, is_off) {
        (true, false) => ChangeKind::Widened,
        (true, true) => ChangeKind::Changed,
        (false, _) => ChangeKind::Narrowed,
    };
    Some(change(
        (Part::Exempt, kind),
        spec().key("exempt"),
        message,
        widened && !is_off,
    ))
}

fn expired(old: &Platform, new: &Platform) -> Option<Change> {
    if old.expired_crossings == new.expired_crossings {
        return None;
    }
    let opens = new.expired_crossings == ExpiredCrossings::Warn;
    let (kind, what) = if opens {
        (ChangeKind::Lowered, "stay open, and status says so")
    } else {
        (ChangeKind::Raised, "are closed")
    };
    let message = format!("crossings whose last day is over {what}");
    let path = spec().key("expiredCrossings");
    Some(change((Part::ExpiredCrossings, kind), path, message, opens))
}

fn guard(old: &Platform, new: &Platform) -> Option<Change> {
    let (was, is) = (old.guard, new.guard);
    if was == is {
        return None;
    }
    let lowered = was > is;
    let (kind, what) = match (lowered, is) {
        (true, GuardStage::Off) => (ChangeKind::Lowered, "nobody is told when they write them"),
        (true, _) => (
            ChangeKind::Lowered,
            "they are told of, and no longer refused",
        ),
        (false, _) => (ChangeKind::Raised, "it opens nothing"),
    };
    let message = format!(
        "the guard against policies that leave a boundary goes from {was:?} to {is:?}: {what}"
    );
    let path = spec().key("guard");
    Some(change((Part::Guard, kind), path, message, lowered))
}

/// Where the ranges of pods are looked for, what passes for a pod depends on it.
fn plugin(old: &Platform, new: &Platform) -> Option<Change> {
    if old.plugin == new.plugin {
        return None;
    }
    let told = |it: &Platform| {
        it.plugin
            .map_or("not known".to_owned(), |it| format!("{it:?}"))
    };
    let is_looked_for = old.pod_cidrs.is_empty() || new.pod_cidrs.is_empty();
    let what = if is_looked_for {
        "the ranges of pods are looked for elsewhere, and what is outside of them never passes for a pod"
    } else {
        "the ranges of pods are declared, so it opens nothing"
    };
    let message = format!(
        "who gives pods their addresses changes from {} to {}: {what}",
        told(old),
        told(new)
    );
    let path = spec().key("network").key("plugin");
    Some(
        change(
            (Part::Network, ChangeKind::Changed),
            path,
            message,
            is_looked_for,
        )
        .named("plugin")
        .crossing_if(is_looked_for, Scope::Nothing),
    )
}

fn is_same_ranges(one: &[IpNet], other: &[IpNet]) -> bool {
    [false, true]
        .into_iter()
        .all(|is_v6| spans::addresses(one, is_v6) == spans::addresses(other, is_v6))
}

/// Whether all addresses of `inner` are in `outer`.
fn is_within(inner: &[IpNet], outer: &[IpNet]) -> bool {
    let beyond = |is_v6| spans::addresses(inner, is_v6).without(&spans::addresses(outer, is_v6));
    [false, true]
        .into_iter()
        .all(|is_v6| beyond(is_v6).is_empty())
}

fn from_to(old: &[IpNet], new: &[IpNet]) -> String {
    let told = |nets: &[IpNet]| {
        let mut nets = IpNet::aggregate(&nets.to_vec());
        nets.sort_unstable();
        let texts: Vec<_> = nets.iter().map(ToString::to_string).collect();
        if texts.is_empty() {
            "not known".to_owned()
        } else {
            texts.join(", ")
        }
    };
    format!("from {} to {}", told(old), told(new))
}

fn pod_ranges(old: &Platform, new: &Platform) -> Option<Change> {
    if is_same_ranges(&old.pod_cidrs, &new.pod_cidrs) {
        return None;
    }
    let message = format!(
        "the ranges of pods change {}: what is outside of them never passes for a pod, and crossings to wider \
         ranges leave them out",
        from_to(&old.pod_cidrs, &new.pod_cidrs)
    );
    let path = spec().key("network").key("podCidrs");
    Some(
        change((Part::Network, ChangeKind::Changed), path, message, true)
            .named("podCidrs")
            .crossing_if(true, Scope::Everything),
    )
}

fn dns(old: &Platform, new: &Platform) -> Option<Change> {
    let same = is_same_ranges(&old.dns_addresses, &new.dns_addresses);
    if same && old.node_local_dns == new.node_local_dns {
        return None;
    }
    let asks_more = new.node_local_dns && !old.node_local_dns;
    let opens = asks_more || !is_within(&new.dns_addresses, &old.dns_addresses);
    let kind = if opens {
        ChangeKind::Widened
    } else {
        ChangeKind::Narrowed
    };
    let more = if asks_more {
        ", and NodeLocal DNSCache answers on the address of the Service"
    } else {
        ""
    };
    let message = format!(
        "the addresses of DNS that all landing zones may ask change {}{more}",
        from_to(&old.dns_addresses, &new.dns_addresses)
    );
    Some(change((Part::Dns, kind), spec().key("dns"), message, opens))
}

fn node_ranges(before: &Estate<'_>, after: &Estate<'_>) -> Option<Change> {
    let (old, new) = (&before.platform.node_cidrs, &after.platform.node_cidrs);
    if is_same_ranges(old, new) {
        return None;
    }
    let affected = affected(before, after, |to, from| {
        to.node_cidrs.clone_from(&from.node_cidrs);
    });
    let message = format!(
        "the subnets of nodes change {}{}",
        from_to(old, new),
        more_for(&affected)
    );
    let path = spec().key("network").key("nodeCidrs");
    let kind = kind(&affected);
    Some(change((Part::Network, kind), path, message, !affected.is_empty()).named("nodeCidrs"))
}

fn api_server(before: &Estate<'_>, after: &Estate<'_>) -> Option<Change> {
    let (old, new) = (&before.platform.api_server, &after.platform.api_server);
    if is_same_ranges(old, new) {
        return None;
    }
    let affected = affected(before, after, |to, from| {
        to.api_server.clone_from(&from.api_server);
    });
    let message = format!(
        "the addresses of the API server change {}{}",
        from_to(old, new),
        more_for(&affected)
    );
    let path = spec().key("network").key("apiServer");
    let kind = kind(&affected);
    Some(change((Part::Network, kind), path, message, !affected.is_empty()).named("apiServer"))
}

fn kind(affected: &[&LandingZoneName]) -> ChangeKind {
    if affected.is_empty() {
        ChangeKind::Changed
    } else {
        ChangeKind::Widened
    }
}

/// The landing zones for which one field alone opens something: on top of what was, or beneath what shall be.
fn affected<'a>(
    before: &Estate<'a>,
    after: &Estate<'a>,
    copy: impl Fn(&mut Platform, &Platform),
) -> Vec<&'a LandingZoneName> {
    let mut on_top = before.platform.clone();
    copy(&mut on_top, after.platform);
    let mut beneath = after.platform.clone();
    copy(&mut beneath, before.platform);
    let grows = |without: &Estate<'_>, with: &Estate<'_>, name: &LandingZoneName| {
        with.zones.get(name).is_some_and(|zone| {
            !extent::is_within(&with.all_traffic(zone), &without.all_traffic(zone))
        })
    };
    let (on_top, beneath) = (before.on(&on_top), after.on(&beneath));
    let is_affected =
        |name: &&LandingZoneName| grows(before, &on_top, name) || grows(&beneath, after, name);
    let mut names: Vec<_> = before
        .zones
        .keys()
        .chain(after.zones.keys())
        .copied()
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter(is_affected).collect()
}

fn more_for(affected: &[&LandingZoneName]) -> String {
    if affected.is_empty() {
        return ": opens nothing".to_owned();
    }
    format!(": opens more for {}", named(affected))
}

/// `landing zones a, b and 3 more`
fn named(names: &[&LandingZoneName]) -> String {
    let shown: Vec<_> = names.iter().take(NAMED).map(ToString::to_string).collect();
    let more = names.len() - shown.len();
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("landing zone{plural} {}{more}", shown.join(", "))
}

/// What crosses no boundary.
fn rest(old: &Platform, new: &Platform) -> Vec<Change> {
    let network = || spec().key("network");
    let mut changes = Vec::new();
    let mut add = |differs: bool, part, path: FieldPath, name: &str, message: String| {
        if differs {
            changes.push(
                change((part, ChangeKind::Changed), path, message, false)
                    .named(name)
                    .crossing_if(false, Scope::Nothing),
            );
        }
    };
    add(
        !is_same_ranges(&old.service_cidrs, &new.service_cidrs),
        Part::Network,
        network().key("serviceCidrs"),
        "serviceCidrs",
        format!(
            "the ranges of Services change {}",
            from_to(&old.service_cidrs, &new.service_cidrs)
        ),
    );
    let roles = |it: &Platform| it.roles.iter().cloned().collect::<Vec<_>>().join(", ");
    add(
        old.roles != new.roles,
        Part::Roles,
        spec().key("access").key("clusterRoles"),
        "clusterRoles",
        format!(
            "the roles that may be handed out change from {} to {}",
            roles(old),
            roles(new)
        ),
    );
    add(
        old.defaults != new.defaults,
        Part::Defaults,
        spec().key("defaults"),
        "defaults",
        "what landing zones get where they say nothing changes".to_owned(),
    );
    let labels = |it: &Platform| {
        it.required_labels
            .iter()
            .cloned()
            .collect::<Vec<_>>()
            .join(", ")
    };
    add(
        old.required_labels != new.required_labels,
        Part::Defaults,
        spec().key("requiredLabels"),
        "requiredLabels",
        format!(
            "the labels that landing zones must have change from \"{}\" to \"{}\"",
            labels(old),
            labels(new)
        ),
    );
    changes
}
