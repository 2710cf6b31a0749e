//! The command line reads a cluster as it is, with the rights of whoever asks.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::binaries::{OperatorBinaries, Profile};
use e2e::process::{command_that_dies_with_us, spawn};
use e2e::shop::{PATIENCE, Shop};
use e2e::{Governed, OperatorOptions, eventually};
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use super::Clusters;
use super::policy::{CALICO, api, object, towards};

/// What a command left: exit code, standard output, standard error.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

struct Plugin<'a> {
    program: std::path::PathBuf,
    kubeconfig: &'a Path,
}

impl<'a> Plugin<'a> {
    async fn of(governed: &'a Governed) -> Result<Self> {
        let build = tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Test));
        Ok(Self {
            program: build.await??.plugin,
            kubeconfig: governed.cluster.kubeconfig().path(),
        })
    }

    fn run(&self, kubeconfig: &Path, arguments: &str) -> Result<Ran> {
        let mut command = command_that_dies_with_us(&self.program);
        command
            .args(arguments.split_whitespace())
            .env("KUBECONFIG", kubeconfig)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let output = spawn(command)?.wait_with_output()?;
        Ok(Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout)?,
            err: String::from_utf8(output.stderr)?,
        })
    }

    fn json(&self, arguments: &str) -> Result<(Ran, Value)> {
        let ran = self.run(self.kubeconfig, arguments)?;
        let read = serde_json::from_str(&ran.out);
        let read = read.with_context(|| format!("{arguments}: {} {}", ran.out, ran.err))?;
        Ok((ran, read))
    }
}

/// The same is said of a cluster as the status says: what a policy asks for beside what is declared, what passes, and why.
pub async fn the_command_line_reads_a_cluster(clusters: &Clusters) -> Result<()> {
    let test = async |governed: &Governed| {
        let _orders = Shop::open_with(governed, "orders", orders()).await?;
        let _shop = Shop::open_with(governed, "shop", shop()).await?;
        let policies = api(governed.client(), CALICO, "NetworkPolicy", Some("shop-web"));
        let leaves = towards("projectcalico.org/name == 'kube-system'");
        let leaves = object(CALICO, "NetworkPolicy", "default.leaves", &leaves)?;
        policies.create(&PostParams::default(), &leaves).await?;
        let plugin = Plugin::of(governed).await?;
        review(&plugin)?;
        matrix(&plugin)?;
        two_clusters_side_by_side(&plugin)?;
        why(&plugin)?;
        posture(governed, &plugin).await?;
        somebody_without_rights(governed, &plugin).await?;
        somebody_of_the_team(governed, &plugin).await
    };
    clusters
        .with(OperatorOptions::default(), Vec::new(), test)
        .await
}

/// Its team reads it, and its pods read it with the right to view.
fn shop() -> Value {
    json!({
        "access": [{"kind": "ServiceAccount", "name": "shop-data:default", "role": "view"}],
        "network": {"egress": [
            {"name": "orders", "from": {"zone": "web"}, "to": {"landingZone": "orders", "zone": "data"},
             "ports": [{"protocol": "TCP", "port": 5432}]},
            {"name": "unheard", "from": {"zone": "web"}, "to": {"landingZone": "orders", "zone": "web"},
             "ports": [{"protocol": "TCP", "port": 8080}]},
        ]},
    })
}

fn orders() -> Value {
    json!({
        "network": {"ingress": [
            {"name": "shop", "from": {"landingZone": "shop", "zone": "web"}, "to": {"zone": "data"},
             "ports": [{"protocol": "TCP", "port": 5432}]},
        ]},
    })
}

fn review(plugin: &Plugin<'_>) -> Result<()> {
    let (ran, said) = plugin.json("review --live -o json")?;
    ensure!(ran.code == Some(1), "{} {}", ran.out, ran.err);
    let found = said["findings"].as_array().context("no findings")?;
    let rules: Vec<_> = found.iter().map(|it| &it["rule"]).collect();
    ensure!(rules == ["namespace-name"], "{said}");
    ensure!(said["approvalRequired"] == true, "{said}");
    let policy = found[0]["policy"].as_str().unwrap_or_default();
    ensure!(policy.contains("shop-web/default.leaves"), "{said}");
    Ok(())
}

/// Two contexts are two clusters, each told by its name, though the same API server answers both.
fn two_clusters_side_by_side(plugin: &Plugin<'_>) -> Result<()> {
    let mut config = Kubeconfig::read_from(plugin.kubeconfig)?;
    let mut other = config.contexts.first().context("no context")?.clone();
    let known = std::mem::replace(&mut other.name, "other".to_owned());
    config.contexts.push(other);
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, serde_json::to_string(&config)?)?;
    let ran = plugin.run(
        &kubeconfig,
        &format!("matrix --context {known} --context other -o json"),
    )?;
    ensure!(ran.code == Some(0), "{}", ran.err);
    let said: Value = serde_json::from_str(&ran.out)?;
    let entries = said.as_array().context("no list")?;
    let of = |cluster: &str| -> Vec<Value> {
        let own = entries.iter().filter(|it| it["cluster"] == cluster);
        let bare = own.map(|it| {
            let mut it = it.clone();
            it["cluster"] = Value::Null;
            it
        });
        bare.collect()
    };
    let (one, two) = (of(&known), of("other"));
    ensure!(!one.is_empty() && one == two, "{said}");
    ensure!(one.len() + two.len() == entries.len(), "{said}");
    let table = plugin.run(
        &kubeconfig,
        &format!("matrix --context {known} --context other"),
    )?;
    ensure!(
        [known.as_str(), "other"]
            .iter()
            .all(|it| table.out.contains(it)),
        "{}",
        table.out
    );
    Ok(())
}

fn matrix(plugin: &Plugin<'_>) -> Result<()> {
    let (ran, said) = plugin.json("matrix --context local -o json")?;
    ensure!(ran.code == Some(0), "{}", ran.err);
    let entries = said.as_array().context("no list")?;
    let verdict = |from: &str, to: &str| {
        let zone = |zone: &str| json!({"landingZone": "shop", "zone": zone});
        let mut all = entries.iter();
        let entry = all.find(|it| it["from"] == zone(from) && it["to"] == zone(to));
        entry.map(|it| {
            (
                it["verdict"].clone(),
                it["ports"].clone(),
                it["cluster"].clone(),
            )
        })
    };
    // What the team's policy says of the way out counts without tiers, too: flows add to it.
    let open = verdict("web", "data").with_context(|| said.to_string())?;
    ensure!(open.0 == "allowed" && open.2 == "local", "{open:?}");
    ensure!(open.1.to_string().contains("5432"), "{open:?}");
    let closed = verdict("data", "web").with_context(|| said.to_string())?;
    ensure!(closed.0 == "denied", "{closed:?}");
    Ok(())
}

fn why(plugin: &Plugin<'_>) -> Result<()> {
    let ran = plugin.run(plugin.kubeconfig, "why shop/data shop/web:8080 --live")?;
    ensure!(ran.code == Some(0), "{}", ran.err);
    for words in [
        "denied",
        "landing-zone-shop-deny",
        "shop@example.com",
        "from: {zone: data}",
    ] {
        ensure!(ran.out.contains(words), "{words} is not in: {}", ran.out);
    }
    Ok(())
}

/// Questions that the cluster answers, by what the operator keeps in it; Azure is not asked. Nothing enforces policies there, until
/// something looks as if it did.
async fn posture(governed: &Governed, plugin: &Plugin<'_>) -> Result<()> {
    let (_, said) = plugin.json("posture --live -o json")?;
    let nobody = check(&said, "default-deny")?;
    ensure!(
        nobody["seen"]
            .to_string()
            .contains("no policy has an effect"),
        "{nobody}"
    );
    let agents: Api<DaemonSet> = Api::namespaced(governed.client(), "kube-system");
    let labels = json!({"k8s-app": "calico-node"});
    let agent = serde_json::from_value(json!({
        "metadata": {"name": "calico-node"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "calico-node", "image": "calico-node"}]},
            },
        },
    }))?;
    agents.create(&PostParams::default(), &agent).await?;
    let told = by_the_cluster(plugin);
    agents
        .delete("calico-node", &DeleteParams::default())
        .await?;
    told
}

fn by_the_cluster(plugin: &Plugin<'_>) -> Result<()> {
    let (ran, said) = plugin.json("posture --live -o json")?;
    ensure!(ran.code == Some(1), "{} {}", ran.out, ran.err);
    for (id, outcome) in [
        ("dns-allowed", "pass"),
        ("system-namespaces-exempt", "pass"),
        ("default-namespace-unused", "pass"),
        ("network-policy-enforcing", "fail"),
        ("load-balancer-source", "pass"),
        ("private-cluster", "unknown"),
    ] {
        let check = check(&said, id)?;
        ensure!(check["outcome"] == outcome, "{check}");
    }
    // Whatever other namespaces there are, those of landing zones start from deny and are labelled.
    for id in ["default-deny", "namespaces-labelled"] {
        let check = check(&said, id)?;
        ensure!(check["outcome"] != "unknown", "{check}");
        let seen = check["seen"].to_string();
        ensure!(!seen.contains("no policy has an effect"), "{check}");
        for own in ["shop-web", "shop-data", "orders-web", "orders-data"] {
            ensure!(!seen.contains(own), "{check}");
        }
    }
    Ok(())
}

fn check<'a>(said: &'a Value, id: &str) -> Result<&'a Value> {
    let mut checks = said["checks"].as_array().into_iter().flatten();
    checks.find(|it| it["id"] == id).context("no such check")
}

/// Whoever may read nothing is told so, and gets no answer that looks whole.
async fn somebody_without_rights(governed: &Governed, plugin: &Plugin<'_>) -> Result<()> {
    let account = governed
        .cluster
        .kubeconfig_for_service_account("shop-web", "default")
        .await?;
    let ran = plugin.run(account.path(), "review --live")?;
    ensure!(ran.code == Some(2), "{} {}", ran.out, ran.err);
    ensure!(ran.err.contains("networkpolicies"), "{}", ran.err);
    let ran = plugin.run(account.path(), "matrix --live")?;
    ensure!(ran.code == Some(2) && ran.out.is_empty(), "{}", ran.out);
    for words in ["landingzones", "--landing-zone", "no boundary is known"] {
        ensure!(ran.err.contains(words), "{words}: {} {}", ran.out, ran.err);
    }
    let ran = plugin.run(account.path(), "posture --live -o json")?;
    let said: Value = serde_json::from_str(&ran.out)?;
    for (id, right) in [
        ("default-deny", "the right to list namespaces"),
        ("network-policy-enforcing", "the right to list daemonsets"),
        ("system-pool-tainted", "the right to list nodes"),
        (
            "default-namespace-unused",
            "the right to list pods in the namespace default",
        ),
    ] {
        let check = check(&said, id)?;
        ensure!(check["outcome"] == "unknown", "{check}");
        ensure!(check["wouldTell"].to_string().contains(right), "{check}");
    }
    Ok(())
}

/// A team that may read its own namespaces and its own landing zone is answered as far as that goes, by what is in force
/// and not by what is missing.
async fn somebody_of_the_team(governed: &Governed, plugin: &Plugin<'_>) -> Result<()> {
    let account = governed
        .cluster
        .kubeconfig_for_service_account("shop-data", "default")
        .await?;
    let run = |arguments: &str| plugin.run(account.path(), arguments);
    eventually(PATIENCE, "the rights of the team", async || {
        let ran = run("status shop")?;
        ensure!(ran.code != Some(2), "{}", ran.err);
        let ran = run("review --live -n shop-web --partial")?;
        ensure!(
            ran.out.contains("namespace-name"),
            "{} {}",
            ran.out,
            ran.err
        );
        Ok(Some(()))
    })
    .await?;

    // By the namespace, which says whose it is; what is missing is named, and makes it no whole answer.
    let ran = run("review --live -n shop-web -o json")?;
    ensure!(ran.code == Some(2), "{} {}", ran.out, ran.err);
    let said: Value = serde_json::from_str(&ran.out)?;
    let missing = said["notJudged"].to_string();
    for words in ["landingzones", "other than shop", "globalnetworkpolicies"] {
        ensure!(missing.contains(words), "{words}: {missing}");
    }
    // By name: the policies of all its namespaces.
    let ran = run("review --live --landing-zone shop --partial")?;
    ensure!(ran.code == Some(1), "{} {}", ran.out, ran.err);
    ensure!(
        ran.out.contains("NetworkPolicy/shop-web/default.leaves"),
        "{}",
        ran.out
    );
    ensure!(
        ran.err
            .contains("networkpolicies of crd.projectcalico.org/v1 elsewhere"),
        "{}",
        ran.err
    );

    let ran = run("matrix --live --landing-zone shop -o json")?;
    ensure!(ran.code == Some(0), "{}", ran.err);
    ensure!(
        ran.err
            .contains("what the operator writes for shop is taken from the declaration"),
        "{}",
        ran.err
    );
    let said: Value = serde_json::from_str(&ran.out)?;
    let verdict = |from: Value, to: Value| {
        let mut all = said.as_array().into_iter().flatten();
        let entry = all.find(|it| it["from"] == from && it["to"] == to);
        entry.map(|it| (it["verdict"].clone(), it["ports"].clone()))
    };
    let zone = |zone: &str| json!({"landingZone": "shop", "zone": zone});
    let open = verdict(zone("web"), zone("data"));
    ensure!(
        open == Some((json!("allowed"), json!(["TCP 5432"]))),
        "{open:?}"
    );
    let out = verdict(
        zone("web"),
        json!({"landingZone": null, "zone": "internet"}),
    );
    ensure!(out == Some((json!("denied"), json!([]))), "{out:?}");

    ends_of_the_team(governed, &run).await
}

/// Their ends name what they may read. What is open to others stands in the status.
async fn ends_of_the_team(governed: &Governed, run: &dyn Fn(&str) -> Result<Ran>) -> Result<()> {
    let ran = run("why shop/web orders/data:5432 --live")?;
    ensure!(ran.code == Some(0), "{}", ran.err);
    for words in [
        "TCP 5432: allowed by what you may read",
        "landing-zone-shop-web-crossings",
        "ingress of orders/data\n    cannot be read",
    ] {
        ensure!(ran.out.contains(words), "{words} is not in: {}", ran.out);
    }
    let deployment = json!({
        "replicas": 0,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web"}]},
        },
    });
    let deployments = api(governed.client(), "apps/v1", "Deployment", Some("shop-web"));
    let deployment = object("apps/v1", "Deployment", "web", &deployment)?;
    deployments
        .create(&PostParams::default(), &deployment)
        .await?;
    let ran = run("why shop-web/deployment/web shop/data:5432 --live")?;
    ensure!(
        ran.out.contains("TCP 5432: allowed\n"),
        "{} {}",
        ran.out,
        ran.err
    );
    let ran = run("why shop/web orders/web:8080 --live")?;
    for words in [
        "TCP 8080: denied",
        "shop declares it already: egress unheard",
        "landing zone orders declares",
    ] {
        ensure!(ran.out.contains(words), "{words} is not in: {}", ran.out);
    }
    Ok(())
}
