//! What the landing zone owns in Azure. The platform says where the cluster lies there.

use serde_json::{Value, json};

use super::{Refusal, flawless, set};

pub(super) fn refusals() -> Vec<Refusal> {
    vec![
        refusal(
            "a virtual machine has no size",
            "/spec/azure/nodePool/vmSize",
            json!("two cores"),
            "spec.azure.nodePool.vmSize",
            "like Standard_D4s_v5",
        ),
        refusal(
            "the fewest nodes are more than the most",
            "/spec/azure/nodePool/min",
            json!(7),
            "spec.azure.nodePool.min",
            "raise max",
        ),
        refusal(
            "a subnet has no nodes",
            "/spec/azure",
            json!({"subnet": {"cidr": "10.1.4.0/24"}}),
            "spec.azure.subnet",
            "declare the nodes that lie in it",
        ),
        refusal(
            "a network security group has no subnet",
            "/spec/azure",
            json!({"networkSecurityGroup": "Managed"}),
            "spec.azure.networkSecurityGroup",
            "declare the subnet that it guards",
        ),
        refusal(
            "nodes have no subnet",
            "/spec/azure",
            json!({"nodePool": pool()}),
            "spec.azure.nodePool",
            "nodes without one lie in that of the system pool",
        ),
        refusal(
            "a subnet has bits beyond its prefix",
            "/spec/azure/subnet/cidr",
            json!("10.1.4.1/24"),
            "spec.azure.subnet.cidr",
            "like 10.1.4.0/24",
        ),
        refusal(
            "a subnet has no addresses of IPv4",
            "/spec/azure/subnet/cidr",
            json!("fd00::/64"),
            "spec.azure.subnet.cidr",
            "like 10.1.4.0/24",
        ),
        Refusal {
            admission: None,
            ..refusal(
                "a subnet is too small for its nodes",
                "/spec/azure/subnet/cidr",
                json!("10.1.4.0/28"),
                "spec.azure.subnet.cidr",
                "has 16 addresses",
            )
        },
        Refusal {
            admission: None,
            ..refusal(
                "a node pool has room for few pods",
                "/spec/azure/nodePool",
                json!({"vmSize": "Standard_D4s_v5", "min": 1, "max": 2, "maxPods": 10}),
                "spec.azure.nodePool.maxPods",
                "room for 20 pods on 2 nodes",
            )
        },
        Refusal {
            admission: None,
            ..refusal(
                "pods are placed on somebody else's nodes",
                "/spec/placement/nodeSelector",
                json!({"stack": "tenant1"}),
                "spec.placement.nodeSelector.stack",
                "remove it here",
            )
        },
    ]
}

fn pool() -> Value {
    json!({"vmSize": "Standard_D4s_v5", "min": 1, "max": 3})
}

fn refusal(
    name: &'static str,
    pointer: &str,
    value: Value,
    path: &str,
    words: &'static str,
) -> Refusal {
    let mut declaration = flawless();
    set(&mut declaration, "/spec/placement/nodeSelector", json!({}));
    let azure = json!({
        "nodePool": pool(), "subnet": {"cidr": "10.1.4.0/24"}, "networkSecurityGroup": "Managed",
    });
    set(&mut declaration, "/spec/azure", azure);
    set(&mut declaration, pointer, value);
    Refusal {
        name,
        declaration,
        path: path.to_owned(),
        words,
        admission: Some(words),
    }
}
