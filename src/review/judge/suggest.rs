//! What to write instead of a rule that something gets through, or what to declare.

mod code;
mod named;
mod own;
mod ranges;
mod zones;

pub(super) use named::{PortName, numbered};

use super::Selected;
use super::leak::Leak;
use super::walk::{Form, Namespaces, WalkedRule};
use crate::api::names::{APPLICATION_CODE, WAIVE};
use crate::api::{CrossingDirection, CrossingState, Protocol};
use crate::policy::{PortMatch, Selector, TransportProtocol, Way};
use crate::review::Rule;
use crate::review::declare::{Entry, Names, Peer, Port, in_one_line, list};
use crate::review::landscape::{Boundary, Landscape};
use crate::review::opening::ports::{Atom, Part};

/// What whoever declares something has to say themselves.
const REASON: &str = "why it is needed";

/// A finding for which something is suggested.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'w, 'a> {
    pub(super) leak: &'w Leak,
    pub(super) walked: &'w WalkedRule,
    pub(super) selected: &'w Selected<'a>,
    pub(super) way: Way,
    pub(super) landscape: &'a Landscape,
    /// Whether something is suggested for pods of other landing zones as well.
    pub(super) is_several: bool,
}

/// What to declare.
#[derive(Default)]
struct Declaring {
    text: String,
    /// Whether that is all there is to do: nothing has to be written otherwise, or looked for.
    settles: bool,
}

impl From<String> for Declaring {
    fn from(text: String) -> Self {
        Self {
            text,
            settles: true,
        }
    }
}

/// Ports as a crossing has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum DeclaredPorts {
    /// All of all protocols.
    #[default]
    All,
    /// These.
    Some(Vec<Port>),
    /// These, and some that containers call so: no crossing has their numbers before somebody knows them.
    Named(Vec<Port>, Vec<PortName>),
    /// What no crossing can have alone: other protocols. One for all ports has them as well.
    Beyond,
}

impl DeclaredPorts {
    /// In a crossing; none: all.
    fn listed(&self) -> &[Port] {
        match self {
            Self::Some(ports) | Self::Named(ports, _) => ports,
            Self::All | Self::Beyond => &[],
        }
    }

    /// Whether a crossing can have any of them.
    fn is_declarable(&self) -> bool {
        !matches!(self, Self::Named(ports, _) if ports.is_empty())
    }
}

impl Wanted<'_, '_> {
    /// How to write the rule instead, or what to declare: either settles the finding.
    pub(super) fn suggestion(&self) -> String {
        let leak = self.leak;
        if leak.declared.is_some() {
            return String::new();
        }
        // Nobody here has anything to declare it in.
        if !self.landscape.has_declared_boundary() {
            let inside = (!self.is_several).then(|| self.inside());
            let parts = inside.into_iter().chain([self.waiver()]);
            let parts: Vec<String> = parts.filter(|it| !it.is_empty()).collect();
            return parts.join("; ");
        }
        let crossing = self.crossing();
        // One rule cannot stay inside of several boundaries.
        let inside = if self.is_several && crossing.settles {
            String::new()
        } else {
            self.inside()
        };
        let is_declared = !crossing.text.is_empty();
        let alone = self.is_several && !crossing.settles;
        let parts = [inside, crossing.text].into_iter();
        let parts: Vec<String> = parts.filter(|it| !it.is_empty()).collect();
        let mut suggestion = parts.join("; ");
        if alone && !suggestion.is_empty() {
            suggestion = format!("in a policy for {} alone, {suggestion}", self.boundary());
        }
        if let Some(ports) = leak.ports.as_ref().filter(|_| is_declared) {
            suggestion = format!("{suggestion} (not declared: {ports})");
        }
        if let Some(told) = ranges::of_all_but(self) {
            suggestion = format!("{suggestion}; {told}");
        }
        if self.all().any(|it| it.declare == DeclaredPorts::Beyond) {
            suggestion += "; crossings name ports of TCP, UDP and SCTP: one for another protocol opens all of them";
        }
        for told in named::told(self) {
            suggestion = format!("{suggestion}; {told}");
        }
        suggestion.trim_start_matches("; ").to_owned()
    }

    /// What nothing declares and a crossing can, by ports.
    fn all(&self) -> impl Iterator<Item = &Leak> {
        self.undeclared().filter(|it| it.declare.is_declarable())
    }

    /// What nothing declares, by ports.
    fn undeclared(&self) -> impl Iterator<Item = &Leak> {
        std::iter::once(self.leak).chain(&self.leak.others)
    }

    fn boundary(&self) -> &Boundary {
        self.selected.boundary
    }

    fn direction(&self) -> CrossingDirection {
        match self.way {
            Way::Ingress => CrossingDirection::Ingress,
            Way::Egress => CrossingDirection::Egress,
        }
    }

    /// Who declares it.
    fn own(&self) -> String {
        match &self.boundary().landing_zone {
            Some(name) => format!("landing zone {name}"),
            None => "a LandingZone".to_owned(),
        }
    }

    /// How the rule stays inside.
    fn inside(&self) -> String {
        if self.leak.holds.is_some() || self.leak.rule == Rule::ByService {
            return String::new();
        }
        let boundary = self.boundary();
        let is_missing = self.leak.rule == Rule::CodeMissing;
        let rest = self.asked().and_then(code::rest);
        let rest = rest.filter(|it| is_missing || code::is_known(it, boundary, self.landscape));
        format!("{} to stay inside", self.written_for(boundary, rest))
    }

    /// What the rule asks of the labels of namespaces.
    fn asked(&self) -> Option<&Selector> {
        match &self.walked.namespaces {
            Namespaces::By(selector) => Some(selector),
            _ => None,
        }
    }

    /// How the rule is written so that it means only those of the same pods that are in this landing zone.
    fn written_only_for(&self, boundary: &Boundary) -> String {
        let code = Some(Some(boundary.code.as_str()));
        let known = |label: &str| code.filter(|_| label == APPLICATION_CODE);
        let rest = self.asked().map(|selector| selector.assuming(&known));
        self.written_for(boundary, rest.filter(|it| *it != Selector::All))
    }

    /// How the rule is written for the pods of one landing zone, with what else it asks of namespaces.
    fn written_for(&self, boundary: &Boundary, rest: Option<Selector>) -> String {
        let code = &boundary.code;
        if self.walked.form == Form::Admin {
            return format!("ask for {APPLICATION_CODE}: {code} among the labels of namespaces");
        }
        if self.walked.form == Form::Kubernetes {
            let verb = match self.asked() {
                Some(_) => "write",
                None => "add",
            };
            let labels = rest.as_ref().map(own::labels);
            let (labels, others) = match labels {
                None => (String::new(), ""),
                Some(Some(labels)) => {
                    let labels = labels.iter();
                    let labels = labels.map(|(key, value)| format!(", {key}: {value}"));
                    (labels.collect(), "")
                }
                Some(None) => (String::new(), ", with what else it asks for,"),
            };
            return format!(
                "{verb} namespaceSelector: {{matchLabels: {{{APPLICATION_CODE}: {code}{labels}}}}}{others}"
            );
        }
        let own = Selector::equal(APPLICATION_CODE, code);
        let both = Selector::and([own].into_iter().chain(rest));
        format!("write namespaceSelector: \"{both}\"")
    }

    /// What to declare.
    fn crossing(&self) -> Declaring {
        let leak = self.leak;
        if self.all().next().is_none() {
            return Declaring::default();
        }
        if leak.rule == Rule::ByService {
            return self.of_service().into();
        }
        if leak.holds.is_some() {
            return match self.way {
                Way::Ingress => ranges::of_platform(self),
                Way::Egress => ranges::of_landing_zone(self),
            }
            .into();
        }
        if leak.rule == Rule::AnyPeer {
            return Declaring {
                text: self.somebody(),
                settles: false,
            };
        }
        if !leak.who.is_empty()
            && let Some(told) = zones::told(self)
        {
            return told;
        }
        let here = list(self.direction());
        let text = match &leak.landing_zone {
            Some(other) => self.in_words(other),
            None => format!(
                "if it is meant, declare it as network.{here} in {}",
                self.own()
            ),
        };
        Declaring {
            text,
            settles: false,
        }
    }

    /// How to say who is meant instead of everybody. Whoever was found first is no likelier than all others.
    fn somebody(&self) -> String {
        let addresses = match self.walked.form {
            Form::Calico => "nets",
            Form::Kubernetes => "ipBlock",
            Form::Admin => "networks",
        };
        let pods = match self.walked.form {
            Form::Calico | Form::Kubernetes => "namespaceSelector",
            Form::Admin => "the labels of namespaces",
        };
        format!(
            "if others are meant, say who, and what to declare for them is told: a landing zone by {pods}, addresses by {addresses}"
        )
    }

    /// What says that it is meant where nobody declares anything.
    fn waiver(&self) -> String {
        format!(
            "if it is meant, say so once it is approved, by the annotation {WAIVE}: \"{}: {REASON}\"",
            self.leak.rule
        )
    }

    fn in_words(&self, other: &str) -> String {
        let (here, there) = match self.way {
            Way::Ingress => ("ingress", "egress"),
            Way::Egress => ("egress", "ingress"),
        };
        let own = self.own();
        format!(
            "if it is meant, declare network.{here} in {own} and network.{there} in landing zone {other}"
        )
    }

    /// A service is declared by what is behind it; the API server has a name of its own.
    fn of_service(&self) -> String {
        let service = self.walked.end.service.as_ref();
        let service = service.map(|(namespace, name)| (namespace.as_str(), name.as_str()));
        let here = list(self.direction());
        match (&self.leak.landing_zone, service, self.way) {
            (Some(other), ..) => format!(
                "let a selector find the pods behind it, and {}",
                self.in_words(other)
            ),
            (None, Some(("default", "kubernetes")), Way::Egress) => {
                let mut entry = self.entry(&["to", "api", "server"], Peer::api_server());
                entry.ports.clear();
                self.declare(&[entry])
            }
            (None, ..) => format!(
                "if it is meant, declare it as network.{here} in {}",
                self.own()
            ),
        }
    }

    /// An entry of its own landing zone for the pods that the policy selects.
    fn entry(&self, words: &[&str], there: Peer) -> Entry {
        let here = own::end(self.selected).peer(self.selected);
        let name = Self::names(self.boundary(), self.direction()).give(words);
        let (from, to) = match self.way {
            Way::Egress => (here, there),
            Way::Ingress => (there, here),
        };
        Entry {
            reason: Some(REASON),
            ports: self.leak.declare.listed().to_vec(),
            ..Entry::new(name, from, to, None)
        }
    }

    /// The names that crossings of a landing zone have.
    fn names(boundary: &Boundary, direction: CrossingDirection) -> Names {
        let all = boundary.crossings.iter();
        let same = all.filter(|it| it.direction == direction);
        Names::new(same.map(|it| it.name.as_str()))
    }

    /// That its landing zone declares this.
    fn declare(&self, entries: &[Entry]) -> String {
        format!(
            "if it is meant, declare in {}: network: {}",
            self.own(),
            self.listed(self.boundary().name(), self.direction(), entries)
        )
    }

    /// Entries of a landing zone in one line, under names that no other suggestion gives to something else.
    fn listed(
        &self,
        landing_zone: &str,
        direction: CrossingDirection,
        entries: &[Entry],
    ) -> String {
        let list = list(direction);
        match &self.landscape.given {
            Some(given) => in_one_line(list, &given.entries(landing_zone, list, entries)),
            None => in_one_line(list, entries),
        }
    }

    /// Whether a crossing of a landing zone is over.
    fn is_over(boundary: &Boundary, direction: CrossingDirection, name: &str) -> bool {
        let mut all = boundary.declared.iter();
        all.any(|it| {
            it.state == CrossingState::Expired && it.direction == Some(direction) && it.name == name
        })
    }
}

/// The ports of parts, in order.
fn all_ports<'a>(parts: &[&'a Part]) -> Vec<&'a Atom> {
    let mut all: Vec<&Atom> = parts.iter().flat_map(|it| &it.ports).collect();
    all.sort_by_key(|(protocol, port)| {
        let first = match port {
            Some(PortMatch::Range(first, _)) => *first,
            Some(PortMatch::Named(_)) | None => 0,
        };
        (protocol.map(|it| it.to_string()), first)
    });
    all
}

/// The ports of parts, in words.
pub(super) fn words(parts: &[&Part]) -> String {
    let all = Part {
        covers: Vec::new(),
        ports: all_ports(parts).into_iter().cloned().collect(),
        named: None,
    };
    all.words()
}

/// The ports of parts as a crossing has them.
pub(super) fn as_declared(parts: &[&Part]) -> DeclaredPorts {
    let (mut declared, mut names) = (Vec::new(), Vec::new());
    for (protocol, port) in all_ports(parts) {
        let protocol = match (protocol, port) {
            (None, None) => return DeclaredPorts::All,
            (Some(TransportProtocol::TCP), _) => Protocol::TCP,
            (Some(TransportProtocol::UDP), _) => Protocol::UDP,
            (Some(TransportProtocol::SCTP), _) => Protocol::SCTP,
            _ => return DeclaredPorts::Beyond,
        };
        let (first, last) = match port {
            None => (1, u16::MAX),
            Some(PortMatch::Range(first, last)) => (*first, *last),
            Some(PortMatch::Named(name)) => {
                names.push(PortName {
                    protocol,
                    name: name.clone(),
                });
                continue;
            }
        };
        declared.push(Port {
            end_port: (first != last).then_some(last),
            ..Port::one(protocol, first)
        });
    }
    // What is open on some of them cuts them.
    declared.dedup_by(|next: &mut Port, known: &mut Port| {
        let last = known.end_port.unwrap_or(known.port);
        let is_next = known.protocol == next.protocol && last.checked_add(1) == Some(next.port);
        if is_next {
            known.end_port = Some(next.end_port.unwrap_or(next.port));
        }
        is_next
    });
    // No crossing has as many.
    if declared.len() > MOST_PORTS {
        return DeclaredPorts::Beyond;
    }
    if names.is_empty() {
        DeclaredPorts::Some(declared)
    } else {
        DeclaredPorts::Named(declared, names)
    }
}

/// Ports that one crossing takes.
const MOST_PORTS: usize = 32;
