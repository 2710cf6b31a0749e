//! `kubectl landingzone matrix`: who may reach whom on what, zone by zone.

mod entry;
mod report;
mod table;

use std::io::{self, IsTerminal as _, Read, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use thiserror::Error;

use self::entry::{Entry, Rules};
use super::Outcome;
use super::base::{Base, BaseError};
use super::landscape::{Asked, Landscape, LandscapeError, PlaceName, SourceArgs};
use crate::policy::Answer;

pub(super) use entry::{VerdictWord, ports as written_ports};

/// What is read, and how it is told.
#[derive(Args, Clone, Debug)]
pub(super) struct MatrixArgs {
    /// What was before: a copy of what -f lies in, or a file or folder; repeatable. Of a copy the paths that -f names are
    /// read, as review reads them. What a change opens and closes is told; in HTML it is marked
    #[arg(long, value_name = "PATH", conflicts_with_all = ["live", "contexts", "clusters"])]
    base: Vec<PathBuf>,

    /// Form of output
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: MatrixFormat,

    /// Tell only some of it
    #[arg(long, value_enum, value_name = "WHAT")]
    only: Option<Only>,

    #[command(flatten)]
    source: SourceArgs,
}

/// What is told.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    /// What passes: JSON without the pairs that are closed, which are most of them
    Open,
    /// What passes across the boundary of a landing zone
    Crossings,
}

impl Only {
    fn keeps(self, entry: &Entry) -> bool {
        let passes = entry.verdict != VerdictWord::Denied;
        passes && (self == Self::Open || entry.is_crossing())
    }
}

/// A form of output.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum MatrixFormat {
    /// A line for whatever may pass; what decides it is shortened there, and whole in JSON
    #[default]
    Table,
    /// An array with an object for each pair, closed ones included (see --only); one to a line, unless it goes to a
    /// terminal
    Json,
    /// One page for a browser, which loads nothing: a matrix and a graph, to filter, to print and to attach
    Html,
}

/// What could not be done, other than that the input is wrong.
#[derive(Debug, Error)]
enum MatrixError {
    #[error(transparent)]
    Landscape(#[from] LandscapeError),
    #[error("failed to print the matrix as JSON")]
    Json(#[from] serde_json::Error),
    #[error("failed to write the output")]
    Write(#[from] io::Error),
}

impl MatrixArgs {
    /// Prints the matrix of the files to standard output. What is wrong with them goes to standard error.
    pub(super) fn run(&self) -> Outcome {
        let layout = if io::stdout().is_terminal() {
            Layout::Indented
        } else {
            Layout::Lines
        };
        match self.matrix(
            layout,
            &mut io::stdin(),
            &mut io::stdout(),
            &mut io::stderr(),
        ) {
            Ok(outcome) => outcome,
            // Whoever reads has seen enough, as `head` has.
            Err(MatrixError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Outcome::Done
            }
            Err(error) => {
                super::complain(&error);
                Outcome::Failed
            }
        }
    }

    fn matrix(
        &self,
        layout: Layout,
        stdin: &mut dyn Read,
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
    ) -> Result<Outcome, MatrixError> {
        // Nothing is said of files that cannot be compared.
        let bases = match self.bases() {
            Ok(bases) => bases,
            Err(error) => {
                writeln!(stderr, "error: {}", super::with_sources(&error))?;
                return Ok(Outcome::BadInput);
            }
        };
        let mut landscapes = match self.source.read(&Asked::default(), stdin, stderr)? {
            Ok(landscapes) => landscapes,
            Err(outcome) => return Ok(outcome),
        };
        // It is told only where nothing else is known.
        let names_any = |it: &Landscape| it.places.iter().any(|it| it.name.is_any_namespace());
        let is_any_told = landscapes.iter().any(names_any);
        if !self.base.is_empty() {
            landscapes
                .iter_mut()
                .for_each(Landscape::find_any_namespace);
        }
        let mut entries: Vec<Entry> = landscapes
            .iter()
            .flat_map(|it| entries(it, !self.base.is_empty()))
            .collect();
        let is_kept = |entry: &Entry| self.only.is_none_or(|only| only.keeps(entry));
        let is_guessed =
            |it: &Entry| it.to.is_api_server() && it.verdict == VerdictWord::Partly && is_kept(it);
        if landscapes
            .iter()
            .any(|it| it.platform.api_server.is_empty())
            && entries.iter().any(is_guessed)
        {
            writeln!(
                stderr,
                "note: nobody says where the API server is (spec.network.apiServer of the LandingZonePlatform): any address \
                 might be its, so whoever reaches some reaches it partly"
            )?;
        }
        let text = if self.base.is_empty() {
            match self.output {
                // It counts what it leaves out.
                MatrixFormat::Table => table::entries(&entries, is_kept),
                MatrixFormat::Json => {
                    entries.retain(is_kept);
                    json(&entries, layout)?
                }
                MatrixFormat::Html => {
                    entries.retain(is_kept);
                    report::page(&entries)?
                }
            }
        } else {
            let mut paths = Vec::new();
            for base in &bases {
                for note in base.notes() {
                    writeln!(stderr, "note: --base: {note}")?;
                }
                paths.extend(base.paths());
            }
            let before = match self.source.read_files(&paths, stdin, stderr)? {
                Ok(mut landscape) => {
                    // It is the same cluster, and is called what it is called now.
                    let now = landscapes.first().map(|it| it.cluster.clone());
                    landscape.cluster = now.unwrap_or(landscape.cluster);
                    landscape.find_any_namespace();
                    self::entries(&landscape, true)
                }
                Err(outcome) => return Ok(outcome),
            };
            let mut changes = entry::changes(&before, &entries);
            changes.retain(|it| is_kept(&it.entry));
            match self.output {
                MatrixFormat::Table => table::changes(&changes),
                MatrixFormat::Json => json(&changes, layout)?,
                MatrixFormat::Html => {
                    let is_told = |it: &PlaceName| is_any_told || !it.is_any_namespace();
                    entries.retain(|it| is_kept(it) && is_told(&it.from) && is_told(&it.to));
                    report::page_of_change(&entries, &changes)?
                }
            }
        };
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        Ok(Outcome::Done)
    }

    /// What was there before at the paths that are read.
    fn bases(&self) -> Result<Vec<Base>, BaseError> {
        let paths = &self.source.paths;
        let bases = self.base.iter().map(|base| match self.base.as_slice() {
            [_] => Base::of(base, paths),
            _ => Base::of_several(base, paths),
        });
        bases.collect()
    }
}

/// How JSON is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// For people.
    Indented,
    /// An item to a line: 300 zones have 90,000 pairs, and indentation would be a fifth of what is written.
    Lines,
}

/// An array.
fn json<T: Serialize>(items: &[T], layout: Layout) -> Result<String, serde_json::Error> {
    if layout == Layout::Indented {
        return Ok(serde_json::to_string_pretty(items)? + "\n");
    }
    let mut text = "[".to_owned();
    for (at, item) in items.iter().enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&serde_json::to_string(item)?);
    }
    text.push_str("\n]\n");
    Ok(text)
}

/// All pairs of places of which one at least belongs to a landing zone, in the order of the places; to be compared with those of
/// another state or not.
fn entries(landscape: &Landscape, is_compared: bool) -> Vec<Entry> {
    let rules = is_compared.then(|| Rules::of(landscape));
    let rules = rules.as_ref();
    let reach = landscape.world.reach(&landscape.members);
    let places = &landscape.places;
    let pairs = places
        .iter()
        .flat_map(|from| places.iter().map(move |to| (from, to)))
        .filter(|(from, to)| from.is_inside() || to.is_inside());
    let entries = pairs.flat_map(|(from, to)| {
        let passages = reach.passages(&from.members, &to.members).into_iter();
        let cluster = &landscape.cluster;
        let groups = landscape.security_groups.as_ref();
        passages.flat_map(move |passage| {
            let entry = Entry::new(cluster, (&from.name, &to.name), &passage, rules);
            let passes = passage.answer != Answer::Denied;
            let groups = groups.filter(|_| passes);
            match groups.and_then(|it| it.behind(&from.name, &to.name, &passage.ports)) {
                Some(behind) => entry.behind(behind),
                None => vec![entry],
            }
        })
    });
    entries.collect()
}

#[cfg(test)]
mod tests;
