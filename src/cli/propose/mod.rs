//! `kubectl landingzone propose`: what would have to be declared for the packets of a log to pass.
//!
//! In stage Observe nothing is denied, and Felix logs what would be. Each packet goes one way:
//! [`packet`] reads it, [`inventory`] tells whose addresses it has, [`declared`] whether it passes
//! already, [`tally`] counts it, and [`proposer`] makes entries of what was counted.

mod declared;
mod dump;
mod ends;
#[cfg(test)]
mod fixture;
mod inventory;
mod lines;
mod packet;
mod proposal;
mod proposer;
mod selector;
mod summary;
mod tally;
mod wording;
pub(super) mod yaml;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use serde::Serialize;
use thiserror::Error;

use self::declared::Declared;
use self::dump::{Dump, MAX_DUMP_BYTES, Rest};
use self::inventory::Inventory;
use self::lines::Lines;
use self::packet::Line;
use self::proposal::Proposals;
use self::summary::{LineCounts, Summary};
use self::tally::{Tallied, Tally};
use super::Outcome;
use super::declaration::{self, Declarations};
use super::finding;
use super::platform::PlatformArgs;
use super::schema::SchemaError;
use super::source::{self, SourceFile, Sources};

/// The logs, and what is known of the cluster.
#[derive(Args, Clone, Debug)]
pub struct ProposeArgs {
    /// File or folder with landing zones, the platform, and what `kubectl get
    /// pods,namespaces,nodes -A -o json` says (or yaml), or - for standard input; repeatable.
    /// Documents of other kinds are skipped
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,

    /// Kernel log of a node, as dmesg, /dev/kmsg, journalctl or syslog has it, or - for standard
    /// input; repeatable
    #[arg(long = "from-log", value_name = "FILE", required = true)]
    logs: Vec<PathBuf>,

    /// What Felix begins its lines with: logPrefix of its configuration
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "calico-packet",
        value_parser = NonEmptyStringValueParser::new()
    )]
    prefix: String,

    /// Form of output
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: ProposalFormat,

    #[command(flatten)]
    platform: PlatformArgs,
}

/// A form of output.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ProposalFormat {
    /// A fragment of spec for each landing zone, with comments
    #[default]
    Yaml,
    /// One JSON object: entries with counts, and what was read
    Json,
}

/// What could not be done, other than that the input is wrong.
#[derive(Debug, Error)]
enum ProposeError {
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("{log}: failed to read it")]
    Log { log: String, source: io::Error },
    #[error("failed to print the proposals as JSON")]
    Json(#[from] serde_json::Error),
    #[error("failed to write the output")]
    Write(#[from] io::Error),
}

/// Everything, as JSON says it.
#[derive(Serialize)]
struct Report<'a> {
    read: &'a Summary,
    #[serde(flatten)]
    proposals: &'a Proposals,
}

impl ProposeArgs {
    /// Proposes entries on standard output, and says on standard error what was read.
    pub fn run(&self) -> Outcome {
        match self.propose(&mut io::stdin(), &mut io::stdout(), &mut io::stderr()) {
            Ok(outcome) => outcome,
            // Whoever reads has seen enough, as `head` has.
            Err(ProposeError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Outcome::Done
            }
            Err(error) => {
                super::complain(&error);
                Outcome::Failed
            }
        }
    }

    fn propose(
        &self,
        stdin: &mut dyn Read,
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
    ) -> Result<Outcome, ProposeError> {
        if [&self.paths, &self.logs]
            .iter()
            .all(|paths| names_stdin(paths))
        {
            writeln!(
                stderr,
                "error: -f - and --from-log - both read standard input: name a file for one"
            )?;
            return Ok(Outcome::BadInput);
        }
        let sources = source::read(&self.paths, stdin, MAX_DUMP_BYTES);
        let (dump, declarations) = self.read(&sources)?;
        for failure in &sources.failures {
            writeln!(stderr, "{}", super::with_sources(failure))?;
        }
        finding::report(stderr, &declarations.findings, &sources.files)?;
        if !sources.failures.is_empty() {
            return Ok(Outcome::Failed);
        }
        if !declarations.findings.is_empty() {
            return Ok(Outcome::BadInput);
        }
        if declarations.zones.is_empty() {
            let given = source::described(&self.paths);
            writeln!(stderr, "error: no LandingZone in {given}")?;
            return Ok(Outcome::BadInput);
        }
        drop(sources);
        let Declarations {
            zones, platform, ..
        } = &declarations;
        let inventory = Inventory::new(&dump, zones, platform);
        let declared = Declared::new(zones, platform);
        let (lines, tallied) = self.tally(stdin, Tally::new(&inventory, &declared))?;
        let proposals = proposer::propose(&tallied, &declared, &inventory);
        let summary = Summary::new(zones.len(), &dump, &inventory, lines, &tallied);
        for sentence in summary.sentences(&self.prefix) {
            writeln!(stderr, "{sentence}")?;
        }
        stdout.write_all(self.print(&summary, &proposals)?.as_bytes())?;
        stdout.flush()?;
        Ok(Outcome::Done)
    }

    /// Reads dumps, and declarations from the files that hold any.
    fn read(&self, sources: &Sources) -> Result<(Dump, Declarations), ProposeError> {
        let mut dump = Dump::default();
        let mut findings = sources.findings.clone();
        let mut declaring: Vec<SourceFile> = Vec::new();
        for file in &sources.files {
            match dump.add(file) {
                Ok(Rest::Declarations) => declaring.push(file.clone()),
                Ok(Rest::Nothing) => {}
                Err(finding) => findings.push(finding),
            }
        }
        let mut declarations = declaration::read(&declaring, &self.platform.platform())?;
        declarations.findings.extend(findings);
        Ok((dump, declarations))
    }

    /// Counts the packets of all logs, each log once.
    fn tally(
        &self,
        stdin: &mut dyn Read,
        mut tally: Tally<'_>,
    ) -> Result<(LineCounts, Tallied), ProposeError> {
        let mut counts = LineCounts::default();
        let mut seen = BTreeSet::new();
        for path in &self.logs {
            let is_stdin = path.as_os_str() == "-";
            let identity = if is_stdin {
                Some(path.clone())
            } else {
                real_path(path)
            };
            if identity.is_some_and(|identity| !seen.insert(identity)) {
                continue;
            }
            let read = if is_stdin {
                self.tally_log(stdin, &mut tally, &mut counts)
            } else {
                File::open(path)
                    .and_then(|mut file| self.tally_log(&mut file, &mut tally, &mut counts))
            };
            read.map_err(|source| ProposeError::Log {
                log: source::described(std::slice::from_ref(path)),
                source,
            })?;
        }
        Ok((counts, tally.finish()))
    }

    fn tally_log(
        &self,
        log: &mut dyn Read,
        tally: &mut Tally<'_>,
        counts: &mut LineCounts,
    ) -> io::Result<()> {
        let mut lines = Lines::new(BufReader::new(log));
        while let Some(line) = lines.next_line()? {
            counts.lines += 1;
            match packet::read(line, &self.prefix) {
                Line::Other => continue,
                Line::Unreadable => counts.unreadable += 1,
                Line::Packet(packet) => tally.add(packet),
            }
            counts.recognised += 1;
        }
        Ok(())
    }

    fn print(&self, summary: &Summary, proposals: &Proposals) -> Result<String, ProposeError> {
        Ok(match self.output {
            ProposalFormat::Yaml => yaml::print(proposals, summary.counts.beyond),
            ProposalFormat::Json => {
                let report = Report {
                    read: summary,
                    proposals,
                };
                serde_json::to_string_pretty(&report)? + "\n"
            }
        })
    }
}

fn names_stdin(paths: &[PathBuf]) -> bool {
    paths.iter().any(|path| path.as_os_str() == "-")
}

/// The path by which a file is known to have been read; pipes have none.
fn real_path(path: &Path) -> Option<PathBuf> {
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_file.then(|| fs::canonicalize(path).ok()).flatten()
}
