//! Each bad declaration is refused at its field, in words that name the way out.

use e2e::refusals::{Refusal, flawless, refusals};
use landing_zone_operator::api;
use landing_zone_operator::domain::{LandingZone, Platform};
use serde_json::{Value, json};

/// A cluster in Azure.
fn platform() -> Platform {
    let spec = json!({
        "network": {"plugin": "AzureCNI"},
        "azure": {
            "subscription": "00000000-0000-0000-0000-000000000001", "resourceGroup": "rg", "location": "westeurope",
            "cluster": "aks", "virtualNetwork": {"name": "vnet", "cidrs": ["10.1.0.0/16"]},
            "systemSubnet": {"name": "system", "cidr": "10.1.0.0/24"},
        },
    });
    let spec = serde_json::from_value(spec).expect("the platform can be read");
    let declared = api::LandingZonePlatform::new("cluster", spec);
    let platform = Platform::default().declared(&declared);
    platform.expect("the platform is as it should be")
}

fn problems(declaration: Value) -> Vec<(String, String)> {
    let declared: api::LandingZone =
        serde_json::from_value(declaration).expect("the declaration can be read");
    let Err(problems) = LandingZone::validate(&declared, &platform()) else {
        return Vec::new();
    };
    let shown = problems.into_iter();
    shown
        .map(|problem| (problem.path.to_string(), problem.rule))
        .collect()
}

#[test]
fn the_flawless_one_is_accepted() {
    assert_eq!(problems(flawless()), []);
}

#[test]
fn each_mistake_is_refused_alone() {
    for Refusal {
        name,
        declaration,
        path,
        words,
        ..
    } in refusals()
    {
        let found = problems(declaration);
        let [(at, rule)] = found.as_slice() else {
            panic!("{name}: one problem expected, {found:?} found");
        };
        assert_eq!(*at, path, "{name}");
        assert!(rule.contains(words), "{name}: {rule}");
        let (_, way_out) = rule.split_once(": ").expect("a rule and a way out");
        assert!(!way_out.is_empty(), "{name}: {rule}");
    }
}
