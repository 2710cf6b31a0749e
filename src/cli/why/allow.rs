//! What a team would have to write into a policy of its own, where that denies what was asked for.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::end::{Asked, End};
use crate::api::names::{APPLICATION_CODE, METADATA_NAME, ZONE};
use crate::cli::landscape::{Landscape, PlaceKind};
use crate::cli::output::write_text;
use crate::policy::{Decider, LabelMap, Link, PolicyId, PolicyKind, TransportProtocol, Way};

/// Who is meant at the other end of a rule.
enum Peer {
    /// All pods of namespaces with these labels.
    Labelled(Vec<(String, String)>),
    /// All pods of namespaces of these names.
    Named(BTreeSet<String>),
    /// The cluster's DNS.
    Dns,
    /// An address.
    Address(String),
}

/// What the policies of teams say that deny it, each with the rule that would let it pass; nothing where none does.
pub(super) fn rules(
    landscape: &Landscape,
    from: &End<'_>,
    asked: &Asked<'_>,
    denying: &[(Way, Link)],
) -> String {
    let mut text = String::new();
    let mut told = BTreeSet::new();
    let mut fragments: Vec<(String, String)> = Vec::new();
    for (way, link) in denying {
        let (list, other) = match way {
            Way::Egress => ("egress", &asked.end),
            Way::Ingress => ("ingress", from),
        };
        let peer = peer(landscape, other);
        for (id, why, first) in deciding(&link.by, list) {
            if !told.insert((id.clone(), list)) {
                continue;
            }
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "{id} is of a team, which decides inside its boundary: {why}; "
            );
            let Some(peer) = &peer else {
                let _ = writeln!(
                    text,
                    "a rule there that allows who is meant would let it pass: ask again with pods, a zone or an address"
                );
                continue;
            };
            let fragment = fragment(id.kind, (*way, list), peer, asked.port);
            let same = fragments.iter().find(|(_, known)| *known == fragment);
            if let Some((known, _)) = same.filter(|_| !first) {
                let _ = writeln!(text, "what {known} says would do here as well");
                continue;
            }
            let place = if first { ", before that" } else { "" };
            let _ = write!(text, "to let it pass, it says{place}\n{fragment}");
            fragments.push((id.to_string(), fragment));
        }
    }
    text
}

/// The policies of teams that deny, what does so there, and whether that has to come after what would allow.
fn deciding<'a>(by: &'a Decider, list: &str) -> Vec<(&'a PolicyId, String, bool)> {
    let is_team = |id: &PolicyId| matches!(id.kind, PolicyKind::Kubernetes | PolicyKind::Calico);
    match by {
        Decider::Rule(id, index) if is_team(id) => {
            let why = format!("rule {} of its {list} denies it", index + 1);
            vec![(id, why, true)]
        }
        Decider::EndOfTier(_, policies) => {
            let own = policies.iter().filter(|id| is_team(id));
            let why = format!("no rule of its {list} allows it");
            own.map(|id| (id, why.clone(), false)).collect()
        }
        _ => Vec::new(),
    }
}

fn peer(landscape: &Landscape, end: &End<'_>) -> Option<Peer> {
    if let Some(address) = end.address {
        let length = if address.is_ipv4() { 32 } else { 128 };
        return Some(Peer::Address(format!("{address}/{length}")));
    }
    let place = end.place?;
    match place.kind {
        PlaceKind::Dns => return Some(Peer::Dns),
        PlaceKind::Namespaces => {
            let name = place.name.namespace()?;
            return Some(Peer::Named([name.to_owned()].into()));
        }
        PlaceKind::Zone => {}
        _ => return None,
    }
    let names = landscape.namespaces_of(&place.name);
    let label = |name: &str, key: &str| {
        let labels: &LabelMap = landscape.namespaces.get(name)?;
        Some((key.to_owned(), labels.get(key)?.clone()))
    };
    let labels = |name: &&str| Some(vec![label(name, APPLICATION_CODE)?, label(name, ZONE)?]);
    let all: Vec<_> = names.iter().map(labels).collect();
    match all.first() {
        Some(Some(labels)) if all.iter().all(|it| it.as_ref() == Some(labels)) => {
            Some(Peer::Labelled(labels.clone()))
        }
        _ => Some(Peer::Named(names.into_iter().map(str::to_owned).collect())),
    }
}

/// The rule, as it is put into a policy.
fn fragment(
    kind: PolicyKind,
    (way, list): (Way, &str),
    peer: &Peer,
    port: Option<(TransportProtocol, u16)>,
) -> String {
    let mut out = format!("  spec:\n    {list}:\n");
    // Writing to a String cannot fail.
    let _ = if kind == PolicyKind::Kubernetes {
        let end = match way {
            Way::Egress => "to",
            Way::Ingress => "from",
        };
        let of_kubernetes = of_kubernetes(peer);
        let _ = writeln!(out, "    - {end}:\n      - {of_kubernetes}");
        port.map_or(Ok(()), |(protocol, port)| {
            writeln!(out, "      ports: [{{protocol: {protocol}, port: {port}}}]")
        })
    } else {
        out.push_str("    - action: Allow\n");
        if let Some((protocol, _)) = port {
            let _ = writeln!(out, "      protocol: {protocol}");
        }
        let end = match way {
            Way::Egress => "destination",
            Way::Ingress => "source",
        };
        let of_calico = of_calico(peer);
        let _ = write!(out, "      {end}:\n{of_calico}");
        match (way, port) {
            (_, None) => Ok(()),
            (Way::Egress, Some((_, port))) => writeln!(out, "        ports: [{port}]"),
            (Way::Ingress, Some((_, port))) => {
                writeln!(out, "      destination:\n        ports: [{port}]")
            }
        }
    };
    out
}

fn of_kubernetes(peer: &Peer) -> String {
    let listed = |pairs: &[(String, String)]| {
        let pairs = pairs.iter().map(|(key, value)| {
            let mut text = format!("{key}: ");
            write_text(&mut text, value);
            text
        });
        pairs.collect::<Vec<_>>().join(", ")
    };
    let own = |name: &str| [(METADATA_NAME.to_owned(), name.to_owned())];
    match peer {
        Peer::Labelled(labels) => {
            format!("namespaceSelector: {{matchLabels: {{{}}}}}", listed(labels))
        }
        Peer::Named(names) => {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            if let [name] = names[..] {
                return format!(
                    "namespaceSelector: {{matchLabels: {{{}}}}}",
                    listed(&own(name))
                );
            }
            format!(
                "namespaceSelector: {{matchExpressions: [{{key: {METADATA_NAME}, operator: In, values: [{}]}}]}}",
                names.join(", ")
            )
        }
        Peer::Dns => format!(
            "namespaceSelector: {{matchLabels: {{{}}}}}\n        podSelector: {{matchLabels: {{k8s-app: kube-dns}}}}",
            listed(&own("kube-system"))
        ),
        Peer::Address(net) => format!("ipBlock: {{cidr: \"{net}\"}}"),
    }
}

fn of_calico(peer: &Peer) -> String {
    match peer {
        Peer::Labelled(labels) => {
            let asked = labels
                .iter()
                .map(|(key, value)| format!("{key} == '{value}'"));
            let asked: Vec<_> = asked.collect();
            format!("        namespaceSelector: {}\n", asked.join(" && "))
        }
        Peer::Named(names) => {
            let names: Vec<_> = names.iter().map(|it| format!("'{it}'")).collect();
            format!(
                "        namespaceSelector: {METADATA_NAME} in {{{}}}\n",
                names.join(", ")
            )
        }
        Peer::Dns => format!(
            "        namespaceSelector: {METADATA_NAME} == 'kube-system'\n        selector: k8s-app == 'kube-dns'\n"
        ),
        Peer::Address(net) => format!("        nets: [\"{net}\"]\n"),
    }
}
