//! What an analyst would ask of a change: pairs of declarations, and what is told of them.

mod fields;
mod fixture;
mod landing_zones;
mod platforms;
mod properties;

use rstest::rstest;
use serde_json::json;

use super::{ChangeKind, Part, ReachChange, approval_required};
use crate::domain::Flavour;
use fixture::{FLAVOURS, Stand, at, between, changed, only, told};

/// Landing zone orders lets application2 in, and application2 does not use it yet.
const BASE: &str = "
kind: LandingZone
metadata: {name: application2}
spec:
  applicationCode: application2
  namespaces:
  - {name: application2-ns1, zone: frontend, quota: {pods: '10'}}
  - {name: application2-ns2, zone: backend}
---
kind: LandingZone
metadata: {name: orders}
spec:
  applicationCode: orders
  namespaces: [{name: orders-web, zone: web}, {name: orders-data, zone: data}]
  network:
    ingress:
    - {name: from-application2, from: {landingZone: application2}, to: {zone: data}, ports: [{protocol: TCP, port: 5432}]}
---
kind: LandingZonePlatform
metadata: {name: cluster}
spec:
  network: {podCidrs: [10.244.0.0/16], nodeCidrs: [10.240.0.0/24]}
  destinations:
  - {name: bank, owner: treasury, cidrs: [192.0.2.0/28], ports: [{protocol: TCP, port: 443}]}
  sharedServices:
  - {name: monitoring, direction: ToLandingZones, peers: [{namespaceSelector: {matchLabels: {tier: monitoring}}}], ports: [{protocol: TCP, port: 9090}]}
";

/// The crossing that answers it, as one more entry of application2.
fn egress(entry: &str) -> String {
    let spec = "  applicationCode: application2\n";
    let network = format!("{spec}  network: {{egress: [{entry}]}}\n");
    BASE.replacen(spec, &network, 1)
}

const TO_DATA: &str = "{name: to-orders, from: {zone: backend}, to: {landingZone: orders, zone: data}, ports: [{protocol: TCP, port: 5432}]}";

#[test]
fn a_crossing_that_both_declare_opens() {
    let dated = TO_DATA.replace("ports:", "validUntil: 2026-12-31, reason: CHG0012, ports:");
    for flavour in FLAVOURS {
        let found = changed(BASE, &egress(&dated), flavour);
        let change = only(&found);
        assert_eq!(
            (change.part, change.kind),
            (Part::Crossing, ChangeKind::Opened)
        );
        assert_eq!(
            change.message,
            "landing zone application2 opens egress from its zone backend to landing zone orders, zone data, \
             TCP 5432, until 2026-12-31, reason \"CHG0012\": orders declares the other half"
        );
        assert!(change.crosses_boundary);
        assert_eq!(change.path.to_string(), "spec.network.egress[0]");
        assert_eq!(change.reach.before, [] as [&str; 0]);
        assert_eq!(
            change.reach.after,
            ["application2/backend → orders/data TCP 5432, until 2026-12-31"]
        );
    }
}

#[test]
fn what_is_shown_with_a_crossing_is_what_it_is_about() {
    let partner = |until: &str, port: u16| {
        format!(
            "{{name: partner, from: {{zone: backend}}, {until}to: {{cidrs: [198.51.100.0/24]}}, ports: [{{protocol: TCP, port: {port}}}]}}"
        )
    };
    let others = "{name: elsewhere, to: {cidrs: [203.0.113.0/24]}}, {name: to-bank, to: {destination: bank}}";
    let with = |text: &str| egress(&format!("{others}, {text}, {TO_DATA}"));
    let found = between(
        &with(&partner("validUntil: 2027-01-31, ", 443)),
        &with(&partner("", 443)),
    );
    let change = only(&found);
    assert_eq!(
        change.message,
        "landing zone application2 extends egress from its zone backend to 198.51.100.0/24, TCP 443: \
         valid until 2027-01-31 before, without end now"
    );
    let line = "application2/backend → 198.51.100.0/24 TCP 443";
    assert_eq!(change.reach.before, [format!("{line}, until 2027-01-31")]);
    assert_eq!(change.reach.after, [line]);

    // It says what becomes of its own ports, and what it newly opens.
    let found = between(&with(&partner("", 443)), &with(&partner("", 8443)));
    let change = only(&found);
    assert_eq!(change.reach.before, [line]);
    assert_eq!(
        change.reach.after,
        ["application2/backend → 198.51.100.0/24 TCP 8443"]
    );

    // Of two changes each has its own.
    let both = with(&partner("", 443)).replace("203.0.113.0/24", "203.0.113.0/24, 192.0.2.128/25");
    let found = between(&with(&partner("", 8443)), &both);
    let after = |name: &str| {
        let change = found.iter().find(|it| it.name == name).unwrap();
        change.reach.after.join("; ")
    };
    assert_eq!(after("partner"), line);
    assert!(
        !after("elsewhere").contains("198.51.100"),
        "{}",
        after("elsewhere")
    );
    assert!(
        after("elsewhere").contains("192.0.2.128/25"),
        "{}",
        after("elsewhere")
    );

    // What another crossing opens without end has none, and what is only observed says so.
    let twice = |until: &str| {
        let same = partner("", 443).replace("name: partner", "name: same");
        with(&format!("{same}, {}", partner(until, 443)))
    };
    let observed = |text: &str| {
        text.replacen(
            "  applicationCode",
            "  stage: Observe\n  applicationCode",
            1,
        )
    };
    let found = between(
        &observed(&twice("")),
        &observed(&twice("validUntil: 2027-01-31, ")),
    );
    let reach = &only(&found).reach;
    assert_eq!(reach.before, [format!("{line}, stage Observe")]);
    assert_eq!(reach.after, reach.before);
}

#[test]
fn it_is_told_as_json() {
    let dated = TO_DATA.replace(
        "ports:",
        "validUntil: 2026-12-31, reason: CHG0012, owner: me, ports:",
    );
    let found = between(BASE, &egress(&dated));
    let mut json = serde_json::to_value(only(&found)).unwrap();
    json.as_object_mut().unwrap().remove("message");
    assert_eq!(
        json,
        json!({
            "landingZone": "application2",
            "part": "crossing",
            "kind": "Opened",
            "crossesBoundary": true,
            "name": "to-orders",
            "direction": "Egress",
            "peer": "landing zone orders, zone data",
            "ports": ["TCP 5432"],
            "reason": "CHG0012",
            "owner": "me",
            "validUntil": "2026-12-31",
            "side": "After",
            "path": "spec.network.egress[0]",
            "reach": {"before": [], "after": ["application2/backend → orders/data TCP 5432, until 2026-12-31"]},
        })
    );
}

/// What became of a crossing of application2, whether it needs approval, and what is said of it.
#[rstest]
#[case::same(TO_DATA, TO_DATA, None)]
#[case::same_ports_written_otherwise(
    "{name: a, to: {cidrs: [198.51.100.0/24]}, ports: [{protocol: TCP, port: 80}, {protocol: TCP, port: 81}]}",
    "{name: a, to: {cidrs: [198.51.100.128/25, 198.51.100.0/25]}, ports: [{protocol: TCP, port: 80, endPort: 81}]}",
    None
)]
#[case::half("", "{name: x, to: {landingZone: orders, zone: web}}", Some((ChangeKind::StillClosed, false, "still closed, declared here, not there")))]
#[case::nobody_there("", "{name: x, to: {landingZone: nobody}}", Some((ChangeKind::StillClosed, false, "there is no landing zone nobody")))]
#[case::half_gone("{name: x, to: {landingZone: nobody}}", "", Some((ChangeKind::Removed, false, "nothing of it was open")))]
#[case::closed(TO_DATA, "", Some((ChangeKind::Closed, false, "closes egress")))]
#[case::more_pods(
    "{name: x, from: {zone: backend, podSelector: {matchLabels: {app: a}}}, to: {landingZone: orders}}",
    "{name: x, from: {zone: backend}, to: {landingZone: orders}}",
    Some((ChangeKind::Widened, true, "was its zone backend, pods app=a"))
)]
#[case::fewer_labels(
    "{name: x, from: {podSelector: {matchLabels: {app: a, role: b}}}, to: {landingZone: orders}}",
    "{name: x, from: {podSelector: {matchLabels: {app: a}}}, to: {landingZone: orders}}",
    Some((ChangeKind::Widened, true, "its pods app=a"))
)]
#[case::fewer_pods(
    "{name: x, to: {landingZone: orders}}",
    "{name: x, from: {zone: backend}, to: {landingZone: orders}}",
    Some((ChangeKind::Narrowed, false, "was all its pods"))
)]
#[case::all_zones_written_out_but_one(
    "{name: x, from: {zone: frontend}, to: {landingZone: orders}}",
    "{name: x, to: {landingZone: orders}}",
    Some((ChangeKind::Widened, true, "was its zone frontend"))
)]
#[case::more_ports(
    "{name: x, to: {cidrs: [198.51.100.0/24]}, ports: [{protocol: TCP, port: 443}]}",
    "{name: x, to: {cidrs: [198.51.100.0/24]}, ports: [{protocol: TCP, port: 443}, {protocol: UDP, port: 443}]}",
    Some((ChangeKind::Widened, true, "was TCP 443"))
)]
#[case::no_ports_are_all(
    "{name: x, to: {cidrs: [198.51.100.0/24]}, ports: [{protocol: TCP, port: 443}]}",
    "{name: x, to: {cidrs: [198.51.100.0/24]}}",
    Some((ChangeKind::Widened, true, "all ports: was TCP 443"))
)]
#[case::wider_range(
    "{name: x, to: {cidrs: [198.51.100.0/24]}}",
    "{name: x, to: {cidrs: [198.51.100.0/23]}}",
    Some((ChangeKind::Widened, true, "was 198.51.100.0/24"))
)]
#[case::except_is_gone(
    "{name: x, to: {cidrs: [198.51.100.0/24], except: [198.51.100.7/32]}}",
    "{name: x, to: {cidrs: [198.51.100.0/24]}}",
    Some((ChangeKind::Widened, true, "except 198.51.100.7/32"))
)]
#[case::except_is_new(
    "{name: x, to: {cidrs: [198.51.100.0/24]}}",
    "{name: x, to: {cidrs: [198.51.100.0/24], except: [198.51.100.7/32]}}",
    Some((ChangeKind::Narrowed, false, "except 198.51.100.7/32"))
)]
#[case::other_range(
    "{name: x, to: {cidrs: [198.51.100.0/24]}}",
    "{name: x, to: {cidrs: [203.0.113.0/24]}}",
    Some((ChangeKind::Widened, true, "was 198.51.100.0/24"))
)]
#[case::nodes_are_meant(
    "{name: x, to: {cidrs: [10.240.0.0/16]}}",
    "{name: x, to: {cidrs: [10.240.0.0/16]}, acknowledge: NodeRange}",
    Some((ChangeKind::Widened, true, "acknowledged: NodeRange"))
)]
#[case::metadata(
    "",
    "{name: x, to: {cidrs: [169.254.169.254/32]}, acknowledge: MetadataService}",
    Some((ChangeKind::Opened, true, "169.254.169.254/32, all ports: acknowledged: MetadataService"))
)]
#[case::internet(
    "",
    "{name: x, to: {cidrs: [0.0.0.0/0]}, acknowledge: AllAddresses}",
    Some((ChangeKind::Opened, true, "acknowledged: AllAddresses"))
)]
#[case::to_pods_by_address("", "{name: x, to: {cidrs: [10.244.7.0/24]}}", Some((ChangeKind::StillClosed, false, "belongs to the addresses of pods")))]
#[case::destination("", "{name: x, to: {destination: bank}}", Some((ChangeKind::Opened, true, "egress to destination bank of treasury (192.0.2.0/28), its ports")))]
#[case::no_such_destination("", "{name: x, to: {destination: bnak}}", Some((ChangeKind::StillClosed, false, "the platform has no destination bnak")))]
#[case::by_address_what_was_by_name(
    "{name: x, to: {destination: bank}}",
    "{name: x, to: {cidrs: [192.0.2.0/28]}, ports: [{protocol: TCP, port: 443}]}",
    Some((ChangeKind::Reworded, false, "was destination bank"))
)]
#[case::api_server("", "{name: x, to: {apiServer: true}}", Some((ChangeKind::Opened, true, "the API server")))]
#[case::longer(
    "{name: x, validUntil: 2026-06-30, to: {cidrs: [198.51.100.0/24]}}",
    "{name: x, validUntil: 2026-12-31, to: {cidrs: [198.51.100.0/24]}}",
    Some((ChangeKind::Extended, true, "until 2026-12-31: valid until 2026-06-30 before, until 2026-12-31 now"))
)]
#[case::for_ever(
    "{name: x, validUntil: 2026-06-30, to: {cidrs: [198.51.100.0/24]}}",
    "{name: x, to: {cidrs: [198.51.100.0/24]}}",
    Some((ChangeKind::Extended, true, "all ports: valid until 2026-06-30 before, without end now"))
)]
#[case::narrower_and_longer(
    "{name: x, validUntil: 2026-06-30, to: {cidrs: [198.51.100.0/24]}}",
    "{name: x, to: {cidrs: [198.51.100.0/25]}}",
    Some((ChangeKind::Extended, true, "was 198.51.100.0/24; valid until 2026-06-30 before, without end now"))
)]
#[case::shorter(
    "{name: x, to: {cidrs: [198.51.100.0/24]}}",
    "{name: x, validUntil: 2026-12-31, to: {cidrs: [198.51.100.0/24]}}",
    Some((ChangeKind::Shortened, false, "valid without end before, until 2026-12-31 now"))
)]
#[case::half_for_longer(
    "{name: x, validUntil: 2026-06-30, to: {landingZone: nobody}}",
    "{name: x, to: {landingZone: nobody}}",
    Some((ChangeKind::StillClosed, false, "valid until 2026-06-30 before, without end now; still closed"))
)]
#[case::other_reason(
    "{name: x, reason: CHG1, to: {cidrs: [198.51.100.0/24]}}",
    "{name: x, reason: CHG2, to: {cidrs: [198.51.100.0/24]}}",
    Some((ChangeKind::Reworded, false, "was CHG1"))
)]
#[case::renamed(
    "{name: x, to: {cidrs: [198.51.100.0/24]}}",
    "{name: also, to: {cidrs: [198.51.100.0/24]}}",
    Some((ChangeKind::Reworded, false, "was name x"))
)]
fn a_crossing(
    #[case] before: &str,
    #[case] after: &str,
    #[case] expected: Option<(ChangeKind, bool, &str)>,
) {
    let found = between(&egress(before), &egress(after));
    let Some((kind, crosses, says)) = expected else {
        assert_eq!(told(&found), [] as [&str; 0]);
        return;
    };
    let change = only(&found);
    assert_eq!(
        (change.part, change.kind),
        (Part::Crossing, kind),
        "{change}"
    );
    assert_eq!(change.crosses_boundary, crosses, "{change}");
    assert!(change.message.contains(says), "{change}");
    assert_eq!(approval_required(&found), crosses);
    if crosses && kind != ChangeKind::Extended {
        assert_ne!(change.reach.before, change.reach.after, "{change}");
    }
    let nothing_more = "the rendered policies let nothing more through";
    assert!(!change.message.contains(nothing_more), "{change}");
}

#[test]
fn crossings_that_exchange_their_names_are_not_widened() {
    let (one, other) = (
        "to: {cidrs: [198.51.100.0/24]}",
        "to: {cidrs: [203.0.113.0/24]}, validUntil: 2026-12-31",
    );
    let both = |a: &str, b: &str| egress(&format!("{{name: a, {a}}}, {{name: b, {b}}}"));
    let found = between(&both(one, other), &both(other, one));
    assert_eq!(found.len(), 2, "{:#?}", told(&found));
    for change in &found {
        assert_eq!(
            (change.kind, change.crosses_boundary),
            (ChangeKind::Reworded, false),
            "{change}"
        );
        assert!(
            change.message.contains("was name a") || change.message.contains("was name b"),
            "{change}"
        );
    }
}

#[test]
fn what_another_crossing_opened_already_is_not_widened() {
    let wide = "{name: wide, to: {cidrs: [198.51.100.0/24]}}";
    let with = |range: &str| egress(&format!("{wide}, {{name: x, to: {{cidrs: [{range}]}}}}"));
    // All that it had is open by the other one.
    for (before, after, kind) in [
        ("198.51.100.0/25", "198.51.100.0/24", ChangeKind::Reworded),
        ("203.0.113.0/24", "198.51.100.0/25", ChangeKind::Narrowed),
    ] {
        let found = between(&with(before), &with(after));
        let change = only(&found);
        assert_eq!(
            (change.kind, change.crosses_boundary),
            (kind, false),
            "{change}"
        );
    }
}

#[test]
fn a_description_does_not_show_what_others_opened() {
    let before =
        egress("{name: x, to: {cidrs: [198.51.100.0/24]}, ports: [{protocol: TCP, port: 443}]}");
    let port = "ports: [{protocol: TCP, port: 443}]}]";
    let wider = before.replace(port, &port.replace("443", "443, endPort: 444"));
    for (field, other) in [
        ("contact: me", "contact: you"),
        ("deletePolicy: Keep", "deletePolicy: Delete"),
        ("suspend: true", "suspend: false"),
    ] {
        let with = |text: &str, field: &str| {
            let code = "  applicationCode: application2\n";
            text.replacen(code, &format!("{code}  {field}\n"), 1)
        };
        let found = between(&with(&before, field), &with(&wider, other));
        let [widened, described] = found.as_slice() else {
            panic!("{:#?}", told(&found));
        };
        assert_eq!(widened.kind, ChangeKind::Widened);
        assert!(!widened.reach.after.is_empty());
        assert_eq!(described.reach, ReachChange::default(), "{described}");
    }
}

#[test]
fn what_is_open_already_is_not_opened_again() {
    let known = "{name: x, to: {cidrs: [198.51.100.0/24]}}";
    let part = "{name: also, to: {cidrs: [198.51.100.7/32]}, ports: [{protocol: TCP, port: 443}]}";
    let found = between(&egress(known), &egress(&format!("{known}, {part}")));
    let change = only(&found);
    assert_eq!(
        (change.kind, change.crosses_boundary),
        (ChangeKind::Added, false),
        "{change}"
    );
    assert!(
        change
            .message
            .ends_with("opens nothing that was not open before"),
        "{change}"
    );
    // A crossing without end beside one that ends is not open already.
    let dated = known.replace("to:", "validUntil: 2026-12-31, to:");
    let found = between(&egress(&dated), &egress(&format!("{dated}, {part}")));
    assert!(only(&found).crosses_boundary, "{found:?}");
}

#[test]
fn both_halves_in_one_change_open_it_once_for_each_side() {
    let both = egress("{name: x, from: {zone: backend}, to: {landingZone: orders, zone: web}}").replace(
        "    ingress:\n",
        "    ingress:\n    - {name: also, from: {landingZone: application2}, to: {zone: web}, ports: [{protocol: TCP, port: 80}]}\n",
    );
    let found = between(BASE, &both);
    assert_eq!(
        told(&found),
        [
            "landing zone application2 opens egress from its zone backend to landing zone orders, zone web, all \
             ports: orders declares the other half in the same change",
            "landing zone orders opens ingress to its zone web from landing zone application2, TCP 80: \
             application2 declares the other half in the same change",
        ]
    );
    assert!(found.iter().all(|it| it.crosses_boundary));
    let reached = ["application2/backend → orders/web TCP 80"];
    assert!(
        found.iter().all(|it| it.reach.after == reached),
        "{found:?}"
    );
}

#[test]
fn the_second_half_is_what_opens() {
    let half = egress("{name: x, to: {landingZone: orders, zone: web}}");
    let whole = half.replace(
        "    ingress:\n",
        "    ingress:\n    - {name: also, from: {landingZone: application2}, to: {zone: web}}\n",
    );
    let found = between(&half, &whole);
    let change = only(&found);
    assert_eq!(change.landing_zone.as_deref(), Some("orders"));
    assert!(
        change.crosses_boundary
            && change
                .message
                .contains("application2 declares the other half")
    );
    assert_eq!(
        change.reach.after,
        [
            "application2/backend → orders/web all ports",
            "application2/frontend → orders/web all ports"
        ]
    );
    let back = between(&whole, &half);
    let change = only(&back);
    assert_eq!(
        (change.kind, change.crosses_boundary),
        (ChangeKind::Closed, false)
    );
    assert_eq!(change.path.to_string(), "spec.network.ingress[0]");
    assert_eq!(change.reach.after, [] as [&str; 0]);
}

#[test]
fn a_crossing_that_was_over_opens_again() {
    let close = BASE.replace(
        "  destinations:",
        "  expiredCrossings: Close\n  destinations:",
    );
    let dated = |last| {
        let entry = format!("{{name: x, validUntil: {last}, to: {{cidrs: [198.51.100.0/24]}}}}");
        let network =
            format!("  applicationCode: application2\n  network: {{egress: [{entry}]}}\n");
        close.replacen("  applicationCode: application2\n", &network, 1)
    };
    let found = at("2026-07-01", &dated("2026-06-30"), &dated("2026-12-31"));
    let change = only(&found);
    assert_eq!(
        (change.kind, change.crosses_boundary),
        (ChangeKind::Opened, true)
    );
    assert_eq!(change.reach.after.len(), 2, "{change:?}");
    let found = at("2026-06-30", &dated("2026-06-30"), &dated("2026-12-31"));
    assert_eq!(only(&found).kind, ChangeKind::Extended);
}

#[test]
fn shared_services_open_when_they_are_asked_for() {
    let asking = |name: &str| {
        let network =
            format!("  applicationCode: application2\n  network: {{sharedServices: [{name}]}}\n");
        BASE.replacen("  applicationCode: application2\n", &network, 1)
    };
    let found = between(BASE, &asking("monitoring"));
    let change = only(&found);
    assert_eq!(
        (change.part, change.kind),
        (Part::SharedService, ChangeKind::Opened)
    );
    assert_eq!(
        change.message,
        "landing zone application2 opens shared service monitoring (from namespaces with tier=monitoring, TCP 9090)"
    );
    assert_eq!(
        change.reach.after,
        [
            "namespaces with tier=monitoring → application2/backend TCP 9090",
            "namespaces with tier=monitoring → application2/frontend TCP 9090"
        ]
    );
    assert!(approval_required(&found));
    let found = between(BASE, &asking("monitorin"));
    let change = only(&found);
    assert_eq!(
        (change.kind, change.crosses_boundary),
        (ChangeKind::StillClosed, false)
    );
    let found = between(&asking("monitoring"), BASE);
    assert_eq!(
        (only(&found).kind, approval_required(&found)),
        (ChangeKind::Closed, false)
    );
}

#[test]
fn one_of_seven_crosses_a_boundary() {
    let after = egress(TO_DATA)
        .replace("quota: {pods: '10'}", "quota: {pods: '20'}, labels: {team: blue}")
        .replace("  namespaces:\n", "  contact: me\n  quotaTotal: {}\n  placement: {nodeSelector: {pool: one}}\n  access: [{kind: Group, name: devs, role: view}]\n  namespaces:\n")
        .replace("zone: web}, {name", "zone: web, podSecurity: baseline}, {name");
    let found = between(BASE, &after);
    let crossing = found.iter().filter(|it| it.crosses_boundary).count();
    assert_eq!((crossing, found.len()), (1, 7), "{:#?}", told(&found));
    assert!(found[0].crosses_boundary, "what needs approval comes first");
    let stand = Stand::of(&after);
    assert_eq!(stand.changes(&stand, Flavour::KUBERNETES), []);
}

#[test]
fn what_the_policies_open_and_no_change_explains_is_a_change_of_its_own() {
    let today = "2026-05-01".parse().unwrap();
    let (old, new) = (Stand::of(BASE), Stand::of(&egress(TO_DATA)));
    let before = super::estate::Estate::new(old.declared(), fixture::TIERS, today, None);
    let after = super::estate::Estate::new(new.declared(), fixture::TIERS, today, Some(&before));
    let mut found = Vec::new();
    super::approval::judge(&before, &after, &mut found);
    let change = only(&found);
    assert_eq!(
        (change.part, change.kind, change.crosses_boundary),
        (Part::Reach, ChangeKind::Opened, true)
    );
    assert_eq!(
        change.message,
        "the policies of landing zone application2 newly let through what no other change explains: \
         application2/backend → orders/data TCP 5432"
    );
}
