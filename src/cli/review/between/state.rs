//! Who reaches whom in one state of the files.

use std::collections::{BTreeMap, BTreeSet};

use super::super::input::Input;
use super::held::{Held, declared};
use super::says::{Says, rule};
use super::stand_in::StandIns;
use super::{ADDRESSES, Pair};
use crate::api::names::APPLICATION_CODE;
use crate::cli::landscape::{Landscape, Objects};
use crate::policy::{Action, Answer, LabelMap, Member, PortSpan, Reach, Way, everywhere};

/// So many namespaces are compared, each with all others.
const MOST: usize = 1500;

/// Who reaches whom, by policies alone.
pub(super) struct State {
    landscape: Landscape,
    /// Those namespaces that are known, each with its members.
    namespaces: BTreeMap<String, Vec<usize>>,
    members: Vec<Member>,
    /// What those are called that nobody wrote down or named, by name.
    stand_ins: BTreeMap<String, String>,
    /// All rules that pass on: what comes of that is not in what decides.
    passing: Vec<String>,
}

impl State {
    /// Namespaces that only the other state writes, or that only policies name, are there all the same: who takes a file away has not
    /// taken away what runs.
    pub fn of(input: &Input, other: &Input, zones: &Held, stand_ins: &StandIns) -> Self {
        Self::of_strangers(input, other, zones, stand_ins, &BTreeSet::new())
    }

    /// The same, where each of some namespaces has nothing but the code of an application that nobody knows: those that share a
    /// code still do.
    pub fn of_strangers(
        input: &Input,
        other: &Input,
        zones: &Held,
        stand_ins: &StandIns,
        strangers: &BTreeSet<&str>,
    ) -> Self {
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
        let mut codes: BTreeMap<String, String> = BTreeMap::new();
        for name in strangers {
            let labels = objects.namespaces.entry((*name).to_owned()).or_default();
            let code = labels.remove(APPLICATION_CODE);
            let next = format!("nobodys-{}", codes.len());
            let code = codes.entry(code.unwrap_or_else(|| format!("/{name}")));
            let code = code.or_insert(next).clone();
            *labels = LabelMap::from([(APPLICATION_CODE.to_owned(), code)]);
        }
        let mut words = BTreeMap::new();
        for (name, stand_in) in stand_ins.iter() {
            if !objects.namespaces.contains_key(name) {
                let labels = stand_in.labels.clone();
                objects.namespaces.insert(name.clone(), labels);
                let told = stand_in.words.clone();
                words.extend(told.map(|it| (name.clone(), it)));
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
            stand_ins: words,
            passing: passing.collect(),
            landscape,
            namespaces,
            members,
        }
    }

    /// Whether nothing but policies holds the boundary of a namespace that somebody wrote down or named.
    pub fn has_known(&self) -> bool {
        let mut names = self.namespaces.keys();
        names.any(|it| it != ADDRESSES && !self.stand_ins.contains_key(it))
    }

    /// What is called so, in words.
    fn words(&self, name: &str) -> String {
        match (name, self.stand_ins.get(name)) {
            (ADDRESSES, _) => "addresses".to_owned(),
            (_, Some(words)) => words.clone(),
            (name, None) => format!("namespace {name}"),
        }
    }

    fn code(&self, namespace: &str) -> Option<&str> {
        let labels = self.landscape.namespaces.get(namespace)?;
        labels.get(APPLICATION_CODE).map(String::as_str)
    }

    /// What passes now between namespaces of different applications, and did not surely pass before; `own`: with one of these
    /// at one end. None: there are too many.
    pub fn opened_since(&self, before: &Self, own: Option<&BTreeSet<&str>>) -> Option<Vec<Pair>> {
        let world = &self.landscape.world;
        let all: Vec<&String> = self.namespaces.keys().collect();
        let is_own = |it: &str| own.is_none_or(|own| own.contains(it));
        let compared = all.iter().filter(|it| is_own(it)).count() * all.len();
        if compared > MOST * MOST {
            return None;
        }
        let reach = world.reach(&self.members);
        let was = before.landscape.world.reach(&before.members);
        let mut opened = Vec::new();
        for from in &all {
            for to in &all {
                let ends = [from.as_str(), to.as_str()];
                let is_other =
                    |state: &Self| ends.contains(&ADDRESSES) || state.code(from) != state.code(to);
                let is_told = from != to && (is_other(self) || is_other(before));
                if !is_told || !ends.into_iter().any(is_own) {
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
                        words: ends.map(|it| self.words(it)),
                    });
                }
            }
        }
        // Namespaces say more than addresses, and those that are written down more than others.
        opened.sort_by_key(|it: &Pair| {
            let ends = [&it.from, &it.to];
            let stand_ins = ends
                .into_iter()
                .filter(|it| self.stand_ins.contains_key(*it));
            (
                stand_ins.count(),
                ends.into_iter().any(|it| it == ADDRESSES),
            )
        });
        Some(opened)
    }
}
