//! What the firewall lets through.

use super::*;
use crate::build::{ApplicationRule, read_application_rules};
use crate::domain::AzureVersions;

const POLICY: &str = "/subscriptions/00000000-0000-0000-0000-000000000002/resourceGroups/rg-hub/providers/Microsoft.Network/firewallPolicies/fw";

fn with_firewall(rest: Value) -> Platform {
    let mut hub = json!({
        "routeTable": POLICY.replace("firewallPolicies", "routeTables"),
        "firewall": {"policy": POLICY, "credentialFrom": "azure-hub"},
    });
    if let Value::Object(fields) = rest {
        for (field, value) in fields {
            hub["firewall"][field] = value;
        }
    }
    platform(json!({ "hub": hub }))
}

fn towards(names: &[&str], ports: &Value) -> Value {
    json!({"egress": [{"name": "out", "to": {"fqdns": names}, "ports": ports}]})
}

/// One with nodes of its own, and one that shares theirs.
fn estate(platform: Platform) -> Estate {
    let ports = json!([{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 80}]);
    let shop = towards(&["api.example.com", "*.example.org"], &ports);
    let shop = zone("shop", &platform, &own(10), &shop);
    let orders = towards(&["pay.example.net"], &json!([]));
    let orders = zone("orders", &platform, &Value::Null, &orders);
    let quiet = zone("quiet", &platform, &own(11), &json!({}));
    Estate::new(platform, vec![shop, orders, quiet])
}

impl Estate {
    fn declared(&self) -> Vec<ApplicationRule> {
        let rules =
            |it| application_rules(it, &self.platform, &self.openings(it), &self.neighbours());
        self.zones.iter().flat_map(rules).collect()
    }

    pub(super) fn of_platform(&self) -> AzureResources {
        let declared = self.declared();
        platform_azure(
            &self.platform,
            &self.neighbours(),
            &declared,
            &Priorities::new(),
        )
    }
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn each_subnet_reaches_the_names_that_its_landing_zones_declare() {
    let estate = estate(with_firewall(json!({})));
    let resources = estate.of_platform();
    let [group] = resources.rule_collection_groups.as_slice() else {
        panic!("{resources:?}");
    };
    assert_eq!((group.policy.as_str(), group.priority), (POLICY, 1000));
    let [aks, declared] = group.collections.as_slice() else {
        panic!("{group:?}");
    };
    // Nodes of all pools need what AKS needs.
    assert_eq!(aks.name, "aks");
    let all = nets(&["10.1.0.0/23", "10.1.10.0/23"]);
    assert_eq!(aks.rules[0].sources, all);
    assert_eq!(aks.rules[0].names, RuleNames::Tag("AzureKubernetesService"));
    assert_eq!(declared.name, "landing-zones");
    let [orders, shop] = declared.rules.as_slice() else {
        panic!("{declared:?}");
    };
    assert_eq!(shop.name, "shop.out");
    assert_eq!(shop.sources, nets(&["10.1.10.0/24"]));
    let protocols: Vec<_> = shop
        .protocols
        .iter()
        .map(|it| (it.protocol_type(), it.port))
        .collect();
    assert_eq!(protocols, [("Http", 80), ("Https", 443)]);
    // Whoever has no subnet of its own comes from those that are shared.
    assert_eq!(orders.name, "orders.out");
    assert_eq!(orders.sources, nets(&["10.1.0.0/23"]));
    let expected = ["pay.example.net".parse().unwrap()].into();
    assert_eq!(orders.names, RuleNames::Fqdns(expected));
}

#[test]
fn without_a_firewall_there_is_no_rule() {
    let estate = estate(platform(json!({})));
    assert!(estate.declared().is_empty());
    assert!(estate.of_platform().rule_collection_groups.is_empty());
    let nobody = Estate::new(with_firewall(json!({"priority": 4000})), Vec::new());
    let groups = nobody.of_platform().rule_collection_groups;
    // What AKS needs stays.
    let names: Vec<_> = groups[0].collections.iter().map(|it| it.name).collect();
    assert_eq!(
        (names.as_slice(), groups[0].priority),
        (["aks"].as_slice(), 4000)
    );
}

/// What stands in a cluster is kept of landing zones that nobody looked at yet: it has to be the same.
#[test]
fn rules_are_read_as_they_are_written() {
    let estate = estate(with_firewall(json!({})));
    let azure = estate.platform.azure.as_ref().unwrap();
    let objects = azure_objects(
        &estate.of_platform(),
        azure,
        &AzureVersions::common(),
        &Owner::platform(),
    );
    super::rendered::every_field_is_known(&objects);
    let mut objects = objects.iter();
    let group = objects.find(|it| it["kind"] == "FirewallPoliciesRuleCollectionGroup");
    let group = group.unwrap();
    let mut declared = estate.declared();
    declared.sort();
    assert_eq!(
        read_application_rules(&group["spec"]["ruleCollections"]),
        declared
    );
    let zones: Vec<_> = declared
        .iter()
        .map(|it| landing_zone_of_rule(&it.name))
        .collect();
    assert_eq!(zones, [Some("orders"), Some("shop")]);
    let annotations = &group["metadata"]["annotations"];
    // The hub may lie in another subscription.
    assert_eq!(
        annotations["serviceoperator.azure.com/credential-from"],
        "azure-hub"
    );
    assert_eq!(
        annotations["serviceoperator.azure.com/reconcile-policy"],
        "detach-on-delete"
    );
}

#[test]
fn names_of_rules_fit() {
    let platform = with_firewall(json!({}));
    let (long, other) = ("s".repeat(40), "c".repeat(40));
    let network = json!({"egress": [{"name": other, "to": {"fqdns": ["a.example.com"]}}]});
    let mut spec = json!({
        "applicationCode": "shop", "namespaces": [{"name": "shop-web", "zone": "web"}],
    });
    spec["network"] = network;
    let declared = api::LandingZone::new(&long, serde_json::from_value(spec).unwrap());
    let zone = LandingZone::validate(&declared, &platform).unwrap();
    let estate = Estate::new(platform, vec![zone]);
    let rules = estate.declared();
    assert!(rules[0].name.len() <= 80, "{}", rules[0].name);
    assert_eq!(landing_zone_of_rule(&rules[0].name), Some(long.as_str()));
}

#[test]
fn in_each_form() {
    let estate = estate(with_firewall(json!({})));
    let azure = estate.platform.azure.as_ref().unwrap();
    let resources = AzureResources {
        rule_collection_groups: estate.of_platform().rule_collection_groups,
        ..AzureResources::default()
    };
    let objects = azure_objects(
        &resources,
        azure,
        &AzureVersions::common(),
        &Owner::platform(),
    );
    insta::assert_yaml_snapshot!("firewall_aso", objects);
    // The policy lies in a resource group of its own.
    let error = bicep(&resources, azure, None).unwrap_err().to_string();
    assert!(
        error.contains("rg-aks, then --resource-group rg-hub"),
        "{error}"
    );
    let of_cluster = bicep(&resources, azure, Some("rg-aks")).unwrap();
    assert!(!of_cluster.contains("ruleCollections"), "{of_cluster}");
    insta::assert_snapshot!(
        "firewall_bicep",
        bicep(&resources, azure, Some("rg-hub")).unwrap()
    );
    let text = terraform(&resources, azure).unwrap();
    hcl::parse(&text).unwrap();
    insta::assert_snapshot!("firewall_terraform", text);
}

/// While a node pool gives way to another one, pods are in both subnets.
#[test]
fn a_subnet_that_is_declared_no_more_keeps_its_way_out() {
    let estate = estate(with_firewall(json!({})));
    let shop = &estate.zones[0];
    let mut neighbours = estate.neighbours();
    let own = neighbours.subnets.get_mut(&shop.name).unwrap();
    own.former = nets(&["10.1.20.0/24"]);
    let rules = application_rules(shop, &estate.platform, &estate.openings(shop), &neighbours);
    assert_eq!(rules[0].sources, nets(&["10.1.10.0/24", "10.1.20.0/24"]));
    let nobody = Priorities::new();
    let resources = platform_azure(&estate.platform, &neighbours, &rules, &nobody);
    let aks = &resources.rule_collection_groups[0].collections[0].rules[0];
    assert!(aks.sources.contains(&nets(&["10.1.20.0/24"])[0]), "{aks:?}");
}
