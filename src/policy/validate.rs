//! What Calico must find in a policy before it enforces it.
//!
//! Nothing validates what is written to `crd.projectcalico.org/v1`, and Felix treats a policy that
//! fails its own validation as if it were not there: a broken deny would leave everything open,
//! silently. So these rules hold for everything that is written, in every flavour: those of Felix
//! 3.28, and the limits that Calico's API has from 3.33.

use std::collections::BTreeSet;
use std::fmt;

use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Action, EntityRule, GlobalNetworkPolicy, Rule, Selector, SelectorError};
use crate::domain::{CalicoNaming, FieldPath, Flavour, PolicyApi};

#[cfg(test)]
mod tests;

/// Most rules in one direction of a policy (Calico 3.33).
pub const MAX_RULES: usize = 1024;
/// Most `nets` or `notNets` of one end of a rule (Calico 3.33).
pub const MAX_NETS: usize = 256;
/// Most ports of one end of a rule (Calico 3.33).
pub const MAX_PORTS: usize = 50;
/// Longest selector, in characters; Calico 3.33 counts up to 1,024, and one below it is safe
/// however a version counts.
pub const MAX_SELECTOR_LENGTH: usize = 1023;
/// Longest name of a policy, in characters (Kubernetes' DNS subdomain).
const MAX_NAME_LENGTH: usize = 253;

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyProblem {
    /// The field, from the root of the policy.
    pub path: FieldPath,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.fault)
    }
}

/// What can be wrong with a policy.
#[derive(thiserror::Error, Clone, Debug, PartialEq)]
pub enum Fault {
    /// Calico kinds do not exist in this flavour.
    #[error("this cluster takes no Calico policies")]
    NoCalico,
    /// The name is missing or breaks the rules of names.
    #[error("must be a name of lower case letters, digits and '-', at most 253 characters")]
    Name,
    /// The name lacks the prefix by which this flavour finds the tier.
    #[error("must begin with \"{prefix}\", or Calico puts the policy into another tier")]
    NamePrefix {
        /// What it must begin with.
        prefix: String,
    },
    /// A label or an annotation that Kubernetes would refuse.
    #[error("is not a valid key or value of a label")]
    Label,
    /// A tier where tiers do not exist.
    #[error("must be absent: this cluster has no tiers")]
    TierUnknown,
    /// No tier, or tier default, where ours are expected.
    #[error("must name a tier that is a DNS label")]
    Tier,
    /// No order, or one that is not a number.
    #[error("must be a finite number")]
    Order,
    /// No namespace selector at all: host endpoints would be selected too.
    #[error("must select namespaces, or hosts are selected too")]
    SelectsHosts,
    /// The text is no selector.
    #[error("is not a selector: {0}")]
    Selector(SelectorError),
    /// The selector is too long.
    #[error("is {length} characters long, at most {MAX_SELECTOR_LENGTH} are safe: split it")]
    SelectorLength {
        /// Its length in characters.
        length: usize,
    },
    /// `global()` where it means nothing.
    #[error("may hold global() only as a rule's namespaceSelector, and only alone")]
    GlobalSelector,
    /// No directions, one twice, or a word that is none.
    #[error("must hold Ingress, Egress or both, each once")]
    Types,
    /// Rules for a direction that `types` leaves out.
    #[error("holds rules, but spec.types leaves this direction out")]
    RulesWithoutType,
    /// Too many list items.
    #[error("holds {count}, at most {most} are allowed: split it")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many are allowed.
        most: usize,
    },
    /// A protocol that Calico does not know.
    #[error("must be TCP, UDP, SCTP, ICMP, ICMPv6, UDPLite or a number from 1 to 255")]
    Protocol,
    /// Ports without a protocol that has any.
    #[error("needs protocol TCP, UDP or SCTP")]
    PortsWithoutProtocol,
    /// Not a port, a range or a name.
    #[error("must be a port from 1 to 65535, a range first:last of them, or a port's name")]
    Port,
    /// Not an address range as Calico stores it.
    #[error("must be an address range in canonical form, for instance 10.0.0.0/8")]
    Net,
    /// Everything is excepted.
    #[error(
        "excepts every address, so that the rule matches nothing, and Felix 3.28 ends on it: leave the rule out"
    )]
    EveryAddress,
    /// IPv4 and IPv6 in one rule.
    #[error("mixes IPv4 and IPv6 in one rule: split it")]
    MixedFamilies,
    /// A service together with other criteria.
    #[error("excludes selectors, nets and ports on the same end")]
    ServiceWithOthers,
    /// A service without name or namespace.
    #[error("must name a service and its namespace")]
    Service,
    /// A service at the end that cannot have one.
    #[error("may stand only in an egress rule's destination or an ingress rule's source")]
    ServiceDirection,
    /// A line for what goes on to be decided, or for what a later rule means.
    #[error("must not be Log, but right before a last rule that allows or passes everything")]
    Log,
}

impl GlobalNetworkPolicy {
    /// Everything that would keep Calico from enforcing this policy as it is meant; empty if
    /// nothing. Stricter than Calico where its versions differ.
    #[must_use]
    pub fn validate(&self, flavour: Flavour) -> Vec<PolicyProblem> {
        let mut found = Found::default();
        let root = At::Root;
        if flavour.api == PolicyApi::Kubernetes {
            found.report(&root.key("kind"), Fault::NoCalico);
        }
        self.check_metadata(flavour, &root.key("metadata"), &mut found);
        self.check_spec(flavour, &root.key("spec"), &mut found);
        found.0
    }

    fn check_metadata(&self, flavour: Flavour, path: &At<'_>, found: &mut Found) {
        let name = self.metadata.name.as_deref().unwrap_or_default();
        let prefix = match (&self.spec.tier, flavour.api, flavour.naming) {
            (Some(tier), ..) => format!("{tier}."),
            (None, PolicyApi::CalicoCrdV1, CalicoNaming::TierPrefixed) => "default.".to_owned(),
            (None, ..) => String::new(),
        };
        let path_of_name = path.key("name");
        match name.strip_prefix(&prefix) {
            None => found.report(&path_of_name, Fault::NamePrefix { prefix }),
            Some(own) if !is_dns_label(own) || name.len() > MAX_NAME_LENGTH => {
                found.report(&path_of_name, Fault::Name);
            }
            Some(_) => {}
        }
        for (key, value) in self.metadata.labels.iter().flatten() {
            if !is_label_key(key) || !is_label_value(value) {
                found.report(&path.key("labels").key(key), Fault::Label);
            }
        }
    }

    fn check_spec(&self, flavour: Flavour, path: &At<'_>, found: &mut Found) {
        let spec = &self.spec;
        let path_of_tier = path.key("tier");
        match &spec.tier {
            Some(_) if !flavour.tiers => found.report(&path_of_tier, Fault::TierUnknown),
            Some(tier) if !is_dns_label(tier) => found.report(&path_of_tier, Fault::Tier),
            Some(_) | None => {}
        }
        if !spec.order.is_some_and(f64::is_finite) {
            found.report(&path.key("order"), Fault::Order);
        }
        if spec.namespace_selector.is_none() {
            found.report(&path.key("namespaceSelector"), Fault::SelectsHosts);
        }
        for (field, text) in [
            ("selector", &spec.selector),
            ("namespaceSelector", &spec.namespace_selector),
        ] {
            check_selector(text.as_deref(), Global::Nowhere, &path.key(field), found);
        }
        let distinct: BTreeSet<&str> = spec.types.iter().map(String::as_str).collect();
        let known = distinct
            .iter()
            .all(|direction| ["Ingress", "Egress"].contains(direction));
        if distinct.is_empty() || distinct.len() != spec.types.len() || !known {
            found.report(&path.key("types"), Fault::Types);
        }
        for (direction, field, rules) in [
            ("Ingress", "ingress", &spec.ingress),
            ("Egress", "egress", &spec.egress),
        ] {
            let path = path.key(field);
            if !rules.is_empty() && !distinct.contains(direction) {
                found.report(&path, Fault::RulesWithoutType);
            }
            found.limit(&path, rules.len(), MAX_RULES);
            check_logs(rules, &path, found);
            for (index, rule) in rules.iter().enumerate() {
                check_rule(rule, direction, &path.index(index), found);
            }
        }
    }
}

/// A field while it is looked at. Its path is written out only where something is wrong with it: nearly nothing ever is,
/// and each policy is looked at before it is written.
#[derive(Clone, Copy)]
enum At<'a> {
    Root,
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    fn written_out(&self) -> FieldPath {
        match self {
            Self::Root => FieldPath::default(),
            Self::Key(parent, key) => parent.written_out().key(*key),
            Self::Index(parent, index) => parent.written_out().index(*index),
        }
    }
}

#[derive(Default)]
struct Found(Vec<PolicyProblem>);

impl Found {
    fn report(&mut self, path: &At<'_>, fault: Fault) {
        self.0.push(PolicyProblem {
            path: path.written_out(),
            fault,
        });
    }

    fn limit(&mut self, path: &At<'_>, count: usize, most: usize) {
        if count > most {
            self.report(path, Fault::TooMany { count, most });
        }
    }
}

/// Whether every Log stands where stage Observe has it.
fn check_logs(rules: &[Rule], path: &At<'_>, found: &mut Found) {
    let everything = |rule: &Rule| {
        rule.protocol.is_none() && rule.source.is_empty() && rule.destination.is_empty()
    };
    let denies_nothing = |rule: &Rule| matches!(rule.action, Action::Allow | Action::Pass);
    let ends_openly = rules
        .last()
        .is_some_and(|last| denies_nothing(last) && everything(last));
    for (index, rule) in rules.iter().enumerate() {
        let is_next_to_last = index + 2 == rules.len();
        if rule.action == Action::Log && !(is_next_to_last && ends_openly && everything(rule)) {
            found.report(&path.index(index).key("action"), Fault::Log);
        }
    }
}

fn check_rule(rule: &Rule, direction: &str, path: &At<'_>, found: &mut Found) {
    if rule.protocol.as_deref().is_some_and(|it| !is_protocol(it)) {
        found.report(&path.key("protocol"), Fault::Protocol);
    }
    // The same protocols in every version; numbers are left out on purpose.
    let has_ports = matches!(rule.protocol.as_deref(), Some("TCP" | "UDP" | "SCTP"));
    let mut families = BTreeSet::new();
    for (field, end, may_be_service) in [
        ("source", &rule.source, direction == "Ingress"),
        ("destination", &rule.destination, direction == "Egress"),
    ] {
        let path = path.key(field);
        check_end(end, &path, found);
        if !end.ports.is_empty() && !has_ports {
            found.report(&path.key("ports"), Fault::PortsWithoutProtocol);
        }
        if end.services.is_some() && !may_be_service {
            found.report(&path.key("services"), Fault::ServiceDirection);
        }
        let nets = end.nets.iter().chain(&end.not_nets);
        families.extend(nets.map(|net| net.contains(':')));
    }
    if families.len() > 1 {
        found.report(path, Fault::MixedFamilies);
    }
}

fn check_end(end: &EntityRule, path: &At<'_>, found: &mut Found) {
    for (field, text, global) in [
        ("selector", &end.selector, Global::Nowhere),
        ("notSelector", &end.not_selector, Global::Nowhere),
        ("namespaceSelector", &end.namespace_selector, Global::Alone),
    ] {
        check_selector(text.as_deref(), global, &path.key(field), found);
    }
    for (field, nets) in [("nets", &end.nets), ("notNets", &end.not_nets)] {
        let path = path.key(field);
        found.limit(&path, nets.len(), MAX_NETS);
        for (index, net) in nets.iter().enumerate() {
            let parsed = net.parse::<IpNet>().ok();
            if parsed.is_none_or(|parsed| parsed.trunc().to_string() != *net) {
                found.report(&path.index(index), Fault::Net);
            }
            if field == "notNets" && parsed.is_some_and(|parsed| parsed.prefix_len() == 0) {
                found.report(&path.index(index), Fault::EveryAddress);
            }
        }
    }
    let path_of_ports = path.key("ports");
    found.limit(&path_of_ports, end.ports.len(), MAX_PORTS);
    for (index, port) in end.ports.iter().enumerate() {
        if !is_port(port) {
            found.report(&path_of_ports.index(index), Fault::Port);
        }
    }
    if let Some(service) = &end.services {
        let path = path.key("services");
        if !is_dns_label(&service.name) || !is_dns_label(&service.namespace) {
            found.report(&path, Fault::Service);
        }
        let alone = EntityRule {
            services: end.services.clone(),
            ..EntityRule::default()
        };
        if *end != alone {
            found.report(&path, Fault::ServiceWithOthers);
        }
    }
}

/// Where `global()` may stand in a selector.
#[derive(Clone, Copy, PartialEq)]
enum Global {
    Nowhere,
    Alone,
}

fn check_selector(text: Option<&str>, global: Global, path: &At<'_>, found: &mut Found) {
    let Some(text) = text else { return };
    let length = text.chars().count();
    if length > MAX_SELECTOR_LENGTH {
        found.report(path, Fault::SelectorLength { length });
    }
    match text.parse::<Selector>() {
        Err(error) => found.report(path, Fault::Selector(error)),
        Ok(Selector::Global) if global == Global::Alone => {}
        Ok(selector) if selector.mentions_global() => found.report(path, Fault::GlobalSelector),
        Ok(_) => {}
    }
}

fn is_protocol(text: &str) -> bool {
    matches!(text, "TCP" | "UDP" | "SCTP" | "ICMP" | "ICMPv6" | "UDPLite")
        || (!text.starts_with(['0', '+']) && text.parse::<u8>().is_ok())
}

fn is_port(port: &IntOrString) -> bool {
    match port {
        IntOrString::Int(number) => (1..=65535).contains(number),
        IntOrString::String(text) => match text.split_once(':') {
            Some((first, last)) => match (port_number(first), port_number(last)) {
                (Some(first), Some(last)) => first <= last,
                _ => false,
            },
            None => is_port_name(text),
        },
    }
}

fn port_number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number > 0)
}

/// A port's name in a container: letters, digits and `-` with a letter among them. Text that looks
/// like a number would be read as one.
fn is_port_name(text: &str) -> bool {
    text.len() <= 128
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn is_dns_label(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(good) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_label_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').unwrap_or(("a", key));
    !name.is_empty()
        && is_label_value(name)
        && prefix.len() <= MAX_NAME_LENGTH
        && prefix.split('.').all(is_dns_label)
}

fn is_label_value(value: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    value.len() <= 63
        && value.bytes().all(inside)
        && !value.starts_with(['_', '.', '-'])
        && !value.ends_with(['_', '.', '-'])
}
