//! Entries in one line of YAML, for sentences.

use std::fmt::Write as _;

use super::entry::{Cidr, Entry, Peer, Port};

/// Entries of a list of `spec.network`, `{egress: [{name: …}, …]}`.
#[must_use]
pub fn in_one_line(list: &str, entries: &[Entry]) -> String {
    let entries: Vec<String> = entries.iter().map(entry).collect();
    format!("{{{list}: [{}]}}", entries.join(", "))
}

fn entry(entry: &Entry) -> String {
    let mut text = format!("{{name: {}", scalar(&entry.name));
    // Writing to a String cannot fail.
    if let Some(reason) = &entry.reason {
        let _ = write!(text, ", reason: {}", scalar(reason));
    }
    for (field, end) in [("from", &entry.from), ("to", &entry.to)] {
        let end = peer(end);
        if !end.is_empty() {
            let _ = write!(text, ", {field}: {{{end}}}");
        }
    }
    if !entry.ports.is_empty() {
        let _ = write!(text, ", ports: {}", ports_in_one_line(&entry.ports));
    }
    if let Some(by) = entry.acknowledge {
        let _ = write!(text, ", acknowledge: {by:?}");
    }
    text.push('}');
    text
}

fn peer(peer: &Peer) -> String {
    let named = [
        ("landingZone", &peer.landing_zone),
        ("zone", &peer.zone),
        ("destination", &peer.destination),
    ];
    let named = named.into_iter();
    let mut parts: Vec<String> = named
        .filter_map(|(field, name)| Some(format!("{field}: {}", scalar(name.as_ref()?))))
        .collect();
    if let Some(selector) = &peer.pod_selector {
        let labels = selector.match_labels.iter();
        let labels: Vec<String> = labels
            .map(|(key, value)| format!("{}: {}", scalar(key), scalar(value)))
            .collect();
        parts.push(format!(
            "podSelector: {{matchLabels: {{{}}}}}",
            labels.join(", ")
        ));
    }
    for (field, ranges) in [("cidrs", &peer.cidrs), ("except", &peer.except)] {
        if !ranges.is_empty() {
            parts.push(format!("{field}: {}", ranges_in_one_line(ranges)));
        }
    }
    if peer.api_server {
        parts.push("apiServer: true".to_owned());
    }
    parts.join(", ")
}

/// Ports as a list, `[{protocol: TCP, port: 443}]`.
#[must_use]
pub fn ports_in_one_line(ports: &[Port]) -> String {
    let ports: Vec<String> = ports.iter().copied().map(port).collect();
    format!("[{}]", ports.join(", "))
}

fn port(port: Port) -> String {
    let last = port.end_port.map(|last| format!(", endPort: {last}"));
    let Port { protocol, port, .. } = port;
    format!(
        "{{protocol: {protocol:?}, port: {port}{}}}",
        last.unwrap_or_default()
    )
}

/// Ranges as a list, `[203.0.113.0/24]`.
#[must_use]
pub fn ranges_in_one_line(ranges: &[Cidr]) -> String {
    let ranges: Vec<String> = ranges.iter().map(range).collect();
    format!("[{}]", ranges.join(", "))
}

/// In a list of YAML in one line, a colon can be taken for something else.
fn range(range: &Cidr) -> String {
    if range.0.addr().is_ipv4() {
        range.to_string()
    } else {
        format!("\"{range}\"")
    }
}

/// Text as whoever reads YAML takes it for text: without quotes where it is a word.
fn scalar(text: &str) -> String {
    const RESERVED: [&str; 11] = [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf",
    ];
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-./_".contains(c))
        && RESERVED.iter().all(|it| !text.eq_ignore_ascii_case(it));
    if is_word {
        return text.to_owned();
    }
    // JSON is YAML.
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::{EgressCrossing, Protocol, RangeAcknowledgement};
    use crate::review::declare::Selector;

    #[test]
    fn what_is_written_is_what_is_read() {
        let pairs = [
            ("app", "true"),
            ("example.com/tier", "1e3"),
            ("role", "web"),
        ];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let range = |text: &str| Cidr(text.parse().unwrap());
        let entry = Entry {
            reason: Some("a \"b\": c, #1"),
            acknowledge: Some(RangeAcknowledgement::AllAddresses),
            ports: vec![
                Port::one(Protocol::TCP, 443),
                Port {
                    end_port: Some(90),
                    ..Port::one(Protocol::UDP, 80)
                },
            ],
            ..Entry::new(
                "to-x".to_owned(),
                Peer {
                    zone: Some("123".to_owned()),
                    pod_selector: Some(Selector {
                        match_labels: BTreeMap::from(pairs),
                    }),
                    ..Peer::default()
                },
                Peer {
                    cidrs: vec![range("0.0.0.0/0"), range("2001:db8::/32")],
                    except: vec![range("10.0.0.0/8")],
                    ..Peer::default()
                },
                None,
            )
        };
        let text = in_one_line("egress", std::slice::from_ref(&entry));
        let read: BTreeMap<String, Vec<EgressCrossing>> = serde_saphyr::from_str(&text).unwrap();
        let written: EgressCrossing =
            serde_json::from_value(serde_json::to_value(&entry).unwrap()).unwrap();
        assert_eq!(read["egress"], [written], "{text}");
    }
}
