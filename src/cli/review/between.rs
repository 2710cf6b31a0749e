//! What a change opens between applications where no landing zone holds a boundary, since none is there or it denies nothing yet:
//! there policies alone do, and the labels of namespaces that they ask for.

mod held;
mod says;

use std::collections::{BTreeMap, BTreeSet};

use self::held::{Held, declared};
use self::says::{Says, rule};
use super::input::{Input, ObjectName, Written};
use super::meaning::Meaning;
use super::report::{Report, Reported, crossing};
use crate::api::names::{APPLICATION_CODE, OWNER};
use crate::cli::landscape::{Landscape, Objects};
use crate::domain::FieldPath;
use crate::policy::{Action, Answer, Member, Policy, PortSpan, Reach, Way, everywhere};
use crate::review::{Body, Finding, Rule, identity};

/// So many pairs of namespaces are named.
const NAMED: usize = 3;
/// So many namespaces are compared, each with all others.
const MOST: usize = 1500;
/// The name of what is no namespace: addresses.
const ADDRESSES: &str = "";

/// Adds what a change of policies and of the labels of namespaces opens between namespaces of different applications, where no
/// landing zone denies it. What opens nothing there is a note.
pub(super) fn opened(report: &mut Report, before: &Input, after: &Input) {
    let zones = Held::of(after);
    let altered = altered(before, after, &zones);
    if altered.is_empty() {
        return;
    }
    let was = State::of(before, after, &zones);
    let is = State::of(after, before, &zones);
    // Where landing zones have all namespaces, they hold every boundary.
    if !after.zones.is_empty() && is.namespaces.len() == 1 {
        return;
    }
    // None: all of them.
    let own: Option<BTreeSet<&str>> = altered.iter().map(Altered::own).collect();
    let is_concerned = |from: &str, to: &str| {
        own.as_ref()
            .is_none_or(|it| it.contains(from) || it.contains(to))
    };
    let pairs = is.opened_since(&was, is_concerned);
    let told: BTreeSet<ObjectName> = report
        .findings
        .iter()
        .filter(|it| it.needs_approval())
        .map(|it| it.object.clone())
        .collect();
    let mut found = Vec::new();
    for one in altered.iter().filter(|it| !told.contains(&it.written.name)) {
        let own = pairs.as_ref().map(|pairs| {
            let own = pairs.iter().filter(|it| one.concerns(it));
            own.collect::<Vec<_>>()
        });
        match one.finding(own.as_deref()) {
            Some(finding) => found.push(Reported::of(
                one.written,
                usize::MAX,
                finding,
                &mut Meaning::of(one.written),
            )),
            None => report.notes.extend(one.note()),
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
}

/// What opens, in words.
impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |it: &str| match it {
            ADDRESSES => "addresses".to_owned(),
            name => format!("namespace {name}"),
        };
        write!(f, "{} to {}", name(&self.from), name(&self.to))?;
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
        self.own()
            .is_none_or(|own| own == pair.from || own == pair.to)
    }

    /// What is found; None: it opens nothing. Without pairs, nobody looked.
    fn finding(&self, pairs: Option<&[&Pair]>) -> Option<Finding> {
        let opens = pairs.map_or_else(
            || "more namespaces than are compared".to_owned(),
            |pairs| {
                let shown = pairs.iter().take(NAMED).map(ToString::to_string);
                let shown: Vec<String> = shown.collect();
                let more = match pairs.len().saturating_sub(NAMED) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!("{}{more}", shown.join("; "))
            },
        );
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
                        "without LandingZones",
                        "give the LandingZones as well, or keep what denies it",
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

/// Who reaches whom, by policies alone.
struct State {
    landscape: Landscape,
    /// Those namespaces that are known, each with its members.
    namespaces: BTreeMap<String, Vec<usize>>,
    members: Vec<Member>,
    /// All rules that pass on: what comes of that is not in what decides.
    passing: Vec<String>,
}

impl State {
    /// Namespaces that only the other state writes, or that only policies name, are there all the same: who takes a file away has not
    /// taken away what runs.
    fn of(input: &Input, other: &Input, zones: &Held) -> Self {
        let mut objects = Objects::default();
        for written in &input.written {
            objects.add(&written.json, "");
        }
        // What a landing zone declares of a namespace wins.
        objects.namespaces.extend(declared(input));
        for (name, labels) in declared(other) {
            objects.namespaces.entry(name).or_insert(labels);
        }
        for namespace in &other.namespaces {
            let metadata = &namespace.metadata;
            let name = metadata.name.clone().unwrap_or_default();
            let labels = || metadata.labels.clone().unwrap_or_default();
            objects.namespaces.entry(name).or_insert_with(labels);
        }
        for written in input.written.iter().chain(&other.written) {
            let name = &written.name;
            if name.kind.ends_with("NetworkPolicy") && !name.namespace.is_empty() {
                let known = objects.namespaces.entry(name.namespace.clone());
                known.or_default();
            }
        }
        let landscape = Landscape::of(String::new(), Vec::new(), input.platform.clone(), objects);
        let mut members = Vec::new();
        let mut namespaces = BTreeMap::new();
        let open = landscape.namespaces.keys().filter(|it| !zones.denies(it));
        for name in open {
            let first = members.len();
            members.extend(landscape.of_namespace(name));
            namespaces.insert(name.clone(), (first..members.len()).collect());
        }
        namespaces.insert(ADDRESSES.to_owned(), vec![members.len()]);
        members.push(Member::addresses(&everywhere()));
        let policies = landscape.world.policies().iter();
        let passing = policies.flat_map(|policy| {
            let ways = [
                (Way::Ingress, &policy.ingress),
                (Way::Egress, &policy.egress),
            ];
            ways.into_iter().flat_map(move |(way, rules)| {
                let rules = rules.iter().flatten().enumerate();
                let passing = rules.filter(|(_, it)| it.action == Action::Pass);
                passing.map(move |(index, _)| rule(policy, way, index))
            })
        });
        Self {
            passing: passing.collect(),
            landscape,
            namespaces,
            members,
        }
    }

    fn code(&self, namespace: &str) -> Option<&str> {
        let labels = self.landscape.namespaces.get(namespace)?;
        labels.get(APPLICATION_CODE).map(String::as_str)
    }

    /// What passes now between namespaces of different applications, and did not surely pass before. None: there are too
    /// many.
    fn opened_since(
        &self,
        before: &Self,
        is_concerned: impl Fn(&str, &str) -> bool,
    ) -> Option<Vec<Pair>> {
        let world = &self.landscape.world;
        let reach = world.reach(&self.members);
        let was = before.landscape.world.reach(&before.members);
        let all: Vec<&String> = self.namespaces.keys().collect();
        if all.len() > MOST {
            return None;
        }
        let mut opened = Vec::new();
        for from in &all {
            for to in &all {
                let ends = [from.as_str(), to.as_str()];
                let is_other =
                    |state: &Self| ends.contains(&ADDRESSES) || state.code(from) != state.code(to);
                let is_told = from != to && (is_other(self) || is_other(before));
                if !is_told || !is_concerned(from, to) {
                    continue;
                }
                let passages = |reach: &Reach<'_>, of: &Self| {
                    reach.passages(&of.namespaces[*from], &of.namespaces[*to])
                };
                let known = passages(&was, before);
                let now = passages(&reach, self)
                    .into_iter()
                    .filter(|it| it.answer != Answer::Denied);
                let says = Says {
                    now: world,
                    before: &before.landscape.world,
                    pass_alike: self.passing == before.passing,
                };
                let new = now.filter(|it| !says.was_open(it, &known));
                let ports: Vec<Vec<PortSpan>> = new.map(|it| it.ports).collect();
                if !ports.is_empty() {
                    opened.push(Pair {
                        from: (*from).clone(),
                        to: (*to).clone(),
                        ports: ports.concat(),
                    });
                }
            }
        }
        // Namespaces say more than addresses.
        opened.sort_by_key(|it: &Pair| it.from == ADDRESSES || it.to == ADDRESSES);
        Some(opened)
    }
}
