//! Rules of Calico's, and what Felix makes of each of their fields.

use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{NAMESPACE, OF_SERVICE_ACCOUNT, SERVICE_ACCOUNT, of_namespaces, selector};
use crate::domain::FieldPath;
use crate::policy::model::{PolicyRule, PortMatch, RuleEnd, TransportProtocol};
use crate::policy::objection::{Effect, Objections, Unreadable, Why, unreadable};
use crate::policy::{EntityRule, Rule, Selector, ServiceAccountMatch, blocks, net};

/// The rules that can be read, with their positions.
pub(super) fn rules(
    written: &[Rule],
    namespace: &str,
    at: &FieldPath,
    objections: &mut Objections,
) -> (Vec<usize>, Vec<PolicyRule>) {
    let each = written.iter().enumerate().filter_map(|(index, it)| {
        let read = read_rule(it, namespace, &at.index(index), objections)?;
        Some((index, read))
    });
    each.unzip()
}

/// A rule that Calico makes itself.
pub(in crate::policy) fn rule(
    rule: &Rule,
    namespace: &str,
    at: &FieldPath,
) -> Result<PolicyRule, Unreadable> {
    let mut objections = Objections::default();
    let read = read_rule(rule, namespace, at, &mut objections);
    match objections.0.into_iter().next() {
        Some(objection) => Err(objection.problem),
        None => read.ok_or_else(|| unreadable(at, Why::Missing)),
    }
}

/// A rule as Felix takes it; None where the policy is missing because of it.
fn read_rule(
    rule: &Rule,
    namespace: &str,
    at: &FieldPath,
    objections: &mut Objections,
) -> Option<PolicyRule> {
    let before = objections.0.len();
    let protocol = |text: &Option<String>, field| {
        let read = |text: &String| {
            let why = || unreadable(&at.key(field), Why::Protocol(text.clone()));
            TransportProtocol::read(text).ok_or_else(why)
        };
        text.as_ref().map(read).transpose()
    };
    if let Some(version) = rule.ip_version.filter(|it| ![4, 6].contains(it)) {
        objections.add(
            &at.key("ipVersion"),
            Why::IpVersion(version),
            Effect::Missing,
        );
    }
    let own = objections.unless(protocol(&rule.protocol, "protocol"));
    let not = objections.unless(protocol(&rule.not_protocol, "notProtocol"));
    let can = own.flatten().is_some_and(TransportProtocol::has_ports);
    let ends = [(&rule.source, "source"), (&rule.destination, "destination")];
    for (end, name) in ends.into_iter().filter(|_| !can && own.is_some()) {
        for (ports, field) in [(&end.ports, "ports"), (&end.not_ports, "notPorts")] {
            if !ports.is_empty() {
                let path = at.key(name).key(field);
                objections.add(&path, Why::PortsWithoutProtocol, Effect::Missing);
            }
        }
    }
    let source = end(&rule.source, namespace, &at.key("source"), objections);
    let destination = end(
        &rule.destination,
        namespace,
        &at.key("destination"),
        objections,
    );
    let mut own_objections = objections.0.iter().skip(before);
    if own_objections.any(|it| it.effect == Effect::Missing) {
        return None;
    }
    Some(blocks::as_checked(PolicyRule {
        action: rule.action,
        ip_version: rule.ip_version,
        protocol: own?,
        not_protocol: not?,
        icmp: rule.icmp,
        not_icmp: rule.not_icmp,
        source: source?,
        destination: destination?,
    }))
}

fn end(
    end: &EntityRule,
    namespace: &str,
    at: &FieldPath,
    objections: &mut Objections,
) -> Option<RuleEnd> {
    let pods = objections.unless(selector(end.selector.as_deref(), &at.key("selector")));
    let not = objections.unless(selector(
        end.not_selector.as_deref(),
        &at.key("notSelector"),
    ));
    let namespaces = end.namespace_selector.as_deref();
    let namespaces = objections.unless(selector(namespaces, &at.key("namespaceSelector")));
    let accounts = match &end.service_accounts {
        Some(it) => service_accounts(it, &at.key("serviceAccounts"), objections),
        None => Some(Vec::new()),
    };
    let nets = nets(&end.nets, &at.key("nets"), objections);
    let not_nets = self::nets(&end.not_nets, &at.key("notNets"), objections);
    let ports = objections.unless(ports(&end.ports, &at.key("ports")));
    let not_ports = objections.unless(self::ports(&end.not_ports, &at.key("notPorts")));
    let (pods, not, namespaces, accounts) = (pods?, not?, namespaces?, accounts?);

    let named = pods.is_some() || not.is_some() || !accounts.is_empty();
    let inside = match namespaces {
        Some(namespaces) => Some(of_namespaces(namespaces)),
        // Whoever names pods in any way means those of the policy's own namespace.
        None if named && !namespace.is_empty() => Some(Selector::equal(NAMESPACE, namespace)),
        None => None,
    };
    let all: Vec<_> = inside.into_iter().chain(accounts).chain(pods).collect();
    Some(RuleEnd {
        selector: (!all.is_empty()).then(|| Selector::and(all)),
        not_selector: not,
        // Where none can be read, nothing is said of addresses.
        nets: (!nets.is_empty()).then_some(nets),
        not_nets,
        ports: ports?,
        not_ports: not_ports?,
        // Without a name it is no criterion to Felix.
        service: end
            .services
            .as_ref()
            .filter(|it| !it.name.is_empty())
            .map(|it| (it.namespace.clone(), it.name.clone())),
    })
}

/// What is said of service accounts, at most one selector; None where the policy is missing because of it.
fn service_accounts(
    accounts: &ServiceAccountMatch,
    at: &FieldPath,
    objections: &mut Objections,
) -> Option<Vec<Selector>> {
    let labelled =
        objections.unless(selector(accounts.selector.as_deref(), &at.key("selector")))?;
    let labelled = labelled.map(|it| it.of_labels_with(OF_SERVICE_ACCOUNT));
    if accounts.names.is_empty() {
        return Some(labelled.into_iter().collect());
    }
    // Calico puts the names into the text of a selector as they are. Where that is none, it drops all that is said
    // of service accounts, and where a name brings a selector of its own along, that counts.
    let names = accounts.names.join("', '");
    let text = format!("{SERVICE_ACCOUNT} in {{ '{names}' }}");
    let by_name = text.parse::<Selector>();
    let mut odd = accounts.names.iter().enumerate();
    if let Some((index, name)) = odd.find(|(_, name)| name.contains('\'')) {
        let effect = match by_name {
            Ok(_) => Effect::TakenFor(text),
            Err(_) => Effect::LeftOut,
        };
        let path = at.key("names").index(index);
        objections.add(&path, Why::ServiceAccount(name.clone()), effect);
    }
    let all = |by_name| Selector::and(labelled.into_iter().chain([by_name]));
    Some(by_name.ok().map(all).into_iter().collect())
}

/// Ranges. Those that cannot be read are left out.
pub(super) fn nets(texts: &[String], at: &FieldPath, objections: &mut Objections) -> Vec<IpNet> {
    let mut read = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match net::range_or_address(text) {
            Some(net) => {
                // Whoever reads it with other eyes takes it for nothing or for something else.
                let strict = text.parse::<IpNet>().map(|it| it.trunc());
                let strict = strict.or_else(|_| text.parse().map(|it: std::net::IpAddr| it.into()));
                if strict != Ok(net) {
                    let why = Why::Range {
                        written: text.clone(),
                        meant: net.to_string(),
                    };
                    let effect = Effect::TakenFor(net.to_string());
                    objections.add(&at.index(index), why, effect);
                }
                read.push(net);
            }
            None => objections.add(&at.index(index), Why::Net(text.clone()), Effect::LeftOut),
        }
    }
    read
}

pub(in crate::policy) fn ports(
    declared: &[IntOrString],
    at: &FieldPath,
) -> Result<Vec<PortMatch>, Unreadable> {
    let declared = declared.iter().enumerate();
    declared
        .map(|(index, port)| {
            port_match(port).ok_or_else(|| {
                let text = match port {
                    IntOrString::Int(number) => number.to_string(),
                    IntOrString::String(text) => text.clone(),
                };
                unreadable(&at.index(index), Why::Port(text))
            })
        })
        .collect()
}

/// A number, a range of them, or a name.
fn port_match(port: &IntOrString) -> Option<PortMatch> {
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|it| is_number && *it > 0)
    };
    let text = match port {
        IntOrString::Int(port) => {
            let port = u16::try_from(*port).ok().filter(|it| *it > 0)?;
            return Some(PortMatch::Range(port, port));
        }
        IntOrString::String(text) => text,
    };
    if let Some((first, last)) = text.split_once(':') {
        let (first, last) = (number(first)?, number(last)?);
        return (first <= last).then_some(PortMatch::Range(first, last));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = number(text)?;
        return Some(PortMatch::Range(number, number));
    }
    is_port_name(text).then(|| PortMatch::Named(text.clone()))
}

/// The name of a port of a container, as Kubernetes and Felix have it (IANA's service names).
fn is_port_name(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=15).contains(&text.len())
        && text.bytes().all(inside)
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}
