//! Two operators: both answer the API server, whichever of them writes.

use anyhow::{Context, Result, ensure};
use e2e::governed::CONVERGED;
use e2e::ports::free_port;
use e2e::shop::Shop;
use e2e::{Governed, OperatorOptions, OperatorProcess, eventually};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Clusters;
use super::webhook::{SYSTEM, enforce, is_ready, leaving, refused, write};

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
