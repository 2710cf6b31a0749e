//! What a data plane could leave behind on the machine, and a look at it before and after.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::wait::eventually;

/// Everything is killed and nothing asked, so it is gone soon.
const GONE: Duration = Duration::from_secs(20);

/// Interfaces, network namespaces with names, packet filters and sets of addresses, as one sees them
/// in one network namespace: the host's, or one of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNetwork(BTreeSet<String>);

impl HostNetwork {
    /// Looks at those of the thread that calls.
    ///
    /// # Errors
    /// Where a program fails: then nothing is known.
    pub fn look() -> Result<Self> {
        let mut seen = BTreeSet::new();
        for line in lines("ip", &["-oneline", "link", "show"])?.context("ip is missing")? {
            let name = line.split(": ").nth(1).unwrap_or(&line);
            let name = name.split('@').next().unwrap_or(name);
            seen.insert(format!("interface {name}"));
        }
        for line in lines("ip", &["netns", "list"])?.unwrap_or_default() {
            seen.insert(format!("network namespace {line}"));
        }
        for program in ["iptables", "ip6tables"] {
            for variant in ["nft", "legacy"] {
                let program = format!("{program}-{variant}-save");
                for line in lines(&program, &[])?.unwrap_or_default() {
                    if !line.starts_with('#') {
                        // A chain is followed by how much it saw.
                        let rule = line.split(" [").next().unwrap_or(&line);
                        seen.insert(format!("{program}: {rule}"));
                    }
                }
            }
        }
        for line in lines("ipset", &["list", "-name"])?.context("ipset is missing")? {
            seen.insert(format!("ipset {line}"));
        }
        Ok(Self(seen))
    }

    /// Fails with all that was not there before.
    pub fn ensure_nothing_new(&self, before: &Self) -> Result<()> {
        let new: Vec<_> = self.0.difference(&before.0).collect();
        ensure!(new.is_empty(), "left on the host: {new:#?}");
        Ok(())
    }
}

/// What a program prints; none where it is not installed.
fn lines(program: &str, arguments: &[&str]) -> Result<Option<Vec<String>>> {
    let output = match Command::new(program).args(arguments).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        output => output.with_context(|| format!("failed to start {program}"))?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {said}");
    let printed = String::from_utf8_lossy(&output.stdout);
    Ok(Some(printed.lines().map(str::to_owned).collect()))
}

/// The network namespaces that a process made for its children, and who is in them. A namespace
/// without a name lasts as long as somebody is in it.
#[derive(Debug)]
pub struct Lodgings {
    namespaces: BTreeSet<PathBuf>,
    lodgers: BTreeSet<Lodger>,
}

/// A process in a network namespace that is not ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lodger {
    program: String,
    id: u32,
    /// When it started: another process may get its id, and another namespace the number of its own.
    started: u64,
    parent: u32,
    namespace: PathBuf,
}

impl Lodgings {
    /// Looks for those in which a child of a process is.
    pub fn of_children(parent: u32) -> Result<Self> {
        let all = lodgers()?;
        let children = all.iter().filter(|lodger| lodger.parent == parent);
        let namespaces: BTreeSet<_> = children.map(|child| child.namespace.clone()).collect();
        let mut lodgings = Self {
            namespaces,
            lodgers: BTreeSet::new(),
        };
        lodgings.add(all);
        Ok(lodgings)
    }

    /// How many namespaces there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.namespaces.len()
    }

    /// Whether a program runs in one of them.
    #[must_use]
    pub fn hold(&self, program: &str) -> bool {
        self.lodgers.iter().any(|lodger| lodger.program == program)
    }

    /// Waits until everybody is gone who was there at the first look, or is now.
    pub async fn are_given_up(mut self) -> Result<()> {
        self.add(lodgers()?);
        eventually(GONE, "processes in network namespaces to end", async || {
            let now: BTreeSet<_> = lodgers()?.into_iter().collect();
            let left: Vec<_> = self.lodgers.intersection(&now).collect();
            ensure!(left.is_empty(), "left: {left:#?}");
            Ok(Some(()))
        })
        .await
    }

    fn add(&mut self, all: Vec<Lodger>) {
        let here = all
            .into_iter()
            .filter(|lodger| self.namespaces.contains(&lodger.namespace));
        self.lodgers.extend(here);
    }
}

/// All processes in other network namespaces than this one. One that ended meanwhile is left out.
fn lodgers() -> Result<Vec<Lodger>> {
    let ours = fs::read_link("/proc/self/ns/net").context("no network namespace")?;
    let entries = fs::read_dir("/proc").context("failed to list the processes")?;
    let all = entries.flatten().filter_map(|entry| lodger(&entry.path()));
    Ok(all.filter(|lodger| lodger.namespace != ours).collect())
}

fn lodger(process: &Path) -> Option<Lodger> {
    let id = process.file_name()?.to_str()?.parse().ok()?;
    let namespace = fs::read_link(process.join("ns/net")).ok()?;
    // The program's name stands in parentheses and may hold any others; numbers follow.
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (before, after) = stat.rsplit_once(") ")?;
    let numbers: Vec<_> = after.split(' ').collect();
    Some(Lodger {
        program: before.split_once('(')?.1.to_owned(),
        id,
        started: numbers.get(19)?.parse().ok()?,
        parent: numbers.get(1)?.parse().ok()?,
        namespace,
    })
}
