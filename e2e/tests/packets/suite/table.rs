//! Tables of what packets may do, and the packets that confirm them.

use std::collections::BTreeSet;
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

impl Probe<'_> {
    /// What tells it from others.
    fn key(&self) -> (&str, &str, Protocol, u16) {
        (self.from.0, self.to.0, self.protocol, self.port)
    }
}

/// Sends the packets of all rows, and again until all became what the table says; then what the rows leave out, the same
/// ends with the other protocol and in the other direction, which the evaluator knows. Where a cluster has tiers all of
/// that has to hold, too, as the evaluator tells: this Felix has none.
pub async fn holds(wired: &Wired, rows: &[Row]) -> Result<()> {
    holds_as_written(wired, rows).await?;
    let left_out = hold_in_both_directions(wired, rows).await?;
    holds_with_tiers(wired, rows).await?;
    tiers::hold(wired, &left_out).await
}

/// The same without what the rows leave out, for who looks at what the packets left behind.
pub async fn holds_alone(wired: &Wired, rows: &[Row]) -> Result<()> {
    holds_as_written(wired, rows).await?;
    holds_with_tiers(wired, rows).await
}

/// What is so in a cluster with tiers, as the evaluator tells.
pub async fn holds_with_tiers(wired: &Wired, rows: &[Row]) -> Result<()> {
    tiers::hold(wired, &probes(wired, rows)?).await
}

/// The same as [`holds`] for what is otherwise with tiers.
pub async fn holds_without_tiers(wired: &Wired, rows: &[Row]) -> Result<()> {
    holds_as_written(wired, rows).await?;
    hold_in_both_directions(wired, rows).await.map(drop)
}

/// The rows alone: for where what is in force is not what is declared, so that no evaluator knows.
pub async fn holds_as_written(wired: &Wired, rows: &[Row]) -> Result<()> {
    let probes = probes(wired, rows)?;
    eventually(TAKES_EFFECT, "the table to hold", async || {
        let wrong = differences(wired, &probes).await?;
        ensure!(wrong.is_empty(), "{wrong}");
        Ok(Some(()))
    })
    .await
}

/// Sends what the rows leave out, and says what became of it: what the evaluator says.
async fn hold_in_both_directions<'a>(wired: &'a Wired, rows: &[Row]) -> Result<Vec<Probe<'a>>> {
    let said = probes(wired, rows)?;
    let said_keys: BTreeSet<_> = said.iter().map(Probe::key).collect();
    let mut keys = BTreeSet::new();
    let mut left_out = Vec::new();
    for probe in &said {
        for protocol in Protocol::ALL {
            let there = Probe { protocol, ..*probe };
            let back = Probe {
                from: probe.to,
                to: probe.from,
                ..there
            };
            for probe in [there, back] {
                if !said_keys.contains(&probe.key())
                    && keys.insert((probe.from.0, probe.to.0, protocol, probe.port))
                {
                    left_out.push(probe);
                }
            }
        }
    }
    // Other tests write at the same time, and may be in the middle of it.
    eventually(
        TAKES_EFFECT,
        "the other directions and protocols to hold",
        async || {
            let judged = tiers::judged_without(wired, &left_out).await?;
            let wrong = differences(wired, &judged).await?;
            ensure!(wrong.is_empty(), "{wrong}");
            Ok(Some(judged))
        },
    )
    .await
}

/// The packets that became something else than they should have, a line each.
async fn differences(wired: &Wired, probes: &[Probe<'_>]) -> Result<String> {
    let mut results = stream::iter(probes)
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
        writeln!(wrong, "{probe}: {found}, it should be {}", probe.expected)?;
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
