//! Tables of what packets may do, and the packets that confirm them.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::data_plane::{End, Protocol, Verdict};
use e2e::eventually;
use futures::{StreamExt as _, stream};

use super::landscape::Wired;

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
struct Probe<'a> {
    from: (&'a str, End<'a>),
    to: (&'a str, End<'a>),
    protocol: Protocol,
    port: u16,
    expected: Verdict,
}

/// Sends the packets of all rows, and again until all became what the table says.
pub async fn holds(wired: &Wired, rows: &[Row]) -> Result<()> {
    eventually(TAKES_EFFECT, "the table to hold", async || {
        let wrong = differences(wired, rows).await?;
        ensure!(wrong.is_empty(), "{wrong}");
        Ok(Some(()))
    })
    .await
}

/// The rows that do not hold, a line each.
pub async fn differences(wired: &Wired, rows: &[Row]) -> Result<String> {
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
        let Probe {
            from: (from, _),
            to: (to, _),
            protocol,
            port,
            expected,
        } = probe;
        writeln!(
            wrong,
            "{from} → {to} {protocol} {port}: {found}, the table says {expected}"
        )?;
    }
    Ok(wrong)
}
