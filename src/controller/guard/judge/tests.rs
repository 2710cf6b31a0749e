use kube::Resource;
use serde_json::json;

use super::super::tests::{CALICO, object};
use super::super::{Guard, InForce, LARGEST};
use super::*;
use crate::api;
use crate::domain::{LandingZone, Platform, Resolved};

fn zone(name: &str) -> InForce {
    let declared = json!({
        "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZone",
        "metadata": {"name": name},
        "spec": {"applicationCode": name, "namespaces": [{"name": format!("{name}-web"), "zone": "web"}]},
    });
    let declared: api::LandingZone = serde_json::from_value(declared).unwrap();
    InForce {
        zone: Arc::new(LandingZone::validate(&declared, &Platform::default()).unwrap()),
        crossings: Resolved::default(),
    }
}

/// Judges everything that a guard knows, and tells whom each finding concerns: landing zone, rule, whether it is open.
fn told(guard: &Guard) -> Vec<(String, BoundaryFinding)> {
    let state = guard.lock();
    let inputs = Inputs::of_zones(CALICO, vec![zone("shop"), zone("orders")], &state);
    let landscape = inputs.landscape();
    let mut all = Vec::new();
    for (key, written) in &state.written {
        let work = Work {
            key: key.clone(),
            taken_in: written.taken_in,
            object: written.object.clone(),
            is_whole: written.is_whole,
        };
        for (concerned, found) in judged(&work, &inputs, &landscape).0 {
            for zone in concerned {
                all.extend(found.iter().map(|it| (zone.clone(), it.clone())));
            }
        }
    }
    all
}

fn in_short(told: &[(String, BoundaryFinding)]) -> Vec<(&str, &str, bool)> {
    let each = told.iter();
    each.map(|(zone, it)| (zone.as_str(), it.rule.as_str(), it.open))
        .collect()
}

fn global(guard: &Guard, source: Source, rest: Value) {
    let mut object = object("", "a", rest);
    object.meta_mut().namespace = None;
    guard.saw(source, CALICO, &object);
}

#[test]
fn what_cannot_be_read_is_taken_for_open() {
    let guard = Guard::default();
    let rule = json!({"action": "Allow", "ipVersion": "four"});
    let policy = json!({"spec": {"egress": [rule]}});
    guard.saw(
        Source::Calico,
        CALICO,
        &object("shop-web", "a", policy.clone()),
    );
    let told_of = told(&guard);
    assert_eq!(in_short(&told_of), [("shop", "invalid", true)]);
    let found = &told_of[0].1;
    assert!(found.message.contains("cannot be read"), "{found:?}");
    assert_eq!(found.field.as_deref(), Some("spec.egress[0].ipVersion"));

    // Of the whole cluster it concerns those that it may select.
    let guard = Guard::default();
    let mut policy = policy;
    policy["spec"]["namespaceSelector"] = json!("projectcalico.org/name == 'orders-web'");
    global(&guard, Source::CalicoGlobal, policy.clone());
    assert_eq!(in_short(&told(&guard)), [("orders", "invalid", true)]);
    policy["spec"]["namespaceSelector"] = json!(["orders-web"]);
    global(&guard, Source::CalicoGlobal, policy);
    assert_eq!(told(&guard).len(), 2);
    let guard = Guard::default();
    global(
        &guard,
        Source::GlobalNetworkSet,
        json!({"spec": {"nets": 5}}),
    );
    assert_eq!(told(&guard).len(), 2);
}

#[test]
fn of_a_policy_of_the_cluster_each_hears_what_crosses_its_own_boundary() {
    let guard = Guard::default();
    let to =
        |selector: &str| json!({"action": "Allow", "destination": {"namespaceSelector": selector}});
    let spec = json!({
        "order": 5, "namespaceSelector": "all()", "types": ["Egress"],
        "egress": [to("applicationcode == 'shop'"), to("projectcalico.org/name == 'shop-web'")],
    });
    global(&guard, Source::CalicoGlobal, json!({"spec": spec}));
    let told_of = told(&guard);
    let expected = [
        ("orders", "order-before-platform", true),
        ("orders", "code-wrong", true),
        ("orders", "namespace-name", true),
        ("shop", "order-before-platform", true),
    ];
    assert_eq!(in_short(&told_of), expected);
    for (_, found) in &told_of {
        assert!(
            !found.message.contains("more landing zone"),
            "it is about others, too: {found:?}"
        );
    }
    // What leaves both is told to each in its own words.
    let guard = Guard::default();
    let spec = json!({"order": 500, "namespaceSelector": "all()", "types": ["Egress"], "egress": [to("team == 'red'")]});
    global(&guard, Source::CalicoGlobal, json!({"spec": spec}));
    let told_of = told(&guard);
    assert_eq!(told_of.len(), 2);
    for (zone, found) in &told_of {
        assert!(found.message.contains(zone.as_str()), "{zone}: {found:?}");
    }
}

#[test]
fn what_is_too_large_concerns_whom_it_may_concern() {
    let nets: Vec<_> = (0..LARGEST / 8).map(|_| "10.0.0.0/8").collect();
    let set = |labels: Value| json!({"metadata": {"labels": labels}, "spec": {"nets": nets}});
    let guard = Guard::default();
    let elsewhere = |name: &str, labels: Value| {
        guard.saw(
            Source::NetworkSet,
            CALICO,
            &object("elsewhere", name, set(labels)),
        );
    };
    elsewhere("plain", json!({"team": "red"}));
    assert_eq!(in_short(&told(&guard)), []);
    elsewhere(
        "forged",
        json!({"pcns.landingzones.dev/landing-zone": "shop"}),
    );
    assert_eq!(in_short(&told(&guard)), [("shop", "forged-labels", true)]);
    guard.gone(&(
        Source::NetworkSet,
        Some("elsewhere".to_owned()),
        "forged".to_owned(),
    ));
    // Whoever means it means every address.
    let rule = json!({"action": "Allow", "destination": {"selector": "team == 'red'", "namespaceSelector": "all()"}});
    let policy = json!({"spec": {"types": ["Egress"], "egress": [{"action": "Deny", "destination": {"namespaceSelector": "has(x)"}}, rule]}});
    guard.saw(Source::Calico, CALICO, &object("shop-web", "means", policy));
    assert!(!guard.lock().written.values().all(|it| it.is_whole));
    assert_eq!(told(&guard)[0].0, "shop");

    let guard = Guard::default();
    guard.saw(
        Source::NetworkSet,
        CALICO,
        &object("orders-web", "inside", set(json!({}))),
    );
    assert_eq!(
        in_short(&told(&guard)),
        [("orders", "network-set-inside", true)]
    );

    let guard = Guard::default();
    let rule = json!({"action": "Allow", "destination": {"nets": nets}});
    let spec =
        json!({"namespaceSelector": "projectcalico.org/name == 'orders-web'", "egress": [rule]});
    global(&guard, Source::CalicoGlobal, json!({"spec": spec}));
    assert_eq!(in_short(&told(&guard)), [("orders", "too-complex", true)]);
}

#[test]
fn where_felix_ends_it_ends_for_everybody() {
    let guard = Guard::default();
    let policy = |rule: Value| json!({"spec": {"types": ["Egress"], "egress": [rule]}});
    let open = policy(json!({"action": "Allow"}));
    guard.saw(Source::Calico, CALICO, &object("elsewhere", "open", open));
    assert_eq!(in_short(&told(&guard)), []);
    let fatal = policy(json!({"action": "Accept"}));
    guard.saw(Source::Calico, CALICO, &object("elsewhere", "fatal", fatal));
    let expected = [
        ("orders", "breaks-felix", true),
        ("shop", "breaks-felix", true),
    ];
    assert_eq!(in_short(&told(&guard)), expected);
}
