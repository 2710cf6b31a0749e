use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::cli::propose::fixture::{Cluster, line, syn};

const WEB: &str = "10.244.1.1";
const WEB_2: &str = "10.244.1.2";
const API: &str = "10.244.2.1";
const API_2: &str = "10.244.2.2";
const DB: &str = "10.244.3.1";
const ORDERS: &str = "10.244.4.1";
const PROM: &str = "10.244.5.1";
const NODE: &str = "10.240.0.4";
const OUTSIDE: &str = "203.0.113.7";
const GONE: &str = "10.244.99.99";

fn tallied(log: &[String]) -> Tallied {
    Cluster::usual().tallied(log)
}

/// Destination ports of all groups.
fn ports(tallied: &Tallied) -> Vec<u16> {
    tallied
        .groups
        .keys()
        .filter_map(|key| match key.target {
            Target::Port(_, port) => Some(port),
            Target::ApiServer | Target::Portless(_) => None,
        })
        .collect()
}

#[test]
fn packets_of_one_kind_are_one_group() {
    let tallied = tallied(&[syn(WEB, DB, 5432), syn(WEB_2, DB, 5432), syn(WEB, DB, 5432)]);
    assert_eq!(tallied.groups.len(), 1);
    let group = tallied.groups.values().next().unwrap();
    assert_eq!((group.packets, group.senders.kept.len()), (3, 2));
    let (from, to) = group.example.clone().unwrap();
    assert_eq!((&*from, &*to), ("shop-web/web-1", "shop-db/db"));
}

#[rstest]
#[case::flow(syn(WEB, API, 8085), true)]
#[case::past_its_ports(syn(WEB, API, 8091), false)]
#[case::other_protocol(line(WEB, API, "UDP SPT=41000 DPT=8085"), false)]
#[case::against_it(syn(API, WEB, 8085), false)]
#[case::by_label(syn(API, DB, 5432), true)]
#[case::without_the_label(syn(API_2, DB, 5432), false)]
#[case::all_ports(line(DB, WEB, "UDP SPT=41000 DPT=1"), true)]
#[case::all_protocols(line(DB, WEB, "ICMP TYPE=8 CODE=0"), true)]
#[case::some_ports(line(WEB, API, "ICMP TYPE=8 CODE=0"), false)]
#[case::inside_a_zone(syn(WEB, WEB_2, 1), true)]
#[case::inside_a_zone_with_flows_only(syn(ORDERS, "10.244.4.2", 1), false)]
#[case::dns(line(WEB, "10.244.6.1", "UDP SPT=41000 DPT=53"), true)]
#[case::dns_by_tcp(syn(WEB, "10.244.6.1", 53), true)]
#[case::another_port_of_dns(syn(WEB, "10.244.6.1", 9153), false)]
#[case::dns_cache(line(WEB, "169.254.20.10", "UDP SPT=41000 DPT=53"), true)]
#[case::labelled_like_dns(line(WEB, "10.244.6.2", "UDP SPT=41000 DPT=53"), false)]
#[case::other_landing_zone(syn(WEB, ORDERS, 8085), false)]
#[case::crossing_of_both(syn(API, ORDERS, 6000), true)]
#[case::crossing_from_another_zone(syn(WEB, ORDERS, 6000), false)]
#[case::crossing_to_another_port(syn(API, ORDERS, 6001), false)]
#[case::crossing_of_one(syn(API, ORDERS, 7000), false)]
#[case::crossing_of_the_other(syn(API, ORDERS, 7001), false)]
#[case::against_a_crossing(syn(ORDERS, API, 6000), false)]
#[case::addresses(syn(API, "198.51.100.1", 443), true)]
#[case::excepted_address(syn(API, "198.51.100.7", 443), false)]
#[case::addresses_at_another_port(syn(API, "198.51.100.1", 80), false)]
#[case::addresses_from_another_zone(syn(WEB, "198.51.100.1", 443), false)]
#[case::metadata_in_a_wide_range(syn(API, "169.254.169.254", 80), false)]
#[case::metadata_that_is_acknowledged(syn(ORDERS, "169.254.169.254", 80), true)]
#[case::destination(syn(API, "192.0.2.1", 443), true)]
#[case::destination_at_another_port(syn(API, "192.0.2.1", 80), false)]
#[case::api_server(syn(API, "10.2.0.4", 443), true)]
#[case::api_server_from_another_zone(syn(WEB, "10.2.0.4", 443), false)]
#[case::api_server_at_another_port(syn(API, "10.2.0.4", 6443), false)]
#[case::shared_service(syn("10.244.7.1", API, 8080), true)]
#[case::shared_service_of_other_pods(syn("10.244.7.2", API, 8080), false)]
#[case::shared_service_that_is_not_asked_for(syn("10.244.7.1", ORDERS, 8080), false)]
#[case::against_a_shared_service(syn(API, "10.244.7.1", 8080), false)]
#[case::shared_service_for_all(syn(ORDERS, "10.1.8.7", 1), true)]
#[case::shared_service_for_all_towards(syn("10.1.8.7", ORDERS, 1), true)]
fn what_is_declared_is_left_out(#[case] line: String, #[case] is_declared: bool) {
    let tallied = tallied(&[line]);
    assert_eq!(tallied.groups.is_empty(), is_declared);
    assert_eq!(tallied.counts.declared, u64::from(is_declared));
    assert_eq!(
        tallied.covered.values().sum::<u64>(),
        u64::from(is_declared)
    );
}

#[test]
fn a_group_may_be_declared_in_part() {
    let tallied = tallied(&[syn(API, DB, 5432), syn(API_2, DB, 5432)]);
    let group = tallied.groups.values().next().unwrap();
    assert_eq!((tallied.counts.declared, group.packets), (1, 1));
    assert_eq!(&*group.example.clone().unwrap().0, "shop-api/api-2");
}

#[rstest]
#[case::syn_ack("TCP SPT=5432 DPT=41000 ACK SYN")]
#[case::by_ports("TCP SPT=5432 DPT=41000 ACK PSH")]
#[case::reset("TCP SPT=5432 DPT=41000 ACK RST")]
#[case::udp("UDP SPT=5432 DPT=41000")]
fn replies_are_dropped(#[case] reply: &str) {
    let tallied = tallied(&[line(DB, API_2, reply)]);
    assert_eq!((tallied.groups.len(), tallied.counts.replies), (0, 1));
}

#[rstest]
#[case::both_high(50051, 41000)]
#[case::both_low(2049, 800)]
#[case::a_low_one_from_a_high_one(50051, 800)]
fn where_the_opposite_was_opened_it_is_a_reply(#[case] server: u16, #[case] client: u16) {
    let opening = line(WEB, DB, &format!("TCP SPT={client} DPT={server} SYN"));
    let reply = line(DB, WEB, &format!("TCP SPT={server} DPT={client} ACK"));
    let log = [opening.clone(), reply.clone()];
    let in_order = tallied(&log);
    assert_eq!(
        (ports(&in_order), in_order.counts.replies),
        (vec![server], 1)
    );
    if (server < FIRST_EPHEMERAL) == (client < FIRST_EPHEMERAL) {
        let reversed = tallied(&[reply, opening]);
        assert_eq!(
            (ports(&reversed), reversed.counts.replies),
            (vec![server], 1)
        );
    }
}

#[test]
fn replies_along_declared_flows_are_replies_too() {
    let opening = line(WEB, API, "TCP SPT=800 DPT=8080 SYN");
    let reply = line(API, WEB, "TCP SPT=8080 DPT=800 ACK");
    let tallied = tallied(&[opening, reply]);
    assert_eq!((tallied.groups.len(), tallied.counts.replies), (0, 1));
}

#[test]
fn connections_seen_midway_count_and_invent_no_ports() {
    let midway = line(WEB, DB, "TCP SPT=41000 DPT=5432 ACK");
    assert_eq!(ports(&tallied(&[midway])), [5432]);
    let both_high = line(WEB, DB, "TCP SPT=41000 DPT=50051 ACK");
    let unclear = tallied(std::slice::from_ref(&both_high));
    assert_eq!((unclear.groups.len(), unclear.counts.unclear), (0, 1));
    // Once the port is known, also what was seen before counts.
    let clear = tallied(&[both_high, syn(WEB_2, DB, 50051)]);
    assert_eq!((ports(&clear), clear.counts.unclear), (vec![50051], 0));
    assert_eq!(clear.groups.values().next().unwrap().packets, 2);
}

#[test]
fn of_two_directions_without_connections_the_first_counts() {
    let one = line(WEB, DB, "UDP SPT=123 DPT=123");
    let other = line(DB, WEB, "UDP SPT=123 DPT=123");
    let tallied = tallied(&[one, other]);
    assert_eq!((ports(&tallied), tallied.counts.replies), (vec![123], 1));
}

#[test]
fn high_ports_that_are_opened_are_kept() {
    let udp = line(WEB, DB, "UDP SPT=41000 DPT=50000");
    let tallied = tallied(&[syn(WEB, DB, 50051), udp]);
    assert_eq!(ports(&tallied), [50051, 50000]);
}

#[test]
fn a_packet_that_is_logged_twice_counts_once() {
    let packet = syn(WEB, DB, 5432).replace("ID=0", "ID=7");
    let tallied = tallied(&[packet.clone(), packet.clone(), packet]);
    let group = tallied.groups.values().next().unwrap();
    assert_eq!((group.packets, tallied.counts.repeated), (2, 1));
}

#[test]
fn addresses_without_a_pod_are_told() {
    let log = [
        syn(WEB, GONE, 1),
        syn(GONE, WEB, 1),
        syn(WEB, "10.244.99.1", 1),
    ];
    let tallied = tallied(&log);
    assert_eq!((tallied.groups.len(), tallied.counts.without_pod), (0, 3));
    let unknown: Vec<_> = tallied
        .unknown
        .iter()
        .map(|(address, packets, why)| (address.to_string(), *packets, *why))
        .collect();
    assert_eq!(
        unknown,
        [
            (GONE.to_owned(), 2, Unknown::Gone),
            ("10.244.99.1".to_owned(), 1, Unknown::Gone)
        ]
    );
}

#[test]
fn what_concerns_no_landing_zone_is_left_out() {
    let tallied = tallied(&[syn(PROM, NODE, 9100), syn(OUTSIDE, PROM, 80)]);
    assert_eq!((tallied.groups.len(), tallied.counts.elsewhere), (0, 2));
}

#[test]
fn memory_is_bounded() {
    let ports = 1..=12_000;
    let log: Vec<String> = ports
        .clone()
        .map(|port| syn(WEB, DB, port))
        .chain((0..5000_u16).map(|host| {
            let address = format!("203.0.{}.{}", host / 250, host % 250);
            syn(&address, ORDERS, 80)
        }))
        .collect();
    let beyond = tallied(&log);
    assert_eq!(beyond.groups.len(), MAX_GROUPS);
    assert_eq!(beyond.counts.beyond, 2_000 + 5_000);
    let outside: Vec<String> = log.into_iter().skip(ports.len()).collect();
    let outside = tallied(&outside);
    let group = outside.groups.values().next().unwrap();
    assert_eq!(
        (group.packets, group.outside.kept.len()),
        (5000, MAX_MEMBERS)
    );
    assert!(group.outside.has_more && group.senders.has_more);
}

#[test]
fn undecided_connections_and_unknown_addresses_are_bounded() {
    let log: Vec<String> = (0..12_000_u16)
        .flat_map(|n| {
            let port = FIRST_EPHEMERAL + n;
            let gone = format!("10.244.{}.{}", 100 + n / 250, n % 250);
            [
                line(WEB, DB, &format!("TCP SPT={port} DPT=50051 ACK")),
                syn(WEB, &gone, 1),
            ]
        })
        .collect();
    let tallied = tallied(&log);
    assert_eq!(tallied.counts.unclear, MAX_GROUPS as u64);
    assert_eq!(tallied.counts.beyond, 2_000);
    assert_eq!(tallied.counts.without_pod, 12_000);
    assert_eq!(tallied.unknown.len(), MAX_UNKNOWN);
}

fn any_line() -> impl Strategy<Value = String> {
    let end = || {
        prop::sample::select(vec![
            WEB,
            WEB_2,
            API,
            API_2,
            DB,
            ORDERS,
            "10.244.4.2",
            "10.244.4.3",
            PROM,
            "10.244.6.1",
            NODE,
            OUTSIDE,
            GONE,
            "169.254.169.254",
        ])
    };
    let port = || prop::sample::select(vec![53_u16, 80, 5432, 8080, 41000, 50051]);
    let flags = prop::sample::select(vec!["SYN", "ACK SYN", "ACK", ""]);
    let protocol = prop::sample::select(vec!["TCP", "UDP", "ICMP", "132"]);
    (end(), end(), protocol, port(), port(), flags).prop_map(
        |(from, to, protocol, source, destination, flags)| match protocol {
            "TCP" | "UDP" => {
                let rest = format!("{protocol} SPT={source} DPT={destination} {flags}");
                line(from, to, &rest)
            }
            portless => line(from, to, portless),
        },
    )
}

proptest! {
    #[test]
    fn every_packet_comes_to_one_end(log in prop::collection::vec(any_line(), 0..60)) {
        let tallied = tallied(&log);
        let Counts { repeated, declared, replies, unclear, elsewhere, without_pod, beyond } =
            tallied.counts;
        let matched: u64 = tallied.groups.values().map(|group| group.packets).sum();
        let others = repeated + declared + replies + unclear + elsewhere + without_pod + beyond;
        prop_assert_eq!(matched + others, log.len() as u64);
        prop_assert_eq!(tallied.covered.values().sum::<u64>(), declared);
    }
}
