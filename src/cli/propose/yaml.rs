//! Proposals as YAML to paste: a fragment for each landing zone, and for the platform a comment.

use std::fmt::Write as _;

use super::proposal::{
    LandingZoneProposals, Observed, Proposal, Proposals, SharedServiceProposal, SourceKind,
};
use super::wording::{count, one_line};
use crate::cli::output::write_text;
use crate::review::declare::{Cidr, Entry, Peer, Port, Selector, ServicePeer, SharedService};

/// Flows that a landing zone takes.
const MAX_FLOWS: usize = 100;
/// Entries that each of its other lists takes.
const MAX_ENTRIES: usize = 50;

/// Writes proposals; the same bytes for the same proposals. `beyond` packets count nowhere.
#[must_use]
pub fn print(proposals: &Proposals, beyond: u64) -> String {
    let mut out = Text::default();
    if beyond > 0 {
        let packets = count(beyond, "packet");
        out.comment(
            0,
            &format!("Not complete: {packets} beyond what is told apart."),
        );
    }
    let entries = proposals
        .landing_zones
        .iter()
        .any(|it| it.has_entries() || !it.to_acknowledge.is_empty());
    if entries {
        out.comment(
            0,
            "What was logged and no declaration allows. Each entry opens something: keep what is \
             meant to be.",
        );
    } else {
        out.comment(0, "No entry to propose.");
    }
    for landing_zone in &proposals.landing_zones {
        out.landing_zone(landing_zone);
    }
    if !proposals.shared_services.is_empty() {
        out.platform(&proposals.shared_services);
    }
    out.text
}

/// One entry of a list of `spec.network` as a fragment to paste, indented by so much.
#[must_use]
pub fn fragment(list: &str, entry: &Entry, indent: usize) -> String {
    let mut out = Text::default();
    out.line(indent, "spec:");
    out.line(indent + 2, "network:");
    out.line(indent + 4, &format!("{list}:"));
    out.entry(indent + 4, entry);
    out.text
}

/// A shared service of the platform as a fragment to paste, indented by so much.
#[must_use]
pub fn shared_service_fragment(service: &SharedService, indent: usize) -> String {
    let mut out = Text::default();
    out.line(indent, "spec:");
    out.line(indent + 2, "sharedServices:");
    out.shared_service(indent + 2, service);
    out.text
}

#[derive(Default)]
struct Text {
    text: String,
    /// Whether all that is written is a comment.
    as_comment: bool,
}

impl Text {
    fn line(&mut self, indent: usize, line: &str) {
        if self.as_comment {
            self.text.push_str("# ");
        }
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn comment(&mut self, indent: usize, comment: &str) {
        self.line(indent, &format!("# {}", one_line(comment)));
    }

    fn landing_zone(&mut self, proposals: &LandingZoneProposals) {
        self.line(0, if proposals.has_entries() { "---" } else { "" });
        self.comment(0, &format!("LandingZone {}", proposals.landing_zone));
        for covered in &proposals.covered {
            let packets = count(covered.packets, "packet");
            self.comment(0, &format!("Declared already: {packets} by {}", covered.by));
        }
        for packets in &proposals.undeclarable {
            self.comment(
                0,
                &format!(
                    "No entry for {} from {} to {} ({}): {}",
                    packets.what,
                    packets.from,
                    packets.to,
                    seen(&packets.observed),
                    packets.why
                ),
            );
        }
        if proposals.has_entries() {
            self.line(0, "spec:");
            self.line(2, "network:");
            self.flows(proposals);
            self.asks(proposals);
            let declared = &proposals.declared;
            self.too_many("egress", declared.egress, proposals.egress.len());
            self.entries("egress", &proposals.egress);
            self.too_many("ingress", declared.ingress, proposals.ingress.len());
            self.entries("ingress", &proposals.ingress);
        }
        self.unacknowledged(&proposals.to_acknowledge);
        self.missing_services(&proposals.missing_shared_services);
    }

    fn flows(&mut self, proposals: &LandingZoneProposals) {
        let (declared, flows) = (proposals.declared.flows, &proposals.flows);
        if !flows.is_empty() && declared == 0 {
            let warning = "No flow is declared so far, and so all is free inside. Once one is, only \
                 those declared pass.";
            self.comment(4, warning);
        }
        self.too_many("flows", declared, flows.len());
        self.entries("flows", flows);
    }

    fn too_many(&mut self, list: &str, declared: usize, proposed: usize) {
        let most = if list == "flows" {
            MAX_FLOWS
        } else {
            MAX_ENTRIES
        };
        let all = declared + proposed;
        if proposed > 0 && all > most {
            let warning = format!(
                "With those declared these are {all} {list}, and a landing zone takes {most}: join \
                 ports to ranges by endPort, addresses to ranges, or leave out ports."
            );
            self.comment(4, &warning);
        }
    }

    fn asks(&mut self, proposals: &LandingZoneProposals) {
        let asks = &proposals.shared_services;
        if asks.is_empty() {
            return;
        }
        let list = "sharedServices";
        self.too_many(list, proposals.declared.shared_services, asks.len());
        self.line(4, &format!("{list}:"));
        for ask in asks {
            self.comment(4, &seen(&ask.observed));
            self.line(4, &format!("- {}", text(&ask.name)));
        }
    }

    fn entries(&mut self, list: &str, proposals: &[Proposal]) {
        if proposals.is_empty() {
            return;
        }
        self.line(4, &format!("{list}:"));
        for proposal in proposals {
            self.comment(4, &seen(&proposal.observed));
            if proposal.observed.more_addresses {
                self.comment(4, "There were more addresses: declare their range.");
            }
            self.entry(4, &proposal.entry);
        }
    }

    /// Entries that nobody shall paste without a thought, as comments.
    fn unacknowledged(&mut self, proposals: &[Proposal]) {
        if proposals.is_empty() {
            return;
        }
        self.as_comment = true;
        self.line(
            0,
            "For spec.network.egress, once somebody acknowledges that these addresses give out \
             identity tokens:",
        );
        for proposal in proposals {
            self.comment(2, &seen(&proposal.observed));
            self.entry(2, &proposal.entry);
        }
        self.as_comment = false;
    }

    fn missing_services(&mut self, names: &[String]) {
        if names.is_empty() {
            return;
        }
        self.comment(0, "For spec.network, once the platform has these (below):");
        self.comment(0, "  sharedServices:");
        for name in names {
            self.comment(0, &format!("  - {}", text(name)));
        }
    }

    fn platform(&mut self, proposals: &[SharedServiceProposal]) {
        self.line(0, "");
        self.as_comment = true;
        self.line(
            0,
            "LandingZonePlatform cluster: what only its team can open, for spec.sharedServices.",
        );
        self.line(0, "Narrow namespaces by a podSelector where you can.");
        self.line(2, "sharedServices:");
        for proposal in proposals {
            let users = proposal.landing_zones.join(", ");
            let seen = seen(&proposal.observed);
            self.comment(2, &format!("{seen}; for {users}"));
            if proposal.observed.more_addresses {
                self.comment(2, "There were more addresses: declare their range.");
            }
            if let Some(doubt) = &proposal.doubt {
                self.comment(2, &format!("Perhaps no shared service: {doubt}"));
            }
            self.shared_service(2, &proposal.entry);
        }
        self.as_comment = false;
    }

    fn entry(&mut self, indent: usize, entry: &Entry) {
        self.line(indent, &format!("- name: {}", text(&entry.name)));
        self.peer(indent + 2, "from", &entry.from);
        self.peer(indent + 2, "to", &entry.to);
        if !entry.ports.is_empty() {
            self.line(indent + 2, &ports(&entry.ports));
        }
        if let Some(acknowledge) = entry.acknowledge {
            self.line(indent + 2, &format!("acknowledge: {acknowledge:?}"));
        }
    }

    fn peer(&mut self, indent: usize, field: &str, peer: &Peer) {
        if let [cidr] = peer.cidrs.as_slice() {
            let cidr = address(*cidr);
            return self.line(indent, &format!("{field}: {{cidrs: [{cidr}]}}"));
        }
        if peer.api_server {
            return self.line(indent, &format!("{field}: {{apiServer: true}}"));
        }
        let names = [
            ("landingZone", &peer.landing_zone),
            ("zone", &peer.zone),
            ("destination", &peer.destination),
        ];
        let names = names.map(|(key, name)| name.as_ref().map(|name| (key, text(name))));
        let names: Vec<String> = names
            .into_iter()
            .flatten()
            .map(|(key, name)| format!("{key}: {name}"))
            .collect();
        if peer.cidrs.is_empty() && peer.pod_selector.is_none() {
            return self.line(indent, &format!("{field}: {{{}}}", names.join(", ")));
        }
        self.line(indent, &format!("{field}:"));
        for name in names {
            self.line(indent + 2, &name);
        }
        if let Some(selector) = &peer.pod_selector {
            self.line(indent + 2, "podSelector:");
            self.labels(indent + 4, selector);
        }
        if !peer.cidrs.is_empty() {
            self.line(indent + 2, "cidrs:");
            self.addresses(indent + 2, &peer.cidrs);
        }
    }

    fn labels(&mut self, indent: usize, selector: &Selector) {
        self.line(indent, "matchLabels:");
        for (key, value) in &selector.match_labels {
            self.line(indent + 2, &format!("{}: {}", text(key), text(value)));
        }
    }

    fn addresses(&mut self, indent: usize, ranges: &[Cidr]) {
        for range in ranges {
            self.line(indent, &format!("- {}", address(*range)));
        }
    }

    fn shared_service(&mut self, indent: usize, service: &SharedService) {
        self.line(indent, &format!("- name: {}", text(&service.name)));
        self.line(indent + 2, "peers:");
        for peer in &service.peers {
            match peer {
                ServicePeer::NamespaceSelector(selector) => {
                    self.line(indent + 2, "- namespaceSelector:");
                    self.labels(indent + 6, selector);
                }
                ServicePeer::Nodes(nodes) => self.line(indent + 2, &format!("- nodes: {nodes}")),
                ServicePeer::Cidrs(ranges) => {
                    self.line(indent + 2, "- cidrs:");
                    self.addresses(indent + 4, ranges);
                }
            }
        }
        self.line(indent + 2, &format!("direction: {:?}", service.direction));
        if !service.ports.is_empty() {
            self.line(indent + 2, &ports(&service.ports));
        }
        let users = service.landing_zones;
        self.line(indent + 2, &format!("landingZones: {users}"));
    }
}

/// What was seen, for people.
fn seen(observed: &Observed) -> String {
    let kind = match observed.source_kind {
        SourceKind::Pod => "pod",
        SourceKind::Node => "node",
        SourceKind::Address => "address",
    };
    let sources = observed.sources as u64;
    let sources = if observed.more_sources {
        format!("more than {}", count(sources, kind))
    } else {
        count(sources, kind)
    };
    format!(
        "{} from {sources}, for instance {} to {}",
        count(observed.packets, "packet"),
        observed.example.from,
        observed.example.to
    )
}

fn ports(ports: &[Port]) -> String {
    let mut line = "ports: [".to_owned();
    for (index, it) in ports.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let last = it.end_port.map(|last| format!(", endPort: {last}"));
        let (protocol, port, last) = (it.protocol, it.port, last.unwrap_or_default());
        // Writing to a String cannot fail.
        let _ = write!(
            line,
            "{comma}{{protocol: {protocol:?}, port: {port}{last}}}"
        );
    }
    line + "]"
}

/// A range; with colons in it, it is quoted, since YAML takes some of those for keys or numbers.
fn address(range: Cidr) -> String {
    if range.0.addr().is_ipv4() {
        range.to_string()
    } else {
        format!("\"{range}\"")
    }
}

fn text(value: &str) -> String {
    let mut out = String::new();
    write_text(&mut out, value);
    out
}

#[cfg(test)]
mod tests;
