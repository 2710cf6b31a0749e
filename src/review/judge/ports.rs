//! The ports of a rule: each may be declared by another crossing.

use super::leak::SHOWN;
use super::walk::WalkedRule;
use crate::policy::{PortMatch, TransportProtocol};
use crate::review::covered::Cover;

/// Some of a rule's ports, on which the same is open.
pub(super) struct Part {
    /// Positions of what is open there.
    pub(super) covers: Vec<usize>,
    /// The ports; the protocol alone where there are none.
    ports: Vec<(Option<TransportProtocol>, Option<PortMatch>)>,
    /// The name of one of them.
    pub(super) named: Option<String>,
}

impl Part {
    /// The ports, in words.
    pub(super) fn words(&self) -> String {
        let shown = self.ports.iter().take(SHOWN).map(|(protocol, port)| {
            let protocol = protocol.map_or_else(|| "any protocol".to_owned(), |it| it.to_string());
            match port {
                None => format!("all ports of {protocol}"),
                Some(PortMatch::Range(first, last)) if first == last => {
                    format!("{protocol} {first}")
                }
                Some(PortMatch::Range(first, last)) => format!("{protocol} {first}-{last}"),
                Some(PortMatch::Named(name)) => format!("{protocol} {name}"),
            }
        });
        let shown: Vec<_> = shown.collect();
        let more = if self.ports.len() > SHOWN {
            " and more"
        } else {
            ""
        };
        format!("{}{more}", shown.join(", "))
    }
}

/// A rule's ports by what is open there, what is open nowhere first.
pub(super) fn parts(walked: &WalkedRule, all: &[Cover]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut add = |protocol: Option<TransportProtocol>, port: Option<PortMatch>| {
        let asked: &[PortMatch] = port.as_slice();
        let open = |(_, cover): &(usize, &Cover)| cover.has_ports((protocol, asked));
        let covers = all.iter().enumerate().filter(open).map(|(index, _)| index);
        let covers: Vec<usize> = covers.collect();
        let named = match &port {
            Some(PortMatch::Named(name)) => Some(name.clone()),
            _ => None,
        };
        match parts.iter_mut().find(|it| it.covers == covers) {
            Some(part) => {
                part.named = part.named.take().or(named);
                part.ports.push((protocol, port));
            }
            None => parts.push(Part {
                covers,
                ports: vec![(protocol, port)],
                named,
            }),
        }
    };
    if walked.ports.is_empty() {
        add(None, None);
    }
    for (protocol, ports) in &walked.ports {
        if ports.is_empty() {
            add(*protocol, None);
            continue;
        }
        let cut = |parts, cover: &Cover| cover.cut(*protocol, parts);
        for port in all.iter().fold(ports.clone(), cut) {
            add(*protocol, Some(port));
        }
    }
    parts.sort_by_key(|it| it.covers.len());
    parts
}
