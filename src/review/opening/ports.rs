//! The ports of a rule: each may be declared by another crossing.

use super::Ports;
use crate::policy::{PortMatch, TransportProtocol};
use crate::review::covered::Cover;

/// So many of them are named.
const SHOWN: usize = 3;

/// One port or range of a protocol; none of either: all.
pub(in crate::review) type Atom = (Option<TransportProtocol>, Option<PortMatch>);

/// Some of a rule's ports, on which the same is open.
pub(in crate::review) struct Part {
    /// Positions of what is open there.
    pub(in crate::review) covers: Vec<usize>,
    /// The ports; the protocol alone where there are none.
    pub(in crate::review) ports: Vec<Atom>,
    /// The name of one of them.
    pub(in crate::review) named: Option<String>,
}

impl Part {
    /// The ports, in words.
    pub(in crate::review) fn words(&self) -> String {
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
pub(in crate::review) fn parts(of_rule: &[Ports], all: &[Cover]) -> Vec<Part> {
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
    if of_rule.is_empty() {
        add(None, None);
    }
    for (protocol, ports) in of_rule {
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

/// Whether all of some ports are surely among others.
pub(in crate::review) fn is_in((protocol, port): &Atom, others: &[Atom]) -> bool {
    let is_whole = |it: &Atom| it.1.is_none() && (it.0.is_none() || it.0 == *protocol);
    if others.iter().any(is_whole) {
        return true;
    }
    let mut same = others.iter().filter(|it| it.0 == *protocol);
    match port {
        None => false,
        Some(PortMatch::Named(_)) => same.any(|it| it.1 == *port),
        Some(PortMatch::Range(first, last)) => {
            let ranges = same.filter_map(|it| match it.1 {
                Some(PortMatch::Range(first, last)) => Some((first, last)),
                _ => None,
            });
            let mut ranges: Vec<_> = ranges.collect();
            ranges.sort_unstable();
            // The first port that is in none of those so far.
            let mut next = Some(*first);
            for (first, last) in ranges {
                next = next.and_then(|next| {
                    if (first..=last).contains(&next) {
                        last.checked_add(1)
                    } else {
                        Some(next)
                    }
                });
            }
            next.is_none_or(|next| next > *last)
        }
    }
}
