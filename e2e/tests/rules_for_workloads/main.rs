//! `workloadRules` of the platform, kept by the policies in config/workload-rules: what teams write is let pass, warned of or refused.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{eventually, scenario, scenarios};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, CustomResourceExt, ResourceExt};
use landing_zone_operator::api::LandingZonePlatform;
use serde_json::{Value, json};

mod cases;
mod world;

use cases::{BAD, cases, changes, container, host, ingress, listening, pod, rules, service, tls};
use world::{Answer, OUTSIDE, PATIENCE, SHOP, WATCHED, World};

/// Each starts a cluster of its own.
const LONG: Duration = Duration::from_mins(4);
/// What is said of a Service on the port [`BAD`].
const WORDS: &str = "port is 8081";

async fn each_rule_holds_as_its_stage_says((): &()) -> Result<()> {
    let world = World::start().await?;
    let bad = listening(&[BAD]);
    let silent: fn(&Answer, &str) -> bool = |answer, _| answer.is_silent();
    let warns: fn(&Answer, &str) -> bool = Answer::is_warning;
    let refuses: fn(&Answer, &str) -> bool = Answer::is_refusal;
    // Before there is any rule, and in each stage: what is said in a landing zone, and in one that is in stage Observe itself.
    for (stage, in_shop, in_watched) in [
        ("", silent, silent),
        ("Observe", warns, warns),
        ("Enforce", refuses, warns),
        ("Off", silent, silent),
    ] {
        if !stage.is_empty() {
            let first = |answer: &Answer| in_shop(answer, WORDS);
            let set = world.with_rules(rules(stage), (SHOP, &bad), first);
            set.await.with_context(|| stage.to_owned())?;
            // The other binding may come a moment later.
            let second = |answer: &Answer| in_watched(answer, WORDS);
            world.answers(WATCHED, &bad, second).await?;
        }
        for (object, words) in cases() {
            for (namespace, expected) in [(SHOP, in_shop), (WATCHED, in_watched), (OUTSIDE, silent)]
            {
                let answer = world.created(namespace, &object).await?;
                let is_so = match words {
                    Some(words) => expected(&answer, words),
                    None => answer.is_silent(),
                };
                ensure!(is_so, "stage {stage}, in {namespace}: {object}: {answer:?}");
            }
        }
    }
    the_policies_are_without_faults(&world).await?;
    world.0.stop().await
}

/// The API server finds nothing wrong with their types.
async fn the_policies_are_without_faults(world: &World) -> Result<()> {
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(world.0.client());
    let found = eventually(PATIENCE, "the policies to be looked at", async || {
        let found = policies.list(&ListParams::default()).await?.items;
        let is_looked_at = |it: &ValidatingAdmissionPolicy| {
            let status = it.status.as_ref();
            status.and_then(|it| it.observed_generation) == it.metadata.generation
        };
        Ok(found.iter().all(is_looked_at).then_some(found))
    })
    .await?;
    ensure!(found.len() == 8, "{} policies", found.len());
    for policy in found {
        let name = policy.name_any();
        let checked = policy.status.and_then(|it| it.type_checking);
        let warnings = checked.and_then(|it| it.expression_warnings);
        ensure!(warnings.is_none(), "{name}: {warnings:#?}");
    }
    Ok(())
}

/// What breaks a rule and was there before it can be lived with, and mended, but not made worse.
async fn what_was_there_before_is_left_as_it_is((): &()) -> Result<()> {
    let world = World::start().await?;
    let create = async |object: &Value| -> Result<Value> {
        let answer = world.created(SHOP, object).await?;
        ensure!(answer.code == 201, "{answer:?}");
        Ok(answer.body)
    };
    let plain = create(&ingress(
        json!({}),
        json!({"rules": [host("a.example.com")]}),
    ))
    .await?;
    let ports = create(&listening(&[BAD, 443])).await?;
    let external = json!({"ports": [{"port": 443}], "externalIPs": ["203.0.113.1"]});
    let external = create(&service(external)).await?;
    let on_host = create(&pod(json!({"hostNetwork": true}))).await?;

    let refused = |answer: &Answer| answer.is_refusal(WORDS);
    let bad = listening(&[BAD]);
    world
        .with_rules(rules("Enforce"), (SHOP, &bad), refused)
        .await?;
    let address = json!({"status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}});
    let label =
        json!({"metadata": {"labels": {"seen": "yes"}, "annotations": {"example.com/note": "x"}}});
    let finalizer = json!({"metadata": {"finalizers": ["example.com/keeps"]}});
    let none = json!({"metadata": {"finalizers": null}});
    for object in [&plain, &ports, &external, &on_host] {
        for patch in [&label, &finalizer] {
            let answer = world.patched(object, "", patch).await?;
            ensure!(answer.is_silent(), "{patch}: {answer:?}");
        }
    }
    let answer = world.patched(&plain, "/status", &address).await?;
    ensure!(answer.is_silent(), "{answer:?}");

    for (object, patch, words) in changes(&plain, &ports, &external) {
        let answer = world.patched(object, "", &patch).await?;
        let is_so = words.map_or_else(|| answer.is_silent(), |words| answer.is_refusal(words));
        ensure!(is_so, "{patch}: {answer:?}");
    }
    // And goes as it would without.
    for object in [&plain, &ports, &external, &on_host] {
        let answer = world.patched(object, "", &none).await?;
        ensure!(answer.is_silent(), "{answer:?}");
    }
    world.0.stop().await
}

/// What the API server could not afford to look at would pass, since a failure refuses nothing.
async fn what_is_too_large_to_be_looked_at_is_refused((): &()) -> Result<()> {
    let world = World::start().await?;
    let many = |count: u16, each: &dyn Fn(u16) -> Value| (1..=count).map(each).collect::<Value>();
    let hosts = |count: u16| many(count, &|it| host(&format!("h{it}.example.com")));
    let covers = |count: u16| many(count, &|it| tls(&[&format!("h{it}.example.com")]));
    let https =
        |rules: Value, tls: Value| ingress(Value::Null, json!({"rules": rules, "tls": tls}));
    let of_host = |count: u16| many(count, &|it| json!({"containerPort": it, "hostPort": it}));
    let harmless = |count: u16| many(count, &|it| json!({"containerPort": it}));
    let reached = |count: u16| {
        let addresses = many(count, &|it| {
            json!(format!("192.0.{}.{}", it / 250, it % 250))
        });
        service(json!({"ports": [{"port": 443}], "externalIPs": addresses}))
    };
    let containers =
        |count: u16, ports: &Value| many(count, &|it| container(&format!("c{it}"), ports.clone()));
    let of_pod = |containers: Value| pod(json!({"containers": containers}));
    let numbers: Vec<u16> = (1..=600).collect();
    let one = json!([container("one", of_host(500))]);

    let before = world
        .created(SHOP, &https(hosts(300), json!([])))
        .await?
        .body;
    let refused = |answer: &Answer| answer.is_refusal(WORDS);
    let bad = listening(&[BAD]);
    world
        .with_rules(rules("Enforce"), (SHOP, &bad), refused)
        .await?;
    for (what, object, words) in [
        (
            "200 hosts with an entry each",
            https(hosts(200), covers(200)),
            None,
        ),
        (
            "200 hosts, of which one is not covered",
            https(hosts(200), covers(199)),
            Some("h200.example.com"),
        ),
        (
            "201 hosts",
            https(hosts(201), json!([{}])),
            Some("write several Ingresses"),
        ),
        (
            "50,000 entries of tls",
            https(hosts(1), many(50_000, &|_| json!({}))),
            Some("50000 entries of tls"),
        ),
        (
            "500 other ports",
            listening(&numbers[..500]),
            Some("spec.ports[0].port is 1"),
        ),
        ("600 ports", listening(&numbers), Some("has 600 ports")),
        (
            "200 other addresses",
            reached(200),
            Some("spec.externalIPs[0] is 192.0.0.1"),
        ),
        (
            "20,000 addresses",
            reached(20_000),
            Some("has 20000 addresses"),
        ),
        ("500 ports of the host", of_pod(one), Some("hostPort 1,")),
        (
            "200 containers",
            of_pod(containers(200, &harmless(2))),
            None,
        ),
        (
            "3,000 containers",
            of_pod(containers(3_000, &json!([]))),
            Some("has 3000 containers and 0 initContainers"),
        ),
        (
            "600 ports of one",
            of_pod(json!([container("one", harmless(600))])),
            Some("write several pods"),
        ),
    ] {
        let answer = world.created(SHOP, &object).await?;
        let is_so = words.map_or_else(|| answer.is_silent(), |words| answer.is_refusal(words));
        let Answer { code, warnings, .. } = &answer;
        ensure!(
            is_so,
            "{what}: {code} {} {warnings}",
            answer.body["message"]
        );
    }
    // Where it was there before, it does not excuse what comes.
    let one_more = json!({"spec": {"rules": [host("h1.example.com")]}});
    let answer = world.patched(&before, "", &one_more).await?;
    ensure!(
        answer.is_refusal("covers no host h1.example.com"),
        "{answer:?}"
    );
    world.0.stop().await
}

/// Nothing that the rules read has to be there for pods to start.
async fn without_our_kinds_nothing_is_refused((): &()) -> Result<()> {
    let world = World::without_kinds().await?;
    let bad = listening(&[BAD]);
    for object in [&bad, &pod(json!({"hostNetwork": true}))] {
        let answer = world.created(SHOP, object).await?;
        ensure!(answer.is_silent(), "{answer:?}");
    }
    world.install_kinds().await?;
    let refused = |answer: &Answer| answer.is_refusal(WORDS);
    world
        .with_rules(rules("Enforce"), (SHOP, &bad), refused)
        .await?;

    let definitions: Api<CustomResourceDefinition> = Api::all(world.0.client());
    let name = LandingZonePlatform::crd_name();
    definitions.delete(name, &DeleteParams::default()).await?;
    let good = pod(json!({}));
    eventually(PATIENCE, "the rules to be without a platform", async || {
        let started = world.created(SHOP, &good).await?;
        if !started.is_silent() {
            return Err(anyhow::anyhow!("a pod is refused: {started:?}"));
        }
        let answer = world.created(SHOP, &bad).await?;
        Ok(answer.is_silent().then_some(()))
    })
    .await?;
    world.0.stop().await
}

fn main() -> ExitCode {
    scenario::run::<()>(scenarios![
        each_rule_holds_as_its_stage_says within LONG,
        what_was_there_before_is_left_as_it_is within LONG,
        what_is_too_large_to_be_looked_at_is_refused within LONG,
        without_our_kinds_nothing_is_refused within LONG,
    ])
}
