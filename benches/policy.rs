//! How long the evaluator takes for a large cluster: `cargo bench --bench policy`.
//!
//! A thousand landing zones of three zones, each declared with its flows and one crossing to the next, and five
//! policies of its team in each namespace. What is measured is what a command does with them once they are read: the
//! matrix of all zones, the review of one policy, and the webhook's answer to one. A number of landing zones can be given as an argument.

#![allow(clippy::unwrap_used, reason = "a benchmark fails loudly")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::networking::v1 as networking;
use kube::core::DynamicObject;
use kube::core::admission::AdmissionReview;
use landing_zone_operator::admission::{Knowledge, answer};
use landing_zone_operator::api::{AdoptionPolicy, DeletePolicy, PodSecurity, Protocol, Stage};
use landing_zone_operator::api::{CrossingDirection, GuardStage};
use landing_zone_operator::build;
use landing_zone_operator::domain::{
    CalicoNaming, Crossing, CrossingEnd, Flavour, Flow, FlowEnd, LandingZone, LandingZoneAzure,
    Namespace, Neighbour, Network, Peer, Platform, PolicyApi, PortRange, Resolved, Surroundings,
    resolve,
};
use landing_zone_operator::policy::{
    Answer, LabelMap, Member, NetworkPolicy, Policy, World, Written,
};
use landing_zone_operator::review::{Landscape, Object, judge};
use serde_json::{Value, json};

/// As in the operator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ZONES: [&str; 3] = ["frontend", "backend", "data"];

fn main() {
    // Cargo passes flags of its own.
    let mut arguments = std::env::args().skip(1);
    let count = arguments.find_map(|it| it.parse().ok()).unwrap_or(1_000);
    let platform = Platform {
        pod_cidrs: vec!["10.244.0.0/16".parse().unwrap()],
        dns_addresses: vec!["169.254.20.10/32".parse().unwrap()],
        ..Platform::default()
    };
    let zones: Vec<_> = (0..count).map(|at| landing_zone(at, count)).collect();
    for tiers in [true, false] {
        let flavour = Flavour {
            api: PolicyApi::CalicoCrdV1,
            tiers,
            staged: false,
            naming: CalicoNaming::TierPrefixed,
        };
        let resolved = resolved(&zones, &platform, flavour);
        let (policies, members) = cluster(&zones, &resolved, &platform, flavour);
        let written = policies.len();
        let (took_world, world) = timed(|| World::new(&build::tiers(flavour), policies));
        let (took_reach, reach) = timed(|| world.reach(&members));
        let (took_pairs, [allowed, partly, denied]) = timed(|| {
            let mut answers = [0_usize; 3];
            for from in 0..members.len() {
                for to in 0..members.len() {
                    if reach.is_closed(&[from], &[to]) {
                        answers[2] += 1;
                        continue;
                    }
                    let mut own = reach.answers(&[from], &[to]).into_iter().map(|it| it.1);
                    let is_open = own.by_ref().any(|it| it == Answer::Allowed);
                    answers[usize::from(!is_open)] += 1;
                }
            }
            answers
        });
        let total = took_world + took_reach + took_pairs;
        println!(
            "{count} landing zones of {} zones, {written} policies, {} tiers: {:.0} ms",
            ZONES.len(),
            if tiers { "with" } else { "without" },
            milliseconds(total)
        );
        println!(
            "  order and index {:.0} ms, every zone {:.0} ms, {} pairs {:.0} ms",
            milliseconds(took_world),
            milliseconds(took_reach),
            members.len() * members.len(),
            milliseconds(took_pairs)
        );
        println!(
            "  open {allowed}, partly {partly}, closed {denied}; {:?}",
            reach.work()
        );
        if tiers {
            reviewed(&zones, &resolved, &platform);
            answered(&zones, &resolved, &platform);
        }
    }
}

/// How long the review of each of the teams' policies takes.
fn reviewed(zones: &[LandingZone], resolved: &[Resolved], platform: &Platform) {
    let known: Vec<_> = zones.iter().zip(resolved).collect();
    let landscape = Landscape::new(&known, &[], platform.clone());
    let mut took = Vec::new();
    let mut found = 0;
    for zone in zones {
        for namespace in &zone.namespaces {
            for written in team_policies(namespace.name.as_str(), zone.code.as_str()) {
                let (time, findings) = timed(|| {
                    let object = Object::read(&written).unwrap().unwrap();
                    judge(&object, &landscape).len()
                });
                took.push(time);
                found += findings;
            }
        }
    }
    println!(
        "review of one policy among {}: {}; {found} findings",
        took.len(),
        spread(&mut took)
    );
}

/// How long the webhook takes for the creation of each of the teams' policies: from the body that the API server sends to the
/// one that it is answered, without the connection and without waiting for others.
fn answered(zones: &[LandingZone], resolved: &[Resolved], platform: &Platform) {
    let known: Vec<_> = zones.iter().zip(resolved).collect();
    let knowledge = Knowledge {
        stage: GuardStage::Enforce,
        landscape: Arc::new(Landscape::new(&known, &[], platform.clone())),
    };
    let mut took = Vec::new();
    let mut refused = 0;
    for zone in zones {
        for namespace in &zone.namespaces {
            for written in team_policies(namespace.name.as_str(), zone.code.as_str()) {
                let body = admission_review(namespace.name.as_str(), &written).to_string();
                let (time, is_allowed) = timed(|| {
                    let review: AdmissionReview<DynamicObject> =
                        serde_json::from_str(&body).unwrap();
                    let request = review.try_into().unwrap();
                    let response = answer(&request, &knowledge);
                    let is_allowed = response.allowed;
                    let told = serde_json::to_vec(&response.into_review()).unwrap();
                    assert!(!told.is_empty());
                    is_allowed
                });
                took.push(time);
                refused += usize::from(!is_allowed);
            }
        }
    }
    let all: Duration = took.iter().sum();
    println!(
        "the webhook's answer to one policy: {}; {:.0} a second on one core; {refused} of {} refused",
        spread(&mut took),
        f64::from(u32::try_from(took.len()).unwrap()) / all.as_secs_f64(),
        took.len()
    );
}

/// What kube-apiserver sends when somebody creates an object.
fn admission_review(namespace: &str, object: &Value) -> Value {
    let (group, version) = object["apiVersion"]
        .as_str()
        .and_then(|it| it.split_once('/'))
        .unwrap();
    let kind = json!({"group": group, "version": version, "kind": object["kind"]});
    let resource = json!({"group": group, "version": version, "resource": "networkpolicies"});
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": kind, "requestKind": kind, "resource": resource, "requestResource": resource,
            "name": object["metadata"]["name"], "namespace": namespace, "operation": "CREATE",
            "userInfo": {"username": "team", "groups": ["system:authenticated"]},
            "object": object, "oldObject": null, "dryRun": false,
        },
    })
}

/// Half of them, 99 of 100, and all stay below.
fn spread(took: &mut [Duration]) -> String {
    took.sort_unstable();
    let at = |part: usize| took[(took.len() * part / 1000).min(took.len() - 1)];
    format!(
        "{:.3} ms median, {:.3} ms at 99 %, {:.3} ms at most",
        milliseconds(at(500)),
        milliseconds(at(990)),
        milliseconds(at(1000))
    )
}

fn timed<T>(what: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let done = what();
    (start.elapsed(), done)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// What is open across each boundary.
fn resolved(zones: &[LandingZone], platform: &Platform, flavour: Flavour) -> Vec<Resolved> {
    let count = zones.len();
    let each = zones.iter().enumerate().map(|(at, zone)| {
        let beside = [(at + 1) % count, (at + count - 1) % count];
        let neighbours: BTreeMap<_, _> = beside
            .into_iter()
            .filter(|it| *it != at)
            .filter_map(|it| zones.get(it))
            .map(|it| (it.name.clone(), Neighbour::InForce(Box::new(it.clone()))))
            .collect();
        let surroundings = Surroundings {
            platform,
            flavour,
            today: jiff::civil::date(2026, 1, 1),
            neighbours,
            before: Vec::new(),
            shared_ranges: BTreeMap::new(),
        };
        resolve(zone, &surroundings)
    });
    each.collect()
}

/// All policies of a cluster, and its namespaces.
fn cluster(
    zones: &[LandingZone],
    resolved: &[Resolved],
    platform: &Platform,
    flavour: Flavour,
) -> (Vec<Policy>, Vec<Member>) {
    let (mut policies, mut members) = (Vec::new(), Vec::new());
    for (zone, resolved) in zones.iter().zip(resolved) {
        let teams = landing_zone_operator::domain::TeamPolicies::default();
        let openings = &resolved.openings;
        let desired = build::landing_zone(zone, &[], platform, openings, &teams, flavour);
        for policy in &desired.global_network_policies {
            policies.extend(Policy::of_global(policy, Written::Storage).unwrap());
        }
        for namespace in &desired.namespaces {
            let name = namespace.metadata.name.clone().unwrap();
            let labels = namespace.metadata.labels.clone().unwrap();
            let labels: LabelMap = labels.into_iter().collect();
            members.push(Member::namespace(&name, &labels, &platform.pod_cidrs));
            let written = team_policies(&name, zone.code.as_str());
            policies.extend(written.into_iter().map(read));
        }
    }
    (policies, members)
}

fn read(written: Value) -> Policy {
    if written["apiVersion"] == "networking.k8s.io/v1" {
        let policy: networking::NetworkPolicy = serde_json::from_value(written).unwrap();
        Policy::of_kubernetes(&policy).unwrap()
    } else {
        let policy: NetworkPolicy = serde_json::from_value(written).unwrap();
        Policy::of_calico(&policy, Written::Storage).unwrap()
    }
}

fn landing_zone(at: usize, count: usize) -> LandingZone {
    let name = format!("app-{at}");
    let namespace = |zone: &&str| Namespace {
        name: format!("{name}-{zone}").parse().unwrap(),
        zone: zone.parse().unwrap(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        pod_security: PodSecurity::Restricted,
        quota: BTreeMap::new(),
        limits: None,
    };
    let end = |zone: &str| FlowEnd {
        zone: zone.parse().unwrap(),
        pod_labels: BTreeMap::new(),
    };
    let port = |port: u16| PortRange {
        protocol: Protocol::TCP,
        first: port,
        last: port,
    };
    let flow = |from: &str, to: &str, number: u16| Flow {
        name: format!("{from}-to-{to}"),
        from: end(from),
        to: end(to),
        ports: vec![port(number)],
    };
    let crossing = |direction, zone: &str, peer: usize, peer_zone: &str| Crossing {
        direction,
        name: format!("with-app-{peer}"),
        own: CrossingEnd {
            zone: Some(zone.parse().unwrap()),
            pod_labels: BTreeMap::new(),
        },
        peer: Peer::LandingZone {
            name: format!("app-{peer}").parse().unwrap(),
            end: CrossingEnd {
                zone: Some(peer_zone.parse().unwrap()),
                pod_labels: BTreeMap::new(),
            },
        },
        ports: vec![port(443)],
        acknowledge: None,
        valid_until: None,
        reason: None,
        owner: None,
    };
    let (next, before) = ((at + 1) % count, (at + count - 1) % count);
    LandingZone {
        code: format!("code{at}").parse().unwrap(),
        contact: None,
        stage: Stage::Enforce,
        suspend: false,
        adoption_policy: AdoptionPolicy::Never,
        delete_policy: DeletePolicy::Keep,
        quota_total: BTreeMap::new(),
        namespaces: ZONES.iter().map(namespace).collect(),
        access: Vec::new(),
        placement: None,
        network: Network {
            flows: vec![
                flow("frontend", "backend", 8080),
                flow("backend", "data", 5432),
            ],
            crossings: vec![
                crossing(CrossingDirection::Egress, "backend", next, "frontend"),
                crossing(CrossingDirection::Ingress, "frontend", before, "backend"),
            ],
            ..Network::default()
        },
        azure: LandingZoneAzure::default(),
        name: name.parse().unwrap(),
    }
}

/// What a team writes: closed by default, its own pods, its own application, an address, and all of a port.
fn team_policies(namespace: &str, code: &str) -> Vec<Value> {
    let policy = |api: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": api, "kind": "NetworkPolicy",
            "metadata": {"namespace": namespace, "name": name}, "spec": spec,
        })
    };
    let kubernetes = |name: &str, spec: Value| policy("networking.k8s.io/v1", name, spec);
    let calico = |name: &str, spec: Value| policy("crd.projectcalico.org/v1", name, spec);
    let web = json!({"matchLabels": {"app": "web"}});
    vec![
        kubernetes(
            "closed",
            json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
        ),
        kubernetes(
            "web",
            json!({
                "podSelector": web, "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 8080}]}],
            }),
        ),
        calico(
            "application",
            json!({
                "selector": "app != 'web'", "types": ["Ingress", "Egress"],
                "ingress": [{"action": "Allow", "source": {"namespaceSelector": format!("applicationcode == '{code}'")}}],
                "egress": [{"action": "Allow", "destination": {"namespaceSelector": format!("applicationcode == '{code}'")}}],
            }),
        ),
        calico(
            "partner",
            json!({
                "types": ["Egress"],
                "egress": [{
                    "action": "Allow", "protocol": "TCP",
                    "destination": {"nets": ["203.0.113.0/24"], "ports": [443, "8000:8010"]},
                }],
            }),
        ),
        calico(
            "port",
            json!({
                "order": 200, "types": ["Ingress"],
                "ingress": [
                    {"action": "Allow", "protocol": "TCP", "source": {"namespaceSelector": "all()"}, "destination": {"ports": [8080, 5432]}},
                    {"action": "Log"},
                ],
            }),
        ),
    ]
}
