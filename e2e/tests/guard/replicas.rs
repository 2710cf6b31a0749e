//! Two operators: both answer the API server, whichever of them writes.

use anyhow::{Context, Result, ensure};
use e2e::governed::CONVERGED;
use e2e::ports::free_port;
use e2e::shop::Shop;
use e2e::{Governed, OperatorOptions, OperatorProcess, eventually};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Clusters;
use super::policy::{CALICO, object};
use super::webhook::{SYSTEM, enforce, is_ready, leaving, refused, refused_in, write, write_in};

/// What the Service is in a cluster: one address for several servers, which leads to one of them at a time here.
struct Service {
    server: watch::Sender<u16>,
    serving: JoinHandle<()>,
}

impl Service {
    async fn open(port: u16, server: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let (server, leads_to) = watch::channel(server);
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, leads_to.clone()));
            }
        });
        Ok(Self { server, serving })
    }

    /// Connections end, too: the API server keeps them.
    fn leads_to(&self, server: u16) {
        self.server.send_replace(server);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn forward(mut client: TcpStream, mut leads_to: watch::Receiver<u16>) {
    let server = *leads_to.borrow_and_update();
    // A server that is gone refuses, and so the client's connection ends.
    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await {
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
            _ = leads_to.changed() => {}
        }
    }
}

fn options(name: &str, listens: u16, service: u16) -> OperatorOptions {
    let arguments = [
        "--namespace".to_owned(),
        SYSTEM.to_owned(),
        "--webhook-listen".to_owned(),
        format!("127.0.0.1:{listens}"),
        "--webhook-url".to_owned(),
        format!("https://127.0.0.1:{service}"),
    ];
    OperatorOptions {
        arguments: arguments.into(),
        name: Some(name.to_owned()),
        environment: vec![("HOSTNAME".to_owned(), name.to_owned())],
        ..OperatorOptions::default()
    }
}

/// How many policies an operator has refused.
async fn refusals(operator: &OperatorProcess) -> Result<u64> {
    let metrics = operator.metrics().await?;
    let counted = metrics
        .lines()
        .find_map(|line| line.strip_prefix("landingzone_guard_reviews_total{result=\"Refused\"} "));
    counted.map_or(Ok(0), |counted| {
        counted
            .parse()
            .with_context(|| format!("{counted} is no number"))
    })
}

pub async fn the_operator_that_does_not_write_answers_too(clusters: &Clusters) -> Result<()> {
    let (first, second, service) = (free_port()?, free_port()?, free_port()?);
    let test = async |governed: &Governed| {
        let _shop = Shop::open(governed, "shop").await?;
        let leads_to = Service::open(service, first).await?;
        enforce(governed).await?;

        let standby = options("second", second, service);
        let standby = OperatorProcess::start(&governed.cluster, standby).await?;
        standby.wait_until_ready(CONVERGED).await?;
        leads_to.leads_to(second);
        let words = refused(governed, "by-the-second")
            .await
            .with_context(|| format!("the second says: {:?}", standby.logs()))?;
        ensure!(
            words.contains("it leaves the boundary of the landing zone shop"),
            "{words}"
        );
        ensure!(
            refusals(&standby).await? > 0,
            "somebody else answered: {words}"
        );
        let log = standby.logs()?;
        ensure!(!log.contains("holds the Lease"), "the second writes: {log}");

        // Before anybody else holds the Lease the guard stands.
        governed.operator.kill().await?;
        let written = write(governed, &leaving("leaderless")?).await?;
        ensure!(written.is_err(), "the policy was not judged");
        let log = standby.logs()?;
        ensure!(
            !log.contains("holds the Lease"),
            "the second took over so soon that this shows nothing: {log}"
        );
        eventually(CONVERGED, "the second to take over", async || {
            Ok(standby.logs()?.contains("holds the Lease").then_some(()))
        })
        .await?;
        is_ready(governed).await?;
        refused(governed, "by-the-only")
            .await
            .with_context(|| format!("the second says: {:?}", standby.logs()))?;
        standby.terminate().await.map(drop)
    };
    let leader = options("first", first, service);
    clusters.with(leader, Vec::new(), test).await
}

/// Suspended, or planned after it was enforced, a landing zone keeps its boundary: who starts later judges by it, too.
pub async fn what_is_left_alone_is_judged_by_whoever_starts_later(
    clusters: &Clusters,
) -> Result<()> {
    let (first, second, third) = (free_port()?, free_port()?, free_port()?);
    let service = free_port()?;
    let test = async |governed: &Governed| {
        let declared =
            || json!({"network": {"egress": [{"name": "partner", "to": {"cidrs": [PARTNER]}}]}});
        let shop = Shop::open_with(governed, "shop", declared()).await?;
        let orders = Shop::open_with(governed, "orders", declared()).await?;
        let leads_to = Service::open(service, first).await?;
        enforce(governed).await?;
        shop.edit(json!({"suspend": true})).await?;
        shop.says("Ready", "Unknown", "Suspended", &[]).await?;
        orders.edit(json!({"stage": "Plan"})).await?;
        orders.says("Ready", "True", "PlanOnly", &[]).await?;
        judged_as_declared(governed, "by-the-first").await?;

        let standby = OperatorProcess::start(&governed.cluster, options("second", second, service));
        let standby = standby.await?;
        standby.wait_until_ready(CONVERGED).await?;
        leads_to.leads_to(second);
        judged_as_declared(governed, "by-the-second").await?;
        ensure!(refusals(&standby).await? > 0, "somebody else answered");
        standby.kill().await?;

        governed.operator.terminate().await?;
        let later = OperatorProcess::start(&governed.cluster, options("third", third, service));
        let later = later.await?;
        eventually(CONVERGED, "the third to take over", async || {
            Ok(later.logs()?.contains("holds the Lease").then_some(()))
        })
        .await?;
        later.wait_until_ready(CONVERGED).await?;
        leads_to.leads_to(third);
        judged_as_declared(governed, "by-the-third").await?;
        later.terminate().await.map(drop)
    };
    let leader = options("first", first, service);
    clusters.with(leader, Vec::new(), test).await
}

/// An address that landing zones declare.
const PARTNER: &str = "198.51.100.0/24";

/// In each namespace what leaves the boundary is refused, and what is declared is not.
async fn judged_as_declared(governed: &Governed, name: &str) -> Result<()> {
    for zone in ["shop", "orders"] {
        for namespace in [format!("{zone}-web"), format!("{zone}-data")] {
            let words = refused_in(governed, &namespace, name)
                .await
                .with_context(|| format!("{name}, in {namespace}"))?;
            let boundary = format!("it leaves the boundary of the landing zone {zone}");
            ensure!(words.contains(&boundary), "{name}, in {namespace}: {words}");
            let policy = object(
                CALICO,
                "NetworkPolicy",
                &format!("default.declared-{name}"),
                &towards_the_partner(),
            )?;
            let written = write_in(governed, &namespace, &policy).await?;
            ensure!(written.is_ok(), "{name}, in {namespace}: {written:?}");
        }
    }
    Ok(())
}

fn towards_the_partner() -> Value {
    json!({
        "order": 1000,
        "selector": "all()",
        "types": ["Egress"],
        "egress": [{"action": "Allow", "destination": {"nets": [PARTNER]}}],
    })
}
