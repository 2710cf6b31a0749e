//! All that a kustomization names: files of any ending, other kustomizations with what they name, and files that those name.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::FILES;
use crate::cli::base;
use crate::cli::document;

/// No path of a file is as long.
const LONGEST_PATH: usize = 4096;
/// Configurations of plugins name files; none of them is as long.
const MOST_READ: u64 = 1024 * 1024;

/// What the files say that somebody names.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Names, each with a digest of what is there.
    pub parts: Vec<String>,
    /// Files, each with the folder from which it names others.
    seen: BTreeSet<(PathBuf, PathBuf)>,
    /// What is still to be looked through, with the folder from which it names files.
    open: Vec<(PathBuf, Value)>,
}

impl Named {
    /// All that a value of a kustomization in a folder names.
    pub fn of(folder: &Path, json: &Value) -> Self {
        let mut named = Self::default();
        named.open.push((folder.to_owned(), json.clone()));
        while let Some((folder, json)) = named.open.pop() {
            let mut texts = Vec::new();
            strings(&json, &mut texts);
            for text in texts {
                named.text(&folder, text);
            }
        }
        named
    }

    /// A text may be the path of a file, that of a file under another name, or name files itself.
    fn text(&mut self, folder: &Path, text: &str) {
        if text.contains([':', '\n']) {
            self.names_of(folder, text);
        }
        let behind = text.split_once('=').map(|(_, behind)| behind);
        for name in [Some(text), behind].into_iter().flatten() {
            let is_path = !name.is_empty() && name.len() <= LONGEST_PATH && !name.contains('\n');
            if is_path {
                self.path(folder, name);
            }
        }
    }

    fn path(&mut self, folder: &Path, name: &str) {
        let path = folder.join(name);
        if path.is_file() {
            self.file(folder, name, &path);
            return;
        }
        let own = FILES.iter().map(|it| (path.join(it), *it));
        for (file, own) in own.filter(|(it, _)| it.is_file()) {
            self.file(&path, &format!("{name}/{own}"), &file);
        }
    }

    /// Takes in a file that names others from a folder.
    fn file(&mut self, folder: &Path, name: &str, path: &Path) {
        let key = (base::normal(folder), base::normal(path));
        if !self.seen.insert(key) {
            return;
        }
        self.parts.push(name.to_owned());
        // What cannot be read is the same as nothing, and its path tells it from what was there before.
        let unread = |error: io::Error| format!("{}: {error}", path.display());
        self.parts.push(content(path).unwrap_or_else(unread));
        let is_short = fs::metadata(path).is_ok_and(|it| it.len() <= MOST_READ);
        if is_short && let Ok(text) = fs::read_to_string(path) {
            self.names_of(folder, &text);
        }
    }

    fn names_of(&mut self, folder: &Path, yaml: &str) {
        for document in document::parse(yaml).documents {
            let json = document.root.to_json();
            // Only a text that is not looked at already.
            if !json.is_string() {
                self.open.push((folder.to_owned(), json));
            }
        }
    }
}

/// A digest of all bytes of a file, however long it is.
fn content(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
}

fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|it| strings(it, found)),
        Value::Object(fields) => fields.values().for_each(|it| strings(it, found)),
        _ => {}
    }
}
