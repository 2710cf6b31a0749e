use rstest::rstest;

use super::*;
use crate::cli::propose::fixture::{Cluster, DUMPED};

fn inventory(cluster: &Cluster) -> Inventory {
    Inventory::new(&cluster.dump, &cluster.zones, &cluster.platform)
}

fn locate(inventory: &Inventory, address: &str) -> Result<Located, Unknown> {
    inventory.locate(address.parse().unwrap(), false)
}

/// Who has an address in a cluster with these pods and nodes.
fn holder(dumped: &[&str], address: &str) -> Result<String, Unknown> {
    let cluster = Cluster::with(
        &dumped
            .join("\n---\n")
            .replace("kind:", "apiVersion: v1\nkind:"),
    );
    locate(&inventory(&cluster), address).map(|located| located.name.to_string())
}

fn pod(name: &str, status: &str) -> String {
    format!("kind: Pod\nmetadata: {{name: {name}, namespace: n}}\nstatus: {{{status}}}")
}

#[test]
fn pods_are_in_the_zone_of_their_declared_namespace() {
    let located = locate(&inventory(Cluster::usual()), "10.244.2.1").unwrap();
    assert_eq!(&*located.name, "shop-api/api-1");
    let End::Zone {
        landing_zone,
        zone,
        pods,
    } = located.end
    else {
        panic!("{located:?}");
    };
    assert_eq!((&*landing_zone, &*zone, pods), ("shop", "backend", None));
}

#[rstest]
#[case::namespace("10.244.5.1", &End::Namespace("monitoring".into()))]
#[case::only_labelled("10.244.5.2", &End::Namespace("shop-old".into()))]
#[case::node("10.240.0.4", &End::Node)]
#[case::node_of_a_known_range("10.240.0.77", &End::Node)]
#[case::metadata("169.254.169.254", &End::Metadata([169, 254, 169, 254].into()))]
#[case::wire_server("168.63.129.16", &End::Metadata([168, 63, 129, 16].into()))]
#[case::outside("203.0.113.7", &End::Outside)]
#[case::outside_by_ipv6("2001:db8::1", &End::Outside)]
fn everything_else_is_beside_the_landing_zones(#[case] address: &str, #[case] end: &End) {
    let located = locate(&inventory(Cluster::usual()), address).unwrap();
    assert_eq!(located.end, *end);
}

#[test]
fn namespaces_of_no_landing_zone_are_known_by_their_labels() {
    let inventory = inventory(Cluster::usual());
    let labels = |address: &str| {
        let located = locate(&inventory, address).unwrap();
        located.namespace_labels.map(|labels| (*labels).clone())
    };
    let edge = labels("10.244.7.1").unwrap();
    assert_eq!(
        (&*edge["tier"], &*edge[names::METADATA_NAME]),
        ("edge", "edge")
    );
    // It is not among the namespaces that were dumped.
    assert_eq!(
        labels("10.244.5.1").unwrap()[names::METADATA_NAME],
        "monitoring"
    );
    assert_eq!(labels("10.244.1.1"), None);
}

#[test]
fn an_address_of_a_pod_that_is_not_known_is_not_outside() {
    let inventory = inventory(Cluster::usual());
    assert!(inventory.knows_pod_ranges());
    assert_eq!(
        locate(&inventory, "10.244.99.1").unwrap_err(),
        Unknown::Gone
    );
    let outside = "203.0.113.7".parse().unwrap();
    assert_eq!(inventory.locate(outside, true).unwrap_err(), Unknown::Gone);
}

#[test]
fn ranges_of_pods_come_from_nodes_as_well() {
    let node = "kind: Node\nmetadata: {name: a}\nspec: {podCIDR: 10.9.0.0/24, podCIDRs: [10.9.0.0/24, fd00::/64]}";
    assert_eq!(holder(&[node], "10.9.0.7"), Err(Unknown::Gone));
    assert_eq!(holder(&[node], "fd00::7"), Err(Unknown::Gone));
    assert_eq!(holder(&[node], "10.9.1.7").unwrap(), "10.9.1.7");
}

#[test]
fn pods_on_the_host_s_network_are_their_node() {
    let agent = "kind: Pod\nmetadata: {name: agent, namespace: shop-web}\n\
        spec: {hostNetwork: true, nodeName: n7}\nstatus: {podIP: 10.240.0.7}";
    assert_eq!(holder(&[agent], "10.240.0.7").unwrap(), "node/n7");
    let pod = pod("a", "podIP: 10.240.0.7");
    for objects in [[agent, &pod], [&pod, agent]] {
        assert_eq!(holder(&objects, "10.240.0.7").unwrap(), "node/n7");
    }
}

#[test]
fn only_internal_addresses_are_a_node_s() {
    let node = "kind: Node\nmetadata: {name: a}\nstatus: {addresses: [{type: Hostname, address: a}, \
        {type: InternalIP, address: 10.1.0.1}, {type: ExternalIP, address: 203.0.113.1}]}";
    assert_eq!(holder(&[node], "10.1.0.1").unwrap(), "node/a");
    assert_eq!(holder(&[node], "203.0.113.1").unwrap(), "203.0.113.1");
}

#[test]
fn both_addresses_of_a_pod_are_its_own() {
    let pod = pod(
        "a",
        "podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: fd00::1}]",
    );
    assert_eq!(holder(&[&pod], "fd00::1").unwrap(), "n/a");
    // As the kernel writes it.
    let written = "fd00:0000:0000:0000:0000:0000:0000:0001";
    assert_eq!(holder(&[&pod], written).unwrap(), "n/a");
}

#[test]
fn an_address_that_was_given_to_another_pod_is_the_living_one_s() {
    let ended = pod("ended", "phase: Succeeded, podIP: 10.0.0.1");
    let failed = pod("failed", "phase: Failed, podIP: 10.0.0.1");
    let going = pod("going", "podIP: 10.0.0.1").replace(
        "{name",
        "{deletionTimestamp: \"2026-01-01T00:00:00Z\", name",
    );
    let live = pod("live", "phase: Running, podIP: 10.0.0.1");
    for objects in [
        [&ended, &failed, &going, &live],
        [&live, &going, &failed, &ended],
    ] {
        let objects = objects.map(String::as_str);
        assert_eq!(holder(&objects, "10.0.0.1").unwrap(), "n/live");
    }
    assert_eq!(
        holder(&[&failed, &ended, &going], "10.0.0.1").unwrap(),
        "n/going"
    );
    assert_eq!(holder(&[&ended], "10.0.0.1").unwrap(), "n/ended");
    assert_eq!(
        holder(&[&failed, &ended], "10.0.0.1"),
        Err(Unknown::Several)
    );
}

#[test]
fn an_address_of_several_pods_is_nobody_s() {
    let (one, other) = (
        pod("one", "podIP: 10.0.0.1"),
        pod("other", "podIP: 10.0.0.1"),
    );
    assert_eq!(holder(&[&one, &other], "10.0.0.1"), Err(Unknown::Several));
    assert_eq!(
        holder(&[&one, &other, &one], "10.0.0.1"),
        Err(Unknown::Several)
    );
    // The same pod of two dumps.
    assert_eq!(holder(&[&one, &one], "10.0.0.1").unwrap(), "n/one");
}

#[test]
fn addresses_that_are_none_are_nobody_s() {
    let pod = pod("a", "podIP: 10.0.0.999, podIPs: [{ip: \"\"}]");
    assert_eq!(holder(&[&pod], "10.0.0.9").unwrap(), "10.0.0.9");
}

#[test]
fn namespaces_that_look_like_a_landing_zone_s_are_known() {
    let dumped = DUMPED.replace(
        "{applicationcode: shop}",
        "{applicationcode: shop, landingzones.dev/landing-zone: gone}",
    );
    let claim = |dumped: &str| {
        let cluster = Cluster::with(dumped);
        inventory(&cluster).claim("shop-old").cloned()
    };
    assert_eq!(claim(&dumped), Some(Claim::Owner("gone".to_owned())));
    let code = Claim::Code {
        code: "shop".to_owned(),
        landing_zone: "shop".to_owned(),
    };
    assert_eq!(claim(DUMPED), Some(code));
    assert_eq!(
        claim(&DUMPED.replace("applicationcode: shop", "applicationcode: other")),
        None
    );
    // A declared one claims nothing.
    assert_eq!(
        claim(&DUMPED.replace("name: shop-old,", "name: shop-web,")),
        None
    );
}
