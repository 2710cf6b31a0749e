//! The files that a command reads: named ones, those of folders, and standard input.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::finding::Finding;

/// No file with landing zones is as long; what is longer is not read into memory.
pub const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;
/// Git's own folder, the only one that is not gone through: nobody applies what lies there.
const GIT: &str = ".git";
/// Levels of folders below a named one.
const MAX_FOLDER_DEPTH: usize = 64;

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path as it was given, or `<stdin>`.
    pub name: String,
    /// Its text.
    pub text: String,
    /// How it came to be read.
    pub origin: Origin,
}

/// How a file came to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Its own path was given.
    Named,
    /// It lies in a folder that was given, possibly among files that are none of our business.
    Found,
}

/// What was read, and what could not be.
#[derive(Debug, Default)]
pub struct Sources {
    /// Files in the order of the arguments, those of a folder by path; none twice.
    pub files: Vec<SourceFile>,
    /// Files that are no text, or too long.
    pub findings: Vec<Finding>,
    /// Files in folders that are no text and cannot hold a landing zone.
    pub skipped_files: usize,
    /// Paths that could not be read.
    pub failures: Vec<ReadError>,
}

/// A path could not be read.
#[derive(Debug, Error)]
#[error("{path}: failed to read it")]
pub struct ReadError {
    path: String,
    source: io::Error,
}

/// Reads files of at most `max_bytes`, folders with all below them, and `-` for standard input, for the sake of
/// landing zones. Hidden files and folders are read as well, as `kubectl apply --recursive` does: what is applied and not
/// read would be left out of whatever is said.
pub fn read(paths: &[PathBuf], stdin: &mut dyn Read, max_bytes: u64) -> Sources {
    read_for(paths, stdin, max_bytes, mentions_landing_zones)
}

/// The same, where `concerns` tells of a file that is no text whether it may hold what is looked for.
pub fn read_for(
    paths: &[PathBuf],
    stdin: &mut dyn Read,
    max_bytes: u64,
    concerns: fn(&[u8]) -> bool,
) -> Sources {
    let mut reader = Reader {
        sources: Sources::default(),
        seen: BTreeSet::new(),
        stdin_read: false,
        max_bytes,
        concerns,
    };
    for path in paths {
        if path.as_os_str() == "-" {
            reader.standard_input(stdin);
        } else if path.is_dir() {
            reader.folder(path, 0);
        } else {
            reader.file(path, Origin::Named);
        }
    }
    reader.sources
}

/// Whether a text or a broken one may hold a landing zone: none is without the name of its kind.
pub fn mentions_landing_zones(bytes: &[u8]) -> bool {
    const KIND: &[u8] = b"LandingZone";
    bytes.windows(KIND.len()).any(|window| window == KIND)
}

/// Paths, as a person would name them.
pub fn described(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| match path.to_str() {
            Some("-") => "standard input".to_owned(),
            _ => path.display().to_string(),
        })
        .collect();
    paths.join(", ")
}

struct Reader {
    sources: Sources,
    /// Real paths: a file that is named twice, or linked to, is read once.
    seen: BTreeSet<PathBuf>,
    stdin_read: bool,
    max_bytes: u64,
    concerns: fn(&[u8]) -> bool,
}

impl Reader {
    fn standard_input(&mut self, stdin: &mut dyn Read) {
        if !std::mem::replace(&mut self.stdin_read, true) {
            self.take("<stdin>".to_owned(), stdin, Origin::Named);
        }
    }

    fn folder(&mut self, path: &Path, depth: usize) {
        match self.first_time(path) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return self.fail(path, error),
        }
        let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries: Vec<PathBuf> = match entries {
            Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
            Err(error) => return self.fail(path, error),
        };
        entries.sort();
        for entry in entries {
            if entry.file_name() == Some(OsStr::new(GIT)) {
                continue;
            }
            if entry.is_dir() {
                if depth < MAX_FOLDER_DEPTH {
                    self.folder(&entry, depth + 1);
                }
            } else if is_declaration_file(&entry) {
                self.file(&entry, Origin::Found);
            }
        }
    }

    fn file(&mut self, path: &Path, origin: Origin) {
        let opened = self
            .first_time(path)
            .and_then(|first| first.then(|| File::open(path)).transpose());
        match opened {
            Ok(Some(mut file)) => self.take(path.display().to_string(), &mut file, origin),
            Ok(None) => {}
            Err(error) => self.fail(path, error),
        }
    }

    fn take(&mut self, name: String, input: &mut dyn Read, origin: Origin) {
        let mut bytes = Vec::new();
        if let Err(source) = input.take(self.max_bytes + 1).read_to_end(&mut bytes) {
            return self.sources.failures.push(ReadError { path: name, source });
        }
        if bytes.len() as u64 > self.max_bytes {
            let message = format!("longer than {} MiB", self.max_bytes / 1024 / 1024);
            return self.sources.findings.push(Finding::of_file(name, message));
        }
        match String::from_utf8(bytes) {
            Ok(text) => self.sources.files.push(SourceFile { name, text, origin }),
            Err(error) if origin == Origin::Found && !(self.concerns)(error.as_bytes()) => {
                self.sources.skipped_files += 1;
            }
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let before = error.as_bytes().get(..valid).unwrap_or_default();
                let line = before.split(|byte| *byte == b'\n').count();
                let message = format!("not UTF-8 text, from line {line} on: save it as UTF-8");
                self.sources.findings.push(Finding::of_file(name, message));
            }
        }
    }

    fn first_time(&mut self, path: &Path) -> io::Result<bool> {
        // Pipes, as shells make them for `<(…)`, have no path to compare.
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() && !metadata.is_dir() {
            return Ok(true);
        }
        Ok(self.seen.insert(fs::canonicalize(path)?))
    }

    fn fail(&mut self, path: &Path, source: io::Error) {
        self.sources.failures.push(ReadError {
            path: path.display().to_string(),
            source,
        });
    }
}

fn is_declaration_file(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| matches!(extension, "yaml" | "yml" | "json"))
        // Kustomize's own files are YAML by that name as well.
        || path.file_name() == Some(OsStr::new("Kustomization"))
}
