//! Protocols and ports, split where rules make a difference.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::policy::model::{PolicyRule, PortMatch, TransportProtocol};

/// Ports of a protocol between which no rule makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortSpan {
    /// The protocol; None: all that are not named beside it.
    pub protocol: Option<TransportProtocol>,
    /// The first port; 0 where the protocol has none, and where all are meant.
    pub first: u16,
    /// The last port; 0 where the protocol has none.
    pub last: u16,
}

impl PortSpan {
    /// Every protocol but those that are named.
    pub(super) const OTHERS: Self = Self {
        protocol: None,
        first: 0,
        last: 0,
    };

    fn whole(protocol: TransportProtocol) -> Self {
        Self {
            protocol: Some(protocol),
            first: 0,
            last: if protocol.has_ports() { u16::MAX } else { 0 },
        }
    }

    /// Whether it lies in a range. Spans are split so that no range holds a part of one.
    pub(super) fn is_within(self, first: u16, last: u16) -> bool {
        first <= self.first && self.last <= last
    }

    fn overlaps(self, other: Self) -> bool {
        self.protocol == other.protocol && self.first <= other.last && other.first <= self.last
    }

    /// Whether something of this protocol and port is in it, among those that are named.
    #[must_use]
    pub fn holds(self, protocol: TransportProtocol, port: u16) -> bool {
        self.protocol == Some(protocol) && (!protocol.has_ports() || self.is_around(port))
    }

    /// Whether all of another one is in it.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.protocol == other.protocol && self.first <= other.first && other.last <= self.last
    }

    fn is_around(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// Neighbours together, of spans in their order.
    #[must_use]
    pub fn merged(spans: &[Self]) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::new();
        for span in spans {
            match merged.last_mut() {
                Some(last)
                    if last.protocol == span.protocol
                        && last.last.checked_add(1) == Some(span.first) =>
                {
                    last.last = span.last;
                }
                _ => merged.push(*span),
            }
        }
        merged
    }
}

impl fmt::Display for PortSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(protocol) = self.protocol else {
            return f.write_str("every other protocol");
        };
        write!(f, "{protocol}")?;
        if *self == Self::whole(protocol) {
            return Ok(());
        }
        write!(f, " {}", self.first)?;
        if self.first < self.last {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

/// The spans between which these rules, and services that answer on these ports, make no difference. Together they
/// are everything; the last one is every protocol that is not named.
pub(super) fn spans<'a>(
    rules: impl Iterator<Item = &'a PolicyRule>,
    services: &BTreeSet<(TransportProtocol, u16)>,
) -> Vec<PortSpan> {
    // Where a new span begins, by protocol.
    let mut named: BTreeMap<TransportProtocol, BTreeSet<u16>> = BTreeMap::new();
    let mut begin = |protocol: TransportProtocol, first: u16, last: u16| {
        let begins = named.entry(protocol).or_default();
        begins.insert(first);
        begins.extend(last.checked_add(1));
    };
    let mut mentioned = BTreeSet::new();
    for rule in rules {
        mentioned.extend(rule.protocol);
        mentioned.extend(rule.not_protocol);
        if rule.icmp.is_some() || rule.not_icmp.is_some() {
            mentioned.extend([TransportProtocol::ICMP, TransportProtocol::ICMP_V6]);
        }
        let ports = rule.destination.ports.iter();
        for port in ports.chain(&rule.destination.not_ports) {
            let protocols = rule
                .protocol
                .as_ref()
                .map_or(&TransportProtocol::WITH_PORTS[..], std::slice::from_ref);
            for protocol in protocols {
                match port {
                    PortMatch::Range(first, last) => begin(*protocol, *first, *last),
                    PortMatch::Named(_) => begin(*protocol, 0, u16::MAX),
                }
            }
        }
        for ports in [&rule.source.ports, &rule.source.not_ports] {
            if !ports.is_empty() && rule.protocol.is_none() {
                mentioned.extend(TransportProtocol::WITH_PORTS);
            }
        }
    }
    for (protocol, port) in services {
        begin(*protocol, *port, *port);
    }
    for protocol in mentioned {
        begin(protocol, 0, u16::MAX);
    }
    let mut spans = Vec::new();
    for (protocol, mut begins) in named {
        let whole = PortSpan::whole(protocol);
        begins.insert(0);
        let begins: Vec<u16> = begins.into_iter().filter(|it| *it <= whole.last).collect();
        for (at, first) in begins.iter().enumerate() {
            let next = begins.get(at + 1);
            spans.push(PortSpan {
                first: *first,
                last: next.map_or(whole.last, |next| next.saturating_sub(1)),
                ..whole
            });
        }
    }
    spans.push(PortSpan::OTHERS);
    spans
}

/// Both ways of splitting together: each span with the positions in both lists that it lies in.
pub(super) fn overlaid(one: &[PortSpan], other: &[PortSpan]) -> Vec<(PortSpan, usize, usize)> {
    let mut all = Vec::new();
    let names =
        |spans: &[PortSpan], span: &PortSpan| spans.iter().any(|it| it.protocol == span.protocol);
    let others = |spans: &[PortSpan]| spans.len().saturating_sub(1);
    for (at_one, of_one) in one.iter().enumerate() {
        if !names(other, of_one) {
            all.push((*of_one, at_one, others(other)));
            continue;
        }
        for (at_other, of_other) in other.iter().enumerate() {
            if of_one.overlaps(*of_other) {
                let span = PortSpan {
                    first: of_one.first.max(of_other.first),
                    last: of_one.last.min(of_other.last),
                    ..*of_one
                };
                all.push((span, at_one, at_other));
            }
        }
    }
    for (at_other, of_other) in other.iter().enumerate() {
        if !names(one, of_other) {
            all.push((*of_other, others(one), at_other));
        }
    }
    all.sort_by_key(|(span, ..)| (span.protocol.is_none(), *span));
    all
}
