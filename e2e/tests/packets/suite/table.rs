//! Tables of what packets may do, and the packets that confirm them.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::data_plane::{Protocol, Verdict};
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

/// One line of a table: who sends what to whom, and what becomes of it.
pub type Row = (&'static str, Sent, &'static str, Verdict);

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
    let probes = rows.iter().flat_map(|row| {
        let probes = row.1.probes().into_iter();
        probes.map(move |(protocol, port)| (row, protocol, port))
    });
    let mut results = stream::iter(probes)
        .map(|(row, protocol, port)| async move {
            let (from, to) = (wired.end(row.0)?, wired.end(row.2)?);
            let result = wired.node.can(from, to, protocol, port).await;
            anyhow::Ok((row, protocol, port, result))
        })
        .buffered(AT_ONCE);
    let mut wrong = String::new();
    while let Some(result) = results.next().await {
        let ((from, _, to, expected), protocol, port, found) = result?;
        let found = match found {
            Ok(verdict) if verdict == *expected => continue,
            Ok(verdict) => verdict.to_string(),
            Err(error) => format!("{error:#}"),
        };
        writeln!(
            wrong,
            "{from} → {to} {protocol} {port}: {found}, the table says {expected}"
        )?;
    }
    Ok(wrong)
}
