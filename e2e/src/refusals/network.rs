//! Who may talk to whom.

use serde_json::{Value, json};

use super::{Refusal, refusal};

pub(super) fn refusals() -> Vec<Refusal> {
    const FLOW: &str = "/spec/network/flows/0";
    let flow = |field: &str| format!("{FLOW}/{field}");
    vec![
        refusal(
            "a flow comes from an unknown zone",
            &flow("from/zone"),
            "backend".into(),
            "spec.network.flows[0].from.zone",
            "is not the zone of any namespace",
        ),
        refusal(
            "a flow leads to an unknown zone",
            &flow("to/zone"),
            "backend".into(),
            "spec.network.flows[0].to.zone",
            "is not the zone of any namespace",
        ),
        refusal(
            "a flow leads from a zone to itself",
            &flow("to/zone"),
            "frontend".into(),
            "spec.network.flows[0]",
            "add a podSelector",
        ),
        refusal(
            "a flow's name is longer than 40",
            &flow("name"),
            "f".repeat(41).into(),
            "spec.network.flows[0].name",
            "at most 40 characters",
        ),
        refusal(
            "a flow's name has capitals",
            &flow("name"),
            "Web".into(),
            "spec.network.flows[0].name",
            "without dots, capitals",
        ),
        refusal(
            "two flows have one name",
            &flow("name"),
            "in-tier".into(),
            "spec.network.flows[1].name",
            "stands twice",
        )
        .admission("Duplicate value"),
        refusal(
            "a pod selector selects everything",
            "/spec/network/flows/1/from/podSelector/matchLabels",
            json!({}),
            "spec.network.flows[1].from.podSelector.matchLabels",
            "at least one label",
        ),
        refusal(
            "a pod selector asks for more labels than Calico takes",
            "/spec/network/flows/1/from/podSelector/matchLabels",
            labels(9, "tier", "web"),
            "spec.network.flows[1].from.podSelector.matchLabels",
            "at most 8 labels",
        ),
        refusal(
            "a pod selector is longer than Calico takes",
            "/spec/network/flows/1/from/podSelector/matchLabels",
            labels(
                8,
                &format!("{}.example.com/tier", "a".repeat(60)),
                &"w".repeat(60),
            ),
            "spec.network.flows[1].from.podSelector.matchLabels",
            "most 800 characters",
        ),
        refusal(
            "a pod selector breaks out of its quotes",
            "/spec/network/flows/1/from/podSelector/matchLabels/tier",
            "a' || all()".into(),
            "spec.network.flows[1].from.podSelector.matchLabels.tier",
            "replace what else is in it",
        ),
        refusal(
            "a port is zero",
            &flow("ports/0/port"),
            0.into(),
            "spec.network.flows[0].ports[0].port",
            "from 1 to 65535",
        ),
        refusal(
            "a port is too great",
            &flow("ports/0/port"),
            65536.into(),
            "spec.network.flows[0].ports[0].port",
            "from 1 to 65535",
        ),
        refusal(
            "a range ends beyond the last port",
            &flow("ports/1/endPort"),
            70000.into(),
            "spec.network.flows[0].ports[1].endPort",
            "from 1 to 65535",
        ),
        refusal(
            "a range runs backwards",
            &flow("ports/1/endPort"),
            5999.into(),
            "spec.network.flows[0].ports[1].endPort",
            "is below port",
        ),
        refusal(
            "a port is named twice",
            &flow("ports/-"),
            json!({"protocol": "TCP", "port": 5432, "endPort": 5432}),
            "spec.network.flows[0].ports[2]",
            "stands twice",
        ),
    ]
}

fn labels(count: usize, key: &str, value: &str) -> Value {
    let labels = (0..count).map(|number| (format!("{key}-{number}"), Value::from(value)));
    Value::Object(labels.collect())
}
