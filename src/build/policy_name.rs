//! Names of Calico policies: the same for the same landing zone, and never the same for two.

use crate::domain::{CalicoNaming, Flavour, LandingZoneName, PolicyApi, Zone};

/// What a policy of a landing zone is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose<'a> {
    /// The cluster's DNS.
    Dns,
    /// Everything outside is denied.
    Boundary,
    /// Free traffic inside the landing zone.
    Inside,
    /// Declared flows from and to one zone.
    Flows(&'a Zone),
    /// All that nothing allowed is denied.
    Deny,
}

/// The name of a policy in its tier: `landing-zone-<landing zone>-<purpose>`, with the zone of flows
/// before the purpose, and behind it, where one policy cannot hold all, `-<targets>` or
/// `-<targets>-<rules>`: the places of the part among the halves of its targets and of its rules, each
/// left out while it is 1, the whole.
///
/// It can be read back from its end, so no two landing zones share one: places are numbers and no
/// purpose is one, the purpose is one word, and a zone's own dashes are doubled, so that the last single
/// dash before it is where it begins. Without dots: Calico takes none in tier `default`.
pub(super) fn in_tier(owner: &LandingZoneName, purpose: Purpose<'_>, part: (u64, u64)) -> String {
    let purpose = match purpose {
        Purpose::Dns => "dns".to_owned(),
        Purpose::Boundary => "boundary".to_owned(),
        Purpose::Inside => "inside".to_owned(),
        Purpose::Flows(zone) => format!("{}-flows", zone.as_str().replace('-', "--")),
        Purpose::Deny => "deny".to_owned(),
    };
    match part {
        (1, 1) => format!("landing-zone-{owner}-{purpose}"),
        (targets, 1) => format!("landing-zone-{owner}-{purpose}-{targets}"),
        (targets, rules) => format!("landing-zone-{owner}-{purpose}-{targets}-{rules}"),
    }
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

    type Made = (String, &'static str, String, (u64, u64));

    /// Names out of the words that could be mistaken for parts of a policy's name.
    fn tricky() -> impl Strategy<Value = String> {
        let word = select(&[
            "a", "2", "3", "b", "dns", "boundary", "inside", "flows", "deny",
        ]);
        (
            word.clone(),
            proptest::collection::vec((select(&["-", "--", "---"]), word), 0..3),
        )
            .prop_map(|(first, rest)| {
                rest.into_iter()
                    .fold(first.to_owned(), |name, (dash, word)| name + dash + word)
            })
    }

    fn made() -> impl Strategy<Value = Made> {
        let purpose = select(&["dns", "boundary", "inside", "flows", "deny"]);
        (tricky(), purpose, tricky(), (1..4u64, 1..4u64)).prop_map(
            |(owner, purpose, zone, part)| {
                // The zone is of no consequence for the others.
                let zone = if purpose == "flows" { zone } else { "-".into() };
                (owner, purpose, zone, part)
            },
        )
    }

    fn name((owner, purpose, zone, part): &Made) -> String {
        let zone = zone.parse().unwrap_or_else(|_| "a".parse().unwrap());
        let purpose = match *purpose {
            "dns" => Purpose::Dns,
            "boundary" => Purpose::Boundary,
            "inside" => Purpose::Inside,
            "flows" => Purpose::Flows(&zone),
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
        let purpose = ["dns", "boundary", "inside", "flows", "deny"]
            .into_iter()
            .find(|known| *known == purpose)
            .unwrap();
        if purpose != "flows" {
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
        let name = in_tier(&owner, Purpose::Flows(&zone), (u64::MAX, u64::MAX));
        assert!(super::super::tier::BASELINE.len() + 1 + name.len() <= 253);
    }
}
