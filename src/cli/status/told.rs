//! A landing zone's status as a tree, for people. Pure.

use std::fmt::Write as _;

use super::verdict::{Standing, Verdict, standing};
use crate::api::{
    CrossingState, CrossingStatus, DriftStatus, LandingZone, LandingZonePlatform,
    LandingZoneStatus, NamespaceState, NamespaceStatus, condition,
};
use crate::cli::terminal::{Look, Tint, Tree, cut};

/// So many sentences of a plan are shown; the rest is counted.
const PLANNED: usize = 30;

/// The first line: what people want to know before anything else.
pub(super) fn headline(verdict: &Verdict) -> Tree {
    let (word, message) = (verdict.word(), verdict.message.as_str());
    let colon = if message.is_empty() { "" } else { ":" };
    Tree::tinted(tint(verdict.standing), format!("{word}{colon}")).then(Tint::Plain, message)
}

const fn tint(standing: Standing) -> Tint {
    match standing {
        Standing::Healthy => Tint::Good,
        Standing::Waiting => Tint::Waiting,
        Standing::ActNow => Tint::Bad,
    }
}

/// All that there is to say of a landing zone. `pods` tells of those that run elsewhere.
pub(super) fn zone(name: &str, zone: &LandingZone, pods: Option<&str>) -> Tree {
    let nothing = LandingZoneStatus::default();
    let status = zone.status.as_ref().unwrap_or(&nothing);
    let mut tree = Tree::tinted(Tint::Strong, name).then(Tint::Plain, about(zone, status));
    tree.section("conditions", conditions(status));
    let namespaces = status.namespaces.iter().map(namespace);
    let released = status.released.iter().map(|it| {
        let text = format!(
            "{}, zone {}: left the declaration; it keeps what it has",
            it.name, it.zone
        );
        Tree::tinted(Tint::Waiting, "Released").then(Tint::Plain, text)
    });
    tree.section("namespaces", namespaces.chain(released).collect());
    tree.section("crossings", status.crossings.iter().map(crossing).collect());
    let findings = status.findings.iter().map(|it| {
        let (tint, word) = if it.open {
            (Tint::Bad, "open:")
        } else {
            (Tint::Waiting, "kept closed:")
        };
        let field = it
            .field
            .as_ref()
            .map_or(String::new(), |it| format!(", {it}"));
        let text = format!("{}{field} ({}): {}", it.object, it.rule, it.message);
        Tree::tinted(tint, word).then(Tint::Plain, text)
    });
    tree.section("findings in what others write", findings.collect());
    tree.section("plan", sentences(&status.plan));
    tree.section("not observed", sentences(&status.unobserved));
    tree.section("pods", pods.map(pods_told).into_iter().collect());
    tree.section("drift", status.drift.iter().flat_map(drift).collect());
    tree
}

fn about(zone: &LandingZone, status: &LandingZoneStatus) -> String {
    let mut parts = vec![format!("application code {}", zone.spec.application_code)];
    if let Some(effective) = &status.effective {
        let tiers = if effective.tiers { ", with tiers" } else { "" };
        parts.push(format!("stage {:?}", effective.stage));
        parts.push(format!("policies {}{tiers}", effective.flavour));
    }
    parts.extend(zone.spec.contact.as_ref().map(|it| format!("contact {it}")));
    parts.join("; ")
}

/// Reconciling and Stalled say the same as Ready, to tools.
fn conditions(status: &LandingZoneStatus) -> Vec<Tree> {
    let repeats = [condition::RECONCILING, condition::STALLED];
    let all = status.conditions.iter();
    let all = all.filter(|it| !repeats.contains(&it.type_.as_str()));
    let told = all.map(|it| {
        Tree::tinted(tint(standing(it, status)), &it.type_).then(
            Tint::Plain,
            format!("{} {}: {}", it.status, it.reason, it.message),
        )
    });
    told.collect()
}

fn namespace(namespace: &NamespaceStatus) -> Tree {
    let NamespaceStatus {
        name, zone, state, ..
    } = namespace;
    let (tint, word) = match state {
        NamespaceState::Ready => (Tint::Good, "Ready"),
        NamespaceState::Pending => (Tint::Waiting, "Pending"),
        NamespaceState::Terminating => (Tint::Waiting, "Terminating"),
        NamespaceState::Withheld => (Tint::Bad, "Withheld"),
    };
    let message = namespace.message.as_ref();
    let message = message.map_or(String::new(), |it| format!(": {it}"));
    Tree::tinted(tint, word).then(Tint::Plain, format!("{name}, zone {zone}{message}"))
}

fn crossing(crossing: &CrossingStatus) -> Tree {
    let (tint, word) = match crossing.state {
        CrossingState::Open => (Tint::Good, "open"),
        CrossingState::DeclaredHere => (Tint::Waiting, "closed, declared here only"),
        CrossingState::DeclaredThere => (Tint::Waiting, "closed, declared there only"),
        CrossingState::NoSuchPeer => (Tint::Waiting, "closed, no such peer"),
        CrossingState::PeerNotInForce => (Tint::Waiting, "closed, peer not in force"),
        CrossingState::NotAcknowledged => (Tint::Bad, "closed, not acknowledged"),
        CrossingState::Expired => (Tint::Bad, "closed, expired"),
        CrossingState::Unsupported => (Tint::Bad, "closed, unsupported"),
    };
    let direction = match crossing.direction {
        Some(direction) => format!("{direction:?}").to_lowercase(),
        None => "shared service".to_owned(),
    };
    let until = crossing.valid_until.as_ref();
    let until = until.map_or(String::new(), |it| format!(", until {it}"));
    let message = crossing.message.as_deref().unwrap_or_default();
    let colon = if message.is_empty() { "" } else { ":" };
    let what = format!("{direction} {} ({}){until}:", crossing.name, crossing.peer);
    Tree::new(what)
        .then(tint, format!("{word}{colon}"))
        .then(Tint::Plain, message)
}

fn sentences(all: &[String]) -> Vec<Tree> {
    let mut told: Vec<_> = all.iter().take(PLANNED).map(Tree::new).collect();
    if all.len() > PLANNED {
        told.push(Tree::new(format!("and {} more", all.len() - PLANNED)));
    }
    told
}

/// The first line counts them, the others name them.
fn pods_told(pods: &str) -> Tree {
    let mut lines = pods.lines();
    let mut tree = Tree::new(lines.next().unwrap_or_default());
    for line in lines {
        tree.add(Tree::new(line.trim()));
    }
    tree
}

fn drift(drift: &DriftStatus) -> Vec<Tree> {
    let put_back = format!("{} put back since it was created", drift.repaired);
    let mut told = vec![Tree::new(put_back)];
    told.extend(drift.recent.iter().map(|it| {
        let who = it.manager.as_deref().unwrap_or("somebody");
        let text = format!("{} {}: {}, by {who}", it.time.0, it.object, it.change);
        Tree::new(text)
    }));
    told
}

/// A landing zone among others: its name and what is said of it, in one line.
pub(super) struct Row {
    /// Its name.
    pub name: String,
    /// What is said of it.
    pub verdict: Verdict,
}

/// Puts those first for which somebody has to do something.
pub(super) fn sort(rows: &mut [Row]) {
    rows.sort_by(|one, other| {
        let standing = other.verdict.standing.cmp(&one.verdict.standing);
        standing.then_with(|| one.name.cmp(&other.name))
    });
}

/// What is said of all landing zones together.
pub(super) fn summary(rows: &[Row], platform: Option<&Verdict>) -> Verdict {
    let count = |standing| {
        let rows = rows.iter();
        rows.filter(|it| it.verdict.standing == standing).count()
    };
    let mut parts = Vec::new();
    for (standing, word) in [
        (Standing::ActNow, "to act on"),
        (Standing::Waiting, "waiting"),
        (Standing::Healthy, "healthy"),
    ] {
        let count = count(standing);
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    let mut message = match rows.len() {
        0 => "there is no landing zone".to_owned(),
        1 => format!("1 landing zone, {}", parts.join(", ")),
        count => format!("{count} landing zones, {}", parts.join(", ")),
    };
    if let Some(platform) = platform.filter(|it| it.standing != Standing::Healthy) {
        message = format!("{message}; the platform: {}", platform.word());
    }
    let all = rows.iter().map(|it| &it.verdict).chain(platform);
    let worst = all.clone().map(|it| it.standing).max();
    let standing = worst.unwrap_or(Standing::Healthy);
    let mut waiting_for: Vec<_> = all
        .filter(|_| standing == Standing::Waiting)
        .flat_map(|it| it.waiting_for.iter().cloned())
        .collect();
    waiting_for.sort();
    waiting_for.dedup();
    Verdict {
        standing,
        waiting_for,
        message,
    }
}

/// Every landing zone on a line, and the platform.
pub(super) fn overview(
    verdict: &Verdict,
    rows: &[Row],
    platform: Option<(&LandingZonePlatform, &Verdict)>,
    look: Look,
) -> String {
    // Whom all of them wait for would be many.
    let word = match verdict.standing {
        Standing::Waiting => "waiting:".to_owned(),
        _ => format!("{}:", verdict.word()),
    };
    let headline = Tree::tinted(tint(verdict.standing), word);
    let headline = headline.then(Tint::Plain, verdict.message.as_str());
    let mut out = headline.print(look);
    let wide = rows.iter().map(|it| it.name.len()).max().unwrap_or(0);
    for Row { name, verdict } in rows {
        // A name is at most 40 long.
        let room = Look {
            width: look.width.saturating_sub(wide + 1),
            ..look
        };
        let word = verdict.word();
        let line = cut(&verdict.to_string(), room);
        let (word, rest) = match line.strip_prefix(&word) {
            Some(rest) => (word.as_str(), rest),
            None => (line.as_str(), ""),
        };
        let style = tint(verdict.standing).style();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:<wide$} {style}{word}{style:#}{rest}");
    }
    if let Some((platform, verdict)) = platform {
        let status = platform.status.as_ref();
        let status = LandingZoneStatus {
            conditions: status.map(|it| it.conditions.clone()).unwrap_or_default(),
            ..LandingZoneStatus::default()
        };
        let mut tree =
            Tree::tinted(Tint::Strong, "platform").then(tint(verdict.standing), verdict.word());
        for condition in conditions(&status) {
            tree.add(condition);
        }
        out.push_str(&tree.print(look));
    }
    out
}

#[cfg(test)]
mod tests;
