//! What a change opens between applications where no landing zone holds a boundary, since none is there or it denies nothing yet:
//! there policies alone do, and the labels of namespaces that they ask for.

mod arrived;
mod held;
mod says;
mod stand_in;
mod state;

use std::collections::{BTreeMap, BTreeSet};

use self::arrived::arrived;
use self::held::Held;
use self::stand_in::StandIns;
use self::state::State;
use super::input::{Input, ObjectName, Written};
use super::meaning::Meaning;
use super::report::{Report, Reported, crossing};
use crate::api::names::{APPLICATION_CODE, OWNER};
use crate::cli::landscape::Objects;
use crate::domain::FieldPath;
use crate::policy::{Action, Policy, PortSpan};
use crate::review::{Body, Finding, Rule, identity};

/// So many pairs of namespaces are named.
const NAMED: usize = 3;
/// The name of what is no namespace: addresses.
const ADDRESSES: &str = "";

/// Adds what a change of policies and of namespaces opens between namespaces of different applications, where no landing zone
/// denies it. What opens nothing there is a note.
pub(super) fn opened(report: &mut Report, before: &Input, after: &Input) {
    let zones = Held::of(after);
    let altered = altered(before, after, &zones);
    let arrived = arrived(before, after, &zones);
    if altered.is_empty() && arrived.is_empty() {
        return;
    }
    let stand_ins = StandIns::of(before, after);
    let is = State::of(after, before, &zones, &stand_ins);
    // Where landing zones have all namespaces, they hold every boundary.
    if !after.zones.is_empty() && !is.has_known() {
        return;
    }
    let told: BTreeSet<ObjectName> = report
        .findings
        .iter()
        .filter(|it| it.needs_approval())
        .map(|it| it.object.clone())
        .collect();
    let is_told = |it: &Written| told.contains(&it.name);
    let mut found = Vec::new();
    let reported =
        |written, finding| Reported::of(written, usize::MAX, finding, &mut Meaning::of(written));
    if !altered.is_empty() {
        // None: all of them.
        let own: Option<BTreeSet<&str>> = altered.iter().map(Altered::own).collect();
        let was = State::of(before, after, &zones, &stand_ins);
        let pairs = is.opened_since(&was, own.as_ref());
        for one in altered.iter().filter(|it| !is_told(it.written)) {
            let own = pairs.as_ref().map(|pairs| {
                let own = pairs.iter().filter(|it| one.concerns(it));
                own.collect::<Vec<_>>()
            });
            match one.finding(own.as_deref()) {
                Some(finding) => found.push(reported(one.written, finding)),
                None => report.notes.extend(one.note()),
            }
        }
    }
    if !arrived.is_empty() {
        let own = arrived.iter().map(|it| it.name.name.as_str()).collect();
        let strangers = State::of_strangers(after, before, &zones, &stand_ins, &own);
        let pairs = is.opened_since(&strangers, Some(&own));
        for one in arrived.into_iter().filter(|it| !is_told(it)) {
            let name = &one.name.name;
            let own = pairs.as_ref().map(|pairs| {
                let own = pairs.iter().filter(|it| it.concerns(name));
                own.collect::<Vec<_>>()
            });
            let finding = arrived::finding(one, own.as_deref());
            found.extend(finding.map(|it| reported(one, it)));
        }
    }
    let crossing_before = crossing(&report.findings).len();
    report.findings.extend(found);
    let more = crossing(&report.findings).len() - crossing_before;
    report.counted.crossing += more;
}

/// Two namespaces of different applications, or one and addresses, between which something opens.
struct Pair {
    from: String,
    to: String,
    ports: Vec<PortSpan>,
    /// Both ends, in words.
    words: [String; 2],
}

impl Pair {
    fn concerns(&self, namespace: &str) -> bool {
        namespace == self.from || namespace == self.to
    }
}

/// What opens, in words.
impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [from, to] = &self.words;
        write!(f, "{from} to {to}")?;
        if self.ports.is_empty() {
            return Ok(());
        }
        let ports: Vec<String> = self
            .ports
            .iter()
            .take(NAMED)
            .map(ToString::to_string)
            .collect();
        let more = if self.ports.len() > NAMED {
            " and more"
        } else {
            ""
        };
        write!(f, " on {}{more}", ports.join(", "))
    }
}

/// All that opens, in a few words. None: nobody looked.
fn in_words(pairs: Option<&[&Pair]>) -> String {
    let Some(pairs) = pairs else {
        return "more namespaces than are compared".to_owned();
    };
    let shown = pairs.iter().take(NAMED).map(ToString::to_string);
    let shown: Vec<String> = shown.collect();
    let more = match pairs.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join("; "))
}

/// Something that a change alters, other than by adding it.
struct Altered<'a> {
    written: &'a Written,
    is_gone: bool,
    /// Of a namespace: what says whose it is.
    mark: Option<Mark>,
    /// Whether there are landing zones, though none that denies here.
    has_zones: bool,
}

/// What says whose a namespace is, before and now.
struct Mark {
    label: &'static str,
    was: Option<String>,
    now: Option<String>,
}

impl Mark {
    /// The one that is another, where one is.
    fn of(before: &Written, now: Option<&Written>) -> Self {
        let mark = |label| Self {
            label,
            was: label_of(before, label),
            now: now.and_then(|it| label_of(it, label)),
        };
        let owner = mark(OWNER);
        let code = mark(APPLICATION_CODE);
        if code.is_same() && !owner.is_same() {
            owner
        } else {
            code
        }
    }

    fn is_same(&self) -> bool {
        self.was == self.now
    }

    /// Whose it is, in words.
    fn words(&self, value: Option<&String>) -> String {
        let what = match self.label {
            OWNER => "landing zone",
            _ => "application",
        };
        value.map_or_else(|| format!("no {what}"), |it| format!("{what} {it}"))
    }
}

/// Policies that are gone or hold less than they did, whatever else decides who is meant, and namespaces with another code. What
/// rules of a policy allow is found where they stand.
fn altered<'a>(before: &'a Input, after: &'a Input, zones: &Held) -> Vec<Altered<'a>> {
    let mut now: BTreeMap<[String; 4], Vec<&Written>> = BTreeMap::new();
    for written in &after.written {
        let of_name = now.entry(identity(&written.json)).or_default();
        of_name.push(written);
    }
    let mut altered = Vec::new();
    for written in &before.written {
        let others = now.get(&identity(&written.json));
        let others = others.map_or(&[][..], Vec::as_slice);
        let own = held(written);
        let is_same = |it: &&Written| it.json == written.json || (own.is_some() && held(it) == own);
        if others.iter().any(is_same) {
            continue;
        }
        let other = others.first().copied();
        let is_namespace = matches!(
            written.read.as_ref().map(|it| &it.body),
            Ok(Body::Namespace(_))
        );
        // The pods of a namespace that is gone reach nobody.
        if is_namespace && other.is_none() {
            continue;
        }
        let one = Altered {
            written: other.unwrap_or(written),
            is_gone: other.is_none(),
            mark: is_namespace.then(|| Mark::of(written, other)),
            has_zones: !after.zones.is_empty(),
        };
        let is_held = |own: &str| zones.denies(own) || (is_namespace && zones.labels(own));
        if !one.own().is_some_and(is_held) {
            altered.push(one);
        }
    }
    altered
}

/// All that policies hold back; None: it is none that Felix takes.
fn held(written: &Written) -> Option<Vec<Policy>> {
    let mut objects = Objects::default();
    objects.add(&written.json, "");
    let held = objects.policies.into_iter().map(|mut policy| {
        for rules in [&mut policy.ingress, &mut policy.egress] {
            let rules = rules.iter_mut();
            rules.for_each(|rules| {
                rules.retain(|it| !matches!(it.action, Action::Allow | Action::Log));
            });
        }
        policy
    });
    let held: Vec<Policy> = held.collect();
    (!held.is_empty()).then_some(held)
}

fn label_of(namespace: &Written, label: &str) -> Option<String> {
    let labels = namespace.json.pointer("/metadata/labels")?;
    let value = labels.get(label)?.as_str()?;
    Some(value.to_owned())
}

impl Altered<'_> {
    /// The namespace from which or to which it may open something; None: that may be any. Policies anywhere may mean a network
    /// set.
    fn own(&self) -> Option<&str> {
        let name = &self.written.name;
        match &self.mark {
            Some(_) => Some(&name.name),
            None if name.kind.ends_with("NetworkPolicy") && !name.namespace.is_empty() => {
                Some(&name.namespace)
            }
            None => None,
        }
    }

    fn concerns(&self, pair: &Pair) -> bool {
        self.own().is_none_or(|own| pair.concerns(own))
    }

    /// What is found; None: it opens nothing. Without pairs, nobody looked.
    fn finding(&self, pairs: Option<&[&Pair]>) -> Option<Finding> {
        let opens = in_words(pairs);
        let opens_nothing = pairs.is_some_and(<[_]>::is_empty);
        let kind = &self.written.name.kind;
        let root = FieldPath::default();
        match &self.mark {
            // Who loses it, too, is no longer meant by what denies or declares for them.
            Some(mark) if !mark.is_same() && (mark.was.is_some() || !opens_nothing) => {
                let opens = if opens_nothing {
                    String::new()
                } else {
                    format!(", and opens {opens}")
                };
                let name = &self.written.name.name;
                let (was, now) = (mark.words(mark.was.as_ref()), mark.words(mark.now.as_ref()));
                let meant = if mark.now.is_some() {
                    "that makes other policies mean its pods"
                } else {
                    "policies that name it do not mean its pods any more"
                };
                let finding = Finding::new(
                    Rule::NamespaceJoins,
                    root.key("metadata").key("labels").key(mark.label),
                    format!("namespace {name} was of {was}, and is of {now} now: {meant}{opens}"),
                    format!(
                        "leave the label {} as it is; no LandingZone declares to whom the namespace belongs",
                        mark.label
                    ),
                );
                let witness = format!("any pod of namespace {name} counts as one of {now}");
                Some(Finding {
                    witness: Some(witness),
                    ..finding
                })
            }
            _ if opens_nothing => None,
            _ => {
                let does = if self.is_gone {
                    "is taken away"
                } else {
                    "says another thing"
                };
                let (place, instead) = if self.has_zones {
                    (
                        "where no landing zone denies,",
                        "keep what denies it, or have a LandingZone in stage Enforce hold the boundary",
                    )
                } else {
                    (
                        "without a LandingZone that was read",
                        "keep what denies it; where there are LandingZones, give those as well",
                    )
                };
                Some(Finding::new(
                    Rule::DecidesUnread,
                    root,
                    format!(
                        "the {kind} {does}, and {place} nothing but policies holds a boundary: open now are {opens}"
                    ),
                    instead,
                ))
            }
        }
    }

    /// That it opens nothing, where nothing else is told of it.
    fn note(&self) -> Option<String> {
        let name = &self.written.name;
        let does = match &self.mark {
            Some(mark) if mark.is_same() => return None,
            Some(_) => "has another applicationcode",
            None if self.is_gone => "is taken away",
            None => return None,
        };
        let (file, at) = self.written.locate(&FieldPath::default())?;
        Some(format!(
            "{file}:{at}: {name} {does}: by what was read, that opens nothing between applications"
        ))
    }
}
