//! Which ranges of a rule Felix checks.
//!
//! iptables takes one range and 15 ports at each end of a rule. What has more becomes a block of rules of its own. The mark
//! by which a block says that it matched is not taken back before the next one, so that from the third block on each
//! counts as matched (Calico's `felix/rules/policy.go`, 3.28 and later; found by packets).

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::model::{PolicyRule, PortMatch};

/// Slots for ports in one rule of iptables; a range takes two.
const SLOTS: usize = 15;
/// Blocks that are checked.
const CHECKED: usize = 2;

/// A rule as Felix checks it: ranges that it does not check are every address. Blocks of ports come first, so those
/// are checked.
pub(super) fn as_checked(mut rule: PolicyRule) -> PolicyRule {
    let ends = [&rule.source.ports, &rule.destination.ports];
    let of_ports = ends.iter().filter(|ports| is_block(ports)).count();
    for everything in [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())] {
        let is_v6 = |net: &IpNet| matches!(net, IpNet::V6(_));
        let mut blocks = of_ports;
        for nets in [&mut rule.source.nets, &mut rule.destination.nets] {
            let Some(nets) = nets else { continue };
            let of_family = |net: &IpNet| is_v6(net) == is_v6(&everything);
            if nets.iter().filter(|net| of_family(net)).count() < 2 {
                continue;
            }
            blocks += 1;
            if blocks > CHECKED {
                nets.retain(|net| !of_family(net));
                nets.push(everything);
            }
        }
    }
    rule
}

/// Whether ports need more than one rule of iptables; each name takes one.
fn is_block(ports: &[PortMatch]) -> bool {
    let (mut rules, mut free) = (0, 0);
    for port in ports {
        let slots = match port {
            PortMatch::Named(_) => {
                rules += 1;
                continue;
            }
            PortMatch::Range(first, last) if first == last => 1,
            PortMatch::Range(..) => 2,
        };
        if free < slots {
            rules += 1;
            free = SLOTS;
        }
        free -= slots;
    }
    rules > 1
}
