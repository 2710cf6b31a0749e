//! What the kubectl plugin tells of a cluster: `status` and `diff`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::binaries::{OperatorBinaries, Profile};
use e2e::process::{Program, command_that_dies_with_us, spawn};
use e2e::shop::{PATIENCE, Shop};
use e2e::{Calico, Governed, OperatorOptions, eventually};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::Fixture;

/// What a command left.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn first_line(&self) -> &str {
        self.out.lines().next().unwrap_or_default()
    }

    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("{} {}", self.out, self.err))
    }

    fn tells(&self, code: i32, words: &[&str]) -> Result<()> {
        let Self { out, err, .. } = self;
        ensure!(self.code == Some(code), "{:?}: {out} {err}", self.code);
        // Where a line ends is no matter.
        let told: Vec<&str> = out
            .split_whitespace()
            .filter(|it| !["|", "|-", "`-"].contains(it))
            .collect();
        let told = told.join(" ") + " " + err;
        for it in words {
            ensure!(told.contains(it), "{it:?} is missing in: {told}");
        }
        ensure!(
            !out.contains('\u{1b}'),
            "colours without a terminal: {out:?}"
        );
        let wide = out.lines().find(|it| it.chars().count() > 80);
        ensure!(wide.is_none() || out.starts_with('{'), "{wide:?}");
        Ok(())
    }
}

/// The plugin; Cargo is asked once.
async fn plugin() -> Result<&'static PathBuf> {
    static PLUGIN: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || {
        let build = tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Test));
        anyhow::Ok(build.await??.plugin)
    };
    PLUGIN.get_or_try_init(build).await
}

async fn run(kubeconfig: &Path, arguments: &str) -> Result<Ran> {
    let mut command = command_that_dies_with_us(plugin().await?);
    command
        .args(arguments.split_whitespace())
        .env("KUBECONFIG", kubeconfig)
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = spawn(command)?;
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await??;
    Ok(Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

async fn says(governed: &Governed, arguments: &str) -> Result<Ran> {
    run(governed.cluster.kubeconfig().path(), arguments).await
}

/// A landing zone with a crossing to another one.
fn with_crossing(peer: &str) -> Value {
    json!({"placement": null, "network": {"egress": [
        {"name": "theirs", "from": {"zone": "web"}, "to": {"landingZone": peer, "zone": "data"},
         "ports": [{"protocol": "TCP", "port": 5432}], "validUntil": "2099-12-31"},
    ]}})
}

/// How long another landing zone may have what this one declares before somebody has to act.
const CONFLICT_PATIENCE: Duration = Duration::from_mins(1);

/// A landing zone that its own pods may read.
fn of_pods(name: &str) -> Value {
    let account = format!("{name}-data:default");
    json!({
        "placement": null,
        "access": [{"kind": "ServiceAccount", "name": account, "role": "view"}],
    })
}

/// Asks until a landing zone stands as expected: the first line and the exit code.
async fn stands(governed: &Governed, name: &str, code: i32, words: &str) -> Result<Ran> {
    let arguments = format!("status {name}");
    eventually(
        CONFLICT_PATIENCE + PATIENCE,
        &format!("{name} to be {words}"),
        async || {
            let ran = says(governed, &arguments).await?;
            let first = ran.first_line();
            ensure!(
                first.starts_with(words) && ran.code == Some(code),
                "{:?} {first} {}",
                ran.code,
                ran.err
            );
            Ok(Some(ran))
        },
    )
    .await
}

pub async fn status_says_first_whom_it_waits_for(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    let healthy = Shop::open_with(governed, "told-healthy", json!({"placement": null})).await?;
    let ran = stands(governed, healthy.name(), 0, "healthy: everything declared").await?;
    ran.tells(
        0,
        &[
            "application code told-healthy; stage Enforce",
            "Ready True AsDeclared",
            "Ready told-healthy-web, zone web",
        ],
    )?;

    let waiting = Shop::open_with(governed, "told-waiting", with_crossing("told-healthy")).await?;
    let words = "waiting for the team of landing zone told-healthy: theirs";
    let ran = stands(governed, waiting.name(), 3, words).await?;
    ran.tells(
        3,
        &[
            "egress theirs (landing zone told-healthy, zone data), until 2099-12-31: closed, declared here only:",
            "spec.network.ingress",
        ],
    )?;

    // Whoever comes later waits a moment for the other team, and then has to act.
    let claimed = healthy.named("web");
    let late = json!({"placement": null, "namespaces": [
        {"name": claimed, "zone": "web"}, {"name": "told-late-data", "zone": "data"},
    ]});
    let late = Shop::declare(governed, "told-late", late).await?;
    let words = "waiting for the team of landing zone told-healthy: told-healthy-web";
    stands(governed, late.name(), 3, words).await?;
    let ran = stands(governed, late.name(), 1, "act now: told-healthy-web").await?;
    ran.tells(
        1,
        &["Withheld told-healthy-web", "remove it from one of the two"],
    )?;

    let ran = says(governed, "status").await?;
    ran.tells(
        1,
        &[
            "landing zones,",
            "told-late act now:",
            "told-healthy healthy:",
        ],
    )?;
    ensure!(ran.first_line().starts_with("act now:"), "{}", ran.out);
    let place = |name: &str| ran.out.find(&format!("\n{name} "));
    let order = ["told-late", "told-waiting", "told-healthy"].map(place);
    ensure!(order.is_sorted() && order[0].is_some(), "{}", ran.out);

    let told = says(governed, "status told-waiting -o json").await?;
    ensure!(told.code == Some(3), "{}", told.err);
    let told = told.json()?;
    let expected = json!([{"who": "LandingZone", "name": "told-healthy"}]);
    ensure!(told["waitingFor"] == expected, "{told}");
    ensure!(told["verdict"] == "Waiting" && told["status"]["crossings"][0]["name"] == "theirs");
    let told = says(governed, "status -o json").await?.json()?;
    ensure!(told["verdict"] == "ActNow", "{told}");

    let nobody = says(governed, "status nobody").await?;
    nobody.tells(2, &["there is no landing zone nobody"])?;
    let coloured = says(governed, "status told-late --color=always").await?;
    ensure!(coloured.out.contains("\u{1b}["), "{}", coloured.out);
    late.close().await?;
    waiting.close().await?;
    healthy.close().await
}

/// By a watch, which an interruption ends.
pub async fn status_tells_changes_as_they_come(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    let shop = Shop::open_with(governed, "told-watched", of_pods("told-watched")).await?;
    stands(governed, shop.name(), 0, "healthy").await?;
    // By somebody who may read this landing zone and no other.
    let account = governed
        .cluster
        .kubeconfig_for_service_account("told-watched-data", "default")
        .await?;
    eventually(PATIENCE, "the rights of the team", async || {
        let ran = run(account.path(), "status told-watched").await?;
        ran.tells(0, &[])?;
        Ok(Some(()))
    })
    .await?;
    let log = governed.cluster.directory().join("status-watch.log");
    let watching = Program::new(plugin().await?, &log)
        .arguments(["status", shop.name(), "--watch"])
        .variable("KUBECONFIG", account.path())
        .start()?;
    let line = async |words: &str| {
        eventually(PATIENCE, &format!("the line {words:?}"), async || {
            watching.ensure_running()?;
            let told = watching.log()?;
            Ok(told.lines().any(|it| it.starts_with(words)).then_some(()))
        })
        .await
        .with_context(|| watching.log().unwrap_or_default())
    };
    line("told-watched: healthy: everything declared").await?;
    shop.edit(json!({"suspend": true})).await?;
    line("told-watched: waiting for its own team: spec.suspend is true").await?;
    shop.edit(json!({"suspend": null})).await?;
    governed.ready(shop.name()).await?;
    watching.interrupt()?;
    let ended = watching.wait(PATIENCE).await?;
    ensure!(ended.success(), "{ended}");
    let told = watching.log()?;
    ensure!(!told.contains('\u{1b}'), "{told:?}");
    shop.close().await
}

/// What its members may not read is named, and what they may is told.
pub async fn the_team_gets_what_it_may_read(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    let shop = Shop::open_with(governed, "told-team", of_pods("told-team")).await?;
    let account = governed
        .cluster
        .kubeconfig_for_service_account("told-team-data", "default")
        .await?;
    eventually(PATIENCE, "the rights of the team", async || {
        let ran = run(account.path(), "status told-team").await?;
        ran.tells(0, &["healthy:", "Ready told-team-web, zone web"])?;
        Ok(Some(()))
    })
    .await?;
    let others = run(account.path(), "status").await?;
    others.tells(2, &["could not be read: landingzones"])?;
    let theirs = run(account.path(), "status nobody").await?;
    theirs.tells(2, &["the landing zone nobody cannot be read", "forbidden"])?;

    let quota = shop.quota();
    shop.edit(json!({"suspend": true})).await?;
    shop.when("to be suspended", |status| {
        status.conditions.iter().any(|it| it.reason == "Suspended")
    })
    .await?;
    quota
        .merge(json!({"spec": {"hard": {"pods": "500"}}}))
        .await?;
    let partial = run(account.path(), "diff told-team --partial").await?;
    partial.tells(
        1,
        &[
            "differs ResourceQuota/told-team-web/landing-zone spec.hard.pods: 500 -> 50",
            "could not be read:",
            "GlobalNetworkPolicy",
            "told-team is suspended",
        ],
    )?;
    ensure!(!partial.out.contains("missing"), "{}", partial.out);
    let whole = run(account.path(), "diff told-team").await?;
    ensure!(whole.code == Some(2), "{} {}", whole.out, whole.err);
    shop.edit_and_converge(json!({"suspend": null})).await?;
    shop.close().await
}

/// In a cluster of its own, whose operator is told to end.
pub async fn diff_tells_what_a_stopped_operator_does_not_put_back(_: &Fixture) -> Result<()> {
    let governed = Governed::start(Calico::StorageWithTiers, OperatorOptions::default()).await?;
    without_an_operator(&governed).await?;
    governed.cluster.stop().await
}

async fn without_an_operator(governed: &Governed) -> Result<()> {
    let shop = Shop::open_with(governed, "shop", with_crossing("orders")).await?;
    let orders = Shop::open_with(governed, "orders", json!({"placement": null})).await?;
    let same = says(governed, "diff").await?;
    same.tells(0, &["no difference of"])?;
    ensure!(same.err.is_empty(), "{}", same.err);

    governed.operator.terminate().await?;
    let quota = shop.quota();
    quota
        .merge(json!({"spec": {"hard": {"pods": "500"}}}))
        .await?;
    orders.limits().delete().await?;
    let drifted = says(governed, "diff").await?;
    drifted.tells(
        1,
        &[
            "differs ResourceQuota/shop-web/landing-zone spec.hard.pods: 500 -> 50",
            "missing LimitRange/orders-web/landing-zone",
            "2 objects differ, of",
        ],
    )?;
    let told = says(governed, "diff shop -o json").await?;
    ensure!(told.code == Some(1), "{}", told.err);
    let told = told.json()?;
    let expected = json!([{"path": "spec.hard.pods", "found": "500", "declared": "50", "manager": e2e::shop::MALLORY}]);
    let found = &told["differences"][0];
    ensure!(
        found["object"] == "ResourceQuota/shop-web/landing-zone"
            && found["fields"] == expected
            && told["differences"]
                .as_array()
                .is_some_and(|it| it.len() == 1),
        "{told}"
    );

    // With the other half of the crossing in a file, both ends change.
    let mut spec = e2e::shop::spec_with("orders", json!({"placement": null}));
    spec["network"]["ingress"] = json!([
        {"name": "shop", "from": {"landingZone": "shop", "zone": "web"}, "to": {"zone": "data"},
         "ports": [{"protocol": "TCP", "port": 5432}]},
    ]);
    let file = governed.cluster.directory().join("orders.json");
    let declared = json!({
        "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZone",
        "metadata": {"name": "orders"}, "spec": spec,
    });
    std::fs::write(&file, declared.to_string())?;
    let file = file.to_str().context("a path that is no text")?;
    let opened = says(governed, &format!("diff -f {file}")).await?;
    // What is longer than a line is broken.
    opened.tells(
        1,
        &[
            "missing GlobalNetworkPolicy/landingzones-platform.landing-zone-orders-data-cr",
            "missing GlobalNetworkPolicy/landingzones-platform.landing-zone-shop-web-crossings",
        ],
    )?;
    ensure!(opened.err.is_empty(), "{}", opened.err);
    let wrong = says(governed, "diff -f /nowhere").await?;
    ensure!(wrong.code == Some(2), "{} {}", wrong.out, wrong.err);
    let nobody = says(governed, "diff nobody").await?;
    nobody.tells(2, &["there is no landing zone nobody in the cluster"])?;
    Ok(())
}
