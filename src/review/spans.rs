//! Sets of numbers as sorted spans: ports and addresses, compared exactly.

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use crate::api::Protocol;
use crate::domain::PortRange;
use crate::policy::TransportProtocol;

/// A set of numbers: spans with both ends included, sorted, with a gap between any two.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spans(Vec<(u128, u128)>);

impl Spans {
    pub fn of(spans: impl IntoIterator<Item = (u128, u128)>) -> Self {
        let mut sorted: Vec<_> = spans.into_iter().collect();
        sorted.sort_unstable();
        let mut joined: Vec<(u128, u128)> = Vec::with_capacity(sorted.len());
        for (first, last) in sorted {
            match joined.last_mut() {
                Some(known) if first <= known.1.saturating_add(1) => known.1 = known.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u128, u128)> {
        self.0.iter().copied()
    }

    /// Both are sorted, so that each is looked through once.
    pub fn and(&self, other: &Self) -> Self {
        let (mut both, mut others) = (Vec::new(), other.0.as_slice());
        for (first, last) in self.iter() {
            others = from(others, first);
            let within = others.iter().take_while(|it| it.0 <= last);
            both.extend(within.map(|it| (it.0.max(first), it.1.min(last))));
        }
        Self(both)
    }

    /// Both are sorted, so that each is looked through once.
    pub fn without(&self, other: &Self) -> Self {
        let (mut left, mut others) = (Vec::new(), other.0.as_slice());
        for (first, last) in self.iter() {
            others = from(others, first);
            let mut next = Some(first);
            for it in others.iter().take_while(|it| it.0 <= last) {
                if let Some(next) = next
                    && next < it.0
                {
                    left.push((next, it.0 - 1));
                }
                next = it.1.checked_add(1).filter(|next| *next <= last);
            }
            left.extend(next.map(|next| (next, last)));
        }
        Self(left)
    }

    /// The set, cut wherever one of `others` begins or ends: what they say is the same all over a piece.
    pub fn pieces<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> Vec<(u128, u128)> {
        let mut cuts: Vec<u128> = others
            .into_iter()
            .flat_map(Self::iter)
            .flat_map(|(first, last)| [Some(first), last.checked_add(1)])
            .flatten()
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut pieces = Vec::new();
        for (mut first, last) in self.iter() {
            let within = cuts.iter().filter(|cut| first < **cut && **cut <= last);
            for cut in within.copied().collect::<Vec<_>>() {
                pieces.push((first, cut - 1));
                first = cut;
            }
            pieces.push((first, last));
        }
        pieces
    }
}

/// Spans without those that end before a number.
fn from(spans: &[(u128, u128)], first: u128) -> &[(u128, u128)] {
    let over = spans.iter().take_while(|it| it.1 < first).count();
    spans.get(over..).unwrap_or_default()
}

/// The protocols that have ports, in the order of their numbers here.
const PROTOCOLS: [(Protocol, TransportProtocol); 3] = [
    (Protocol::TCP, TransportProtocol::TCP),
    (Protocol::UDP, TransportProtocol::UDP),
    (Protocol::SCTP, TransportProtocol::SCTP),
];
/// What stands for all that has no ports.
const WITHOUT_PORTS: u128 = 3 << 16;

/// All ports of all protocols.
pub(super) fn all_ports() -> Spans {
    let ports = (0..3_u128).map(|number| ((number << 16) + 1, (number << 16) + 0xffff));
    Spans::of(ports.chain([(WITHOUT_PORTS, WITHOUT_PORTS)]))
}

/// Ports as declarations have them; none are all of them.
pub(super) fn ports(ranges: &[PortRange]) -> Spans {
    if ranges.is_empty() {
        return all_ports();
    }
    Spans::of(ranges.iter().map(|range| {
        let number = PROTOCOLS.iter().position(|it| it.0 == range.protocol);
        let base = (number.unwrap_or_default() as u128) << 16;
        (
            base + u128::from(range.first),
            base + u128::from(range.last),
        )
    }))
}

/// A packet to a number of [`ports`]: protocol and port. What has no ports is an echo request.
pub(super) fn packet(number: u128, is_v6: bool) -> (TransportProtocol, u16) {
    let known = usize::try_from(number >> 16).ok();
    let port = u16::try_from(number & 0xffff).unwrap_or_default();
    match known.and_then(|known| PROTOCOLS.get(known)) {
        Some((_, protocol)) => (*protocol, port),
        None if is_v6 => (TransportProtocol::ICMP_V6, 0),
        None => (TransportProtocol::ICMP, 0),
    }
}

/// Ports in words.
pub(super) fn ports_in_words(ports: &Spans) -> String {
    if *ports == all_ports() {
        return "all ports".to_owned();
    }
    let words = ports.iter().filter_map(|(first, last)| {
        let known = usize::try_from(first >> 16).ok()?;
        let Some((protocol, _)) = PROTOCOLS.get(known) else {
            return Some("other protocols".to_owned());
        };
        let range = PortRange {
            protocol: *protocol,
            first: u16::try_from(first & 0xffff).ok()?,
            last: u16::try_from(last & 0xffff).ok()?,
        };
        Some(if (range.first, range.last) == (1, u16::MAX) {
            format!("all of {protocol:?}")
        } else {
            range.to_string()
        })
    });
    words.collect::<Vec<_>>().join(", ")
}

/// The addresses of one family in ranges.
pub(super) fn addresses(nets: &[IpNet], is_v6: bool) -> Spans {
    let of_family = nets
        .iter()
        .filter(|net| matches!(net, IpNet::V6(_)) == is_v6);
    Spans::of(of_family.map(|net| match net {
        IpNet::V4(net) => (
            u128::from(u32::from(net.network())),
            u128::from(u32::from(net.broadcast())),
        ),
        IpNet::V6(net) => (u128::from(net.network()), u128::from(net.broadcast())),
    }))
}

/// The ranges that hold exactly these addresses, one after the other: there can be two hundred for each span.
pub(super) fn each_net(addresses: &Spans, is_v6: bool) -> impl Iterator<Item = IpNet> {
    let of_span = move |(first, last): (u128, u128)| {
        let v6 = is_v6.then(|| Ipv6Subnets::new(first.into(), last.into(), 0).map(IpNet::V6));
        let v4 = u32::try_from(first).ok().zip(u32::try_from(last).ok());
        let v4 = v4.filter(|_| !is_v6);
        let v4 =
            v4.map(|(first, last)| Ipv4Subnets::new(first.into(), last.into(), 0).map(IpNet::V4));
        v6.into_iter().flatten().chain(v4.into_iter().flatten())
    };
    addresses.iter().flat_map(of_span)
}

/// The ranges that hold exactly these addresses.
pub(super) fn nets(addresses: &Spans, is_v6: bool) -> Vec<IpNet> {
    each_net(addresses, is_v6).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(spans: &[(u128, u128)]) -> Spans {
        Spans::of(spans.iter().copied())
    }

    #[test]
    fn spans_are_joined_cut_and_taken_away() {
        let one = spans(&[(5, 9), (1, 2), (3, 3)]);
        assert_eq!(one, spans(&[(1, 3), (5, 9)]));
        assert_eq!(
            one.without(&spans(&[(2, 6), (9, 20)])),
            spans(&[(1, 1), (7, 8)])
        );
        assert_eq!(one.and(&spans(&[(3, 5)])), spans(&[(3, 3), (5, 5)]));
        let pieces = one.pieces([&spans(&[(6, 7)])]);
        assert_eq!(pieces, [(1, 3), (5, 5), (6, 7), (8, 9)]);
        assert!(one.without(&spans(&[(0, u128::MAX)])).is_empty());
        let all = spans(&[(0, u128::MAX)]);
        assert_eq!(
            all.without(&spans(&[(0, 0), (7, 8), (u128::MAX, u128::MAX)])),
            spans(&[(1, 6), (9, u128::MAX - 1)])
        );
    }

    #[test]
    fn ports_are_told_as_they_are_declared() {
        let ranges: Vec<PortRange> = ["TCP 5432", "UDP 8000-8100", "TCP 1-65535"]
            .map(|text| text.parse().unwrap())
            .into();
        assert_eq!(
            ports_in_words(&ports(&ranges[..2])),
            "TCP 5432, UDP 8000-8100"
        );
        assert_eq!(ports_in_words(&ports(&ranges)), "all of TCP, UDP 8000-8100");
        assert_eq!(ports_in_words(&ports(&[])), "all ports");
        assert!(!ports(&[]).without(&ports(&ranges[2..])).is_empty());
    }

    #[test]
    fn addresses_come_back_as_ranges() {
        for text in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "203.0.113.7/32",
            "fd00::/48",
            "::/0",
        ] {
            let net: IpNet = text.parse().unwrap();
            let is_v6 = matches!(net, IpNet::V6(_));
            assert_eq!(nets(&addresses(&[net], is_v6), is_v6), [net], "{text}");
            assert!(addresses(&[net], !is_v6).is_empty());
        }
    }

    /// Spans of small numbers, so that they have to do with each other.
    fn some() -> impl Strategy<Value = Vec<(u128, u128)>> {
        let span = (0..48_u128, 0..8_u128).prop_map(|(first, more)| (first, first + more));
        prop::collection::vec(span, 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_number_is_where_it_belongs(one in some(), other in some()) {
            let is_in = |spans: &[(u128, u128)], number: u128| {
                spans.iter().any(|(first, last)| (*first..=*last).contains(&number))
            };
            let (left, both) = (spans(&one).without(&spans(&other)), spans(&one).and(&spans(&other)));
            for number in 0..64 {
                let (here, there) = (is_in(&one, number), is_in(&other, number));
                prop_assert_eq!(is_in(&left.0, number), here && !there);
                prop_assert_eq!(is_in(&both.0, number), here && there);
            }
            // They are as sets are, so that equal ones are equal.
            prop_assert_eq!(Spans::of(left.iter()), left);
            prop_assert_eq!(Spans::of(both.iter()), both);
        }
    }
}
