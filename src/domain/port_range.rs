//! Destination ports.

use std::fmt;
use std::str::FromStr;

use crate::api::Protocol;

/// Destination ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    /// Protocol.
    pub protocol: Protocol,
    /// First port.
    pub first: u16,
    /// Last port, at least the first.
    pub last: u16,
}

impl PortRange {
    fn shared(self, other: Self) -> Option<Self> {
        let range = Self {
            protocol: self.protocol,
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        };
        (self.protocol == other.protocol && range.first <= range.last).then_some(range)
    }
}

/// The ports that stand in both lists, sorted; None where there are none. An empty list means all
/// ports of all protocols.
#[must_use]
pub fn shared_ports(one: &[PortRange], other: &[PortRange]) -> Option<Vec<PortRange>> {
    let mut shared: Vec<PortRange> = match (one, other) {
        ([], ports) | (ports, []) => ports.to_vec(),
        (one, other) => {
            let pairs = one
                .iter()
                .flat_map(|one| other.iter().filter_map(|other| one.shared(*other)));
            let pairs: Vec<_> = pairs.collect();
            if pairs.is_empty() {
                return None;
            }
            pairs
        }
    };
    shared.sort_unstable();
    shared.dedup();
    Some(shared)
}

/// As a status tells it: `TCP 5432` or `UDP 8000-8100`.
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::TCP => "TCP",
            Protocol::UDP => "UDP",
            Protocol::SCTP => "SCTP",
        };
        write!(f, "{protocol} {}", self.first)?;
        if self.last == self.first {
            Ok(())
        } else {
            write!(f, "-{}", self.last)
        }
    }
}

/// Not ports as a status tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not ports like TCP 5432 or UDP 8000-8100")]
pub struct NoPorts;

impl FromStr for PortRange {
    type Err = NoPorts;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (protocol, ports) = text.split_once(' ').ok_or(NoPorts)?;
        let protocol = match protocol {
            "TCP" => Protocol::TCP,
            "UDP" => Protocol::UDP,
            "SCTP" => Protocol::SCTP,
            _ => return Err(NoPorts),
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let number = |text: &str| text.parse::<u16>().map_err(|_| NoPorts);
        let (first, last) = (number(first)?, number(last)?);
        if first == 0 || last < first {
            return Err(NoPorts);
        }
        Ok(Self {
            protocol,
            first,
            last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(texts: &[&str]) -> Vec<PortRange> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn ports_that_both_name_are_shared() {
        let one = ports(&["TCP 8000-8100", "UDP 53"]);
        let other = ports(&["TCP 8090-9000", "TCP 53", "TCP 8000"]);
        let shared = shared_ports(&one, &other);
        assert_eq!(shared, Some(ports(&["TCP 8000", "TCP 8090-8100"])));
        assert_eq!(shared_ports(&one, &ports(&["SCTP 53"])), None);
    }

    #[test]
    fn no_ports_mean_all() {
        let some = ports(&["TCP 8000-8100"]);
        assert_eq!(shared_ports(&some, &[]), Some(some.clone()));
        assert_eq!(shared_ports(&[], &some), Some(some));
        assert_eq!(shared_ports(&[], &[]), Some(Vec::new()));
    }

    #[test]
    fn ports_are_read_as_they_are_told() {
        for text in ["TCP 5432", "UDP 8000-8100", "SCTP 1"] {
            assert_eq!(text.parse::<PortRange>().unwrap().to_string(), text);
        }
        for text in ["", "TCP", "TCP 0", "TCP 9-8", "ICMP 1", "TCP 70000"] {
            assert_eq!(text.parse::<PortRange>(), Err(NoPorts), "{text}");
        }
    }
}
