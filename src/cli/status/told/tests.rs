use serde_json::json;
use unicode_width::UnicodeWidthStr as _;

use super::super::verdict;
use super::*;

const LOOK: Look = Look {
    unicode: false,
    width: Look::WIDTH,
};

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn sample() -> LandingZone {
    let time = "2026-11-26T10:00:00Z";
    let condition = |type_: &str, status: &str, reason: &str, message: &str| json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": time});
    let zone = json!({
        "metadata": {"name": "shop", "generation": 1},
        "spec": {
            "applicationCode": "app1", "contact": "shop@example.com",
            "namespaces": [{"name": "shop-web", "zone": "web"}],
        },
        "status": {
            "observedGeneration": 1,
            "conditions": [
                condition("Ready", "True", "AsDeclared", "everything declared is in the cluster"),
                condition("Stalled", "False", "AsDeclared", "everything declared is in the cluster"),
                condition("CrossingsOpen", "False", "CrossingsClosed", "orders is closed"),
            ],
            "effective": {
                "stage": "Enforce", "adoptionPolicy": "Never", "deletePolicy": "Keep", "intraZone": "Allow",
                "flavour": "crd.projectcalico.org/v1", "tiers": true,
            },
            "namespaces": [
                {"name": "shop-web", "zone": "web", "state": "Ready"},
                {"name": "shop-data", "zone": "data", "state": "Withheld", "message": "it is somebody else's"},
            ],
            "released": [{"name": "shop-old", "zone": "web"}],
            "crossings": [
                {"direction": "Egress", "name": "orders", "peer": "landing zone orders, zone data",
                 "state": "DeclaredHere", "message": "it opens when they declare it", "validUntil": "2027-01-31"},
                {"name": "dns", "peer": "kube-system", "state": "Open"},
            ],
            "findings": [
                {"rule": "namespace-name", "object": "NetworkPolicy/shop-web/a", "message": "too wide", "open": true},
            ],
            "plan": ["create Namespace/a"],
            "unobserved": ["a policy decides there"],
            "drift": {"repaired": 7, "recent": [{
                "object": "ResourceQuota/shop-web/landing-zone", "change": "spec.hard.pods: 500, declared 50",
                "manager": "kubectl-edit", "time": time,
            }]},
        },
    });
    serde_json::from_value(zone).unwrap()
}

#[test]
fn everything_that_a_status_says_is_in_the_tree() {
    let shop = sample();
    let mut text = headline(&verdict::of_zone(&shop)).print(LOOK);
    text += &zone(
        "shop",
        &shop,
        Some("2 run, 1 elsewhere:\n  shop-web/a on b"),
    )
    .print(LOOK);
    insta::assert_snapshot!(plain(&text));
    assert!(text.lines().all(|line| plain(line).width() <= Look::WIDTH));
}

fn row(name: &str, standing: Standing, whom: &[&str]) -> Row {
    let waiting_for = whom.iter().map(|it| verdict::Whom::LandingZone {
        name: (*it).to_owned(),
    });
    Row {
        name: name.to_owned(),
        verdict: Verdict {
            standing,
            waiting_for: waiting_for.collect(),
            message: "why ".repeat(30).trim().to_owned(),
        },
    }
}

#[test]
fn the_worst_comes_first_and_each_has_a_line() {
    let mut rows = vec![
        row("a", Standing::Healthy, &[]),
        row("c", Standing::Waiting, &["orders"]),
        row("long-name", Standing::ActNow, &[]),
        row("b", Standing::Waiting, &["bills"]),
    ];
    sort(&mut rows);
    let text = plain(&overview(&summary(&rows, None), &rows, None, LOOK));
    insta::assert_snapshot!(text);
    assert!(text.lines().all(|line| line.width() <= Look::WIDTH));
    assert_eq!(summary(&rows, None).standing, Standing::ActNow);
    let waiting = summary(&rows[1..], None);
    assert_eq!(
        waiting.word(),
        "waiting for the team of landing zone bills and the team of landing zone orders"
    );
    assert_eq!(summary(&rows[3..], None).word(), "healthy");
    assert_eq!(
        summary(&rows[3..], Some(&rows[0].verdict)).word(),
        "act now"
    );
}
