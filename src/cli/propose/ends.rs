//! What is seen in a log, as entries name it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::dump::Labels;
use super::inventory::End;
use crate::api::names::METADATA_NAME;
use crate::review::declare::{Cidr, MAX_CIDRS, Peer, Selector, ServicePeer};

impl Peer {
    /// A zone as its own landing zone names it.
    #[must_use]
    pub fn own(end: &End) -> Self {
        let End::Zone { zone, pods, .. } = end else {
            return Self::default();
        };
        let labels = pods.clone().filter(|labels| !labels.is_empty());
        Self {
            zone: Some(zone.to_string()),
            pod_selector: labels.map(|match_labels| Selector { match_labels }),
            ..Self::default()
        }
    }

    /// A zone as other landing zones name it.
    #[must_use]
    pub fn foreign(end: &End) -> Self {
        Self {
            landing_zone: end.landing_zone().map(ToString::to_string),
            ..Self::own(end)
        }
    }
}

impl ServicePeer {
    /// An end that is in no landing zone; `outside` are its addresses where it has no other name.
    #[must_use]
    pub fn all(end: &End, outside: &BTreeSet<IpAddr>) -> Vec<Self> {
        match end {
            End::Namespace(namespace) => vec![Self::NamespaceSelector(Selector {
                match_labels: Labels::from([(METADATA_NAME.to_owned(), namespace.to_string())]),
            })],
            End::Node => vec![Self::Nodes(true)],
            _ => {
                let all: Vec<Cidr> = outside.iter().copied().map(Cidr::from).collect();
                let some = all.chunks(MAX_CIDRS);
                some.map(|cidrs| Self::Cidrs(cidrs.to_vec())).collect()
            }
        }
    }
}
