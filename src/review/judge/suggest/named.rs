//! Ports that a rule names as containers do: which numbers they are in the pods that are known.

use std::collections::BTreeSet;

use super::{DeclaredPorts, Wanted};
use crate::api::Protocol;
use crate::policy::{Endpoint, Way};
use crate::review::covered::transport;
use crate::review::declare::Port;
use crate::review::judge::Selected;
use crate::review::judge::leak::Leak;
use crate::review::landscape::Landscape;

/// A port by the name that containers give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::review::judge) struct PortName {
    pub(super) protocol: Protocol,
    pub(super) name: String,
}

/// `TCP http`
impl std::fmt::Display for PortName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}", self.protocol, self.name)
    }
}

impl PortName {
    /// The numbers of ports that pods call so.
    fn numbers(&self, pods: &[&Endpoint]) -> BTreeSet<u16> {
        let protocol = transport(self.protocol);
        let ports = pods.iter().flat_map(|it| &it.ports);
        let own = ports.filter(|(name, of, _)| *name == self.name && *of == protocol);
        own.map(|(_, _, number)| *number).collect()
    }
}

/// Puts in the numbers of ports that a rule names, as far as pods are known that say them. What it is about decides whose they
/// are: those that the policy selects, or those at the other end.
pub(in crate::review::judge) fn numbered(
    leak: &mut Leak,
    way: Way,
    selected: &Selected<'_>,
    landscape: &Landscape,
) {
    let mut others = std::mem::take(&mut leak.others);
    for one in std::iter::once(&mut *leak).chain(&mut others) {
        let DeclaredPorts::Named(ports, names) = &mut one.declare else {
            continue;
        };
        let pods = match way {
            Way::Ingress => selected_pods(selected, landscape),
            Way::Egress if one.who.is_empty() => Vec::new(),
            Way::Egress => {
                let is_meant =
                    |it: &&Endpoint| one.who.iter().all(|selector| selector.matches(&it.labels));
                landscape.pods.iter().filter(is_meant).collect()
            }
        };
        for name in std::mem::take(names) {
            let numbers = name.numbers(&pods);
            if numbers.is_empty() {
                names.push(name);
                continue;
            }
            let known = numbers.iter().map(|it| Port::one(name.protocol, *it));
            ports.extend(known.filter(|it| !ports.contains(it)).collect::<Vec<_>>());
            one.numbered.push((name, numbers));
        }
        if names.is_empty() {
            one.declare = DeclaredPorts::Some(std::mem::take(ports));
        }
    }
    leak.others = others;
}

/// Pods that a policy selects, among those that are known.
fn selected_pods<'a>(selected: &Selected<'_>, landscape: &'a Landscape) -> Vec<&'a Endpoint> {
    let is_selected = |it: &&Endpoint| {
        let mut pods = selected.pods.iter();
        pods.any(|(namespace, selector)| *namespace == it.namespace && selector.matches(&it.labels))
    };
    landscape.pods.iter().filter(is_selected).collect()
}

/// What has to be written instead of names of ports, so that what is declared is about the rule.
pub(super) fn told(wanted: &Wanted<'_, '_>) -> Vec<String> {
    let (mut numbered, mut unknown): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut is_of_addresses = false;
    for leak in wanted.undeclared() {
        for (name, numbers) in &leak.numbered {
            let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            let told = format!("{} instead of {}", numbers.join(", "), name.name);
            if !numbered.contains(&told) {
                numbered.push(told);
            }
        }
        if let DeclaredPorts::Named(_, names) = &leak.declare {
            is_of_addresses |= leak.holds.is_some() && wanted.way == Way::Egress;
            let names = names.iter().map(ToString::to_string);
            let new: Vec<String> = names.filter(|it| !unknown.contains(it)).collect();
            unknown.extend(new);
        }
    }
    let numbered = (!numbered.is_empty()).then(|| {
        format!(
            "with it, write {} in the ports of the rule: crossings have numbers, and pods that were read call those so",
            numbered.join(" and ")
        )
    });
    let unknown = (!unknown.is_empty()).then(|| {
        let why = if is_of_addresses {
            "addresses have no names of ports"
        } else {
            "no pod that was read calls a port so"
        };
        format!(
            "no crossing can be proposed for {}: crossings have numbers of ports, and {why}: write the numbers",
            unknown.join(" and ")
        )
    });
    numbered.into_iter().chain(unknown).collect()
}
