//! What is reached, in words: `application2/backend → orders/data TCP 5432`.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::reach::{Outsider, Pods, Reached};
use super::spans::{self, Spans};
use crate::api::CrossingDirection;
use crate::domain::LandingZoneName;
use crate::policy::LabelMap;

/// Pods, the direction, whether it is of IPv6, and ports.
type Way<'a> = (&'a Pods, CrossingDirection, bool, Spans);

/// One line for each of the pods, outsiders and ports that belong together. What holds for all pods of a zone is
/// not said again of some of them.
pub(super) fn lines(name: &LandingZoneName, reached: &Reached, nets: &[IpNet]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut by_range: BTreeMap<Way<'_>, Vec<(u128, u128)>> = BTreeMap::new();
    for (key, ports) in reached {
        let more = plainer(key)
            .iter()
            .filter_map(|plain| reached.get(plain))
            .fold(ports.clone(), |left, known| left.without(known));
        if more.is_empty() {
            continue;
        }
        let (own, direction, outsider) = key;
        if let Outsider::Addresses(is_v6, first, last) = outsider {
            let same = by_range.entry((own, *direction, *is_v6, more)).or_default();
            same.push((*first, *last));
            continue;
        }
        lines.push(line(name, own, *direction, &who(outsider), &more));
    }
    for ((own, direction, is_v6, ports), spans) in by_range {
        for range in ranges(&Spans::of(spans), nets, is_v6) {
            lines.push(line(name, own, direction, &range, &ports));
        }
    }
    lines.sort();
    lines
}

fn line(
    name: &LandingZoneName,
    own: &Pods,
    direction: CrossingDirection,
    outsider: &str,
    ports: &Spans,
) -> String {
    let own = pods(name, own);
    let ports = spans::ports_in_words(ports);
    match direction {
        CrossingDirection::Egress => format!("{own} → {outsider} {ports}"),
        CrossingDirection::Ingress => format!("{outsider} → {own} {ports}"),
    }
}

/// The same with fewer labels on either end.
fn plainer(
    (own, direction, outsider): &(Pods, CrossingDirection, Outsider),
) -> Vec<(Pods, CrossingDirection, Outsider)> {
    let plain = |pods: &Pods| Pods {
        labels: LabelMap::new(),
        ..pods.clone()
    };
    let mut outsiders = vec![outsider.clone()];
    if let Outsider::LandingZone(name, theirs) = outsider
        && !theirs.labels.is_empty()
    {
        outsiders.push(Outsider::LandingZone(name.clone(), plain(theirs)));
    }
    let mut owns = vec![own.clone()];
    if !own.labels.is_empty() {
        owns.push(plain(own));
    }
    let all = owns.iter().flat_map(|own| {
        outsiders
            .iter()
            .map(move |it| (own.clone(), *direction, it.clone()))
    });
    all.skip(1).collect()
}

fn pods(name: &LandingZoneName, pods: &Pods) -> String {
    format!("{name}/{}{}", pods.layer, among(&pods.labels))
}

fn among(labels: &LabelMap) -> String {
    if labels.is_empty() {
        String::new()
    } else {
        format!(" ({})", told(labels))
    }
}

fn told(labels: &LabelMap) -> String {
    let labels: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    labels.join(", ")
}

fn who(outsider: &Outsider) -> String {
    match outsider {
        Outsider::LandingZone(name, theirs) => pods(name, theirs),
        Outsider::Foreign(namespaces, pods) => {
            format!("namespaces with {}{}", told(namespaces), among(pods))
        }
        Outsider::AnyPods => "pods of no landing zone".to_owned(),
        Outsider::ApiServer => "the API server".to_owned(),
        Outsider::Elsewhere => "any address".to_owned(),
        Outsider::Addresses(is_v6, first, last) => {
            join(&spans::nets(&Spans::of([(*first, *last)]), *is_v6))
        }
    }
}

/// Addresses by the ranges that declarations name, with what is missing in them where that is shorter.
fn ranges(addresses: &Spans, nets: &[IpNet], is_v6: bool) -> Vec<String> {
    let widest = IpNet::aggregate(&nets.to_vec());
    let mut told = Vec::new();
    for net in &widest {
        let whole = spans::addresses(&[*net], is_v6);
        let part = addresses.and(&whole);
        if part.is_empty() {
            continue;
        }
        let missing = spans::nets(&whole.without(&part), is_v6);
        let exact = spans::nets(&part, is_v6);
        told.push(if missing.is_empty() {
            net.to_string()
        } else if missing.len() <= exact.len() {
            format!("{net} except {}", join(&missing))
        } else {
            join(&exact)
        });
    }
    told
}

fn join(nets: &[IpNet]) -> String {
    let texts: Vec<_> = nets.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
