use serde_json::json;
use unicode_width::UnicodeWidthStr as _;

use super::*;

const LOOK: Look = Look {
    unicode: false,
    width: Look::WIDTH,
};

fn report() -> Report {
    let field = |path: &str, found: Option<Value>, declared: Option<Value>| Field {
        path: path.to_owned(),
        found,
        declared,
        manager: None,
    };
    let diff = |zone: Option<&str>, key: &str, state, fields| ObjectDiff {
        landing_zone: zone.map(str::to_owned),
        key: key.parse().unwrap(),
        state,
        fields,
    };
    let quota = vec![
        Field {
            manager: Some("kubectl-edit".to_owned()),
            ..field("spec.hard.pods", Some(json!("500")), Some(json!("50")))
        },
        field("spec.scopes", Some(json!(["BestEffort"])), None),
    ];
    let selector = json!(format!("all({})", "x".repeat(400)));
    let policy = vec![field("spec.selector", Some(json!("")), Some(selector))];
    let shop = Some("shop");
    Report {
        differences: vec![
            diff(
                shop,
                "ResourceQuota/shop-web/landing-zone",
                State::Differs,
                quota,
            ),
            diff(
                shop,
                "GlobalNetworkPolicy/default.shop",
                State::Differs,
                policy,
            ),
            diff(
                shop,
                "LimitRange/shop-web/landing-zone",
                State::Missing,
                vec![],
            ),
            diff(
                None,
                "Tier/landingzones-platform",
                State::NotDeclared,
                vec![],
            ),
        ],
        compared: 12,
        notes: vec!["a note".to_owned()],
        unread: vec![Unread {
            what: "RoleBinding/shop-web/a".to_owned(),
            why: "forbidden".to_owned(),
        }],
    }
}

#[test]
fn each_object_has_a_heading_and_each_field_a_line() {
    let text = anstream::adapter::strip_str(&tree(&report(), LOOK)).to_string();
    insta::assert_snapshot!(text);
    assert!(text.lines().all(|line| line.width() <= Look::WIDTH));
    let none = Report {
        compared: 7,
        ..Report::default()
    };
    let text = anstream::adapter::strip_str(&tree(&none, LOOK)).to_string();
    assert_eq!(text, "no difference of 7 objects that were compared\n");
}

// Scripts rely on these names.
#[test]
fn programs_get_all_of_it() {
    let told: Value = serde_json::from_str(&json(&report()).unwrap()).unwrap();
    let help = super::super::AFTER_HELP;
    for field in told.as_object().unwrap().keys() {
        assert!(help.contains(&format!("\n  {field} ")), "{field}");
    }
    let first = &told["differences"][0];
    assert_eq!(
        *first,
        json!({
            "landingZone": "shop", "object": "ResourceQuota/shop-web/landing-zone", "state": "Differs",
            "fields": [
                {"path": "spec.hard.pods", "found": "500", "declared": "50", "manager": "kubectl-edit"},
                {"path": "spec.scopes", "found": ["BestEffort"], "declared": null, "manager": null},
            ],
        })
    );
    assert_eq!(told["differences"][3]["landingZone"], Value::Null);
    assert_eq!(told["compared"], 12);
    assert_eq!(told["unread"][0]["what"], "RoleBinding/shop-web/a");
}
