//! What was read, in a few sentences.

use std::net::IpAddr;

use serde::Serialize;

use super::dump::Dump;
use super::inventory::{Inventory, Unknown};
use super::tally::{Counts, Tallied};
use super::wording::count;

/// Addresses that are listed.
const SHOWN_ADDRESSES: usize = 20;

/// Lines of the logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LineCounts {
    /// All of them.
    pub lines: u64,
    /// Those with the prefix.
    pub recognised: u64,
    /// Those with the prefix that tell of no packet.
    pub unreadable: u64,
}

/// What was read, and what became of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Lines of the logs.
    #[serde(flatten)]
    pub lines: LineCounts,
    /// Packets that ask for something.
    pub matched: u64,
    /// All other packets.
    #[serde(flatten)]
    pub counts: Counts,
    /// Addresses without a pod, most packets first.
    pub unknown_addresses: Vec<UnknownAddress>,
    /// Addresses without a pod that are not listed.
    pub more_unknown_addresses: usize,
    #[serde(skip)]
    objects: [(u64, &'static str); 4],
    #[serde(skip)]
    knows_pod_ranges: bool,
}

/// An address without a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownAddress {
    /// The address.
    pub address: IpAddr,
    /// Packets from or to it.
    pub packets: u64,
    /// Whether several pods have it.
    pub several: bool,
}

impl Summary {
    /// Sums up; `landing_zones` is their number.
    #[must_use]
    pub fn new(
        landing_zones: usize,
        dump: &Dump,
        inventory: &Inventory,
        lines: LineCounts,
        tallied: &Tallied,
    ) -> Self {
        let unknown = tallied.unknown.iter().take(SHOWN_ADDRESSES);
        Self {
            lines,
            matched: tallied.groups.values().map(|group| group.packets).sum(),
            counts: tallied.counts,
            unknown_addresses: unknown
                .map(|(address, packets, why)| UnknownAddress {
                    address: *address,
                    packets: *packets,
                    several: *why == Unknown::Several,
                })
                .collect(),
            more_unknown_addresses: tallied.unknown.len().saturating_sub(SHOWN_ADDRESSES),
            objects: [
                (landing_zones as u64, "landing zone"),
                (dump.pods.len() as u64, "pod"),
                (dump.namespaces.len() as u64, "namespace"),
                (dump.nodes.len() as u64, "node"),
            ],
            knows_pod_ranges: inventory.knows_pod_ranges(),
        }
    }

    /// The sentences, one to a line.
    #[must_use]
    pub fn sentences(&self, prefix: &str) -> Vec<String> {
        let objects = self.objects.map(|(number, word)| count(number, word));
        let LineCounts {
            lines,
            recognised,
            unreadable,
        } = self.lines;
        let mut sentences = vec![
            format!("read {}", objects.join(", ")),
            format!(
                "read {}: {recognised} of the prefix {prefix}{}",
                count(lines, "line"),
                some(unreadable, ", of which {} cannot be read")
            ),
            format!("matched {}{}", count(self.matched, "packet"), self.rest()),
        ];
        if self.counts.beyond > 0 {
            sentences.push(format!(
                "warning: {} asked for more than is told apart, and count nowhere: read fewer logs \
                 at once",
                count(self.counts.beyond, "packet")
            ));
        }
        if !self.unknown_addresses.is_empty() {
            sentences.push(self.unknown());
        }
        if recognised == 0 {
            sentences.push(format!(
                "note: no line has the prefix {prefix}: is it logPrefix of Felix, and are these \
                 kernel logs of nodes?"
            ));
        }
        if self.pods() == 0 {
            sentences.push(
                "note: no pod is known: add the output of \
                 `kubectl get pods,namespaces,nodes -A -o json`"
                    .to_owned(),
            );
        } else if !self.knows_pod_ranges {
            sentences.push(
                "note: no range of pod addresses is known, so that pods which are gone may count as \
                 outside: add nodes, the platform, or --pod-cidr"
                    .to_owned(),
            );
        }
        sentences
    }

    fn pods(&self) -> u64 {
        let [_, (pods, _), ..] = self.objects;
        pods
    }

    /// What became of the packets that ask for nothing.
    fn rest(&self) -> String {
        let counts = &self.counts;
        let parts = [
            (counts.declared, "declared already"),
            (counts.replies, "in reply"),
            (counts.repeated, "logged twice"),
            (counts.unclear, "that do not say who connects to which port"),
            (counts.elsewhere, "between others than landing zones"),
            (counts.without_pod, "without a pod"),
        ];
        let parts = parts.into_iter().filter(|(number, _)| *number > 0);
        let parts: Vec<String> = parts
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        if parts.is_empty() {
            String::new()
        } else {
            format!("; besides {}", parts.join(", "))
        }
    }

    fn unknown(&self) -> String {
        let addresses = self.unknown_addresses.iter().map(|unknown| {
            let several = if unknown.several {
                ", which several pods have"
            } else {
                ""
            };
            let packets = count(unknown.packets, "packet");
            format!("{} ({packets}{several})", unknown.address)
        });
        let more = some(self.more_unknown_addresses as u64, " and {} more");
        format!(
            "without a pod: {}{more}",
            addresses.collect::<Vec<_>>().join(", ")
        )
    }
}

/// A part of a sentence with a number in it; nothing where that is 0.
fn some(number: u64, sentence: &str) -> String {
    if number == 0 {
        String::new()
    } else {
        sentence.replace("{}", &number.to_string())
    }
}

#[cfg(test)]
mod tests;
