use super::*;
use crate::cli::propose::fixture::{Cluster, DUMPED, syn};

fn sentences(cluster: &Cluster, log: &[String], lines: LineCounts) -> Vec<String> {
    let inventory = Inventory::new(&cluster.dump, &cluster.zones, &cluster.platform);
    let tallied = cluster.tallied(log);
    let zones = cluster.zones.len();
    Summary::new(zones, &cluster.dump, &inventory, lines, &tallied).sentences("calico-packet")
}

const LINES: LineCounts = LineCounts {
    lines: 10,
    recognised: 4,
    unreadable: 0,
};

#[test]
fn it_says_what_was_read_and_what_became_of_it() {
    let log = [
        syn("10.244.1.1", "10.244.3.1", 1),
        syn("10.244.1.1", "10.244.2.1", 8080),
        syn("10.244.1.1", "10.244.99.1", 1),
    ];
    let lines = LineCounts {
        unreadable: 1,
        ..LINES
    };
    assert_eq!(
        sentences(Cluster::usual(), &log, lines),
        [
            "read 2 landing zones, 15 pods, 2 namespaces, 1 node",
            "read 10 lines: 4 of the prefix calico-packet, of which 1 cannot be read",
            "matched 1 packet; besides 1 declared already, 1 without a pod",
            "without a pod: 10.244.99.1 (1 packet)",
        ]
    );
}

#[test]
fn at_most_20_addresses_are_listed() {
    let log: Vec<String> = (0..25)
        .map(|host| syn("10.244.1.1", &format!("10.244.99.{host}"), 1))
        .collect();
    let sentences = sentences(Cluster::usual(), &log, LINES);
    let last = sentences.last().unwrap();
    assert_eq!(last.matches("(1 packet)").count(), 20);
    assert!(
        last.ends_with("10.244.99.19 (1 packet) and 5 more"),
        "{last}"
    );
}

#[test]
fn what_is_missing_is_said() {
    let none = LineCounts {
        recognised: 0,
        ..LINES
    };
    let cluster = Cluster::with("");
    let sentences = sentences(&cluster, &[], none);
    assert_eq!(sentences.len(), 5, "{sentences:#?}");
    assert!(sentences[3].starts_with("note: no line has the prefix calico-packet"));
    assert!(sentences[4].starts_with("note: no pod is known"));
}

#[test]
fn without_ranges_of_pods_it_says_what_is_weaker() {
    let mut cluster = Cluster::with(DUMPED);
    cluster.platform.pod_cidrs.clear();
    let sentences = sentences(&cluster, &[], LINES);
    let last = sentences.last().unwrap();
    assert!(
        last.starts_with("note: no range of pod addresses is known"),
        "{last}"
    );
}

#[test]
fn a_result_that_is_not_complete_is_warned_of() {
    let log: Vec<String> = (1..=11_000)
        .map(|port| syn("10.244.1.1", "10.244.3.1", port))
        .collect();
    let sentences = sentences(Cluster::usual(), &log, LINES);
    assert!(
        sentences[3].starts_with("warning: 1000 packets asked for more than is told apart"),
        "{sentences:#?}"
    );
}
