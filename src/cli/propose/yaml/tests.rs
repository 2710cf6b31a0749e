use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::print;
use crate::cli::document;
use crate::cli::propose::fixture::{Cluster, DECLARED, DUMPED, line, syn};

const WEB: &str = "10.244.1.1";
const API: &str = "10.244.2.1";
const DB: &str = "10.244.3.1";
const ORDERS: &str = "10.244.4.1";
const PROM: &str = "10.244.5.1";

fn printed(log: &[String]) -> String {
    print(&Cluster::usual().proposed(log), 0)
}

/// A log that asks for something of each kind.
fn everything() -> Vec<String> {
    vec![
        syn(WEB, DB, 5432),
        syn(ORDERS, "10.244.4.2", 9000),
        syn(API, ORDERS, 5432),
        syn(API, "203.0.113.9", 443),
        syn(API, "2001:db8::1", 443),
        syn(API, "203.0.113.9", 80),
        syn(API, "2001:db8::1", 81),
        syn(API, "169.254.169.254", 80),
        syn(PROM, API, 9102),
        syn("198.51.100.1", WEB, 443),
        syn("10.240.0.4", WEB, 443),
        syn("10.244.5.2", WEB, 443),
        syn(API, "168.63.129.16", 80),
        syn(WEB, "192.0.2.1", 443),
        syn(WEB, "10.2.0.4", 443),
        syn("10.244.7.1", ORDERS, 8080),
        line(WEB, DB, "ICMP"),
        syn(WEB, API, 8080),
    ]
}

/// The documents of a text, each a fragment of a landing zone.
fn documents(yaml: &str) -> Vec<Value> {
    let stream = document::parse(yaml);
    assert_eq!(stream.syntax, [], "{yaml}");
    for document in &stream.documents {
        assert_eq!(document.flaws, [], "{yaml}");
    }
    let roots = stream
        .documents
        .iter()
        .map(|document| document.root.to_json());
    roots.collect()
}

#[test]
fn a_fragment_says_the_same_as_the_json() {
    let proposals = Cluster::usual().proposed(&everything());
    let yaml = documents(&print(&proposals, 0));
    let entries = |list: &[super::Proposal]| -> Vec<Value> {
        list.iter()
            .map(|proposal| serde_json::to_value(&proposal.entry).unwrap())
            .collect()
    };
    let json: Vec<Value> = proposals
        .landing_zones
        .iter()
        .map(|it| {
            let lists = [
                ("flows", entries(&it.flows)),
                ("egress", entries(&it.egress)),
                ("ingress", entries(&it.ingress)),
            ];
            let mut network: BTreeMap<_, _> = lists.into_iter().collect();
            let services = it.shared_services.iter().map(|ask| json!(ask.name));
            network.insert("sharedServices", services.collect());
            network.retain(|_, entries| !entries.is_empty());
            json!({"spec": {"network": network}})
        })
        .collect();
    assert_eq!(json.len(), 2);
    assert_eq!(yaml, json);
}

#[test]
fn what_has_to_be_acknowledged_is_a_comment_that_reads_back() {
    let proposals = Cluster::usual().proposed(&everything());
    let yaml = print(&proposals, 0);
    let comment: String = yaml
        .lines()
        .skip_while(|line| !line.starts_with("# For spec.network.egress"))
        .skip(1)
        .take_while(|line| line.starts_with("#   "))
        .map(|line| line.strip_prefix("# ").unwrap().to_owned() + "\n")
        .collect();
    let shop = proposals
        .landing_zones
        .iter()
        .find(|it| it.landing_zone == "shop");
    let entries = shop.unwrap().to_acknowledge.iter();
    let entries = entries.map(|proposal| serde_json::to_value(&proposal.entry).unwrap());
    let expected: Vec<Value> = entries.collect();
    assert_eq!(expected.len(), 2);
    assert_eq!(documents(&comment), [Value::from(expected)]);
}

#[test]
fn what_only_the_platform_can_open_is_a_comment_that_reads_back() {
    let proposals = Cluster::usual().proposed(&everything());
    let yaml = print(&proposals, 0);
    let comment: String = yaml
        .lines()
        .skip_while(|line| !line.starts_with("# LandingZonePlatform"))
        .skip(2)
        .map(|line| line.strip_prefix("# ").unwrap().to_owned() + "\n")
        .collect();
    let expected: Vec<Value> = proposals
        .shared_services
        .iter()
        .map(|service| serde_json::to_value(&service.entry).unwrap())
        .collect();
    assert_eq!(expected.len(), 4);
    assert_eq!(documents(&comment), [json!({"sharedServices": expected})]);
}

#[test]
fn counts_and_an_example_stand_above_each_entry() {
    let yaml = printed(&[syn(WEB, DB, 5432), syn("10.244.1.2", DB, 5432)]);
    assert_eq!(
        yaml,
        "# What was logged and no declaration allows. Each entry opens something: keep what is \
         meant to be.
---
# LandingZone shop
spec:
  network:
    flows:
    # 2 packets from 2 pods, for instance shop-web/web-1 to shop-db/db
    - name: frontend-to-data-5432
      from: {zone: frontend}
      to: {zone: data}
      ports: [{protocol: TCP, port: 5432}]
"
    );
}

#[test]
fn the_first_flow_of_a_landing_zone_is_warned_of() {
    let yaml = printed(&[syn(ORDERS, "10.244.4.2", 9000)]);
    assert!(yaml.contains("# No flow is declared so far"), "{yaml}");
    let yaml = printed(&[syn(WEB, DB, 5432)]);
    assert!(!yaml.contains("No flow is declared"), "{yaml}");
}

#[test]
fn more_flows_than_a_landing_zone_takes_are_warned_of() {
    let flows =
        |count: u16| -> Vec<String> { (1..=count).map(|port| syn(WEB, DB, port)).collect() };
    assert!(!printed(&flows(97)).contains("join ports"));
    let yaml = printed(&flows(98));
    assert!(yaml.contains("these are 101 flows"), "{yaml}");
    let egress: Vec<String> = (1..46).map(|port| syn(WEB, ORDERS, port)).collect();
    let yaml = printed(&egress);
    assert!(yaml.contains("these are 51 egress"), "{yaml}");
    assert!(!yaml.contains("ingress, and a landing zone"), "{yaml}");
}

#[test]
fn nothing_to_propose_is_said() {
    assert_eq!(printed(&[]), "# No entry to propose.\n");
    let yaml = printed(&[syn(WEB, API, 8080)]);
    assert_eq!(
        yaml,
        "# No entry to propose.\n\n# LandingZone shop\n# Declared already: 1 packet by flow \
         web-to-api\n"
    );
}

#[test]
fn an_incomplete_result_is_said() {
    let yaml = print(&Cluster::usual().proposed(&[]), 7);
    assert!(yaml.starts_with("# Not complete: 7 packets"), "{yaml}");
}

#[test]
fn names_that_end_a_line_end_no_comment() {
    let dumped = DUMPED
        .replace(
            "name: prom,",
            "name: \"prom\\nspec: {evil: 1}\\u2028\\u001b[2J\",",
        )
        .replace("namespace: monitoring", "namespace: \"m\\n- evil: 1\"")
        .replace("{app: db}", "{app: \"db\\n#\"}");
    let log = everything();
    let yaml = print(&Cluster::with(&dumped).proposed(&log), 0);
    assert!(!yaml.contains(['\u{1b}', '\u{2028}']), "{yaml}");
    let usual = documents(&printed(&log));
    assert_eq!(documents(&yaml).len(), usual.len(), "{yaml}");
    assert!(
        !documents(&yaml)
            .iter()
            .any(|it| it.to_string().contains("evil"))
    );
}

#[test]
fn zones_that_look_like_something_else_are_quoted() {
    let declared = DECLARED
        .replace("zone: data", "zone: \"on\"")
        .replace("{zone: frontend}", "{zone: \"1\"}")
        .replace("zone: frontend", "zone: \"1\"");
    let proposals = Cluster::new(&declared, DUMPED).proposed(&[syn(WEB, DB, 5432)]);
    let flow = documents(&print(&proposals, 0))[0]["spec"]["network"]["flows"][0].clone();
    assert_eq!(
        (&flow["from"]["zone"], &flow["to"]["zone"]),
        (&json!("1"), &json!("on"))
    );
}
