//! What crosses the boundary.

use serde_json::{Value, json};

use super::{Refusal, refusal};

pub(super) fn refusals() -> Vec<Refusal> {
    const NETWORK: &str = "/spec/network";
    let egress = |index: usize, field: &str| format!("{NETWORK}/egress/{index}/{field}");
    let ingress = |field: &str| format!("{NETWORK}/ingress/0/{field}");
    let all_addresses = json!({"name": "out", "to": {"cidrs": ["128.0.0.0/1"]}});
    let metadata = json!({
        "name": "identity", "to": {"cidrs": ["169.254.169.254/32"]}, "acknowledge": "AllAddresses",
    });
    vec![
        refusal(
            "a crossing leads to nobody",
            &egress(0, "to"),
            json!({}),
            "spec.network.egress[0].to",
            "exactly one of landingZone",
        ),
        refusal(
            "a crossing leads to two",
            &egress(0, "to/destination"),
            "orders-db".into(),
            "spec.network.egress[0].to",
            "exactly one of landingZone",
        ),
        refusal(
            "addresses have a zone",
            &egress(1, "to/zone"),
            "data".into(),
            "spec.network.egress[1].to",
            "belong to landingZone",
        ),
        refusal(
            "a landing zone has exceptions",
            &egress(0, "to/except"),
            json!(["203.0.113.7/32"]),
            "spec.network.egress[0].to.except",
            "belongs to cidrs",
        ),
        refusal(
            "an exception lies elsewhere",
            &egress(1, "to/except"),
            json!(["192.0.2.0/24"]),
            "spec.network.egress[1].to.except[0]",
            "lies outside of cidrs",
        )
        .not_in_schema(),
        refusal(
            "exceptions leave nothing of a range",
            &egress(1, "to/except"),
            json!(["203.0.113.0/25", "203.0.113.128/25"]),
            "spec.network.egress[1].to.cidrs[0]",
            "is left out as a whole by except",
        )
        .not_in_schema(),
        refusal(
            "every address is an exception",
            &egress(4, "to/except"),
            json!(["0.0.0.0/0"]),
            "spec.network.egress[4].to.cidrs[0]",
            "is left out as a whole by except",
        )
        .not_in_schema(),
        refusal(
            "an exception is no range",
            &egress(1, "to/except"),
            json!(["203.0.113.7"]),
            "spec.network.egress[1].to.except[0]",
            "is not a range of addresses",
        ),
        refusal(
            "addresses are no range",
            &egress(1, "to/cidrs"),
            json!(["203.0.113.0/24", "example.com"]),
            "spec.network.egress[1].to.cidrs[1]",
            "is not a range of addresses",
        ),
        refusal(
            "addresses stand twice",
            &egress(1, "to/cidrs"),
            json!(["203.0.113.0/24", "203.0.113.0/24"]),
            "spec.network.egress[1].to.cidrs[1]",
            "stands twice",
        )
        .admission("Duplicate value"),
        refusal(
            "most of the internet is not acknowledged",
            &format!("{NETWORK}/egress/1"),
            all_addresses,
            "spec.network.egress[1].to.cidrs[0]",
            "acknowledge: AllAddresses",
        ),
        refusal(
            "the metadata service is not acknowledged",
            &format!("{NETWORK}/egress/1"),
            metadata,
            "spec.network.egress[1].to.cidrs[0]",
            "acknowledge: MetadataService",
        ),
        refusal(
            "a name has no dot",
            &format!("{NETWORK}/egress/1"),
            json!({"name": "out", "to": {"fqdns": ["localhost"]}}),
            "spec.network.egress[1].to.fqdns[0]",
            "like api.example.com",
        ),
        refusal(
            "an asterisk stands within a name",
            &format!("{NETWORK}/egress/1"),
            json!({"name": "out", "to": {"fqdns": ["api.example.com", "api.*.com"]}}),
            "spec.network.egress[1].to.fqdns[1]",
            "like api.example.com",
        ),
        refusal(
            "a name stands twice",
            &format!("{NETWORK}/egress/1"),
            json!({"name": "out", "to": {"fqdns": ["api.example.com", "api.example.com"]}}),
            "spec.network.egress[1].to.fqdns[1]",
            "stands twice",
        )
        .admission("Duplicate value"),
        refusal(
            "names have a protocol without names",
            &format!("{NETWORK}/egress/1"),
            json!({
                "name": "out", "to": {"fqdns": ["api.example.com"]},
                "ports": [{"protocol": "UDP", "port": 443}],
            }),
            "spec.network.egress[1].ports",
            "single TCP ports",
        ),
        refusal(
            "names have a range of ports",
            &format!("{NETWORK}/egress/1"),
            json!({
                "name": "out", "to": {"fqdns": ["api.example.com"]},
                "ports": [{"protocol": "TCP", "port": 443, "endPort": 500}],
            }),
            "spec.network.egress[1].ports",
            "single TCP ports",
        ),
        refusal(
            "the API server has ports",
            &egress(2, "ports"),
            json!([{"protocol": "TCP", "port": 443}]),
            "spec.network.egress[2].ports",
            "which has its own",
        ),
        refusal(
            "the API server is not meant",
            &egress(2, "to/apiServer"),
            false.into(),
            "spec.network.egress[2].to.apiServer",
            "must be true",
        ),
        refusal(
            "a crossing comes from an unknown zone",
            &egress(0, "from/zone"),
            "backend".into(),
            "spec.network.egress[0].from.zone",
            "is not the zone of any namespace",
        ),
        refusal(
            "a crossing leads to an unknown zone",
            &ingress("to/zone"),
            "backend".into(),
            "spec.network.ingress[0].to.zone",
            "is not the zone of any namespace",
        ),
        refusal(
            "a crossing leads to the landing zone itself",
            &egress(0, "to/landingZone"),
            "shop".into(),
            "spec.network.egress[0].to.landingZone",
            "declare a flow instead",
        ),
        refusal(
            "a crossing comes from the landing zone itself",
            &ingress("from/landingZone"),
            "shop".into(),
            "spec.network.ingress[0].from.landingZone",
            "declare a flow instead",
        ),
        refusal(
            "another landing zone's name has capitals",
            &egress(0, "to/landingZone"),
            "Orders".into(),
            "spec.network.egress[0].to.landingZone",
            "without dots, capitals",
        ),
        refusal(
            "another landing zone's zone breaks out of its quotes",
            &ingress("from/zone"),
            "a' || all()".into(),
            "spec.network.ingress[0].from.zone",
            "without dots, capitals",
        ),
        refusal(
            "two crossings have one name",
            &egress(0, "name"),
            "partner".into(),
            "spec.network.egress[1].name",
            "stands twice",
        )
        .admission("Duplicate value"),
        refusal(
            "a crossing's name is longer than 40",
            &ingress("name"),
            "f".repeat(41).into(),
            "spec.network.ingress[0].name",
            "at most 40 characters",
        ),
        refusal(
            "a last day is no day",
            &egress(0, "validUntil"),
            "2027-02-30".into(),
            "spec.network.egress[0].validUntil",
            "is not a day",
        ),
        refusal(
            "a last day is written otherwise",
            &ingress("validUntil"),
            "30.06.2027".into(),
            "spec.network.ingress[0].validUntil",
            "is not a day",
        ),
        refusal(
            "a reason is no text",
            &egress(0, "reason"),
            "\u{7}".into(),
            "spec.network.egress[0].reason",
            "one line of readable text",
        ),
        refusal(
            "a shared service has no name that can be",
            &format!("{NETWORK}/sharedServices"),
            json!(["ingress", "Istio"]),
            "spec.network.sharedServices[1]",
            "without dots, capitals",
        ),
        refusal(
            "a shared service is asked for twice",
            &format!("{NETWORK}/sharedServices"),
            json!(["ingress", "ingress"]),
            "spec.network.sharedServices[1]",
            "stands twice",
        )
        .admission("Duplicate value"),
    ]
}

/// What is right about crossings.
pub(super) fn flawless() -> Value {
    json!({
        "sharedServices": ["ingress"],
        "egress": [
            {
                "name": "orders-db", "from": {"zone": "frontend"},
                "to": {"landingZone": "orders", "zone": "data", "podSelector": {"matchLabels": {"app": "db"}}},
                "ports": [{"protocol": "TCP", "port": 5432}],
                "reason": "CHG-1234", "owner": "team-shop", "validUntil": "2027-06-30",
            },
            {
                "name": "partner", "to": {"cidrs": ["203.0.113.0/24", "2001:db8::/32"], "except": ["203.0.113.7/32"]},
            },
            {"name": "api", "to": {"apiServer": true}},
            {"name": "private", "to": {"destination": "orders-db"}},
            {"name": "everywhere", "to": {"cidrs": ["0.0.0.0/0", "::/0"]}, "acknowledge": "AllAddresses"},
        ],
        "ingress": [
            {
                "name": "from-orders", "from": {"landingZone": "orders", "zone": "backend"}, "to": {"zone": "data"},
                "validUntil": "2027-06-30",
            },
        ],
    })
}
