//! Declarations that nobody thought of, one after the other, with foreign edits and faults in between: each is in force
//! in the end, or the status says why not; and whoever gets to one by way of others has what he would have had at once.
//!
//! `GENERATED_LIVES` of them (8 where it is not set) from `GENERATED_SEED` (`random`, or 32 bytes in hexadecimal). What
//! fails is made smaller while it still fails.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::eventually;
use e2e::fault_proxy::{Call, End, Fault, Moment, Refusal, Rule};
use e2e::governed::condition;
use e2e::owned::owned_by;
use e2e::seed::{self, Seed};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use landing_zone_operator::api::LandingZone;
use landing_zone_operator::domain::{self, Platform};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::Fixture;
use crate::ground::Ground;
use crate::journey::same;
use crate::life::{View, bury, given, view};

const LIVES: &str = "GENERATED_LIVES";
const SEED_OF: &str = "GENERATED_SEED";
const SEED: Seed = *b"declarations that nobody thinks!";
/// How long a declaration may take to be in force; namespaces that go take Kubernetes' controller longer.
const PATIENCE: Duration = Duration::from_mins(1);
/// How many writes a change of one landing zone may take, whatever fails in between: it has some 25 objects.
const BOUND: usize = 150;
/// How often what fails is made smaller.
const SHRINKS: usize = 24;

/// What happens between two declarations.
#[derive(Clone, Copy, Debug)]
enum Between {
    Nothing,
    /// Somebody deletes the n-th object that is not a namespace.
    Deleted(usize),
    /// Somebody strips the n-th object of all its labels.
    Stripped(usize),
    /// The next writes of the operator are refused with one of these codes.
    Refused(usize, usize),
    /// The operator dies at its n-th write after the declaration.
    Crash(usize),
    /// All watches need new lists.
    Gone,
}

/// Declarations, the last of which counts, each with what happens just before it.
#[derive(Clone, Debug)]
struct Life {
    declarations: Vec<(Between, Value)>,
}

fn between() -> impl Strategy<Value = Between> {
    prop_oneof![
        3 => Just(Between::Nothing),
        2 => (0..40_usize).prop_map(Between::Deleted),
        2 => (0..40_usize).prop_map(Between::Stripped),
        2 => (0..5_usize, 1..4_usize).prop_map(|(code, times)| Between::Refused(code, times)),
        1 => (0..12_usize).prop_map(Between::Crash),
        1 => Just(Between::Gone),
    ]
}

fn one_of(values: &[Value]) -> impl Strategy<Value = Value> + use<> {
    proptest::sample::select(values.to_vec())
}

fn some_of(values: &[Value]) -> impl Strategy<Value = Vec<Value>> + use<> {
    let count = values.len();
    proptest::sample::subsequence(values.to_vec(), 0..=count)
}

/// A namespace; `NAME` stands for the landing zone's.
fn namespace(part: &'static str) -> impl Strategy<Value = Value> {
    let zone = one_of(&match part {
        "web" => [json!("web"), json!("web"), json!("data")],
        _ => [json!("data"), json!("data"), json!("jobs")],
    });
    let quota = one_of(&[
        Value::Null,
        json!({"pods": "50"}),
        json!({"pods": "50", "requests.cpu": "4"}),
        json!({"requests.cpu": "4000m", "limits.memory": "1024Mi"}),
        json!({"requests.cpu": "0.5", "limits.memory": "1Gi", "count/configmaps": "20"}),
        json!({"pods": "-1"}),
    ]);
    let limits = one_of(&[
        Value::Null,
        json!({"default": {"cpu": "500m"}}),
        json!({"default": {"cpu": "0.5", "memory": "128Mi"}, "max": {"cpu": "2"}}),
        json!({"default": {"cpu": "3"}, "max": {"cpu": "2"}}),
    ]);
    let security = one_of(&[Value::Null, json!("baseline"), json!("restricted")]);
    let labels = one_of(&[Value::Null, json!({"team": "blue"}), json!({"team": ""})]);
    (zone, quota, limits, security, labels).prop_map(
        move |(zone, quota, limits, security, labels)| {
            without_null(json!({
                "name": format!("NAME-{part}"), "zone": zone, "quota": quota, "limits": limits,
                "podSecurity": security, "labels": labels,
            }))
        },
    )
}

fn network() -> impl Strategy<Value = Value> {
    let flows = some_of(&[
        json!({"name": "web-to-data", "from": {"zone": "web"}, "to": {"zone": "data"},
               "ports": [{"protocol": "TCP", "port": 5432}]}),
        json!({"name": "data-to-web", "from": {"zone": "data"}, "to": {"zone": "web"}}),
        json!({"name": "within", "from": {"zone": "data", "podSelector": {"matchLabels": {"app": "a"}}},
               "to": {"zone": "data"}, "ports": [{"protocol": "UDP", "port": 53}]}),
    ]);
    let egress = some_of(&[
        json!({"name": "partner", "owner": "us", "reason": "invoices",
               "to": {"cidrs": ["203.0.113.0/24"]}, "ports": [{"protocol": "TCP", "port": 443}]}),
        json!({"name": "over", "validUntil": "2020-01-31",
               "to": {"cidrs": ["198.51.100.7/32"]}, "ports": [{"protocol": "TCP", "port": 22}]}),
        json!({"name": "nobody", "to": {"landingZone": "nobody", "zone": "web"},
               "ports": [{"protocol": "TCP", "port": 8443}]}),
        json!({"name": "api-server", "from": {"zone": "data"}, "to": {"apiServer": true}}),
    ]);
    let intra = one_of(&[Value::Null, json!("Allow"), json!("FlowsOnly")]);
    (flows, egress, intra).prop_map(|(flows, egress, intra)| {
        without_null(json!({"flows": flows, "egress": egress, "intraZone": intra}))
    })
}

/// A declaration that may be wrong, too.
fn declaration() -> impl Strategy<Value = Value> {
    let web = proptest::option::weighted(0.9, namespace("web"));
    let data = proptest::option::weighted(0.8, namespace("data"));
    let jobs = proptest::option::weighted(0.3, namespace("jobs"));
    let old = proptest::option::weighted(0.2, namespace("old"));
    let access = some_of(&[
        json!({"kind": "Group", "name": "developers", "role": "edit", "zones": ["web"]}),
        json!({"kind": "Group", "name": "auditors", "role": "view"}),
        json!({"kind": "User", "name": "anna@example.com", "role": "view", "zones": ["data"]}),
    ]);
    let marks = one_of(&[
        Value::Null,
        json!({"costCenter": "1"}),
        json!({"costCenter": "2", "a": "b"}),
    ]);
    let total = one_of(&[
        Value::Null,
        Value::Null,
        json!({"pods": "200"}),
        json!({"pods": "1"}),
    ]);
    let placement = one_of(&[
        Value::Null,
        json!({"nodeSelector": {"stack": "tenant1"}}),
        json!({"nodeSelector": {"stack": "tenant2"},
               "tolerations": [{"key": "stack", "operator": "Equal", "value": "tenant2", "effect": "NoSchedule"}]}),
    ]);
    let adoption = one_of(&[json!("Always"), json!("Always"), Value::Null]);
    let delete = one_of(&[Value::Null, json!("Delete"), json!("Keep")]);
    let stage = one_of(&[Value::Null, Value::Null, json!("Observe"), json!("Enforce")]);
    let namespaces = (web, data, jobs, old);
    let is_careful = proptest::bool::weighted(0.85);
    (
        (namespaces, access, marks, total),
        (placement, adoption, delete, stage),
        network(),
        is_careful,
    )
        .prop_map(|(what, how, network, is_careful)| {
            let ((web, data, jobs, old), access, marks, total) = what;
            let (placement, adoption, delete, stage) = how;
            let namespaces: Vec<Value> = [web, data, jobs, old].into_iter().flatten().collect();
            let declaration = without_null(json!({
                "applicationCode": "NAME", "namespaces": namespaces, "access": access, "labels": marks,
                "quotaTotal": total, "placement": placement, "adoptionPolicy": adoption,
                "deletePolicy": delete, "stage": stage, "network": network,
            }));
            if is_careful {
                mended(declaration)
            } else {
                declaration
            }
        })
}

/// The declaration without what is wrong with it: most people look at what they write.
fn mended(mut declaration: Value) -> Value {
    let mut zones = BTreeSet::new();
    for namespace in declaration["namespaces"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        zones.extend(namespace["zone"].as_str().map(str::to_owned));
        if namespace["quota"]["pods"] == "-1" {
            namespace["quota"] = Value::Null;
        }
        if namespace["limits"]["default"]["cpu"] == "3" {
            namespace["limits"] = Value::Null;
        }
        *namespace = without_null(namespace.take());
    }
    let known = |end: &Value| end["zone"].as_str().is_none_or(|zone| zones.contains(zone));
    let flows = declaration["network"]["flows"].as_array_mut();
    if let Some(flows) = flows {
        flows.retain(|flow| known(&flow["from"]) && known(&flow["to"]));
    }
    if let Some(egress) = declaration["network"]["egress"].as_array_mut() {
        egress.retain(|crossing| known(&crossing["from"]));
    }
    let all_known = |entry: &Value| {
        let named = entry["zones"].as_array().into_iter().flatten();
        named
            .filter_map(Value::as_str)
            .all(|zone| zones.contains(zone))
    };
    if let Some(access) = declaration["access"].as_array_mut() {
        access.retain(all_known);
    }
    declaration["quotaTotal"] = Value::Null;
    without_null(declaration)
}

fn without_null(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    value
}

fn life() -> impl Strategy<Value = Life> {
    proptest::collection::vec((between(), declaration()), 1..4)
        .prop_map(|declarations| Life { declarations })
}

/// The declaration of a landing zone of that name.
fn named(declaration: &Value, name: &str) -> Result<LandingZone> {
    let text = declaration.to_string().replace("NAME", name);
    Ok(LandingZone::new(name, serde_json::from_str(&text)?))
}

pub async fn whatever_is_declared_comes_true_by_any_way(fixture: &Fixture) -> Result<()> {
    let mut ground = fixture.ground.lock().await;
    let lives: usize = match std::env::var(LIVES) {
        Ok(lives) => lives.parse().context("GENERATED_LIVES is no number")?,
        Err(_) => 8,
    };
    let seed = seed::asked_for(SEED_OF, SEED)?;
    let mut runner = TestRunner::new_with_rng(Config::default(), seed::rng(&seed));
    let begun = Instant::now();
    let mut sum = Counted::default();
    for number in 0..lives {
        let mut tree = life()
            .new_tree(&mut runner)
            .map_err(|why| anyhow::anyhow!("{why}"))?;
        let outcome = live(&mut ground, &tree.current()).await;
        match outcome {
            Ok(counted) => sum.add(counted),
            Err(error) => {
                ground.recover().await?;
                let smallest = shrink(&mut ground, &mut tree, error).await?;
                bail!(
                    "life {number} of GENERATED_SEED={}: {smallest}",
                    seed::in_hexadecimal(&seed)
                );
            }
        }
    }
    eprintln!(
        "declarations that nobody thought of: {lives} lives of {} declarations, {} in force, {} refused by the API server, \
         {} by the operator; {} disturbances; at most {} writes for one; {:.0?}",
        sum.declared,
        sum.in_force,
        sum.refused,
        sum.stalled,
        sum.disturbed,
        sum.most_requests,
        begun.elapsed()
    );
    ensure!(
        sum.in_force > 0 && sum.disturbed > 0,
        "nothing was tried: {sum:?}"
    );
    Ok(())
}

/// What is left of a life that fails when everything is taken out of it that it fails without.
async fn shrink(
    ground: &mut Ground,
    tree: &mut impl ValueTree<Value = Life>,
    error: anyhow::Error,
) -> Result<String> {
    let mut last = format!("{:#?}\nfails with {error:#}", tree.current());
    let mut is_smaller = tree.simplify();
    for _ in 0..SHRINKS {
        if !is_smaller {
            break;
        }
        is_smaller = match live(ground, &tree.current()).await {
            Ok(_) => tree.complicate(),
            Err(error) => {
                ground.recover().await?;
                last = format!("{:#?}\nfails with {error:#}", tree.current());
                tree.simplify()
            }
        };
    }
    Ok(last)
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    declared: usize,
    in_force: usize,
    refused: usize,
    stalled: usize,
    disturbed: usize,
    most_requests: usize,
}

impl Counted {
    fn add(&mut self, other: Self) {
        self.declared += other.declared;
        self.in_force += other.in_force;
        self.refused += other.refused;
        self.stalled += other.stalled;
        self.disturbed += other.disturbed;
        self.most_requests = self.most_requests.max(other.most_requests);
    }
}

/// Where a declaration got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    InForce,
    /// The API server refused it: the one before it stays.
    Refused,
    /// The operator says what is wrong with it.
    Stalled,
}

/// Lives a life, and leaves nothing behind, whatever comes of it: others would be told of it.
async fn live(ground: &mut Ground, life: &Life) -> Result<Counted> {
    let names = [ground.next_name(), ground.next_name()];
    let counted = live_as(ground, life, &names).await;
    for name in &names {
        end(&ground.client(), name).await?;
    }
    counted
}

async fn live_as(ground: &mut Ground, life: &Life, names: &[String; 2]) -> Result<Counted> {
    let ([name, other], client) = (names, ground.client());
    let name = name.as_str();
    given(&client, name).await?;
    let mut counted = Counted::default();
    let mut last = None;
    for (between, declaration) in &life.declarations {
        ground.is_quiet().await?;
        counted.declared += 1;
        counted.disturbed += usize::from(disturb(ground, name, *between).await?);
        let got = declare(ground, name, declaration, *between).await;
        let (got, requests) = got.with_context(|| format!("{between:?}, then {declaration}"))?;
        counted.most_requests = counted.most_requests.max(requests);
        match got {
            Got::InForce => {
                counted.in_force += 1;
                last = Some(declaration);
            }
            Got::Refused => counted.refused += 1,
            Got::Stalled => counted.stalled += 1,
        }
        if got != Got::InForce {
            // What was in force before is told in other tests; the way ends here.
            last = None;
        }
    }
    if let Some(last) = last {
        let by_any_way = settled(ground, name).await?;
        end(&client, name).await?;
        given(&client, other).await?;
        let (got, _) = declare(ground, other, last, Between::Nothing).await?;
        ensure!(
            got == Got::InForce,
            "it is {got:?} when it is declared at once"
        );
        ensure_same(by_any_way, settled(ground, other).await?)?;
    }
    Ok(counted)
}

/// Does what happens before a declaration; whether it does.
async fn disturb(ground: &Ground, name: &str, between: Between) -> Result<bool> {
    let client = ground.client();
    let nth = async |number: usize| -> Result<Option<(Api<DynamicObject>, String)>> {
        let all = owned_by(&client, name).await?;
        let all: Vec<&Value> = all
            .values()
            .filter(|it| it["kind"] != "Namespace")
            .collect();
        let Some(found) = all.get(number % all.len().max(1)) else {
            return Ok(None);
        };
        let object: DynamicObject = serde_json::from_value((*found).clone())?;
        let types = object.types.clone().context("no kind")?;
        let kind = GroupVersionKind::try_from(&types)?;
        let (resource, _): (ApiResource, _) = kube::discovery::pinned_kind(&client, &kind).await?;
        let api = match object.namespace() {
            Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        Ok(Some((api, object.name_any())))
    };
    match between {
        Between::Nothing => Ok(false),
        Between::Deleted(number) => match nth(number).await? {
            Some((api, name)) => {
                api.delete(&name, &DeleteParams::default()).await?;
                Ok(true)
            }
            None => Ok(false),
        },
        Between::Stripped(number) => match nth(number).await? {
            Some((api, name)) => {
                let patch = json!([{"op": "replace", "path": "/metadata/labels", "value": {}}]);
                let patch = kube::api::Patch::Json::<()>(serde_json::from_value(patch)?);
                api.patch(&name, &kube::api::PatchParams::default(), &patch)
                    .await?;
                Ok(true)
            }
            None => Ok(false),
        },
        Between::Refused(code, times) => {
            let refusals = [
                Refusal::CONFLICT,
                Refusal::TOO_MANY,
                Refusal::INTERNAL_ERROR,
                Refusal::UNAVAILABLE,
                Refusal::FORBIDDEN,
            ];
            let refusal = refusals[code % refusals.len()].clone();
            let rule = Rule::new(Fault::Refused(refusal)).of(Call::is_write);
            let _ = ground.proxy.inject(rule.times(times));
            Ok(true)
        }
        Between::Crash(number) => {
            let crash = Rule::new(Fault::Crash(Moment::After)).of(Call::is_write);
            let _ = ground.proxy.inject(crash.at(number));
            Ok(true)
        }
        Between::Gone => {
            ground.proxy.end_watches(End::Gone);
            Ok(true)
        }
    }
}

/// Declares it, and waits until it is in force or the status says why not; with how many requests.
async fn declare(
    ground: &mut Ground,
    name: &str,
    declaration: &Value,
    between: Between,
) -> Result<(Got, usize)> {
    let zone = named(declaration, name)?;
    let is_valid = domain::LandingZone::validate(&zone, &Platform::default()).is_ok();
    drop(ground.proxy.take_writes());
    match put(&ground.client(), &zone).await {
        Ok(()) => {}
        Err(kube::Error::Api(status)) if status.code == 422 => {
            ensure!(
                !is_valid,
                "the API server refuses what is valid: {status:?}"
            );
            ground.proxy.clear();
            return Ok((Got::Refused, 0));
        }
        Err(error) => return Err(error.into()),
    }
    if matches!(between, Between::Crash(_)) {
        // Only where it comes to that many writes.
        let done = settles(ground, name).await;
        if ground.proxy.stands_still() {
            ground.kill().await?;
            ground.proxy.clear();
            ground.start_operator()?;
        } else {
            done?;
        }
        ground.proxy.clear();
    }
    let got = settles(ground, name).await?;
    ensure!(
        is_valid == (got == Got::InForce),
        "it is {got:?}, and validation says {is_valid}"
    );
    ground.proxy.clear();
    let requests = ground.proxy.take_writes().len();
    ensure!(requests <= BOUND, "{requests} writes");
    Ok((got, requests))
}

/// As Git would: the whole declaration, in place of the one that is there.
async fn put(client: &Client, zone: &LandingZone) -> kube::Result<()> {
    let zones: Api<LandingZone> = Api::all(client.clone());
    let name = zone.name_any();
    loop {
        let Some(mut there) = zones.get_opt(&name).await? else {
            return zones.create(&PostParams::default(), zone).await.map(drop);
        };
        there.spec = zone.spec.clone();
        match zones.replace(&name, &PostParams::default(), &there).await {
            // Its status was written in between.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            done => return done.map(drop),
        }
    }
}

async fn settles(ground: &Ground, name: &str) -> Result<Got> {
    let zones: Api<LandingZone> = Api::all(ground.client());
    eventually(
        PATIENCE,
        &format!("{name} to be in force, or to say why not"),
        async || {
            if ground.proxy.stands_still() {
                return Ok(Some(Got::Stalled));
            }
            let zone = zones.get(name).await?;
            let status = zone.status.unwrap_or_default();
            let is = |type_, wanted| condition(&status, type_).is_some_and(|it| it.0 == wanted);
            let is_observed = status.observed_generation == zone.metadata.generation;
            ensure!(
                is_observed && is("Reconciling", "False"),
                "it says {}",
                json!(status.conditions)
            );
            if is("Ready", "True") {
                return Ok(Some(Got::InForce));
            }
            ensure!(
                is("Stalled", "True"),
                "it says {}",
                json!(status.conditions)
            );
            Ok(Some(Got::Stalled))
        },
    )
    .await
}

/// What there is once nothing happens any more, without what is kept of namespaces that left.
async fn settled(ground: &Ground, name: &str) -> Result<View> {
    ground.is_quiet().await?;
    let client = ground.client();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let zones: Api<LandingZone> = Api::all(client.clone());
    let zone = zones.get(name).await?;
    let declared: Vec<&String> = zone.spec.namespaces.iter().map(|it| &it.name).collect();
    let released = zone.status.clone().unwrap_or_default().released;
    for left in released {
        if !declared.contains(&&left.name) {
            namespaces
                .delete(&left.name, &DeleteParams::default())
                .await?;
        }
    }
    eventually(PATIENCE, "what left to be forgotten", async || {
        let zone = zones.get(name).await?;
        let left = zone.status.unwrap_or_default().released;
        ensure!(left.is_empty(), "{left:?}");
        Ok(Some(()))
    })
    .await?;
    settles(ground, name).await?;
    ground.is_quiet().await?;
    view(&client, name).await
}

/// Fails where two ways led to different places.
fn ensure_same(mut by_any_way: View, mut at_once: View) -> Result<()> {
    for view in [&mut by_any_way, &mut at_once] {
        // What was put back on the way is no part of where it led.
        if let Some(zone) = view
            .get_mut("the landing zone")
            .and_then(Value::as_object_mut)
        {
            zone.remove("repaired");
        }
        // Those that are declared are among the owned objects; nor are others of any concern.
        view.retain(|key, _| !key.starts_with("the namespace"));
    }
    same(&at_once, &by_any_way)
}

/// Ends a landing zone and all that is left of it.
async fn end(client: &Client, name: &str) -> Result<()> {
    let zones: Api<LandingZone> = Api::all(client.clone());
    if let Some(zone) = zones.get_opt(name).await? {
        let keep = json!({"spec": {"deletePolicy": "Keep"}});
        let params = kube::api::PatchParams::default();
        zones
            .patch(&zone.name_any(), &params, &kube::api::Patch::Merge(keep))
            .await?;
        zones.delete(name, &DeleteParams::default()).await?;
    }
    bury(client, name).await
}
