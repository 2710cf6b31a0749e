//! Tables of what packets may do, and the packets that confirm them.

use std::fmt::{self, Write as _};
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::data_plane::{End, Protocol, Verdict};
use e2e::eventually;
use futures::{StreamExt as _, stream};

use super::landscape::Wired;
use super::tiers;

/// Policies take effect within about a second; a busy machine takes longer.
const TAKES_EFFECT: Duration = Duration::from_secs(20);
/// Probes at once. More would make answers late on two cores.
const AT_ONCE: usize = 24;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub enum Sent {
    /// A TCP connection to a port.
    Tcp(u16),
    /// A UDP datagram to a port.
    Udp(u16),
    /// One after the other.
    Both(u16),
}

impl Sent {
    fn probes(self) -> Vec<(Protocol, u16)> {
        match self {
            Self::Tcp(port) => vec![(Protocol::Tcp, port)],
            Self::Udp(port) => vec![(Protocol::Udp, port)],
            Self::Both(port) => Protocol::ALL.map(|protocol| (protocol, port)).into(),
        }
    }
}

/// One line of a table: who sends what to whom, and what becomes of it. Both ends may stand for
/// several ([`Wired::ends`]): each of them sends to each of the others.
pub type Row = (&'static str, Sent, &'static str, Verdict);

/// One packet of a row.
#[derive(Clone, Copy)]
pub struct Probe<'a> {
    pub from: (&'a str, End<'a>),
    pub to: (&'a str, End<'a>),
    pub protocol: Protocol,
    pub port: u16,
    pub expected: Verdict,
}

impl fmt::Display for Probe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            from: (from, _),
            to: (to, _),
            protocol,
            port,
            ..
        } = self;
        write!(f, "{from} → {to} {protocol} {port}")
    }
}

/// Sends the packets of all rows, and again until all became what the table says. Where a cluster has tiers the same has
/// to hold, as the evaluator tells: this Felix has none.
pub async fn holds(wired: &Wired, rows: &[Row]) -> Result<()> {
    holds_without_tiers(wired, rows).await?;
    holds_with_tiers(wired, rows).await
}

/// What is so in a cluster with tiers, as the evaluator tells.
pub async fn holds_with_tiers(wired: &Wired, rows: &[Row]) -> Result<()> {
    tiers::hold(wired, &probes(wired, rows)?).await
}

/// The same for what is otherwise with tiers.
pub async fn holds_without_tiers(wired: &Wired, rows: &[Row]) -> Result<()> {
    eventually(TAKES_EFFECT, "the table to hold", async || {
        let wrong = differences(wired, rows).await?;
        ensure!(wrong.is_empty(), "{wrong}");
        Ok(Some(()))
    })
    .await
}

/// The rows that do not hold, a line each.
pub async fn differences(wired: &Wired, rows: &[Row]) -> Result<String> {
    let mut results = stream::iter(probes(wired, rows)?)
        .map(|probe| async move {
            let result = wired
                .node
                .can(probe.from.1, probe.to.1, probe.protocol, probe.port)
                .await;
            (probe, result)
        })
        .buffered(AT_ONCE);
    let mut wrong = String::new();
    while let Some(result) = results.next().await {
        let (probe, found) = result;
        let found = match found {
            Ok(verdict) if verdict == probe.expected => continue,
            Ok(verdict) => verdict.to_string(),
            Err(error) => format!("{error:#}"),
        };
        writeln!(wrong, "{probe}: {found}, the table says {}", probe.expected)?;
    }
    Ok(wrong)
}

/// The packets of all rows.
fn probes<'a>(wired: &'a Wired, rows: &[Row]) -> Result<Vec<Probe<'a>>> {
    let mut probes = Vec::new();
    for (from, sent, to, expected) in rows {
        let senders = wired.ends(from)?;
        let receivers = wired.ends(to)?;
        for (&from, &to) in senders
            .iter()
            .flat_map(|from| receivers.iter().map(move |to| (from, to)))
        {
            // What an end sends to itself never leaves it.
            let sent = if from.0 == to.0 {
                Vec::new()
            } else {
                sent.probes()
            };
            probes.extend(sent.into_iter().map(|(protocol, port)| Probe {
                from,
                to,
                protocol,
                port,
                expected: *expected,
            }));
        }
    }
    Ok(probes)
}
