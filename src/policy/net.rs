//! Addresses and ranges as Go's `net` reads them, with which Calico reads them.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// An address or a range of addresses (`ParseCIDROrIP` of `libcalico-go`).
pub(crate) fn range_or_address(text: &str) -> Option<IpNet> {
    range(text).or_else(|| {
        text.parse()
            .ok()
            .map(|it: IpAddr| IpNet::from(it.to_canonical()))
    })
}

/// A range of addresses (`net.ParseCIDR`): its length may have zeros before it, and what is set beyond it is left out.
pub(super) fn range(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let digits = length.trim_start_matches('0');
    let length = if digits.is_empty() {
        Some(0)
    } else {
        digits.parse().ok()
    };
    let net = IpNet::new(address, length.filter(|_| is_number)?)
        .ok()?
        .trunc();
    // Addresses of IPv4 within IPv6 are those of IPv4.
    let mapped = match net {
        IpNet::V6(it) if it.prefix_len() >= 96 => it.network().to_ipv4_mapped().map(|address| {
            Ipv4Net::new(address, it.prefix_len() - 96).map(|it| IpNet::V4(it.trunc()))
        }),
        _ => None,
    };
    mapped.map_or(Some(net), Result::ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_go_reads_them() {
        // Tried with net.ParseCIDR and net.ParseIP of Go 1.26.
        for (text, expected) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("10.0.0.0/000", Some("0.0.0.0/0")),
            ("10.0.0.0/0032", Some("10.0.0.0/32")),
            ("10.0.0.1", Some("10.0.0.1/32")),
            ("fd00::1/8", Some("fd00::/8")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("::ffff:10.1.2.3/96", Some("0.0.0.0/0")),
            ("::ffff:10.1.2.3/95", Some("::fffe:0:0/95")),
            ("::ffff:10.0.0.1", Some("10.0.0.1/32")),
            ("010.0.0.0/8", None),
            ("10.0.0/8", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/", None),
            ("10.0.0.0/+8", None),
            ("10.0.0.0/8/8", None),
            ("fe80::1%eth0/64", None),
            ("fe80::1%eth0", None),
            (" 10.0.0.0/8", None),
            ("bogus", None),
            ("", None),
        ] {
            let read = range_or_address(text).map(|it| it.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        assert_eq!(range("10.0.0.1"), None);
    }
}
