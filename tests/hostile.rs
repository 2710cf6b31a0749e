//! What somebody may send to the webhook who means no good: it is answered in bounded time and memory, whatever it is.
//! `cargo test --test hostile -- --nocapture` prints the figures that stand in docs/reliability.md.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests fail loudly")]

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use landing_zone_operator::admission::{Knowledge, answer};
use landing_zone_operator::api::{self, GuardStage};
use landing_zone_operator::domain::{LandingZone, Platform, Resolved};
use landing_zone_operator::review::{Landscape, Object, judged_part};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The webhook says after 3.5 s that it could not judge in time; a build without optimisation takes many times as long as
/// one with it, on a machine that others use.
const LONGEST: Duration = Duration::from_secs(20);
/// Large requests are judged one by one.
const MOST_MEMORY: u64 = 160 * 1024 * 1024;
/// Names the file with the request that a process is to answer.
const BODY: &str = "HOSTILE_REQUEST";
/// The API server takes no more.
const LARGEST_REQUEST: usize = 3 * 1024 * 1024;

fn knowledge() -> Knowledge {
    let declared = json!({
        "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZone",
        "metadata": {"name": "shop"},
        "spec": {"applicationCode": "shop", "namespaces": [
            {"name": "shop-web", "zone": "web"}, {"name": "shop-data", "zone": "data"},
        ]},
    });
    let declared: api::LandingZone = serde_json::from_value(declared).unwrap();
    let zone = LandingZone::validate(&declared, &Platform::default()).unwrap();
    let landscape = Landscape::new(&[(&zone, &Resolved::default())], &[], Platform::default());
    Knowledge {
        stage: GuardStage::Enforce,
        landscape: Arc::new(landscape),
    }
}

fn calico(rules: &Value) -> Value {
    json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "default.a", "namespace": "shop-web"},
        "spec": {"selector": "all()", "types": ["Egress"], "egress": rules},
    })
}

fn kubernetes(peers: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "a", "namespace": "shop-web"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": peers}]},
    })
}

fn set(nets: &Value) -> Value {
    json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkSet",
        "metadata": {"name": "a", "namespace": "shop-web"}, "spec": {"nets": nets},
    })
}

fn request(object: &Value, old: Option<&Value>) -> Vec<u8> {
    let (group, version) = object["apiVersion"]
        .as_str()
        .unwrap()
        .split_once('/')
        .unwrap();
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "42",
            "kind": {"group": group, "version": version, "kind": object["kind"]},
            "resource": {"group": group, "version": version, "resource": "any"},
            "name": "a", "namespace": "shop-web",
            "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
            "userInfo": {"username": "developer"},
            "object": object, "oldObject": old,
        },
    });
    review.to_string().into_bytes()
}

/// What the webhook does with the body of a request; None where it is no request.
fn answered(body: &[u8], knowledge: &Knowledge) -> Option<AdmissionResponse> {
    let review: AdmissionReview<DynamicObject> = serde_json::from_slice(body).ok()?;
    let request: AdmissionRequest<DynamicObject> = review.try_into().ok()?;
    Some(answer(&request, knowledge))
}

/// Kilobytes from the status of this process.
fn status(field: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|it| it.strip_prefix(field)).unwrap();
    let number = line.trim_start_matches(':').trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

/// What became of a request, how long it took, and how much memory, in bytes.
struct Measured {
    /// None: it was no request.
    allowed: Option<bool>,
    took: Duration,
    memory: u64,
}

/// Answers the request in a file, and prints what that took. A process of its own has no memory left over from others.
fn answer_one(file: &str) {
    let body = fs::read(file).unwrap();
    let knowledge = knowledge();
    // What is made once for all does not count, and from here on the peak is counted anew.
    answered(&request(&calico(&json!([])), None), &knowledge).unwrap();
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS");
    let started = Instant::now();
    let allowed = answered(&body, &knowledge).map(|it| it.allowed);
    let took = started.elapsed().as_micros();
    let memory = status("VmHWM").saturating_sub(before) * 1024;
    println!(
        "\n{}",
        json!({"allowed": allowed, "took": took, "memory": memory})
    );
}

/// Has a process of its own answer a request, and prints what that took.
fn measured(name: &str, body: &[u8]) -> Measured {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), body).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "what_is_hostile_is_refused_in_bounded_time_and_memory",
            "--nocapture",
        ])
        .env(BODY, file.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|it| it.starts_with('{'));
    let said: Value = serde_json::from_str(line.expect(&text)).unwrap();
    let measured = Measured {
        allowed: said["allowed"].as_bool(),
        took: Duration::from_micros(said["took"].as_u64().unwrap()),
        memory: said["memory"].as_u64().unwrap(),
    };
    println!(
        "| {name} | {} KiB | {:.2} s | {} MiB |",
        body.len() / 1024,
        measured.took.as_secs_f64(),
        measured.memory / 1024 / 1024
    );
    assert!(body.len() <= LARGEST_REQUEST, "{name}: {}", body.len());
    assert!(measured.took < LONGEST, "{name} took {:?}", measured.took);
    assert!(
        measured.memory < MOST_MEMORY,
        "{name} took {} bytes",
        measured.memory
    );
    measured
}

fn selector_of_a_megabyte() -> String {
    let mut text = "applicationcode == 'shop'".to_owned();
    let mut number = 0;
    while text.len() < 1_000_000 {
        let _ = write!(
            text,
            " || (team == 't{number}' && !(app in {{'a{number}','b'}} || has(x{number})))"
        );
        number += 1;
    }
    text
}

/// Ranges of IPv6, each in another /64.
fn inside_v6(count: usize, length: u8) -> Vec<String> {
    let range = |index: usize| format!("fd00:0:0:{index:x}::/{length}");
    (0..count).map(range).collect()
}

/// Ranges of which each is left a part.
fn without_v6(count: usize) -> Value {
    json!({"nets": inside_v6(count, 64), "notNets": inside_v6(count, 128)})
}

/// What must not pass, by name.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let allow = |destination: &Value| json!({"action": "Allow", "destination": destination});
    let inside = |index: usize| {
        allow(
            &json!({"namespaceSelector": format!("applicationcode == 'shop' && zone == 'z{index}'")}),
        )
    };
    let ten_thousand: Value = (0..10_000).map(inside).collect();
    let outside: Value = (0..10_000)
        .map(|index| allow(&json!({"namespaceSelector": format!("team == 't{index}'")})))
        .collect();
    let denies = (0..1_000).map(
        |index| json!({"action": "Deny", "destination": {"selector": format!("has(a{index})")}}),
    );
    let opens = (0..1_000).map(|index| {
        allow(&json!({"nets": [format!("203.0.{}.{}/32", index / 250, index % 250)]}))
    });
    let mixed: Value = denies.chain(opens).collect();
    let nets: Vec<_> = (0..150_000)
        .map(|index| format!("10.{}.{}.0/24", index / 256 % 256, index % 256))
        .collect();
    let ports: Vec<_> = (0..400_000).map(|index| index % 65_535 + 1).collect();
    let peers: Value = (0..10_000)
        .map(|index| json!({"namespaceSelector": {"matchLabels": {"team": format!("t{index}")}}}))
        .collect();
    let deep = format!("{}has(a){}", "(".repeat(100_000), ")".repeat(100_000));
    let not = format!("{}has(a)", "!".repeat(500_000));
    vec![
        (
            "a selector of one megabyte",
            request(
                &calico(&json!([allow(
                    &json!({"namespaceSelector": selector_of_a_megabyte()})
                )])),
                None,
            ),
        ),
        ("10,000 rules", request(&calico(&ten_thousand), None)),
        (
            "10,000 rules, each of which leaves",
            request(&calico(&outside), None),
        ),
        ("a change of 2,000 rules that deny and allow", {
            let mut changed = mixed.clone();
            changed[1_999]["destination"]["nets"] = json!(["198.51.100.0/24"]);
            request(&calico(&changed), Some(&calico(&mixed)))
        }),
        (
            "10,000 peers of one Kubernetes rule",
            request(&kubernetes(&peers), None),
        ),
        (
            "150,000 ranges of a network set",
            request(&set(&json!(nets)), None),
        ),
        (
            "150,000 ranges of a rule",
            request(&calico(&json!([allow(&json!({"nets": nets}))])), None),
        ),
        (
            "1,000 ranges of IPv6 that a rule leaves out of all",
            request(
                &calico(&json!([allow(
                    &json!({"nets": ["::/0"], "notNets": inside_v6(1_000, 128)})
                )])),
                None,
            ),
        ),
        (
            "1,000 ranges of IPv6 without 1,000 in them",
            request(&calico(&json!([allow(&without_v6(1_000))])), None),
        ),
        (
            "10,000 ranges of IPv6 without 10,000 in them",
            request(&calico(&json!([allow(&without_v6(10_000))])), None),
        ),
        (
            "400,000 ports of a rule",
            request(
                &calico(
                    &json!([{"action": "Allow", "protocol": "TCP", "destination": {"ports": ports}}]),
                ),
                None,
            ),
        ),
        (
            "100,000 parentheses in each other",
            request(
                &calico(&json!([allow(&json!({"namespaceSelector": deep}))])),
                None,
            ),
        ),
        (
            "500,000 negations of each other",
            request(
                &calico(&json!([allow(&json!({"namespaceSelector": not}))])),
                None,
            ),
        ),
    ]
}

#[test]
fn what_is_hostile_is_refused_in_bounded_time_and_memory() {
    if let Ok(file) = std::env::var(BODY) {
        return answer_one(&file);
    }
    for (name, body) in hostile() {
        assert_eq!(measured(name, &body).allowed, Some(false), "{name}");
    }
    let mut invalid = request(
        &calico(&json!([{"action": "Allow", "destination": {"selector": "a == 'b'"}}])),
        None,
    );
    let at = invalid.windows(6).position(|it| it == b"a == '").unwrap();
    invalid[at] = 0xff;
    let text = [
        b"\"".to_vec(),
        vec![0xfe; LARGEST_REQUEST - 2],
        b"\"".to_vec(),
    ]
    .concat();
    for (name, body) in [
        (
            "three megabytes of opened lists",
            vec![b'['; LARGEST_REQUEST],
        ),
        ("three megabytes that are not UTF-8", text),
        ("a selector that is not UTF-8", invalid),
    ] {
        assert_eq!(measured(name, &body).allowed, None, "{name} was answered");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "",
        "Allow",
        "Accept",
        "Deny",
        "all()",
        "global()",
        "a ==",
        "0.0.0.0/0",
        "1.2.3.4",
        "::/0",
        "TCP",
        "kube-system",
        "applicationcode == 'shop'",
        "applicationcode != 'shop'",
        "((((",
        "\u{202e}",
        "1:0",
        "65536",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let fields = prop::sample::select(vec![
            "selector",
            "nets",
            "ports",
            "name",
            "matchLabels",
            "x",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((fields, inner), 0..3).prop_map(|all| Value::Object(
                all.into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            )),
        ]
    })
}

/// Every place in a value, as pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                places(value, &format!("{at}/{}", key.replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn samples() -> [Value; 3] {
    [
        calico(&json!([
            {"action": "Allow", "protocol": "TCP", "source": {"selector": "app == 'a'"}, "destination": {
                "namespaceSelector": "applicationcode == 'shop'", "notSelector": "has(b)", "ports": [80, "1:2", "http"]}},
            {"action": "Deny", "ipVersion": 4, "icmp": {"type": 8, "code": 0}, "protocol": "ICMP",
             "destination": {"nets": ["10.0.0.0/8"], "notNets": ["10.1.0.0/16"], "serviceAccounts": {"names": ["a"]}}},
            {"action": "Allow", "destination": {"services": {"name": "a", "namespace": "shop-data"}}},
        ])),
        kubernetes(&json!([
            {"namespaceSelector": {"matchLabels": {"applicationcode": "shop"}, "matchExpressions": [
                {"key": "zone", "operator": "In", "values": ["data"]}]}, "podSelector": {}},
            {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
        ])),
        set(&json!(["203.0.113.0/24"])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands anywhere in a policy, it gets an answer; what cannot be read is refused, and nothing is new in what
    /// did not change.
    #[test]
    fn whatever_is_written_gets_an_answer(
        sample in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), value()), 1..4),
    ) {
        let mut object = samples()[sample].clone();
        for (place, value) in changes {
            let mut all = Vec::new();
            places(&object["spec"], "/spec", &mut all);
            let pointer = place.get(&all);
            *object.pointer_mut(pointer).unwrap() = value;
        }
        let knowledge = knowledge();
        let response = answered(&request(&object, None), &knowledge).unwrap();
        let whole: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let api_version = object["apiVersion"].as_str().unwrap();
        let part = judged_part(api_version, object["kind"].as_str().unwrap(), &whole);
        if Object::read(&part).unwrap().is_err() {
            prop_assert!(!response.allowed, "{object}");
        }
        let same = answered(&request(&object, Some(&object)), &knowledge).unwrap();
        prop_assert!(same.allowed, "{object}: {:?}", same.result);
    }

    /// Whatever bytes come, nothing breaks.
    #[test]
    fn whatever_bytes_come_nothing_breaks(
        sample in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut body = request(&samples()[sample], None);
        for (place, byte) in changes {
            let at = place.index(body.len());
            body[at] = byte;
        }
        let _ = answered(&body, &knowledge());
    }
}
