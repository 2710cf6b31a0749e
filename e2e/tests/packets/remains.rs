//! What is left on the host when packets were sent: nothing. Each suite looks for itself when it stops;
//! here is what it looks with, and the case in which it cannot look any more.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::data_plane::{HostNetwork, Lodgings, NetworkNamespace};
use e2e::eventually;
use e2e::process::{Program, last_lines};

use crate::suite::landscape::Landscape;

/// A landscape takes about ten seconds; a busy machine takes longer.
const WIRED: Duration = Duration::from_secs(90);
/// Network namespaces that are enough to say that one is killed in the middle of its work.
const SOME: usize = 10;

/// A look that never saw anything would find nothing left.
pub async fn what_would_be_left_is_seen(landscape: &Landscape) -> Result<()> {
    let folder = landscape.wired()?.governed.cluster.directory();
    let network = NetworkNamespace::create("traces", folder).await?;
    let before = network.inside(HostNetwork::look).await??;
    for (command, trace) in [
        (
            "ip link add left type veth peer name right",
            "interface left",
        ),
        ("iptables-nft -N left", "iptables-nft-save: :left"),
        (
            "iptables-nft -A FORWARD -j ACCEPT",
            "iptables-nft-save: -A FORWARD -j ACCEPT",
        ),
        ("ipset create left hash:net", "ipset left"),
    ] {
        let after = network
            .inside(move || {
                let mut words = command.split(' ');
                let program = words.next().context("no program")?;
                let status = Command::new(program).args(words).status()?;
                ensure!(status.success(), "{command} failed");
                HostNetwork::look()
            })
            .await??;
        let Err(left) = after.ensure_nothing_new(&before) else {
            anyhow::bail!("{command} was not seen");
        };
        ensure!(left.to_string().contains(trace), "{left}");
    }
    // And nothing of that came to the host.
    let lodgings = Lodgings::of_children(std::process::id())?;
    ensure!(lodgings.count() > SOME, "{lodgings:?}");
    Ok(())
}

/// This suite once more, killed while it has a node and pods.
pub async fn a_killed_suite_leaves_nothing_on_the_host(landscape: &Landscape) -> Result<()> {
    let folder = landscape.wired()?.governed.cluster.directory();
    let before = HostNetwork::look()?;
    let suite = std::env::vars_os()
        .fold(
            Program::new(std::env::current_exe()?, folder.join("killed.log")),
            |program, (name, value)| program.variable(name, value),
        )
        .arguments(["--exact", "nothing_passes_while_a_landing_zone_is_created"])
        .start()?;
    let lodgings = eventually(WIRED, "a suite with pods", async || {
        suite.ensure_running()?;
        let lodgings = Lodgings::of_children(suite.id())?;
        let wired = lodgings.count() > SOME && lodgings.hold("calico-felix");
        ensure!(wired, "{lodgings:?}");
        Ok(Some(lodgings))
    })
    .await
    .with_context(|| last_lines(&suite.log().unwrap_or_default(), 20))?;
    suite.kill().await?;
    lodgings.are_given_up().await?;
    HostNetwork::look()?.ensure_nothing_new(&before)
}
