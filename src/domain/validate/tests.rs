use serde_json::{Value, json};

use super::*;
use crate::domain::Quantity;

fn declaration() -> Value {
    json!({
        "apiVersion": "landingzones.dev/v1alpha1",
        "kind": "LandingZone",
        "metadata": {"name": "shop"},
        "spec": {
            "applicationCode": "SHOP",
            "labels": {"costCenter": "4711", "team": "all"},
            "quotaTotal": {"pods": "30"},
            "namespaces": [
                {"name": "shop-web", "zone": "frontend", "quota": {"pods": "10"}, "labels": {"team": "web"}},
                {"name": "shop-db", "zone": "data", "quota": {"pods": "20"}},
            ],
            "access": [
                {"kind": "Group", "name": "developers", "role": "edit"},
                {"kind": "ServiceAccount", "name": "build:deployer", "role": "view", "zones": ["data"]},
            ],
            "network": {"flows": [{
                "name": "web-to-db", "from": {"zone": "frontend"}, "to": {"zone": "data"},
                "ports": [{"protocol": "TCP", "port": 5432}, {"protocol": "TCP", "port": 6000, "endPort": 6010}],
            }]},
        },
    })
}

fn validate(declaration: Value) -> Result<LandingZone, Vec<Problem>> {
    let declared = serde_json::from_value(declaration).expect("the declaration can be read");
    LandingZone::validate(&declared, &Platform::default())
}

#[test]
fn a_good_declaration_is_read_whole() {
    let zone = validate(declaration()).expect("it is good");
    assert_eq!(zone.code.as_str(), "SHOP");
    assert_eq!(
        zone.namespaces[0].labels["team"], "web",
        "the nearer label wins"
    );
    assert_eq!(zone.namespaces[1].labels["team"], "all");
    assert_eq!(
        zone.namespaces[1].quota["pods"],
        "20".parse::<Quantity>().unwrap()
    );
    let zones: Vec<&str> = zone.access[0]
        .zones
        .iter()
        .map(crate::domain::Zone::as_str)
        .collect();
    assert_eq!(zones, ["data", "frontend"], "no zones means all of them");
    assert_eq!(zone.access[1].namespace.as_deref(), Some("build"));
    assert_eq!(zone.access[1].name, "deployer");
    let ports: Vec<(u16, u16)> = zone.network.flows[0]
        .ports
        .iter()
        .map(|p| (p.first, p.last))
        .collect();
    assert_eq!(ports, [(5432, 5432), (6000, 6010)]);
    assert_eq!(zone.placement, None);
}

#[test]
fn every_mistake_is_told_in_the_order_of_the_fields() {
    let mut declaration = declaration();
    declaration["metadata"]["name"] = "shop.old".into();
    declaration["spec"]["applicationCode"] = "SHOP 1".into();
    declaration["spec"]["namespaces"][1]["name"] = "kube-system".into();
    declaration["spec"]["access"][1]["role"] = "cluster-admin".into();
    declaration["spec"]["network"]["flows"][0]["to"]["zone"] = "backend".into();
    let problems = validate(declaration).expect_err("it is bad");
    let paths: Vec<String> = problems
        .iter()
        .map(|problem| problem.path.to_string())
        .collect();
    assert_eq!(
        paths,
        [
            "metadata.name",
            "spec.applicationCode",
            "spec.namespaces[1].name",
            "spec.access[1].role",
            "spec.network.flows[0].to.zone",
        ]
    );
}

#[test]
fn totals_are_compared_exactly() {
    let mut declaration = declaration();
    declaration["spec"]["quotaTotal"] = json!({"requests.cpu": "0.3"});
    declaration["spec"]["namespaces"][0]["quota"] = json!({"requests.cpu": "0.1"});
    declaration["spec"]["namespaces"][1]["quota"] = json!({"requests.cpu": "200m"});
    validate(declaration.clone()).expect("0.1 and 200m are 0.3");
    declaration["spec"]["namespaces"][1]["quota"] = json!({"requests.cpu": "200000001n"});
    let problems = validate(declaration).expect_err("a billionth too much");
    assert_eq!(
        problems[0].to_string(),
        "spec.quotaTotal[requests.cpu]: \"0.3\": is less than the quotas of all namespaces, added \
         up: lower them, or raise quotaTotal (they are 300000001n)"
    );
}

#[test]
fn long_values_are_shown_in_part() {
    let mut declaration = declaration();
    declaration["spec"]["applicationCode"] = "x".repeat(500).into();
    let problems = validate(declaration).expect_err("it is too long");
    assert_eq!(problems[0].value.chars().count(), 81);
}
