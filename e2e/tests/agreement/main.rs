//! Every verdict of our evaluator against real packets through Calico's Felix, for generated policies of all kinds.
//!
//! `AGREEMENT_SETS` sets how many sets of policies are tried, and `AGREEMENT_SEED` from which seed: `random`, or 32 bytes
//! in hexadecimal, as a failure tells it.

mod generated;
mod ground;
mod sloppy;

use std::env;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, bail, ensure};
use e2e::data_plane::{End, Place, Protocol, Verdict};
use e2e::scenario::{self, Skipped};
use e2e::{eventually, scenarios, seed};
use futures::{StreamExt as _, stream};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1 as networking;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt as _};
use landing_zone_operator::policy::{
    self, AddressSet, Endpoint, GlobalNetworkPolicy, LabelMap, NetworkPolicy, NetworkSet, Packet,
    Policy, TransportProtocol, World, Written,
};
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use generated::{ASKED, PODS, namespace};
use ground::{GROUPS, Ground, Wired};

/// Without `AGREEMENT_SETS`.
const SETS: usize = 500;
/// The same, of what nobody validates.
const SLOPPY_SETS: usize = 200;
/// Without `AGREEMENT_SEED`.
const SEED: [u8; 32] = *b"packets say who may talk to whom";
/// How long an answer is waited for at first; whatever differs is asked again with more patience.
const HURRIED: Duration = Duration::from_millis(150);
/// How long it may take until the API server forgets a rule on admission.
const TAKES_EFFECT: Duration = Duration::from_mins(1);
/// Packets that are on their way at once.
const AT_ONCE: usize = 512;
/// So many differences are told.
const TOLD: usize = 5;

fn main() -> ExitCode {
    scenario::run(scenarios![
        every_verdict_is_what_packets_say within Duration::from_hours(12),
        what_nobody_validates_is_what_packets_say within Duration::from_hours(12),
    ])
}

async fn every_verdict_is_what_packets_say(ground: &Ground) -> Result<()> {
    let strategies: Vec<_> = (0..GROUPS).map(generated::set).collect();
    agree(ground, &strategies, SETS).await
}

/// What Calico's API refuses, written to its storage: what Felix makes of it.
async fn what_nobody_validates_is_what_packets_say(ground: &Ground) -> Result<()> {
    if let Ground::Wired(wired) = ground {
        without_admission(wired).await?;
    }
    let strategies: Vec<_> = (0..GROUPS).map(sloppy::set).collect();
    agree(ground, &strategies, SLOPPY_SETS).await
}

/// Takes our own rules on admission away, which refuse most of it: this is about what they do not see, and clusters without
/// them.
async fn without_admission(wired: &Wired) -> Result<()> {
    let client = wired.governed.client();
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let all = bindings
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await?;
    drop(all);
    let kind = GroupVersionKind::gvk("crd.projectcalico.org", "v1", "NetworkPolicy");
    let policies: Api<DynamicObject> =
        Api::namespaced_with(client, "default", &ApiResource::from_gvk(&kind));
    let refused: DynamicObject = serde_json::from_value(sloppy::refused())?;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    eventually(TAKES_EFFECT, "admission to take it", async || {
        Ok(policies.create(&dry, &refused).await.ok())
    })
    .await?;
    Ok(())
}

/// `AGREEMENT_SETS` of these sets of policies, or else so many.
async fn agree(
    ground: &Ground,
    strategies: &[impl Strategy<Value = Vec<Value>>],
    sets: usize,
) -> Result<()> {
    let wired = match ground {
        Ground::Wired(wired) => wired,
        Ground::OutOfReach(why) => return Err(Error::new(Skipped::because(why))),
    };
    let turn = wired.turn.lock().await;
    let sets: usize = match env::var("AGREEMENT_SETS") {
        Ok(sets) => sets.parse().context("AGREEMENT_SETS is no number")?,
        Err(_) => sets,
    };
    let sets = sets.next_multiple_of(GROUPS);
    let seed = seed::asked_for("AGREEMENT_SEED", SEED)?;
    let mut runner = TestRunner::new_with_rng(Config::default(), seed::rng(&seed));
    let (mut asked, mut allowed) = (0, 0);
    let (mut waited, mut compared) = (Duration::ZERO, Duration::ZERO);
    for round in 0..sets / GROUPS {
        let mut objects = Vec::new();
        for strategy in strategies {
            let tree = strategy.new_tree(&mut runner);
            objects.extend(tree.map_err(|why| anyhow::anyhow!("{why}"))?.current());
        }
        let begun = Instant::now();
        let where_it_is = || {
            format!(
                "in round {round} of AGREEMENT_SEED={}",
                seed::in_hexadecimal(&seed)
            )
        };
        wired.have(&objects).await.with_context(where_it_is)?;
        waited += begun.elapsed();
        let begun = Instant::now();
        let world = world(wired, &objects).await?;
        let found = compare(wired, &world).await?;
        compared += begun.elapsed();
        asked += found.asked;
        allowed += found.allowed;
        if !found.differences.is_empty() {
            bail!(
                "{} differences {}, which shows them again:\n{}\nwith\n{}",
                found.differences.len(),
                where_it_is(),
                found.differences[..found.differences.len().min(TOLD)].join("\n"),
                concerned(&found.differences[0], &objects)
            );
        }
    }
    println!(
        "{sets} sets of policies: {asked} verdicts, {allowed} of them to allow; {:.0} s for Felix to take them, \
         {:.0} s for packets",
        waited.as_secs_f64(),
        compared.as_secs_f64()
    );
    drop(turn);
    // Agreeing that all is open, or all is closed, would not say much.
    ensure!(
        allowed > asked / 5 && allowed < asked * 4 / 5,
        "{allowed} of {asked} are allowed"
    );
    Ok(())
}

/// The objects of the group that a difference is about.
fn concerned(difference: &str, objects: &[Value]) -> String {
    let group = difference.split('-').next().unwrap_or_default();
    let mut text = String::new();
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if name.trim_start_matches("default.").starts_with(group) {
            let _ = writeln!(text, "{object}");
        }
    }
    text
}

/// The cluster as the evaluator sees it.
async fn world(wired: &Wired, objects: &[Value]) -> Result<World> {
    let (mut policies, mut sets) = (Vec::new(), Vec::new());
    let namespaces: Api<Namespace> = Api::all(wired.governed.client());
    let namespaces = namespaces.list(&ListParams::default()).await?;
    let labels = |name: &str| -> LabelMap {
        let found = namespaces.items.iter().find(|it| it.name_any() == name);
        found.map(|it| it.labels().clone()).unwrap_or_default()
    };
    for object in objects {
        let read = object.clone();
        match (object["apiVersion"].as_str(), object["kind"].as_str()) {
            (Some("networking.k8s.io/v1"), _) => {
                let policy: networking::NetworkPolicy = serde_json::from_value(read)?;
                policies.push(Policy::of_kubernetes(&policy)?);
            }
            (_, Some("NetworkPolicy")) => {
                let policy: NetworkPolicy = serde_json::from_value(read)?;
                let read = Policy::of_calico(&policy, Written::Storage);
                policies.extend(sloppy::in_force(object, read)?);
            }
            (_, Some("GlobalNetworkPolicy")) => {
                let policy: GlobalNetworkPolicy = serde_json::from_value(read)?;
                let read = Policy::of_global(&policy, Written::Storage);
                policies.extend(sloppy::in_force(object, read)?.flatten());
            }
            _ => {
                let set: NetworkSet = serde_json::from_value(read)?;
                let inside = set.metadata.namespace.clone().unwrap_or_default();
                sets.push(AddressSet::of(&set, &labels(&inside)));
            }
        }
    }
    let mut world = World::new(&[], policies);
    world.sets = sets;
    let pods: Api<Pod> = Api::all(wired.governed.client());
    for pod in pods.list(&ListParams::default()).await?.items {
        let of_namespace = labels(&pod.namespace().unwrap_or_default());
        world
            .endpoints
            .extend(Endpoint::of(&pod, &of_namespace, &LabelMap::new()));
    }
    Ok(world)
}

/// What came of a round.
struct Compared {
    asked: usize,
    allowed: usize,
    differences: Vec<String>,
}

/// One end, for packets and for the evaluator.
#[derive(Clone, Copy)]
struct Both<'a> {
    name: &'a str,
    end: End<'a>,
    place: policy::Place<'a>,
}

async fn compare(wired: &Wired, world: &World) -> Result<Compared> {
    let mut questions = Vec::new();
    let names: Vec<Vec<String>> = (0..GROUPS)
        .map(|group| {
            let pods = PODS.iter();
            pods.map(|(side, name, _)| format!("{}/{name}", namespace(group, side)))
                .collect()
        })
        .collect();
    for group in &names {
        let mut ends = vec![Both {
            name: "outside",
            end: End::Outside(Place::Internet),
            place: policy::Place::Address(Place::Internet.address().into()),
        }];
        for name in group {
            let (inside, pod) = name.split_once('/').context("a pod without a namespace")?;
            let mut known = world.endpoints.iter();
            let known = known.find(|it| it.namespace == inside && it.name == pod);
            ends.push(Both {
                name,
                end: End::Pod(wired.pod(inside, pod)?),
                place: policy::Place::Pod(known.with_context(|| format!("no endpoint {name}"))?),
            });
        }
        for (from, to) in ends
            .iter()
            .flat_map(|from| ends.iter().map(move |to| (*from, *to)))
        {
            if from.name == to.name {
                continue;
            }
            for (protocol, port) in [
                (Protocol::Tcp, ASKED[0]),
                (Protocol::Udp, ASKED[0]),
                (Protocol::Udp, ASKED[1]),
            ] {
                questions.push((from, to, protocol, port));
            }
        }
    }
    let mut compared = Compared {
        asked: questions.len(),
        allowed: 0,
        differences: Vec::new(),
    };
    let mut answers = stream::iter(questions)
        .map(|question| async move { (question, difference(wired, world, question).await) })
        .buffer_unordered(AT_ONCE);
    while let Some((question, answer)) = answers.next().await {
        let (from, to, protocol, port) = question;
        let (is_allowed, difference) = answer?;
        compared.allowed += usize::from(is_allowed);
        if let Some(difference) = difference {
            let pod = if from.name == "outside" {
                to.name
            } else {
                from.name
            };
            compared.differences.push(format!(
                "{pod}: {} → {} {protocol} {port}: {difference}",
                from.name, to.name
            ));
        }
    }
    Ok(compared)
}

async fn difference(
    wired: &Wired,
    world: &World,
    (from, to, protocol, port): (Both<'_>, Both<'_>, Protocol, u16),
) -> Result<(bool, Option<String>)> {
    let packet = Packet {
        protocol: match protocol {
            Protocol::Tcp => TransportProtocol::TCP,
            Protocol::Udp => TransportProtocol::UDP,
        },
        // The kernel chooses one that no rule here names.
        source_port: 40_000,
        port,
    };
    let ours = world.verdict(from.place, to.place, packet);
    let ours = ours.context("they have no addresses of the same family")?;
    let expected = if ours.is_allowed() {
        Verdict::Allowed
    } else {
        Verdict::Denied
    };
    let mut patience = HURRIED;
    let mut found = expected;
    for _ in 0..5 {
        found = wired
            .node
            .can_within(patience, from.end, to.end, protocol, port)
            .await?;
        if found == expected {
            return Ok((ours.is_allowed(), None));
        }
        patience = Duration::from_secs(1);
    }
    let told = format!("packets say {found}, we say {expected}: {ours:?}");
    Ok((ours.is_allowed(), Some(told)))
}
