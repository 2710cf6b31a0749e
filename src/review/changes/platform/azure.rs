//! Where in Azure the cluster lies.

use super::change;
use crate::build::security_groups_govern_pods;
use crate::domain::{Platform, PlatformAzure, Subnet};
use crate::review::changes::{Change, ChangeKind, Part, spec};

/// What became of it. Whoever lies in the subnets that it names is let in by network security groups, so that naming others has to
/// be approved.
pub(super) fn changes(old: &Platform, new: &Platform) -> Vec<Change> {
    let at = || spec().key("azure");
    let (was, is) = match (&old.azure, &new.azure) {
        (None, None) => return Vec::new(),
        (None, Some(is)) => {
            let message = format!(
                "the platform says that the cluster is {} in Azure",
                is.cluster
            );
            return vec![change(
                (Part::Azure, ChangeKind::Added),
                at(),
                message,
                false,
            )];
        }
        (Some(_), None) => {
            let message = "the platform does not say any more where in Azure the cluster lies: nobody keeps the \
                           network security groups of landing zones";
            return vec![change(
                (Part::Azure, ChangeKind::Removed),
                at(),
                message.to_owned(),
                true,
            )];
        }
        (Some(was), Some(is)) => (was, is),
    };
    let mut changes = Vec::new();
    if security_groups_govern_pods(old) && !security_groups_govern_pods(new) {
        let message = "with this network plugin network security groups see nothing of pods any more: they let all of them in, and \
                       policies alone govern them";
        let at = spec().key("network").key("plugin");
        let lowered = change(
            (Part::Azure, ChangeKind::Lowered),
            at,
            message.to_owned(),
            true,
        );
        changes.push(lowered.named("plugin"));
    }
    let mut add = |path: &[&str], kind, asks: bool, message: String| {
        let at = path.iter().fold(at(), |at, key| at.key(*key));
        changes.push(change((Part::Azure, kind), at, message, asks).named(path.join(".")));
    };
    for (path, text) in PLACES {
        let (before, after) = (text(was), text(is));
        if before != after {
            let message = format!(
                "{} of the cluster in Azure changes from {before} to {after}: nobody keeps any more what was made there",
                path.join(".")
            );
            add(path, ChangeKind::Changed, true, message);
        }
    }
    if was.virtual_network.cidrs != is.virtual_network.cidrs {
        let message = "the ranges of the virtual network change: whoever lies there reaches DNS, kubelets and shared services of \
                       the system pool"
            .to_owned();
        add(
            &["virtualNetwork", "cidrs"],
            ChangeKind::Widened,
            true,
            message,
        );
    }
    api_server(was, is, &mut add);
    subnets(was, is, &mut add);
    match (&was.route_table, &is.route_table) {
        (before, after) if before == after => {}
        (None, Some(table)) => {
            let message = format!("subnets of landing zones get the route table {table}");
            add(&["hub", "routeTable"], ChangeKind::Added, false, message);
        }
        (before, after) => {
            let none = || "none".to_owned();
            let message = format!(
                "the route table of the landing zones' subnets changes from {} to {}: what leaves the virtual network goes \
                 another way",
                before.clone().unwrap_or_else(none),
                after.clone().unwrap_or_else(none)
            );
            add(&["hub", "routeTable"], ChangeKind::Lowered, true, message);
        }
    }
    firewall(was, is, &mut add);
    if was.node_provisioning != is.node_provisioning {
        let message = "the nodes of landing zones are made by another: new ones come for every pool, and those of before stay until \
                       azure.deletePolicy and their pods let them go"
            .to_owned();
        add(&["nodeProvisioning"], ChangeKind::Changed, true, message);
    }
    if was.service_operator != is.service_operator {
        let message = "who makes what landing zones own in Azure changes".to_owned();
        add(&["serviceOperator"], ChangeKind::Changed, false, message);
    }
    changes
}

/// A field, and what it says.
type Place = (&'static [&'static str], fn(&PlatformAzure) -> &str);

/// What a cluster is found by.
const PLACES: [Place; 6] = [
    (&["subscription"], |it| &it.subscription),
    (&["resourceGroup"], |it| &it.resource_group),
    (&["location"], |it| &it.location),
    (&["cluster"], |it| &it.cluster),
    (&["virtualNetwork", "name"], |it| &it.virtual_network.name),
    (&["virtualNetwork", "resourceGroup"], |it| {
        &it.virtual_network.resource_group
    }),
];

type Add<'a> = dyn FnMut(&[&str], ChangeKind, bool, String) + 'a;

fn api_server(was: &PlatformAzure, is: &PlatformAzure, add: &mut Add<'_>) {
    if was.api_server_subnet != is.api_server_subnet {
        let (kind, asks, message) = match is.api_server_subnet {
            Some(range) => (
                ChangeKind::Widened,
                true,
                format!("the API server in {range} may talk to the nodes of every landing zone"),
            ),
            None => (
                ChangeKind::Narrowed,
                false,
                "no subnet of the API server is let in any more".to_owned(),
            ),
        };
        add(&["apiServerSubnet"], kind, asks, message);
    }
}

fn firewall(was: &PlatformAzure, is: &PlatformAzure, add: &mut Add<'_>) {
    let path = ["hub", "firewall"];
    match (&was.firewall, &is.firewall) {
        (None, None) => {}
        (None, Some(firewall)) => {
            let message = format!(
                "landing zones may declare fqdns, which the firewall policy {} lets through",
                firewall.policy
            );
            add(&path, ChangeKind::Added, false, message);
        }
        (Some(_), None) => {
            let message = "no firewall lets fqdns through any more: what landing zones declare of them is closed".to_owned();
            add(&path, ChangeKind::Narrowed, false, message);
        }
        (Some(before), Some(after)) if before.policy != after.policy => {
            let message = format!(
                "the firewall policy that lets fqdns through changes from {} to {}: in the old one they stay open until somebody \
                 deletes them",
                before.policy, after.policy
            );
            add(&path, ChangeKind::Changed, true, message);
        }
        (Some(before), Some(after)) if before == after => {}
        (Some(_), Some(_)) => {
            let message = "how rules get into the firewall policy changes".to_owned();
            add(&path, ChangeKind::Changed, false, message);
        }
    }
}

fn subnets(was: &PlatformAzure, is: &PlatformAzure, add: &mut Add<'_>) {
    let (old, new) = (&was.system_subnet, &is.system_subnet);
    if old.name != new.name {
        let message = format!(
            "the system pool's subnet is called {} and not {}",
            new.name, old.name
        );
        add(
            &["systemSubnet", "name"],
            ChangeKind::Changed,
            false,
            message,
        );
    }
    if old.subnet != new.subnet {
        let message = format!(
            "the system pool's subnet changes from {} to {}: whoever lies there reaches the nodes of every landing zone",
            told(&old.subnet),
            told(&new.subnet)
        );
        add(
            &["systemSubnet", "cidr"],
            ChangeKind::Widened,
            true,
            message,
        );
    }
    if old.has_security_group != new.has_security_group {
        let (kind, what) = if new.has_security_group {
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
        let message = format!("the system pool's subnet {what}");
        add(
            &["systemSubnet", "networkSecurityGroup"],
            kind,
            !new.has_security_group,
            message,
        );
    }
    if old.application_gateway != new.application_gateway {
        let (kind, asks, message) = match new.application_gateway {
            Some(range) => (
                ChangeKind::Widened,
                true,
                format!("the Application Gateway in {range} may talk to the system pool"),
            ),
            None => (
                ChangeKind::Narrowed,
                false,
                "no Application Gateway may talk to the system pool any more".to_owned(),
            ),
        };
        add(&["systemSubnet", "applicationGateway"], kind, asks, message);
    }
    let names = |azure: &PlatformAzure| -> Vec<String> {
        azure
            .shared_subnets
            .iter()
            .map(|it| it.name.clone())
            .collect()
    };
    let ranges = |azure: &PlatformAzure| {
        let mut ranges: Vec<_> = azure
            .shared_subnets
            .iter()
            .map(|it| told(&it.subnet))
            .collect();
        ranges.sort();
        ranges
    };
    if ranges(was) != ranges(is) {
        let message = format!(
            "the subnets that landing zones share change from {} to {}: what is open to one of those who share them is open \
             to whoever lies there",
            ranges(was).join(", "),
            ranges(is).join(", ")
        );
        add(&["sharedSubnets"], ChangeKind::Widened, true, message);
    } else if names(was) != names(is) {
        let message = "the names of subnets that landing zones share change".to_owned();
        add(&["sharedSubnets"], ChangeKind::Changed, false, message);
    }
}

fn told(subnet: &Subnet) -> String {
    let ranges = subnet.ranges();
    ranges
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" and ")
}
