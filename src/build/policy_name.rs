//! Names of Calico policies: the same for the same landing zone, and never the same for two.

use crate::domain::{CalicoNaming, Flavour, LandingZoneName, NamespaceName, PolicyApi, Zone};

/// What a policy of a landing zone is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose<'a> {
    /// The cluster's DNS.
    Dns,
    /// Foreign namespaces that bear the label of a landing zone are denied.
    Pretenders,
    /// Shared services of the platform.
    Services,
    /// Declared crossings from and to one zone.
    Crossings(&'a Zone),
    /// Everything outside is denied.
    Boundary,
    /// Free traffic inside the landing zone.
    Inside,
    /// Declared flows from and to one zone.
    Flows(&'a Zone),
    /// What others open to pods of a zone is logged.
    ObservedIngress(&'a Zone),
    /// What pods of a zone open to others is logged.
    ObservedEgress(&'a Zone),
    /// What others open to those pods of a namespace that no policy of a team selects is logged.
    ObservedIngressBeside(&'a NamespaceName),
    /// What those open to others is logged.
    ObservedEgressBeside(&'a NamespaceName),
    /// All that nothing allowed is denied.
    Deny,
}

/// The name of a policy in its tier: `landing-zone-<landing zone>-<purpose>`, with the zone (or the
/// namespace) of flows, crossings and what is observed before the purpose, and behind it, where one
/// policy cannot hold all, `-<targets>` or `-<targets>-<rules>`: the places of the part among the halves
/// of its targets and of its rules, each left out while it is 1, the whole.
///
/// It can be read back from its end, so no two landing zones share one: places are numbers and no
/// purpose is one, the purpose is one word, and the dashes of a zone or namespace are doubled, so that
/// the last single dash before it is where it begins. Without dots: Calico takes none in tier `default`.
pub(super) fn in_tier(owner: &LandingZoneName, purpose: Purpose<'_>, part: (u64, u64)) -> String {
    let purpose = match purpose {
        Purpose::Dns => "dns".to_owned(),
        Purpose::Pretenders => "pretenders".to_owned(),
        Purpose::Services => "services".to_owned(),
        Purpose::Crossings(zone) => of_part(zone.as_str(), "crossings"),
        Purpose::Boundary => "boundary".to_owned(),
        Purpose::Inside => "inside".to_owned(),
        Purpose::Flows(zone) => of_part(zone.as_str(), "flows"),
        Purpose::ObservedIngress(zone) => of_part(zone.as_str(), "ingress"),
        Purpose::ObservedEgress(zone) => of_part(zone.as_str(), "egress"),
        Purpose::ObservedIngressBeside(name) => of_part(name.as_str(), "ingressbeside"),
        Purpose::ObservedEgressBeside(name) => of_part(name.as_str(), "egressbeside"),
        Purpose::Deny => "deny".to_owned(),
    };
    match part {
        (1, 1) => format!("landing-zone-{owner}-{purpose}"),
        (targets, 1) => format!("landing-zone-{owner}-{purpose}-{targets}"),
        (targets, rules) => format!("landing-zone-{owner}-{purpose}-{targets}-{rules}"),
    }
}

fn of_part(part: &str, purpose: &str) -> String {
    format!("{}-{purpose}", part.replace('-', "--"))
}

/// Whether a policy of this name, as it is stored, denies anything. Those go first: what allows must
/// not be missed before them.
#[must_use]
pub fn denies(stored: &str) -> bool {
    let is_place = |word: &str| word.parse::<u64>().is_ok();
    let mut words = stored.rsplit('-').skip_while(|word| is_place(word));
    let purpose = words.next();
    purpose.is_some_and(|purpose| ["pretenders", "boundary", "deny"].contains(&purpose))
}

/// The words that stand for a purpose.
const PURPOSES: [&str; 12] = [
    "ingress",
    "egress",
    "ingressbeside",
    "egressbeside",
    "dns",
    "pretenders",
    "services",
    "crossings",
    "boundary",
    "inside",
    "flows",
    "deny",
];

/// Whether the operator gives such a name to a policy of the whole cluster, as it is stored: to one of a landing zone, or
/// of the platform.
#[must_use]
pub fn is_operators(stored: &str) -> bool {
    let name = stored.rsplit('.').next().unwrap_or(stored);
    if name.starts_with("landing-zones-") {
        return true;
    }
    let is_place = |word: &&str| word.parse::<u64>().is_ok();
    let mut words = name.rsplit('-').skip_while(is_place);
    let purpose = words.next();
    name.starts_with("landing-zone-") && purpose.is_some_and(|it| PURPOSES.contains(&it))
}

/// The name as the flavour stores it.
///
/// In tiers of our own it carries the tier: Calico 3.29 to 3.31 reads the tier off the name. In tier
/// `default` only Calico's storage up to 3.31 wants the prefix; a policy written there without it
/// could be listed through v3 but not fetched.
pub(super) fn stored(flavour: Flavour, tier: Option<&str>, name: &str) -> String {
    match (tier, flavour.api, flavour.naming) {
        (Some(tier), ..) => format!("{tier}.{name}"),
        (None, PolicyApi::CalicoCrdV1, CalicoNaming::TierPrefixed) => format!("default.{name}"),
        (None, ..) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn has_zone(purpose: &str) -> bool {
        [
            "flows",
            "crossings",
            "ingress",
            "egress",
            "ingressbeside",
            "egressbeside",
        ]
        .contains(&purpose)
    }

    type Made = (String, &'static str, String, (u64, u64));

    /// Names out of the words that could be mistaken for parts of a policy's name.
    fn tricky() -> impl Strategy<Value = String> {
        let word = select(&[
            "a",
            "2",
            "3",
            "b",
            "dns",
            "boundary",
            "inside",
            "flows",
            "crossings",
            "services",
            "ingress",
            "egress",
            "egressbeside",
            "deny",
        ]);
        (
            word.clone(),
            proptest::collection::vec((select(&["-", "--", "---"]), word), 0..3),
        )
            .prop_map(|(first, rest)| {
                rest.into_iter()
                    .fold(first.to_owned(), |name, (dash, word)| name + dash + word)
            })
            .prop_filter("longer than names are", |name| name.len() <= 40)
    }

    fn made() -> impl Strategy<Value = Made> {
        let purpose = select(&PURPOSES);
        (tricky(), purpose, tricky(), (1..4u64, 1..4u64)).prop_map(
            |(owner, purpose, zone, part)| {
                // The zone is of no consequence for the others.
                let zone = if has_zone(purpose) { zone } else { "-".into() };
                (owner, purpose, zone, part)
            },
        )
    }

    fn name((owner, purpose, zone, part): &Made) -> String {
        let namespace = zone.parse().unwrap_or_else(|_| "a".parse().unwrap());
        let zone = zone.parse().unwrap_or_else(|_| "a".parse().unwrap());
        let purpose = match *purpose {
            "dns" => Purpose::Dns,
            "pretenders" => Purpose::Pretenders,
            "boundary" => Purpose::Boundary,
            "inside" => Purpose::Inside,
            "flows" => Purpose::Flows(&zone),
            "crossings" => Purpose::Crossings(&zone),
            "services" => Purpose::Services,
            "ingress" => Purpose::ObservedIngress(&zone),
            "egress" => Purpose::ObservedEgress(&zone),
            "ingressbeside" => Purpose::ObservedIngressBeside(&namespace),
            "egressbeside" => Purpose::ObservedEgressBeside(&namespace),
            _ => Purpose::Deny,
        };
        in_tier(&owner.parse().unwrap(), purpose, *part)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn no_two_policies_share_a_name(one in made(), other in made()) {
            prop_assert_eq!(name(&one) == name(&other), one == other);
        }

        #[test]
        fn a_name_can_be_read_back(made in made()) {
            prop_assert!(is_operators(&stored(Flavour::KUBERNETES, None, &name(&made))));
            prop_assert_eq!(read(&name(&made)), made);
        }
    }

    /// What the name's documentation says, done.
    fn read(name: &str) -> Made {
        let (mut rest, mut places) = (name, Vec::new());
        while let Some((before, place)) = rest.rsplit_once('-')
            && let Ok(place) = place.parse::<u64>()
        {
            rest = before;
            places.insert(0, place);
        }
        let part = (
            places.first().copied().unwrap_or(1),
            places.get(1).copied().unwrap_or(1),
        );
        let (rest, purpose) = rest.rsplit_once('-').unwrap();
        let rest = rest.strip_prefix("landing-zone-").unwrap();
        let purpose = PURPOSES
            .into_iter()
            .find(|known| *known == purpose)
            .unwrap();
        if !has_zone(purpose) {
            return (rest.to_owned(), purpose, "-".to_owned(), part);
        }
        let bytes = rest.as_bytes();
        let single = |at: &usize| {
            // A run of an odd number of dashes is a separator; names begin and end without dashes.
            bytes[*at] == b'-' && bytes[at + 1] != b'-' && bytes[at - 1] != b'-'
        };
        let at = (1..bytes.len() - 1).rev().find(single).unwrap();
        let zone = rest[at + 1..].replace("--", "-");
        (rest[..at].to_owned(), purpose, zone, part)
    }

    #[test]
    fn what_denies_is_known_by_its_name() {
        for name in [
            "default.landing-zone-shop-deny",
            "landingzones-platform.landing-zone-shop-boundary-2-3",
            "default.landing-zone-shop-pretenders",
        ] {
            assert!(denies(name), "{name}");
        }
        for name in [
            "default.landing-zone-shop-dns",
            "landing-zone-deny-inside-2",
            "landing-zone-shop-deny-flows",
        ] {
            assert!(!denies(name), "{name}");
        }
    }

    #[test]
    fn names_look_like_this() {
        let owner = "shop".parse().unwrap();
        let zone = "web-tier".parse().unwrap();
        assert_eq!(
            in_tier(&owner, Purpose::Dns, (1, 1)),
            "landing-zone-shop-dns"
        );
        assert_eq!(
            in_tier(&owner, Purpose::Flows(&zone), (2, 1)),
            "landing-zone-shop-web--tier-flows-2"
        );
    }

    #[test]
    fn the_longest_name_fits() {
        let owner = "a".repeat(40).parse().unwrap();
        let zone = format!("a{}b", "-".repeat(38)).parse().unwrap();
        // A namespace is never halved.
        let namespace = format!("a{}b", "-".repeat(61)).parse().unwrap();
        for name in [
            in_tier(&owner, Purpose::Crossings(&zone), (u64::MAX, u64::MAX)),
            in_tier(
                &owner,
                Purpose::ObservedIngressBeside(&namespace),
                (1, u64::MAX),
            ),
        ] {
            assert!(super::super::tier::BASELINE.len() + 1 + name.len() <= 253);
        }
    }
}
