//! Addresses and ranges of addresses, and which of them are seldom meant.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::api::rule::{
    METADATA_ADDRESSES, NARROWEST_WIDE_V4, NARROWEST_WIDE_V6, WIDEST_METADATA_RANGE,
};

/// A range without bits beyond its prefix.
#[must_use]
pub fn parse_range(text: &str) -> Option<IpNet> {
    let range: IpNet = text.parse().ok()?;
    (range == range.trunc()).then_some(range)
}

/// An address, as the range of that one address, or a range.
#[must_use]
pub fn parse_address(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.into()),
        Err(_) => parse_range(text),
    }
}

/// Azure's addresses that give pods more than data.
#[must_use]
pub fn metadata_addresses() -> Vec<IpNet> {
    METADATA_ADDRESSES
        .iter()
        .filter_map(|text| parse_address(text))
        .collect()
}

/// Addresses of IPv4 that are nobody's on the internet (IANA, "IPv4 Special-Purpose Address Registry", and multicast).
const NOT_ON_THE_INTERNET: [&str; 11] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// All addresses of IPv4.
#[must_use]
pub fn all_addresses() -> IpNet {
    ipnet::Ipv4Net::default().into()
}

/// Addresses of IPv4 that are nobody's on the internet.
#[must_use]
pub fn not_on_the_internet() -> Vec<IpNet> {
    NOT_ON_THE_INTERNET
        .iter()
        .filter_map(|text| parse_range(text))
        .collect()
}

/// Whether a range reaches most of the internet.
#[must_use]
pub fn reaches_most(range: IpNet) -> bool {
    let narrowest = match range {
        IpNet::V4(_) => NARROWEST_WIDE_V4,
        IpNet::V6(_) => NARROWEST_WIDE_V6,
    };
    range.prefix_len() <= narrowest
}

/// Whether a range is little more than a metadata address.
#[must_use]
pub fn is_metadata(range: IpNet) -> bool {
    range.prefix_len() >= WIDEST_METADATA_RANGE
        && metadata_addresses().iter().any(|it| range.contains(it))
}

/// At most `most` ranges of one family that cover all of these: where there are more, they are widened,
/// the smallest first.
#[must_use]
pub fn at_most(nets: &[IpNet], most: usize) -> Vec<IpNet> {
    let mut covering = nets.to_vec();
    let mut longest = covering.iter().map(IpNet::prefix_len).max().unwrap_or(0);
    while covering.len() > most && longest > 0 {
        longest -= 1;
        let widened: Vec<IpNet> = covering.iter().map(|net| widen(net, longest)).collect();
        covering = IpNet::aggregate(&widened);
    }
    covering
}

/// The range of that prefix length in which a range lies; itself, where it is wider.
#[must_use]
pub fn widen(net: &IpNet, longest: u8) -> IpNet {
    let prefix = net.prefix_len().min(longest);
    // Within the family's length, since it is at most the range's own.
    IpNet::new(net.addr(), prefix).map_or(*net, |wider| wider.trunc())
}

/// Whether two ranges have an address in common.
#[must_use]
pub fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other) || other.contains(&one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> IpNet {
        parse_range(text).unwrap()
    }

    #[test]
    fn wide_ranges_are_told_from_those_of_a_company() {
        for wide in ["0.0.0.0/0", "128.0.0.0/1", "2.0.0.0/7", "::/0", "2000::/3"] {
            assert!(reaches_most(range(wide)), "{wide}");
        }
        for narrow in ["10.0.0.0/8", "203.0.113.0/24", "2001::/16", "fd00::/48"] {
            assert!(!reaches_most(range(narrow)), "{narrow}");
        }
    }

    #[test]
    fn a_metadata_address_is_meant_by_narrow_ranges_only() {
        for meant in ["169.254.169.254/32", "169.254.169.0/24", "168.63.129.16/32"] {
            assert!(is_metadata(range(meant)), "{meant}");
        }
        for other in ["169.254.0.0/16", "0.0.0.0/0", "169.254.20.10/32"] {
            assert!(!is_metadata(range(other)), "{other}");
        }
    }

    #[test]
    fn ranges_have_no_bits_beyond_their_prefix() {
        assert_eq!(parse_range("10.0.0.1/8"), None);
        assert_eq!(parse_range("10.0.0.1"), None);
        assert_eq!(parse_address("10.0.0.1"), Some(range("10.0.0.1/32")));
    }
}
