//! Several operators in one cluster: one of them writes, whatever happens to it.
//!
//! The audit log tells them apart by what they call themselves, and is asked each time whether two of them wrote by turns.

use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::audit::{Event, Mark};
use e2e::binaries::{OperatorBinaries, Profile};
use e2e::governed::CONVERGED;
use e2e::operator::OPERATOR_USER;
use e2e::process::{Process, Program, command_that_dies_with_us, spawn};
use e2e::scenario::{self, Shared};
use e2e::{Calico, Governed, OperatorOptions, OperatorProcess, eventually, holds_for, scenarios};
use futures::try_join;
use jiff::{Timestamp, ToSpan};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use landing_zone_operator::api::LandingZonePlatform;
use serde_json::{Value, json};

/// How long a cluster may be without an operator that writes.
const HANDED_OVER: Duration = Duration::from_secs(15);
/// How long it may be when the leader says goodbye.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Half of what a Lease lasts: whoever waits for its end takes longer.
const BEFORE_IT_RUNS_OUT: Duration = Duration::from_secs(5);
/// Longer than a Lease lasts.
const PAST_THE_LEASE: Duration = Duration::from_secs(12);
/// Longer than the operator waits before it says that it does not know yet.
const PAST_THE_PATIENCE: Duration = Duration::from_secs(8);
const LONG: Duration = Duration::from_mins(3);
const NAMESPACE: &str = "landing-zone-system";
const LEASE: &str = "landing-zone-operator";

/// The operator's program, built once before the tests: each has a cluster of its own.
struct Built;

impl Shared for Built {
    async fn start() -> Result<Self> {
        tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Test)).await??;
        Ok(Self)
    }

    async fn stop(self) -> Result<()> {
        Ok(())
    }
}

/// A cluster with two operators, of which `first` leads.
struct Pair {
    governed: Governed,
    second: OperatorProcess,
    began: Mark,
}

impl Pair {
    async fn start() -> Result<Self> {
        let governed = Governed::start(Calico::Storage, named("first")).await?;
        leads(&governed.operator, CONVERGED).await?;
        let second = another(&governed, "second").await?;
        let began = Mark::default();
        Ok(Self {
            governed,
            second,
            began,
        })
    }

    fn first(&self) -> &OperatorProcess {
        &self.governed.operator
    }

    /// All writes but those to the Lease, in the order in which they came.
    fn writes(&self) -> Result<Vec<Event>> {
        let log = self.governed.cluster.audit_log();
        let mut writes = log.writes_by(OPERATOR_USER, self.began)?;
        writes.sort_by_key(|event| event.received);
        Ok(writes)
    }

    /// Who wrote, one after the other; fails when two wrote by turns.
    fn writers(&self) -> Result<Vec<String>> {
        let mut writers: Vec<String> = Vec::new();
        for write in self.writes()? {
            let who = writer(&write)?;
            if writers.last() == Some(&who) {
                continue;
            }
            ensure!(
                !writers.contains(&who),
                "{who} wrote again after {writers:?}: {write:#?}"
            );
            writers.push(who);
        }
        Ok(writers)
    }

    /// Declares a landing zone, which becomes ready when somebody writes.
    async fn works(&self, name: &str) -> Result<()> {
        let spec = json!({"applicationCode": name, "namespaces": [{"name": format!("{name}-web"), "zone": "frontend", "quota": {"pods": "50"}}]});
        self.governed.converge(name, spec).await?;
        Ok(())
    }

    async fn stop(self) -> Result<()> {
        self.governed.cluster.stop().await
    }
}

fn named(name: &str) -> OperatorOptions {
    OperatorOptions {
        name: Some(name.to_owned()),
        environment: vec![("HOSTNAME".to_owned(), name.to_owned())],
        ..OperatorOptions::default()
    }
}

/// One more operator, which watches and waits.
async fn another(governed: &Governed, name: &str) -> Result<OperatorProcess> {
    let operator = OperatorProcess::start(&governed.cluster, named(name)).await?;
    operator.wait_until_ready(CONVERGED).await?;
    Ok(operator)
}

/// The name of the operator that wrote.
fn writer(write: &Event) -> Result<String> {
    let agent = &write.user_agent;
    let name = agent.strip_prefix("landing-zone-operator/");
    let name = name.and_then(|rest| rest.split_once(" (")?.1.split_once('_'));
    let (name, _) = name.with_context(|| format!("who is {agent}?"))?;
    Ok(name.to_owned())
}

async fn leads(operator: &OperatorProcess, within: Duration) -> Result<()> {
    eventually(within, "the operator to lead", async || {
        let metrics = operator.metrics().await?;
        Ok(metrics.contains("landingzone_leader 1\n").then_some(()))
    })
    .await
}

async fn waits(operator: &OperatorProcess) -> Result<()> {
    let metrics = operator.metrics().await?;
    ensure!(metrics.contains("landingzone_leader 0\n"), "{metrics}");
    Ok(())
}

async fn the_one_that_leads_writes_and_the_other_waits(_: &Built) -> Result<()> {
    let pair = Pair::start().await?;
    pair.works("shop").await?;
    waits(&pair.second).await?;
    ensure!(pair.writers()? == ["first"], "{:?}", pair.writers()?);
    let (status, text) = pair.second.ready().await?;
    ensure!(status.is_success(), "{text}");
    pair.stop().await
}

async fn a_leader_that_is_asked_to_end_hands_over_at_once(_: &Built) -> Result<()> {
    let pair = Pair::start().await?;
    pair.works("before").await?;
    let asked = Instant::now();
    // From the signal on, not from when the first has ended.
    let (ended, ()) = try_join!(
        pair.first().terminate(),
        leads(&pair.second, BEFORE_IT_RUNS_OUT)
    )?;
    ensure!(ended.success(), "{ended}");
    println!("handed over {:?} after SIGTERM", asked.elapsed());
    pair.works("after").await?;
    ensure!(
        pair.writers()? == ["first", "second"],
        "{:?}",
        pair.writers()?
    );

    // The one that waited has nothing to hand over, and ends at once.
    let third = another(&pair.governed, "third").await?;
    let ended = third.terminate().await?;
    ensure!(ended.success(), "{ended}");
    holds_for(AT_ONCE, "the second leads", async || {
        leads(&pair.second, AT_ONCE).await
    })
    .await?;
    pair.stop().await
}

async fn a_leader_that_is_killed_is_followed_in_time(_: &Built) -> Result<()> {
    let pair = Pair::start().await?;
    pair.works("before").await?;
    let killed = Instant::now();
    pair.first().kill().await?;
    leads(&pair.second, HANDED_OVER).await?;
    println!("handed over {:?} after SIGKILL", killed.elapsed());
    pair.works("after").await?;
    ensure!(
        pair.writers()? == ["first", "second"],
        "{:?}",
        pair.writers()?
    );
    pair.stop().await
}

/// It is stopped in the middle of a storm of repairs, past its Lease, and goes on when another one leads: what it would
/// have repaired is not repaired by it any more.
async fn a_leader_that_stood_still_writes_nothing_when_it_goes_on(_: &Built) -> Result<()> {
    let pair = Pair::start().await?;
    for name in ["one", "two", "three"] {
        pair.works(name).await?;
    }
    let storm = disorder(&pair.governed, 40);
    let pausing = async {
        let repairs = pair.writes()?.len();
        eventually(CONVERGED, "repairs", async || {
            Ok((pair.writes()?.len() > repairs + 5).then_some(()))
        })
        .await?;
        pair.first().pause()
    };
    let (stormed, paused) = tokio::join!(storm, pausing);
    stormed?;
    paused?;
    let stopped = Instant::now();
    leads(&pair.second, HANDED_OVER).await?;
    println!("handed over {:?} after SIGSTOP", stopped.elapsed());
    disorder(&pair.governed, 5).await?;

    let resumed = Timestamp::now();
    pair.first().resume()?;
    let ended = pair.first().process().wait(PAST_THE_LEASE).await?;
    ensure!(!ended.success(), "it should say that it did not end well");
    let log = pair.first().logs()?;
    ensure!(log.contains("holds the Lease"), "{log}");
    let late: Vec<Event> = pair
        .writes()?
        .into_iter()
        .filter(|write| write.received >= resumed)
        .collect();
    for write in &late {
        ensure!(writer(write)? == "second", "{write:#?}");
    }
    pair.works("after").await?;
    ensure!(
        pair.writers()? == ["first", "second"],
        "{:?}",
        pair.writers()?
    );
    pair.stop().await
}

/// Changes quotas, so that there is something to repair.
async fn disorder(governed: &Governed, times: usize) -> Result<()> {
    for turn in 0..times {
        for name in ["one", "two", "three"] {
            let namespace = format!("{name}-web");
            let quotas: Api<ResourceQuota> = Api::namespaced(governed.client(), &namespace);
            let listed = quotas.list(&ListParams::default()).await?;
            ensure!(!listed.items.is_empty(), "no quota in {namespace}");
            for quota in listed.items {
                let name = quota.metadata.name.context("a quota without a name")?;
                let patch =
                    Patch::Merge(json!({"spec": {"hard": {"pods": format!("{}", turn + 1)}}}));
                quotas.patch(&name, &PatchParams::default(), &patch).await?;
            }
        }
    }
    Ok(())
}

async fn one_leads_after_the_api_server_was_lost(_: &Built) -> Result<()> {
    let pair = Pair::start().await?;
    pair.works("before").await?;
    pair.governed.cluster.stop_apiserver().await?;
    eventually(PAST_THE_LEASE, "the first to stop writing", async || {
        waits(pair.first()).await.map(Some)
    })
    .await?;
    pair.governed.cluster.start_apiserver().await?;
    pair.works("after").await?;
    let writers = pair.writers()?;
    ensure!(writers.len() <= 2, "{writers:?}");
    pair.stop().await
}

/// What the one before said of the platform is still so: whoever takes over says nothing anew, least of all that it
/// knows nothing yet.
async fn whoever_takes_over_finds_the_platform_as_it_was_told(_: &Built) -> Result<()> {
    let pair = Pair::start().await?;
    let platform = json!({
        "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZonePlatform",
        "metadata": {"name": "cluster"}, "spec": {"defaultDeny": {"stage": "Enforce"}},
    });
    let platforms: Api<LandingZonePlatform> = Api::all(pair.governed.client());
    let platform = serde_json::from_value(platform)?;
    platforms.create(&PostParams::default(), &platform).await?;
    let told = eventually(CONVERGED, "the default deny to be in force", async || {
        let status = platforms.get("cluster").await?.status.unwrap_or_default();
        let is_true = |type_: &str| {
            let mut all = status.conditions.iter();
            all.any(|it| it.type_ == type_ && it.status == "True")
        };
        Ok((is_true("Ready") && is_true("DefaultDenyReady")).then_some(status))
    })
    .await?;
    pair.works("before").await?;
    pair.first().terminate().await?;
    leads(&pair.second, AT_ONCE).await?;
    pair.works("after").await?;
    holds_for(PAST_THE_PATIENCE, "nothing is said anew", async || {
        let mut writes = pair.writes()?;
        writes.retain(|it| {
            it.resource == "landingzoneplatforms" && writer(it).is_ok_and(|it| it == "second")
        });
        ensure!(writes.is_empty(), "{writes:#?}");
        Ok(())
    })
    .await?;
    let status = platforms.get("cluster").await?.status.unwrap_or_default();
    ensure!(status == told, "{status:#?} instead of {told:#?}");

    // It is followed all the same.
    let off = Patch::Merge(json!({"spec": {"defaultDeny": {"stage": "Off"}}}));
    platforms
        .patch("cluster", &PatchParams::default(), &off)
        .await?;
    eventually(CONVERGED, "the change to be told", async || {
        let status = platforms.get("cluster").await?.status.unwrap_or_default();
        let deny = status
            .conditions
            .into_iter()
            .find(|it| it.type_ == "DefaultDenyReady");
        Ok(deny.filter(|it| it.reason == "Off"))
    })
    .await?;
    pair.stop().await
}

/// With nobody else to take it, what ran out is renewed, and the operator goes on without starting anew.
async fn an_operator_alone_outlives_its_lease(_: &Built) -> Result<()> {
    let governed = Governed::start(Calico::Storage, named("alone")).await?;
    leads(&governed.operator, CONVERGED).await?;
    governed.cluster.stop_apiserver().await?;
    eventually(PAST_THE_LEASE, "it to stop writing", async || {
        waits(&governed.operator).await.map(Some)
    })
    .await?;
    governed.cluster.start_apiserver().await?;
    leads(&governed.operator, CONVERGED).await?;
    governed.operator.process().ensure_running()?;

    let leases: Api<Lease> = Api::namespaced(governed.client(), NAMESPACE);
    governed.operator.pause()?;
    eventually(CONVERGED, "the Lease to run out", async || {
        let spec = leases.get(LEASE).await?.spec.context("no spec")?;
        let renewed = spec.renew_time.context("never renewed")?.0;
        let age = Timestamp::now().duration_since(renewed);
        ensure!(age.unsigned_abs() > PAST_THE_LEASE, "renewed {age:?} ago");
        Ok(Some(()))
    })
    .await?;
    governed.operator.resume()?;
    leads(&governed.operator, CONVERGED).await?;

    leases.delete(LEASE, &DeleteParams::default()).await?;
    eventually(CONVERGED, "the Lease to be there again", async || {
        Ok(leases.get_opt(LEASE).await?)
    })
    .await?;
    governed.operator.process().ensure_running()?;
    leads(&governed.operator, AT_ONCE).await?;
    let spec = json!({"applicationCode": "shop", "namespaces": [{"name": "shop-web", "zone": "frontend"}]});
    governed.converge("shop", spec).await?;
    let (code, said) = status(&governed, "shop").await?;
    ensure!(code == Some(0) && said.starts_with("healthy"), "{said}");
    let of_one = watch_status(&governed, "one", &["shop"]).await?;
    let of_all = watch_status(&governed, "all", &[]).await?;
    for watching in [&of_one, &of_all] {
        tells(watching, "shop: healthy").await?;
    }
    governed.operator.terminate().await?;
    let words = "waiting for the operator: no operator holds the Lease";
    tells(&of_one, &format!("shop: {words}")).await?;
    tells(&of_all, words).await?;
    for watching in [of_one, of_all] {
        watching.interrupt()?;
        watching.wait(CONVERGED).await?;
    }
    // Its last word is as it was, but nobody keeps it true any more.
    let (code, said) = status(&governed, "shop").await?;
    ensure!(
        code == Some(3)
            && said.starts_with("waiting for the operator: no operator holds the Lease"),
        "{said}"
    );
    governed.cluster.stop().await
}

/// `kubectl landingzone status --watch`.
async fn watch_status(governed: &Governed, name: &str, of: &[&str]) -> Result<Process> {
    let binaries = tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Test));
    let log = governed
        .cluster
        .directory()
        .join(format!("watch-{name}.log"));
    let arguments = ["status", "--watch"].into_iter().chain(of.iter().copied());
    Program::new(binaries.await??.plugin, &log)
        .arguments(arguments)
        .variable("KUBECONFIG", governed.cluster.kubeconfig().path())
        .start()
}

/// Waits until it tells a line that begins so.
async fn tells(watching: &Process, words: &str) -> Result<()> {
    let what = format!("the line {words:?}");
    eventually(CONVERGED, &what, async || {
        watching.ensure_running()?;
        let told = watching.log()?;
        Ok(told.lines().any(|it| it.starts_with(words)).then_some(()))
    })
    .await
    .with_context(|| watching.log().unwrap_or_default())
}

/// What `kubectl landingzone status` says.
async fn status(governed: &Governed, name: &str) -> Result<(Option<i32>, String)> {
    let binaries = tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Test));
    let mut command = command_that_dies_with_us(binaries.await??.plugin);
    command
        .args(["status", name])
        .env("KUBECONFIG", governed.cluster.kubeconfig().path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let child = spawn(command)?;
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await??;
    let said = String::from_utf8(output.stdout)?;
    // It is wrapped at 80 columns.
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok((output.status.code(), said))
}

/// Somebody whose clock is a minute wrong holds the Lease: it is theirs while they renew it, and no longer.
async fn the_clocks_of_others_decide_nothing(_: &Built) -> Result<()> {
    let governed = Governed::start(Calico::Storage, named("first")).await?;
    leads(&governed.operator, CONVERGED).await?;
    governed.operator.terminate().await?;
    for minutes in [-1, 1] {
        renew(&governed, &format!("skewed{minutes}"), minutes).await?;
        let name = format!("second{minutes}");
        let second = another(&governed, &name).await?;
        holds_for(PAST_THE_LEASE, "the second one waits", async || {
            renew(&governed, &format!("skewed{minutes}"), minutes).await?;
            waits(&second).await
        })
        .await?;
        let last = Instant::now();
        leads(&second, HANDED_OVER).await?;
        ensure!(
            last.elapsed() > Duration::from_secs(6),
            "{:?}",
            last.elapsed()
        );
        second.terminate().await?;
    }
    governed.cluster.stop().await
}

/// Renews the Lease as another operator would, by a clock that is so many minutes wrong.
async fn renew(governed: &Governed, holder: &str, minutes: i64) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(governed.client(), NAMESPACE);
    let now = format!("{:.6}", Timestamp::now() + minutes.minutes());
    let spec: Value = json!({"spec": {
        "holderIdentity": holder, "leaseDurationSeconds": 10, "renewTime": now,
    }});
    leases
        .patch(LEASE, &PatchParams::default(), &Patch::Merge(spec))
        .await?;
    Ok(())
}

fn main() -> ExitCode {
    scenario::run::<Built>(scenarios![
        the_one_that_leads_writes_and_the_other_waits within LONG,
        a_leader_that_is_asked_to_end_hands_over_at_once within LONG,
        a_leader_that_is_killed_is_followed_in_time within LONG,
        a_leader_that_stood_still_writes_nothing_when_it_goes_on within LONG,
        one_leads_after_the_api_server_was_lost within LONG,
        whoever_takes_over_finds_the_platform_as_it_was_told within LONG,
        an_operator_alone_outlives_its_lease within LONG,
        the_clocks_of_others_decide_nothing within LONG,
    ])
}
