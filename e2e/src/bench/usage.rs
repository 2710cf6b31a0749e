//! Processor time and memory of processes, as Linux tells them in `/proc`.

use std::time::Duration;

use anyhow::{Context, Result};

/// What a process used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time, its own and the kernel's on its behalf.
    pub processor: Duration,
    /// Resident memory, bytes.
    pub resident: u64,
    /// The most that it was, bytes.
    pub peak: u64,
}

impl Usage {
    /// Looks at a process.
    pub fn of(process: u32) -> Result<Self> {
        let read = |file: &str| {
            std::fs::read_to_string(format!("/proc/{process}/{file}"))
                .with_context(|| format!("failed to look at process {process}"))
        };
        let ticks = ticks(&read("stat")?).context("/proc/…/stat is not as expected")?;
        let status = read("status")?;
        let bytes = |field: &str| kibibytes(&status, field).map(|it| it * 1024);
        // Since forever, on every architecture: USER_HZ.
        let processor = Duration::from_millis(ticks * 10);
        Ok(Self {
            processor,
            resident: bytes("VmRSS:").context("no VmRSS")?,
            peak: bytes("VmHWM:").context("no VmHWM")?,
        })
    }
}

/// The name of a process, at most 15 characters.
pub fn name(process: u32) -> Result<String> {
    let name = std::fs::read_to_string(format!("/proc/{process}/comm"))
        .with_context(|| format!("failed to look at process {process}"))?;
    Ok(name.trim().to_owned())
}

/// `utime` and `stime`. The name before them may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn kibibytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident > 0 && usage.peak >= usage.resident);
    }

    #[test]
    fn a_name_may_hold_what_it_likes() {
        let stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(ticks(stat), Some(300));
    }

    #[test]
    fn memory_is_told_in_kibibytes() {
        assert_eq!(
            kibibytes("VmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n", "VmRSS:"),
            Some(1024)
        );
    }
}
