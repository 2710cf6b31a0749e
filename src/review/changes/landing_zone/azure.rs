//! What a landing zone owns in Azure.

use crate::domain::{LandingZone, LandingZoneAzure, NodePool};
use crate::review::changes::{Change, ChangeKind, Part, Scope, Side, spec};

/// What became of it. Giving up what holds the nodes of landing zones apart has to be approved.
pub(super) fn changes(old: &LandingZone, new: &LandingZone) -> Vec<Change> {
    let (was, is) = (&old.azure, &new.azure);
    let mut changes = Vec::new();
    let mut add = |field: &str, kind, weakens: bool, what: String| {
        let path = spec().key("azure").key(field);
        let message = format!("landing zone {} {what}", new.name);
        let at = (Side::After, path);
        let change = Change::new(Some(&new.name), (Part::Azure, kind), at, message).named(field);
        // No policy says any of it, so none explains it.
        changes.push(change.crossing_if(weakens, Scope::Nothing));
    };
    match (&was.node_pool, &is.node_pool) {
        (None, Some(pool)) => {
            let what = format!("gets nodes of its own: {}", told(pool));
            add("nodePool", ChangeKind::Added, false, what);
        }
        (Some(_), None) => {
            let what = "gives up its nodes: its pods run wherever its placement says";
            add("nodePool", ChangeKind::Removed, true, what.to_owned());
        }
        (Some(was), Some(is)) if was != is => {
            let opens = was.taint && !is.taint;
            let (kind, whom) = if opens {
                (ChangeKind::Lowered, ", and lets pods of others onto them")
            } else {
                (ChangeKind::Changed, "")
            };
            let what = format!("changes its nodes from {} to {}{whom}", told(was), told(is));
            add("nodePool", kind, opens, what);
        }
        _ => {}
    }
    match (was.subnet, is.subnet) {
        (None, Some(subnet)) => {
            let what = format!("gets a subnet of its own, {}", subnet.cidr);
            add("subnet", ChangeKind::Added, false, what);
        }
        (Some(subnet), None) => {
            let what = format!(
                "gives up its subnet {}: its nodes lie in one with others, and no network security group is \
                 between them",
                subnet.cidr
            );
            add("subnet", ChangeKind::Removed, true, what);
        }
        (Some(was), Some(is)) if was != is => {
            let what = format!("moves from subnet {} to {}", ranges(&was), ranges(&is));
            add("subnet", ChangeKind::Moved, false, what);
        }
        _ => {}
    }
    let guarded = |azure: &LandingZoneAzure| azure.has_security_group;
    if guarded(was) != guarded(is) && is.subnet.is_some() {
        let (kind, what) = if guarded(is) {
            (
                ChangeKind::Raised,
                "has a network security group whose rules follow from what is declared",
            )
        } else {
            (
                ChangeKind::Lowered,
                "has no network security group any more that anybody keeps",
            )
        };
        add("networkSecurityGroup", kind, !guarded(is), what.to_owned());
    }
    if was.delete_policy != is.delete_policy {
        let what = format!(
            "changes what becomes of what it owns in Azure from {:?} to {:?}",
            was.delete_policy, is.delete_policy
        );
        add("deletePolicy", ChangeKind::Changed, false, what);
    }
    changes
}

fn ranges(subnet: &crate::domain::Subnet) -> String {
    let ranges = subnet.ranges();
    ranges
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" and ")
}

fn told(pool: &NodePool) -> String {
    let NodePool {
        vm_size,
        min,
        max,
        availability_zones,
        max_pods,
        os_sku,
        taint,
        replace,
    } = pool;
    let zones: Vec<_> = availability_zones.iter().map(ToString::to_string).collect();
    let zones = (!zones.is_empty()).then(|| format!(" in availability zones {}", zones.join(", ")));
    let pods = max_pods.map(|it| format!(", {it} pods each"));
    let taint = if *taint { "" } else { ", without taint" };
    let replaces = if *replace {
        ", in place of another one"
    } else {
        ""
    };
    format!(
        "{min} to {max} of {vm_size} with {os_sku:?}{}{}{taint}{replaces}",
        zones.unwrap_or_default(),
        pods.unwrap_or_default()
    )
}
