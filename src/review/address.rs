//! Ranges of addresses: what is left of them, and whose addresses they hold.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::spans::{self, Spans};
use crate::domain::{Platform, metadata_addresses, reaches_most};

/// A set of addresses of both families.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    v4: Spans,
    v6: Spans,
}

impl Addresses {
    /// The addresses of ranges.
    pub(super) fn of(nets: &[IpNet]) -> Self {
        Self {
            v4: spans::addresses(nets, false),
            v6: spans::addresses(nets, true),
        }
    }

    /// The addresses of ranges without those of others.
    pub(super) fn of_all_but(nets: &[IpNet], others: &[IpNet]) -> Self {
        Self::of(nets).without(&Self::of(others))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        Self {
            v4: self.v4.without(&other.v4),
            v6: self.v6.without(&other.v6),
        }
    }

    /// The addresses that are in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self {
            v4: self.v4.and(&other.v4),
            v6: self.v6.and(&other.v6),
        }
    }

    /// The addresses that are in one of both.
    pub(super) fn or(&self, other: &Self) -> Self {
        let both = |one: &Spans, other: &Spans| Spans::of(one.iter().chain(other.iter()));
        Self {
            v4: both(&self.v4, &other.v4),
            v6: both(&self.v6, &other.v6),
        }
    }

    /// Whether an address is in both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        !self.v4.and(&other.v4).is_empty() || !self.v6.and(&other.v6).is_empty()
    }

    /// The ranges that hold exactly these addresses: so few as there can be, in order.
    pub(super) fn nets(&self) -> impl Iterator<Item = IpNet> {
        spans::each_net(&self.v4, false).chain(spans::each_net(&self.v6, true))
    }
}

/// What is left of ranges without others.
pub(super) fn without(nets: &[IpNet], others: &[IpNet]) -> Vec<IpNet> {
    Addresses::of_all_but(nets, others).nets().collect()
}

/// Whose addresses ranges can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Holds {
    /// Most addresses there are.
    Everything,
    /// Azure's metadata service.
    Metadata,
    /// Nodes.
    Nodes,
    /// Pods.
    Pods,
    /// None of these.
    Outside,
}

/// Whose addresses these are: all of them, but for what lies outside the cluster.
pub(super) fn kinds(addresses: &Addresses, platform: &Platform) -> BTreeSet<Holds> {
    let any = |others: &[IpNet]| addresses.meets(&Addresses::of(others));
    let mut held = BTreeSet::new();
    if any(&platform.pod_cidrs) {
        held.insert(Holds::Pods);
    }
    if any(&platform.node_cidrs) {
        held.insert(Holds::Nodes);
    }
    if any(&metadata_addresses()) {
        held.insert(Holds::Metadata);
    }
    if addresses.nets().any(reaches_most) {
        held.insert(Holds::Everything);
    }
    held
}

/// Whose addresses these are: the worst of it, and all of it in words.
pub(super) fn holds(addresses: &Addresses, platform: &Platform) -> (Holds, String) {
    // In the order in which they are to be told.
    let held = kinds(addresses, platform);
    let words: Vec<_> = held
        .iter()
        .map(|it| match it {
            Holds::Everything => "most of the internet",
            Holds::Metadata => "Azure's metadata service",
            Holds::Nodes => "nodes",
            Holds::Pods => "pods",
            Holds::Outside => "others",
        })
        .collect();
    let words = match words.as_slice() {
        [] => "addresses outside the cluster".to_owned(),
        [one] => format!("addresses of {one}"),
        [most @ .., last] => format!("addresses of {} and of {last}", most.join(", of ")),
    };
    (held.first().copied().unwrap_or(Holds::Outside), words)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|it| it.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_left_is_exact() {
        let left = |some: &[&str], others: &[&str]| without(&nets(some), &nets(others));
        let rest = left(&["10.0.0.0/30"], &["10.0.0.1/32"]);
        assert_eq!(rest, nets(&["10.0.0.0/32", "10.0.0.2/31"]));
        assert_eq!(left(&["10.0.0.0/30"], &["0.0.0.0/0"]), []);
        let other = ["fd00::/8"];
        assert_eq!(left(&other, &["10.0.0.0/8"]), nets(&other));
        assert_eq!(left(&["::/0"], &["fd00::1/128"]).len(), 128);
        assert_eq!(left(&["::/0"], &["::/0"]), []);
        let halves = ["10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16"];
        assert_eq!(left(&halves, &[]), nets(&["10.0.0.0/8"]));
    }

    #[test]
    fn ten_thousand_ranges_without_ten_thousand_others_are_soon_told() {
        // Each of the others leaves two hundred ranges of IPv6 at its sides, of which few are ever named.
        let single: Vec<IpNet> = (0..10_000_u128)
            .map(|it| {
                IpNet::new(
                    IpAddr::from(((0xfd00_u128 << 112) | (it << 64) | 1).to_be_bytes()),
                    128,
                )
                .unwrap()
            })
            .collect();
        let wide: Vec<IpNet> = (0..10_000_u128)
            .map(|it| {
                IpNet::new(
                    IpAddr::from(((0xfd00_u128 << 112) | (it << 64)).to_be_bytes()),
                    64,
                )
                .unwrap()
            })
            .collect();
        let started = Instant::now();
        let left = Addresses::of_all_but(&wide, &single);
        assert_eq!(left.v6.iter().count(), 10_001);
        assert_eq!(holds(&left, &Platform::default()).0, Holds::Outside);
        // A build without optimisation, on a busy machine; pair by pair it takes minutes.
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn the_worst_of_what_ranges_hold_is_told_first() {
        let platform = Platform {
            pod_cidrs: nets(&["10.244.0.0/16"]),
            node_cidrs: nets(&["10.1.0.0/24"]),
            ..Platform::default()
        };
        let told = |texts: &[&str]| holds(&Addresses::of(&nets(texts)), &platform);
        assert_eq!(
            told(&["10.0.0.0/8"]),
            (Holds::Nodes, "addresses of nodes and of pods".to_owned())
        );
        assert_eq!(
            told(&["169.254.169.254/32", "10.244.1.0/24"]).0,
            Holds::Metadata
        );
        assert_eq!(
            told(&["198.51.100.0/24"]),
            (Holds::Outside, "addresses outside the cluster".to_owned())
        );
        assert_eq!(told(&["0.0.0.0/1"]).0, Holds::Everything);
    }

    fn range() -> impl Strategy<Value = IpNet> {
        // Few addresses, so that ranges have to do with each other.
        (0..16_u8, 26..=32_u8).prop_map(|(last, length)| {
            let address = IpAddr::from([10, 0, 0, last * 16]);
            IpNet::new(address, length).unwrap().trunc()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_address_is_where_it_belongs(
            some in proptest::collection::vec(range(), 0..4),
            others in proptest::collection::vec(range(), 0..4),
        ) {
            let left: Vec<IpNet> = Addresses::of_all_but(&some, &others).nets().collect();
            let meets = Addresses::of(&some).meets(&Addresses::of(&others));
            let mut shared = false;
            let is_in = |nets: &[IpNet], address: &IpAddr| nets.iter().any(|net| net.contains(address));
            for last in 0..=255_u8 {
                let address = IpAddr::from([10, 0, 0, last]);
                let (one, other) = (is_in(&some, &address), is_in(&others, &address));
                prop_assert_eq!(is_in(&left, &address), one && !other);
                shared |= one && other;
            }
            prop_assert_eq!(meets, shared);
        }
    }
}
