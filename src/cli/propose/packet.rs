//! One line of the kernel's log, as netfilter writes it for Calico's action Log.
//!
//! Whatever stands before the prefix is of no consequence: what dmesg, /dev/kmsg, journalctl and
//! syslog add, all of it comes before.

use std::fmt;
use std::net::IpAddr;

use crate::api::Protocol;

/// What a line of a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Somebody else's.
    Other,
    /// It has the prefix, and tells of no packet that can be read.
    Unreadable,
    /// A packet.
    Packet(Packet),
}

/// A packet that was logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Who sent it.
    pub source: IpAddr,
    /// Whom it was sent to, after the translation of services.
    pub destination: IpAddr,
    /// What it carries.
    pub content: Content,
    /// Whether it came out of a pod of the node that logged it.
    pub from_pod: bool,
    /// Whether it went into a pod of that node.
    pub to_pod: bool,
    /// Identification in the IPv4 header; 0 where the sender gives none.
    identification: u16,
}

/// What a packet carries, as far as policies look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Something with ports.
    Ports {
        /// Its protocol.
        protocol: Protocol,
        /// Port of the sender.
        source: u16,
        /// Port that it was sent to.
        destination: u16,
        /// What it says about who opened the connection.
        sign: Sign,
    },
    /// Something whose ports, if it has any, cannot be told.
    Portless(IpProtocol),
    /// A part of a packet that does not hold its ports.
    Fragment,
}

/// What a packet says about who opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The sender does, with this packet: SYN of TCP.
    Opens,
    /// The receiver did: SYN and ACK of TCP.
    Answers,
    /// One of them did before: TCP without SYN.
    Midway,
    /// Nothing: protocols without connections.
    None,
}

/// A number of IANA's register of protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IpProtocol(u8);

impl IpProtocol {
    const TCP: Self = Self(6);
    const UDP: Self = Self(17);
    const SCTP: Self = Self(132);

    /// The name that the kernel gives a few of them, or the number that it gives all others.
    fn read(text: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(protocol, _)| *protocol)
            .or_else(|| text.parse().ok().map(Self))
    }

    const NAMES: [(Self, &'static str); 8] = [
        (Self(1), "ICMP"),
        (Self::TCP, "TCP"),
        (Self::UDP, "UDP"),
        (Self(50), "ESP"),
        (Self(51), "AH"),
        (Self(58), "ICMPv6"),
        (Self::SCTP, "SCTP"),
        (Self(136), "UDPLITE"),
    ];

    /// The protocol, where declarations can name it.
    fn declarable(self) -> Option<Protocol> {
        match self {
            Self::TCP => Some(Protocol::TCP),
            Self::UDP => Some(Protocol::UDP),
            Self::SCTP => Some(Protocol::SCTP),
            _ => None,
        }
    }
}

impl fmt::Display for IpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(protocol, _)| protocol == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "protocol {}", self.0),
        }
    }
}

impl Packet {
    /// Whether `later` is this packet once more: on its way from pod to pod of one node, the policies
    /// of both ends log it, one right after the other.
    #[must_use]
    pub fn is_repeated_by(&self, later: &Self) -> bool {
        self.identification != 0 && self == later
    }
}

/// Reads a line; `prefix` is what Felix begins its own with.
#[must_use]
pub fn read(line: &[u8], prefix: &str) -> Line {
    let prefix = prefix.as_bytes();
    let Some(at) = line
        .windows(prefix.len().max(1))
        .position(|window| window == prefix)
    else {
        return Line::Other;
    };
    let message = line.get(at + prefix.len()..).unwrap_or_default();
    Fields::read(message)
        .packet()
        .map_or(Line::Unreadable, Line::Packet)
}

/// The fields that matter, as they are written.
#[derive(Default)]
struct Fields<'a> {
    source: Option<&'a str>,
    destination: Option<&'a str>,
    protocol: Option<&'a str>,
    source_port: Option<&'a str>,
    destination_port: Option<&'a str>,
    identification: Option<&'a str>,
    incoming: Option<&'a str>,
    outgoing: Option<&'a str>,
    is_part: bool,
    syn: bool,
    ack: bool,
}

impl<'a> Fields<'a> {
    /// Reads all fields behind the first one, `IN`. Felix may write more than its prefix before it.
    fn read(message: &'a [u8]) -> Self {
        let words = message
            .split(u8::is_ascii_whitespace)
            .filter_map(|word| std::str::from_utf8(word).ok())
            .skip_while(|word| !word.starts_with("IN="));
        let mut fields = Self::default();
        for word in words {
            match word.split_once('=') {
                Some((key, value)) => fields.field(key, value),
                None => fields.flag(word),
            }
        }
        fields
    }

    fn field(&mut self, key: &str, value: &'a str) {
        let slot = match key {
            "IN" => &mut self.incoming,
            "OUT" => &mut self.outgoing,
            "SRC" => &mut self.source,
            "DST" => &mut self.destination,
            "PROTO" => &mut self.protocol,
            "SPT" => &mut self.source_port,
            "DPT" => &mut self.destination_port,
            // Behind the protocol it is the one of a ping.
            "ID" if self.protocol.is_none() => &mut self.identification,
            _ => return,
        };
        // The first counts: an ICMP error goes on with the packet that it speaks of.
        slot.get_or_insert(value);
    }

    fn flag(&mut self, word: &str) {
        match word {
            "SYN" => self.syn = true,
            "ACK" => self.ack = true,
            "INCOMPLETE" => self.is_part = true,
            _ => self.is_part |= word.starts_with("FRAG:"),
        }
    }

    fn packet(&self) -> Option<Packet> {
        Some(Packet {
            source: self.source?.parse().ok()?,
            destination: self.destination?.parse().ok()?,
            content: self.content()?,
            from_pod: self.incoming.is_some_and(is_pod_interface),
            to_pod: self.outgoing.is_some_and(is_pod_interface),
            identification: self.identification.unwrap_or("0").parse().ok()?,
        })
    }

    fn content(&self) -> Option<Content> {
        let ip_protocol = IpProtocol::read(self.protocol?)?;
        let Some(protocol) = ip_protocol.declarable() else {
            return Some(Content::Portless(ip_protocol));
        };
        match (self.source_port, self.destination_port) {
            (Some(source), Some(destination)) => Some(Content::Ports {
                protocol,
                source: port(source)?,
                destination: port(destination)?,
                sign: self.sign(protocol),
            }),
            // The kernel does not take SCTP apart.
            (None, None) if protocol == Protocol::SCTP => Some(Content::Portless(ip_protocol)),
            (None, None) if self.is_part => Some(Content::Fragment),
            _ => None,
        }
    }

    fn sign(&self, protocol: Protocol) -> Sign {
        match (protocol, self.syn, self.ack) {
            (Protocol::TCP, true, false) => Sign::Opens,
            (Protocol::TCP, true, true) => Sign::Answers,
            (Protocol::TCP, false, _) => Sign::Midway,
            _ => Sign::None,
        }
    }
}

/// Whether an interface is a pod's end on the node: Calico's own, or those of Azure's plugin.
fn is_pod_interface(name: &str) -> bool {
    name.starts_with("cali") || name.starts_with("azv")
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

#[cfg(test)]
mod tests;
