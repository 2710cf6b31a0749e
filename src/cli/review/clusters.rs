//! Several clusters in one review, each judged by itself.

use std::io::{Read, Write};

use super::report::{Counted, Report};
use super::{ReviewArgs, ReviewError, Told};
use crate::cli::digest::digest;
use crate::cli::landscape::by_cluster;
use crate::domain::Flavour;

impl ReviewArgs {
    /// What is found in each cluster; None where that cannot be said of all of them.
    pub(super) fn each_cluster(
        &self,
        flavour: Flavour,
        stdin: &mut dyn Read,
        stderr: &mut dyn Write,
    ) -> Result<Option<Told>, ReviewError> {
        let clusters = match by_cluster(&self.clusters, &self.paths) {
            Ok(clusters) => clusters,
            Err(error) => {
                writeln!(stderr, "error: {error}")?;
                return Ok(None);
            }
        };
        let mut whole: Option<Told> = None;
        let mut is_told = true;
        for (name, paths) in clusters {
            // Whoever reads has to know which cluster a note is about.
            let mut said = Vec::new();
            let told = self.one(&paths, flavour, stdin, &mut said)?;
            if !said.is_empty() {
                writeln!(stderr, "cluster {name}:")?;
                stderr.write_all(&said)?;
            }
            let Some(mut told) = told else {
                is_told = false;
                continue;
            };
            told.report.name_cluster(name);
            match &mut whole {
                None => whole = Some(told),
                Some(whole) => {
                    whole.report.add(told.report);
                    whole.files.extend(told.files);
                }
            }
        }
        Ok(whole.filter(|_| is_told))
    }
}

impl Report {
    /// Says of all that is told which cluster it is about.
    fn name_cluster(&mut self, name: &str) {
        for reported in &mut self.findings {
            reported.cluster = Some(name.to_owned());
            reported.fingerprint = digest(&[name, &reported.fingerprint]);
        }
        for located in &mut self.changes {
            located.cluster = Some(name.to_owned());
        }
        for not_judged in &mut self.not_judged {
            not_judged.cluster = Some(name.to_owned());
        }
    }

    /// Adds what is told of another cluster.
    fn add(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.changes.extend(other.changes);
        // Those that need approval come first, whatever their cluster.
        self.changes.sort_by_key(|it| !it.change.crosses_boundary);
        self.not_judged.extend(other.not_judged);
        self.notes.extend(other.notes);
        let new = other.compared.into_iter();
        let new = new.filter(|it| !self.compared.contains(it));
        let new: Vec<_> = new.collect();
        self.compared.extend(new);
        self.settled += other.settled;
        self.is_whole &= other.is_whole;
        self.counted = self.counted.and(other.counted);
    }
}

impl Counted {
    /// How much it is of both.
    fn and(self, other: Self) -> Self {
        Self {
            of: self.of.max(other.of),
            crossing: self.crossing + other.crossing,
            breaking: self.breaking + other.breaking,
            all: self.all + other.all,
        }
    }
}
