//! What the resources look like in each form.

use rstest::rstest;

use super::*;
use crate::domain::{AzureKind, AzureVersions};

fn estate() -> (Estate, AzureResources) {
    let platform = platform(json!({"apiServerSubnet": "10.1.250.0/28"}));
    let ports = json!([{"protocol": "TCP", "port": 8080}, {"protocol": "UDP", "port": 9000, "endPort": 9010}]);
    let shop = zone(
        "shop",
        &platform,
        &json!({
            "nodePool": {
                "vmSize": "Standard_D4s_v5", "min": 2, "max": 6, "availabilityZones": [1, 2, 3], "maxPods": 30,
                "osSku": "AzureLinux",
            },
            "subnet": {"cidr": "10.1.10.0/24", "podCidr": "10.1.12.0/23"},
            "networkSecurityGroup": "Managed",
        }),
        &json!({"ingress": [{"name": "orders", "from": {"landingZone": "orders"}, "ports": ports}]}),
    );
    let orders = zone(
        "orders",
        &platform,
        &own(11),
        &json!({"egress": [{"name": "shop", "to": {"landingZone": "shop"}}]}),
    );
    let estate = Estate::new(platform, vec![shop.clone(), orders]);
    let resources = estate.resources(&shop, &Priorities::new());
    (estate, resources)
}

/// Every field of an object, with dots in between; a list is its items.
fn fields(path: &str, value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(of_object) => of_object
            .iter()
            .flat_map(|(name, field)| {
                let dot = if path.is_empty() { "" } else { "." };
                fields(&format!("{path}{dot}{name}"), field)
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| fields(path, item)).collect(),
        _ => [path.to_owned()].into(),
    }
}

/// A version of a kind is taken where it has the fields that are known: no other may be written.
pub(super) fn every_field_is_known(objects: &[Value]) {
    for object in objects {
        let kind = object["kind"].as_str().unwrap();
        let kind = AzureKind::ALL.into_iter().find(|it| it.name() == kind);
        let known = kind.unwrap().fields();
        for field in fields("", &object["spec"]) {
            // What nodes are labelled with is anybody's choice.
            let chosen = ["limits", "nodeLabels", "template.metadata.labels"];
            let mut chosen = chosen.into_iter();
            let map = chosen.find(|map| field.starts_with(&format!("{map}.")));
            let field = map.unwrap_or(&field);
            assert!(known.contains(&field), "{field} of {kind:?}");
        }
    }
}

#[test]
fn for_azure_service_operator() {
    let (estate, resources) = estate();
    let azure = estate.platform.azure.as_ref().unwrap();
    let owner = Owner::landing_zone(&estate.zones[0]);
    let versions = AzureVersions::common();
    let objects = azure_objects(&resources, azure, &versions, &owner);
    every_field_is_known(&objects);
    let kept = |rule: &str| {
        let mut objects = objects.iter();
        let found = objects.find(|it| it["spec"]["azureName"] == rule).unwrap();
        found["metadata"]["annotations"]["serviceoperator.azure.com/reconcile-policy"].clone()
    };
    // What is declared no more is closed in Azure, too, whatever becomes of the group.
    assert_eq!(kept("Allow-From-orders-Tcp-InBound"), "manage");
    assert_eq!(kept("AllowSystemPoolInBound"), "detach-on-delete");
    assert_eq!(kept("OthersInBound"), "detach-on-delete");
    insta::assert_yaml_snapshot!(objects);
}

/// Karpenter's objects are the operator's to write, whoever makes subnets and groups.
#[rstest]
#[case::with_service_operator(true, &[], "karpenter")]
#[case::without(false, &["NodePool", "AKSNodeClass"], "karpenter_alone")]
fn for_karpenter(
    #[case] has_service_operator: bool,
    #[case] only: &[&str],
    #[case] snapshot: &str,
) {
    let mut platform = platform(json!({"nodeProvisioning": "Auto"}));
    let azure = platform.azure.as_mut().unwrap();
    if !has_service_operator {
        azure.service_operator = None;
    }
    let mut own = own(4);
    own["nodePool"] = json!({
        "vmSize": "Standard_D4s_v5", "min": 0, "max": 6, "availabilityZones": [1, 3], "maxPods": 30, "osSku": "AzureLinux",
    });
    let shop = zone("shop", &platform, &own, &json!({}));
    let estate = Estate::new(platform, vec![shop]);
    let resources = estate.resources(&estate.zones[0], &Priorities::new());
    assert!(resources.node_pools.is_empty());
    let azure = estate.platform.azure.as_ref().unwrap();
    let owner = Owner::landing_zone(&estate.zones[0]);
    let objects = azure_objects(&resources, azure, &AzureVersions::common(), &owner);
    every_field_is_known(&objects);
    let kinds: BTreeSet<_> = objects
        .iter()
        .map(|it| it["kind"].as_str().unwrap())
        .collect();
    let written = azure.kinds_of_landing_zones();
    let written: BTreeSet<_> = written.into_iter().map(AzureKind::name).collect();
    assert_eq!(kinds, written);
    if !only.is_empty() {
        assert_eq!(kinds, only.iter().copied().collect());
    }
    let of_karpenter = objects
        .iter()
        .filter(|it| ["NodePool", "AKSNodeClass"].contains(&it["kind"].as_str().unwrap()));
    insta::assert_yaml_snapshot!(snapshot, of_karpenter.collect::<Vec<_>>());
}

/// Karpenter makes no more nodes where the subnet of a class becomes another.
#[test]
fn another_subnet_is_another_node_class_of_the_same_pool() {
    let platform = platform(json!({"nodeProvisioning": "Auto"}));
    let of = |third: usize| {
        let mut own = own(third);
        own["nodePool"]["min"] = json!(0);
        let shop = zone("shop", &platform, &own, &json!({}));
        let estate = Estate::new(platform.clone(), vec![shop]);
        let resources = estate.resources(&estate.zones[0], &Priorities::new());
        let [pool] = &resources.karpenter_pools[..] else {
            panic!("{resources:?}");
        };
        (pool.name.clone(), pool.node_class.clone())
    };
    let ((pool, class), (same, other)) = (of(4), of(5));
    assert_eq!(pool, same);
    assert_ne!(class, other);
}

#[test]
fn for_bicep() {
    let (estate, resources) = estate();
    let azure = estate.platform.azure.as_ref().unwrap();
    insta::assert_snapshot!(bicep(&resources, azure, None).unwrap());
}

#[test]
fn bicep_of_two_resource_groups_is_two_files() {
    let (estate, resources) = estate();
    let mut azure = estate.platform.azure.unwrap();
    azure.virtual_network.resource_group = "rg-network".to_owned();
    let both = bicep(&resources, &azure, None).unwrap_err().to_string();
    assert!(both.contains("--resource-group rg-network"), "{both}");
    let other = bicep(&resources, &azure, Some("rg"))
        .unwrap_err()
        .to_string();
    assert!(
        other.contains("rg-network") && other.contains("rg-aks"),
        "{other}"
    );
    let network = bicep(&resources, &azure, Some("RG-network")).unwrap();
    assert!(
        network.contains("securityRules") && !network.contains("agentPools"),
        "{network}"
    );
    let cluster = bicep(&resources, &azure, Some("rg-aks")).unwrap();
    assert!(!cluster.contains("securityRules"), "{cluster}");
    let subnet = "/resourceGroups/rg-network/providers/Microsoft.Network/virtualNetworks/vnet-spoke/subnets/";
    assert!(cluster.contains(subnet), "{cluster}");
}

#[test]
fn for_terraform() {
    let (estate, resources) = estate();
    let azure = estate.platform.azure.as_ref().unwrap();
    let text = terraform(&resources, azure).unwrap();
    hcl::parse(&text).unwrap();
    insta::assert_snapshot!(text);
}
